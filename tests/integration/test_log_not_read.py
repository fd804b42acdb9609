"""The reader of standard error stops reading: clients notice nothing, the relay ends in time, and drops are counted."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.command_process import port_of
from support.log_flood import send_bad_requests, talkative
from support.relay_fixture import SOON_S, command, environment
from support.worker_clients import clients
from support.worker_processes import samples, until

BAD_REQUESTS = 400  # each writes about 3 KB: more than what the pipe and the memory of two workers hold
# A parent kills a worker that has not ended by itself only when a test no longer waits for it.
COMMAND = command({"relay.workers.slot.GRACE_S": 2 * SOON_S})
DROPPED = "relay_log_lines_dropped_total"


@dataclass
class Unread:
    """A running relay whose standard error is the pipe `reads`, which nobody reads."""

    process: subprocess.Popen[bytes]
    reads: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rest(self) -> str:
        """Read the pipe to its end."""
        text = b""
        while more := os.read(self.reads, 65_536):
            text += more
        return text.decode()


@asynccontextmanager
async def unread(workers: int, **given: str) -> AsyncIterator[Unread]:
    """Run a relay whose standard error is read until it listens, and then no more."""
    reads, writes = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--workers", str(workers)], stderr=writes, env=environment(**given)
    )
    os.close(writes)
    try:
        text = b""
        while b"listening on" not in text or not text.endswith(b"\n"):
            more = await asyncio.to_thread(os.read, reads, 65_536)
            assert more, text
            text += more
        yield Unread(process, reads, port_of(text.decode()))
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):  # a test has closed it
            os.close(reads)


@pytest.mark.parametrize("workers", [1, 2])
async def test_clients_get_their_events_while_nobody_reads_the_log(
    good: dict[str, str], tasks: Any, tmp_path: Path, workers: int
) -> None:
    given = good | talkative(tmp_path) | {"RELAY_DRAIN_MS": "0"}
    # Given clients (of each worker) and a reader of the log that has stopped reading,
    async with unread(workers, **given) as relay, clients(relay.url, 8, "/ws/dashboard") as members:
        for client in members:
            await client.until("dashboard:state")
        # when a stranger sends requests that write more than the pipe and the memory for it hold,
        stranger = asyncio.create_task(asyncio.to_thread(send_bad_requests, relay.port, BAD_REQUESTS))
        # then every client is sent what happens meanwhile,
        written = 0
        while not stranger.done() or not written:
            written += 1
            tasks.insert_one({"_id": f"t{written}", "createdBy": "alice", "events": []})
            for client in members:
                assert (await client.until("task:created"))["data"]["taskId"] == f"t{written}"
        await stranger
        # and the metrics say that lines were dropped.
        dropped = (await until(lambda: samples(relay.url), lambda found: found[DROPPED] > 0))[DROPPED]
        # When the log is read again, what is there is in order, and lines say how many are missing: all that were.
        reading = asyncio.create_task(asyncio.to_thread(relay.rest))
        await asyncio.to_thread(send_bad_requests, relay.port, 20)
        relay.process.terminate()
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 0
        log = await reading
        said = re.findall(r"lines of the log are missing here: they could not be written lines=(\d+)", log)
        assert sum(map(int, said)) >= dropped
        assert "Logging error" not in log
        for name in ("relay.gateway", "uvicorn.error", "asyncio"):
            for worker in ("worker 1: ", "worker 2: ") if workers == 2 else ("",):
                found = re.findall(rf"WARNING {worker}{name} has bad request (\d+)\.\n", log)
                assert all(int(one) < int(two) for one, two in pairwise(found))
                assert found


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_relay_whose_log_is_not_read_ends_in_time(
    good: dict[str, str], tmp_path: Path, workers: int
) -> None:
    given = good | talkative(tmp_path) | {"RELAY_DRAIN_MS": "0"}
    async with unread(workers, **given) as relay:
        await asyncio.to_thread(send_bad_requests, relay.port, BAD_REQUESTS)
        relay.process.terminate()
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reader_of_the_log_that_leaves_ends_nothing(
    good: dict[str, str], tmp_path: Path, workers: int
) -> None:
    given = good | talkative(tmp_path) | {"RELAY_DRAIN_MS": "0"}
    async with unread(workers, **given) as relay, clients(relay.url, 8) as members:
        os.close(relay.reads)
        await asyncio.to_thread(send_bad_requests, relay.port, 20)
        await until(lambda: samples(relay.url), lambda found: found[DROPPED] >= 20)
        for client in members:
            assert await client.quiet() == []
        relay.process.terminate()
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 0
