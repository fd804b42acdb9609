"""What all benchmarks share: how they describe themselves, where they run, what a run of one brings.

A benchmark has cases (the contenders, or one contender in several situations). They take turns: a round
measures each of them once, and every round begins with another one. What counts of a case is the median of
its rounds; the spread is from its lowest to its highest.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient, UpdateOne

from scripts.benchmarks import machine
from scripts.benchmarks.contenders import Server, serving
from scripts.benchmarks.listeners import Crowd
from scripts.benchmarks.machine import Cores

SETTLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured."""

    name: str
    unit: str
    digits: int = 0
    less_is_better: bool = True


@dataclass(frozen=True)
class Measured:
    """What one run of one case brought. `flaw`: why its figures do not count as the same work."""

    figures: Mapping[str, float]
    flaw: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """One question, asked of several cases. The first figure is the one that cases are compared by."""

    name: str
    title: str
    cases: Sequence[str]
    figures: Sequence[Figure]
    measure: Callable[[Ground, str], Awaitable[Measured]]
    reference: str  # the case that the others are compared with
    least_rounds: int = 1
    remark: str = ""


@dataclass(frozen=True)
class Ground:
    """Where benchmarks run."""

    url: str
    client: AsyncMongoClient[Any]
    cores: Cores
    quick: bool = False  # only to see that everything works
    profiles: Path | None = None  # a directory for profiles of the relay

    def sized(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    @asynccontextmanager
    async def serving(
        self, contender: str, fill: Callable[[Any], Awaitable[None]] | None = None, **settings: str
    ) -> AsyncIterator[tuple[Server, Tasks]]:
        """A contender over a database of its own, whose collection is empty unless `fill` does something."""
        database = f"bench_{uuid.uuid4().hex[:8]}"
        await self.client[database].create_collection("tasks")
        try:
            if fill is not None:
                await fill(self.client[database]["tasks"])
            profile = self.profiles and self.profiles / f"{database}.prof"
            async with serving(
                contender, self.url, database, self.cores.server, settings, profile=profile
            ) as server:
                yield server, Tasks(self.client[database]["tasks"])
        finally:
            await self.client.drop_database(database)

    @asynccontextmanager
    async def listening(self, server: Server) -> AsyncIterator[Crowd]:
        crowd = Crowd(server.port)
        try:
            yield crowd
        finally:
            await crowd.leave()


@dataclass
class Tasks:
    """The writer's side."""

    collection: Any

    async def add(self, count: int = 1, **fields: Any) -> list[ObjectId]:
        """New tasks, which the team `red` may see unless the fields say otherwise."""
        seen = {} if "members" in fields else {"teamId": "red"}
        documents = [
            {"title": f"Task {n}", "status": "open", "events": [event(-1)], **seen, **fields}
            for n in range(count)
        ]
        ids = list((await self.collection.insert_many(documents)).inserted_ids)
        await asyncio.sleep(SETTLE_S)  # lest anyone who joins now still hears of this
        return ids

    async def append(self, task: ObjectId, n: int, size: int = 0) -> None:
        await self.collection.update_one({"_id": task}, append(n, size))

    async def append_all(self, task: ObjectId, numbers: Iterable[int], size: int = 0) -> None:
        """As fast as mongod takes them."""
        await self.collection.bulk_write(
            [UpdateOne({"_id": task}, append(n, size)) for n in numbers], ordered=True
        )


def event(n: int, size: int = 0) -> dict[str, Any]:
    message = f"line {n} of what a worker has to say about its task"
    return {"type": "log", "n": n, "data": {"message": message.ljust(size, ".")}}


def append(n: int, size: int = 0) -> dict[str, Any]:
    return {"$push": {"events": event(n, size)}}


def disorder(heard: bytes, numbers: Iterable[int]) -> str | None:
    """What is wrong with what the first listener heard: it should be these events in this order."""
    got = [int(n) for n in re.findall(rb'"n":(\d+)', heard)]
    if got != list(numbers):
        return f"the first listener got {len(got)} events, not those that were written in their order"
    return None


def flaw_of(crowd: Crowd, numbers: Iterable[int]) -> str | None:
    """Did everyone get everything?"""
    if crowd.received != crowd.wanted:
        return f"{crowd.received:,} of {crowd.wanted:,} frames arrived"
    return disorder(crowd.first_ear, numbers)


class Meter:
    """What a stretch of time costs a server."""

    def __init__(self, ground: Ground, server: Server) -> None:
        self._core = ground.cores.server
        self._server = server
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float]:
        return (
            time.perf_counter(),
            self._server.cpu_s(),
            time.process_time(),
            machine.core_busy_s(self._core),
        )

    def stop(self) -> Spent:
        wall, cpu, load, busy = (
            after - before for before, after in zip(self._began, self._now(), strict=True)
        )
        return Spent(wall, cpu, load / wall, max(0.0, busy - cpu) / wall)


@dataclass(frozen=True, slots=True)
class Spent:
    wall_s: float
    cpu_s: float
    load_share: float  # of its core, that the load took
    others_share: float  # of the server's core, that something else took

    def noise(self) -> dict[str, float]:
        return {LOAD.name: 100 * self.load_share, OTHERS.name: 100 * self.others_share}


LOAD = Figure("load client", "% of its core")
OTHERS = Figure("others", "% of the server's core")
NOISE = (LOAD, OTHERS)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def paced(count: int, rate: float, write: Callable[[int], Awaitable[None]]) -> list[float]:
    """Call `write(n)` at a steady rate, one after the other; when each call was made."""
    began, called = time.perf_counter(), []
    for n in range(count):
        wait = began + n / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        called.append(time.perf_counter())
        await write(n)
    return called
