"""Workers, their tailer and their parent that end at any moment: no client misses or repeats anything.

RELAY_TEST_KILLS sets how often they end, and RELAY_TEST_SEED repeats an earlier run.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from checker import JOINED, LONG_S, Watcher, caught_up, check_received, ready, watching, writing
from support.relay_fixture import SECRET
from support.worker_processes import TAILER, WORKER, Workers, workers

from relay.cli.demo import mongod as embedded

KILLS = int(os.environ.get("RELAY_TEST_KILLS", "5"))
SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))


def end_one(relay: Workers, chance: random.Random, module: str, number: signal.Signals) -> bool:
    """Send a signal to one of the children that run this module. Return False if none does at the moment."""
    running = relay.children(module)
    with suppress(ProcessLookupError):  # it ended just now
        if running:
            os.kill(chance.choice(running), number)
            return True
    return False


@pytest.mark.timeout(LONG_S * (2 + KILLS))
async def test_workers_and_tailers_that_end_at_any_moment_lose_nothing(
    mongo_url: str, database_name: str, tmp_path: Path, capsys: Any
) -> None:
    with capsys.disabled():
        print(f"\n  {KILLS} ends of workers and tailers, RELAY_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    given = {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": str(embedded.free_port()),
        "RELAY_WORKERS": "2",
        "RELAY_KNOWN_TASKS_MAX": "2",
        "RELAY_DRAIN_MS": "200",
    }
    # Six clients, so that each worker has some.
    several = [Watcher(JOINED, dashboard=number < 2) for number in range(6)]
    async with workers(tmp_path, **given) as relay, writing(mongo_url, database_name) as writer:
        url = relay.url
        await ready(url, 200)
        async with watching(lambda: url, *several):
            async with writer.busy():
                for number in range(KILLS):
                    # When processes end after this number of writes, whatever they are doing,
                    await writer.acknowledge(chance.randrange(1, 80))
                    match chance.choice(["worker", "worker", "tailer", "both", "stop", "pause", "replace"]):
                        case "worker":
                            end_one(relay, chance, WORKER, signal.SIGKILL)
                        case "tailer":
                            end_one(relay, chance, TAILER, signal.SIGKILL)
                        case "both":
                            end_one(relay, chance, TAILER, signal.SIGKILL)
                            end_one(relay, chance, WORKER, signal.SIGKILL)
                        case "stop":
                            end_one(relay, chance, WORKER, signal.SIGTERM)
                        case "pause":
                            module = chance.choice([WORKER, TAILER])
                            for paused in relay.children(module)[:1]:
                                os.kill(paused, signal.SIGSTOP)
                                await writer.acknowledge(chance.randrange(1, 400))
                                with suppress(ProcessLookupError):  # the parent has ended it meanwhile
                                    os.kill(paused, signal.SIGCONT)
                        case "replace":
                            relay.process.send_signal(signal.SIGUSR1)
                    if number == KILLS // 2:
                        await writer.take("t0")
                    await writer.acknowledge(chance.randrange(1, 20))
                    if chance.random() < 0.7:  # otherwise the next end may come before the start is complete
                        await caught_up(writer, *several)
            # then every client that resumed from a position was sent exactly what it missed.
            await check_received(writer, *several)
        await ready(url, 200)
        assert relay.said().count("relay: listening on") == 1
        assert "Traceback" not in relay.said()
        assert await relay.end() == 0
