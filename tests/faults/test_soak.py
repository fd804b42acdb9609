"""Soak tests: connections and requests of every kind begin and end, and memory and descriptors must not grow.

Set RELAY_TEST_SOAK_S=1800 for a long run. The first test lets clients come and go while tasks change, for this time.
The second one measures what a number of requests of each kind takes, refused ones too. Both look at the memory of the
process, and at the number of its Python objects, which shows a small leak after a few hundred visits.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from measured import Measured, measured
from pymongo import AsyncMongoClient
from support.bare_visits import HANDSHAKE_MS, KINDS, NEED_OTHER_RELAYS, POLL_WAIT_MS, SLOW, Visitor
from support.relay_fixture import token
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SOAK_S = float(os.environ.get("RELAY_TEST_SOAK_S") or 10)
WORKERS = 12
TASKS = 20
# What the allocator may keep, and what the driver may hold for its connections.
NOISE_KB, NOISE_BLOCKS = 5_000, 2_000
NOISE_KB_PER_VISIT, NOISE_BLOCKS_PER_VISIT = 0.1, 0.5
VISITS = int(SOAK_S * 4)  # of each kind, in a round
VISITORS = 4  # simultaneous visitors
ROUNDS = 4  # on a busy machine one may reach a higher peak than those before, but a leak grows in each


class Soak:
    """Clients that come and go, while tasks change."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.over = asyncio.Event()
        self.visits = 0
        self.received = 0

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
            with suppress(ConnectionClosed):
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
            self.visits += 1

    async def _listen(self, socket: ClientConnection, frames: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                for _ in range(frames):
                    await socket.recv()
                    self.received += 1

    async def write(self, tasks: Any) -> None:
        for n in count():
            if self.over.is_set():
                return
            task = f"t{n % TASKS}"
            if n // TASKS % 50 == 0:  # so that no timeline grows forever
                await tasks.replace_one({"_id": task}, {"createdBy": "alice", "events": []}, upsert=True)
            await tasks.update_one({"_id": task}, {"$push": {"events": {"type": "log", "n": n}}})
            await asyncio.sleep(0.002)

    async def go_on(self, tasks: Any, seconds: float) -> None:
        """Let clients come and go for this time."""
        self.over.clear()
        async with asyncio.TaskGroup() as group:
            for worker in range(WORKERS):
                group.create_task(self.visit(random.Random(worker)))
            group.create_task(self.write(tasks))
            await asyncio.sleep(seconds)
            self.over.set()


@dataclass(frozen=True)
class Taken:
    """What a relay takes when no client is connected: KB of memory, and blocks of Python objects."""

    kb: int
    blocks: int

    @classmethod
    def by(cls, relay: Measured) -> Taken:
        relay.settle()
        return cls(relay.memory_kb(), relay.blocks())

    def grew_with(self, visits: int, before: Taken) -> bool:
        """Return whether it is more than before these visits, by more than is kept for the next ones."""
        kb, blocks = self.kb - before.kb, self.blocks - before.blocks
        print(f"{visits} visits: {kb:+d} KB, {blocks:+d} blocks")
        too_many_kb = kb >= NOISE_KB + NOISE_KB_PER_VISIT * visits
        return too_many_kb or blocks >= NOISE_BLOCKS + NOISE_BLOCKS_PER_VISIT * visits


@pytest.mark.timeout(SOAK_S * ROUNDS + 120)
async def test_memory_and_descriptors_do_not_grow_with_the_number_of_visits(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    given = {"RELAY_MONGO_URL": mongo_url, "RELAY_MONGO_DATABASE": database_name}
    with measured(tmp_path, **given) as relay:
        soak = Soak(relay.url)
        async with AsyncMongoClient[Any](mongo_url) as client:
            tasks = client[database_name]["tasks"]
            await tasks.insert_many(
                [{"_id": f"t{n}", "createdBy": "alice", "events": []} for n in range(TASKS)]
            )
            # When many clients come and go, again and again,
            await soak.go_on(tasks, SOAK_S / 3)
            then, visits = await asyncio.to_thread(Taken.by, relay), soak.visits
            for _ in range(ROUNDS):
                await soak.go_on(tasks, SOAK_S * 2 / 3)
                before, visits_before, visits = then, visits, soak.visits
                then = await asyncio.to_thread(Taken.by, relay)
                if not then.grew_with(visits - visits_before, before):
                    break
            else:
                pytest.fail("the relay grows with each visit")
        # then everything opened is closed, and neither memory nor objects grow each time.
        assert soak.visits > SOAK_S
        assert soak.received
        assert relay.stop() == 0


def visited(relay: Measured, kinds: Sequence[str]) -> dict[str, int]:
    """Make requests of each kind, and return by how many blocks the relay grew with each."""
    visitor, grown = Visitor(relay.url), {}

    def visit(kind: str) -> None:
        with suppress(ConnectionError, AssertionError):  # on a busy machine the short time limits may expire
            KINDS[kind](visitor)

    with ThreadPoolExecutor(VISITS) as crowd, ThreadPoolExecutor(VISITORS) as several:
        for kind in kinds:
            before = relay.blocks()
            # Each visit of a slow kind lasts until a time limit of the relay. They wait for it together.
            list((crowd if kind in SLOW else several).map(visit, [kind] * VISITS))
            relay.settle()
            grown[kind] = relay.blocks() - before
    return grown


@pytest.mark.timeout(SOAK_S * 10 * ROUNDS + 120)
def test_no_kind_of_request_leaks_memory(
    mongo_url: str, database_name: str, mongo: Any, tmp_path: Path
) -> None:
    mongo[database_name]["tasks"].insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
    given = {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_HANDSHAKE_TIMEOUT_MS": str(HANDSHAKE_MS),
        "RELAY_POLL_WAIT_MS": str(POLL_WAIT_MS),
        "RELAY_MESSAGES_PER_SECOND": "1000000",
    }
    kinds = [kind for kind in KINDS if kind not in NEED_OTHER_RELAYS]
    with measured(tmp_path, **given) as relay:
        visited(relay, kinds)  # so that caches are filled and pools have grown
        for _ in range(ROUNDS):
            before = Taken.by(relay)
            by_kind = visited(relay, kinds)
            if not Taken.by(relay).grew_with(VISITS * len(kinds), before):
                break
            # What one kind takes for the moment, others may free again.
            print("most of it by", sorted(by_kind.items(), key=lambda one: one[1], reverse=True)[:5])
        else:
            pytest.fail("the relay grows with each request")
        assert relay.stop() == 0
