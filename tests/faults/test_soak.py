"""A soak test: connections open and close in every way while tasks change, and memory and descriptors must not grow.

It takes a minute in CI and 20 s elsewhere; set RELAY_TEST_SOAK_S=1800 for a long run. The first test checks the slope
of the relay's memory over the second half, and that everything opened is closed. The second one measures for each kind
of request, including refused ones, how much memory 10,000 of them would take.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from support.bare_visits import HANDSHAKE_MS, KINDS, NEED_OTHER_RELAYS, POLL_WAIT_MS, Visitor
from support.command_process import started
from support.relay_fixture import SECRET, SOON_S, token
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SOAK_S = float(os.environ.get("RELAY_TEST_SOAK_S") or (60 if os.environ.get("CI") else 20))
WORKERS = 12
TASKS = 20
SAMPLE_S = 1.0
# Noise of the allocator that a slope may have. A leak of one kilobyte per connection would be ten times as much.
NOISE_KB_PER_CONNECTION = 0.1
NOISE_KB = 3_000
PEAKS_KB = 10_000  # what the allocator keeps after the largest number of simultaneous connections
VISITORS = 4  # simultaneous visitors in the test of single kinds of request
UNATTENDED = 10  # visits of a visitor after which it waits until the relay has finished, so that none pile up
WORST = 3  # number of kinds that are printed
ROUNDS = 2  # number of times that each kind is measured
POOL = 40  # database connections that simultaneous reads may have opened


class Soak:
    """A relay process under load, and the samples of its memory."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url
        self.over = asyncio.Event()
        self.visits = 0
        self.received = 0
        self.samples: list[tuple[float, int, int]] = []  # seconds, KB, visits

    async def visit(self, chance: random.Random) -> None:
        """Connect, join something, listen for a while and disconnect, with or without a closing handshake."""
        headers = {"Authorization": f"Bearer {token('alice')}"}
        while not self.over.is_set():
            path = chance.choice(["/ws", "/ws/dashboard", f"/ws/tasks/t{chance.randrange(TASKS)}"])
            address = self.url.replace("http", "ws", 1) + path
            if chance.random() < 0.1:
                _, writer = await asyncio.open_connection(*self.url.removeprefix("http://").split(":"))
                writer.transport.abort()  # before any handshake
                continue
            try:
                async with connect(
                    address, additional_headers=headers, proxy=None, close_timeout=1
                ) as socket:
                    for _ in range(chance.randrange(4)):
                        await socket.send(
                            f'{{"type":"task:join","data":{{"taskId":"t{chance.randrange(TASKS)}"}}}}'
                        )
                    await self._listen(socket, chance.randrange(30))
                    if chance.random() < 0.5:
                        socket.transport.abort()
            except ConnectionClosed:
                pass
            self.visits += 1

    async def _listen(self, socket: ClientConnection, frames: int) -> None:
        try:
            async with asyncio.timeout(0.3):
                for _ in range(frames):
                    await socket.recv()
                    self.received += 1
        except TimeoutError:
            pass

    async def write(self, tasks: Any) -> None:
        for n in count():
            if self.over.is_set():
                return
            task = f"t{n % TASKS}"
            if n // TASKS % 50 == 0:  # so that no timeline grows forever
                await tasks.replace_one({"_id": task}, {"createdBy": "alice", "events": []}, upsert=True)
            await tasks.update_one({"_id": task}, {"$push": {"events": {"type": "log", "n": n}}})
            await asyncio.sleep(0.002)

    async def sample(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self.over.is_set():
            await asyncio.sleep(SAMPLE_S)
            self.samples.append((loop.time() - began, self.memory_kb(), self.visits))

    def memory_kb(self) -> int:
        return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[0])

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def gauge(self, name: str) -> float:
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{self.url}/metrics").read().decode())
        return float(re.findall(rf"^{name} (\S+)$", body, re.MULTILINE)[0])


