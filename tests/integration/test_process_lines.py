"""The log says how a relay starts, when it is ready, what it tells its clients at the end, and that it has stopped."""

from __future__ import annotations

import os
import platform
import signal
from importlib.metadata import version
from pathlib import Path

import pytest
from support.log_lines import JSON, lines_of, logged, matching
from support.raw_client import upgraded
from support.worker_processes import workers


@pytest.mark.parametrize("count", [1, 2])
async def test_the_life_of_a_relay_is_logged(good: dict[str, str], tmp_path: Path, count: int) -> None:
    given = good | JSON | {"RELAY_DRAIN_MS": "300", "RELAY_ADMIN_PORT": "0"}
    async with workers(tmp_path, "--workers", str(count), **given) as relay:
        starting = await logged(relay, "relay starting", pid=relay.process.pid, workers=count)
        assert (starting["version"], starting["python"]) == (version("task-relay"), platform.python_version())
        assert (starting["listen"], starting["adminPort"]) == ("127.0.0.1:0", 0)
        assert [starting[name] for name in ("mapping", "redis", "tls")] == [False, False, False]
        for worker in [{"worker": "1"}, {"worker": "2"}] if count == 2 else [{}]:
            await logged(relay, "relay ready", seconds=..., **worker)
        # A client that does not leave when it is told to is closed at the end.
        async with upgraded(relay.url) as peer:
            await peer.frame()
            relay.process.send_signal(signal.SIGTERM)
            assert await peer.ending() == 1001
            draining = await logged(relay, "relay draining", connections=1, polls=0, graceMs=300)
            await logged(relay, "relay drained", closed=1)
        assert await relay.end() == 0
    lines = lines_of(relay.said())
    assert len(matching(lines, "relay ready")) == len(matching(lines, "relay drained")) == count
    (stopped,) = matching(lines, "relay stopped", exitCode=0)
    assert lines[-1] is stopped
    assert "worker" not in stopped
    assert draining["level"] == "info"


async def test_a_relay_without_workers_is_one_process_whose_log_for_people_begins_and_ends_as_that_for_machines(
    good: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **good) as relay:
        assert relay.children("") == []
        assert await relay.end() == 0
    said = relay.said()
    assert f"relay starting version={version('task-relay')!r}" in said
    assert f"relay: listening on http://127.0.0.1:{relay.port}{os.linesep}" in said
    assert "relay stopped" in said.splitlines()[-1]