def slope(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum(
        (x - middle_x) ** 2 for x, _ in points
    )


@pytest.mark.timeout(SOAK_S + 120)
async def test_memory_and_descriptors_do_not_grow_with_the_number_of_visits(
    mongo_url: str, database_name: str, capsys: Any
) -> None:
    given = {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_LOG_LEVEL": "ERROR",  # its output is not read during the test
    }
    with started("serve", until="listening on", **given) as (process, printed):
        url = re.findall(r"http://\S+", printed)[0]
        soak = Soak(process.pid, url)
        idle = soak.descriptors()
        async with AsyncMongoClient[Any](mongo_url) as client:
            tasks = client[database_name]["tasks"]
            await tasks.insert_many(
                [{"_id": f"t{n}", "createdBy": "alice", "events": []} for n in range(TASKS)]
            )
            async with asyncio.TaskGroup() as group:
                for worker in range(WORKERS):
                    group.create_task(soak.visit(random.Random(worker)))
                group.create_task(soak.write(tasks))
                group.create_task(soak.sample())
                await asyncio.sleep(SOAK_S)
                soak.over.set()
        # Everything opened is closed,
        async with asyncio.timeout(SOON_S):
            while await soak.gauge("relay_connections") or await soak.gauge("relay_rooms"):
                pass
            while soak.descriptors() > idle + POOL:
                await asyncio.sleep(0.1)
        # and memory does not grow with the number of visits.
        half = soak.samples[len(soak.samples) // 2 :]
        grown = slope([(seconds, memory) for seconds, memory, _ in half]) * (half[-1][0] - half[0][0])
        visits = half[-1][2] - half[0][2]
        with capsys.disabled():
            print(
                f"\n  soak of {SOAK_S:.0f} s: {soak.visits} visits, {soak.received} frames received, memory "
                f"{soak.samples[0][1] / 1024:.1f} → {soak.samples[-1][1] / 1024:.1f} MB, "
                f"{grown:+.0f} KB over the last {visits} visits, {idle} → {soak.descriptors()} descriptors"
            )
        assert soak.visits > SOAK_S
        assert grown < NOISE_KB + NOISE_KB_PER_CONNECTION * visits
        process.terminate()
        assert process.wait(SOON_S) == 0


def visited(visitor: Visitor, kind: str, seconds: float, settle: Callable[[], None]) -> int:
    """Make requests of one kind for this time, and return their number. `settle` waits until all are closed."""
    end = time.monotonic() + seconds

    def visit() -> int:
        for visits in count(1):
            with suppress(ConnectionError, AssertionError):  # on a busy machine the short timeouts may expire
                KINDS[kind](visitor)
            if visits % UNATTENDED == 0:
                settle()
            if time.monotonic() >= end:
                return visits
        raise AssertionError

    with ThreadPoolExecutor(VISITORS) as visitors:
        return sum(one.result() for one in [visitors.submit(visit) for _ in range(VISITORS)])


Growth = dict[str, tuple[int, int]]  # by kind of request: their number, and the growth of memory in KB


def measured_round(
    soak: Soak, visitor: Visitor, kinds: list[str], seconds: float, settle: Callable[[], None]
) -> Growth:
    """Make requests of each kind for `seconds`, one kind after the other."""
    grown: Growth = {}
    for kind in kinds:
        before = soak.memory_kb()
        requests = visited(visitor, kind, seconds, settle)
        settle()
        grown[kind] = requests, soak.memory_kb() - before
    return grown


def totals(grown: Growth) -> tuple[int, int]:
    """Return the number of requests of a round, and the growth of memory in KB."""
    return sum(requests for requests, _ in grown.values()), sum(kb for _, kb in grown.values())


@pytest.mark.timeout(SOAK_S + 120)
def test_no_kind_of_request_leaks_memory(mongo_url: str, database_name: str, mongo: Any, capsys: Any) -> None:
    mongo[database_name]["tasks"].insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
    given = {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_LOG_LEVEL": "ERROR",
        "RELAY_HANDSHAKE_TIMEOUT_MS": str(HANDSHAKE_MS),
        "RELAY_POLL_WAIT_MS": str(POLL_WAIT_MS),
        "RELAY_MESSAGES_PER_SECOND": "1000000",
    }
    kinds = [kind for kind in KINDS if kind not in NEED_OTHER_RELAYS]
    each_s = SOAK_S / len(kinds) / (1 + ROUNDS)
    with started("serve", until="listening on", **given) as (process, printed):
        url = re.findall(r"http://\S+", printed)[0]
        # Read its log, or the pipe would fill and block the relay.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        soak, visitor = Soak(process.pid, url), Visitor(url)
        idle = soak.descriptors()

        def settle() -> None:
            given_up = time.monotonic() + SOON_S
            while soak.descriptors() > idle + POOL and time.monotonic() < given_up:
                time.sleep(0.01)

        for kind in kinds:
            visited(visitor, kind, each_s, settle)  # warm-up: the allocator takes the memory it needs
        # On a busy machine one round may reach a higher peak than the rounds before. A leak grows in each round.
        rounds = [measured_round(soak, visitor, kinds, each_s, settle) for _ in range(ROUNDS)]
        for grown in rounds:
            requests, total_kb = totals(grown)
            worst = sorted(grown.items(), key=lambda one: one[1][1] / one[1][0], reverse=True)[:WORST]
            with capsys.disabled():
                per_10_000 = total_kb * 1024 * 10_000 // requests
                print(f"\n  {requests} requests of {len(kinds)} kinds: {per_10_000:+,d} bytes per 10,000")
                for kind, (times, kb) in worst:  # other kinds may free this memory again
                    print(f"    {kb:+6d} KB for the moment by {times} of: {kind}")
        requests, total_kb = min(map(totals, rounds), key=lambda one: one[1])
        assert total_kb < PEAKS_KB + NOISE_KB_PER_CONNECTION * requests
        process.terminate()
        assert process.wait(SOON_S) == 0
