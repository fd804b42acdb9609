"""What all benchmarks share: their description, the environment they run in, and their results.

A benchmark has cases: the contenders, or one contender in several situations. A round measures each case once, and
each round starts with another case. The result of a case is the median of its rounds, with the lowest and the
highest as its spread.
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
from scripts.benchmarks.load_client import LoadClient
from scripts.benchmarks.machine import Cores

SETTLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that a benchmark measures."""

    name: str
    unit: str
    digits: int = 0
    less_is_better: bool = True


@dataclass(frozen=True)
class Measured:
    """The result of one run of one case. `invalid_reason`: why it cannot be compared, for example lost frames."""

    figures: Mapping[str, float]
    invalid_reason: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A measurement of several cases. Cases are compared by the first of `figures`."""

    name: str
    title: str
    cases: Sequence[str]
    figures: Sequence[Figure]
    measure: Callable[[Environment, str], Awaitable[Measured]]
    reference: str  # the case that the others are compared with
    least_rounds: int = 1
    remark: str = ""


@dataclass(frozen=True)
class Environment:
    """The database, the cores and the options that benchmarks run with."""

    url: str
    client: AsyncMongoClient[Any]
    cores: Cores
    quick: bool = False  # only check that everything works
    profiles: Path | None = None  # directory for profiles of the relay

    def sized(self, usual: int, quick: int) -> int:
        """Return the size of a run: `usual`, or `quick` for a quick run."""
        return quick if self.quick else usual

    @asynccontextmanager
    async def serving(
        self,
        contender: str,
        fill: Callable[[Any], Awaitable[None]] | None = None,
        *,
        monitor: Path | None = None,
        **settings: str,
    ) -> AsyncIterator[tuple[Server, Tasks]]:
        """Run a contender with a new database. Its collection is empty unless `fill` adds documents.

        `monitor` is the file for what `loop_monitor.py` records, if the contender is the relay.
        """
        database = f"bench_{uuid.uuid4().hex[:8]}"
        await self.client[database].create_collection("tasks")
        try:
            if fill is not None:
                await fill(self.client[database]["tasks"])
            profile = self.profiles and self.profiles / f"{database}.prof"
            async with serving(
                contender,
                self.url,
                database,
                {self.cores.server},
                settings,
                profile=profile,
                monitor=monitor,
            ) as server:
                yield server, Tasks(self.client[database]["tasks"])
        finally:
            await self.client.drop_database(database)

    @asynccontextmanager
    async def load_client(self, server: Server) -> AsyncIterator[LoadClient]:
        """A client without connections. All connections it makes are closed at the end."""
        load = LoadClient(server.port)
        try:
            yield load
        finally:
            await load.leave()


@dataclass
class Tasks:
    """The collection, with the writes that benchmarks make."""

    collection: Any

    async def add(self, count: int = 1, **fields: Any) -> list[ObjectId]:
        """Insert tasks and return their ids. The team `red` may see them unless `fields` name members."""
        seen = {} if "members" in fields else {"teamId": "red"}
        documents = [
            {"title": f"Task {n}", "status": "open", "events": [event(-1)], **seen, **fields}
            for n in range(count)
        ]
        ids = list((await self.collection.insert_many(documents)).inserted_ids)
        await asyncio.sleep(SETTLE_S)  # later listeners must not receive these inserts
        return ids

    async def append(self, task: ObjectId, n: int, size: int = 0) -> None:
        """Append event number `n`, with a message of at least `size` bytes."""
        await self.collection.update_one({"_id": task}, append(n, size))

    async def append_all(self, task: ObjectId, numbers: Iterable[int], size: int = 0) -> None:
        """Append these events in one bulk write, as fast as mongod executes it."""
        await self.collection.bulk_write(
            [UpdateOne({"_id": task}, append(n, size)) for n in numbers], ordered=True
        )


def event(n: int, size: int = 0) -> dict[str, Any]:
    """Return event number `n`, with a message of at least `size` bytes."""
    message = f"line {n} of what a worker has to say about its task"
    return {"type": "log", "n": n, "data": {"message": message.ljust(size, ".")}}


def append(n: int, size: int = 0) -> dict[str, Any]:
    """Return the update that appends event number `n`."""
    return {"$push": {"events": event(n, size)}}


def check_order(received_data: bytes, numbers: Iterable[int]) -> str | None:
    """Check that the first listener received these events in this order. Return the error, None if there is none."""
    got = [int(n) for n in re.findall(rb'"n":(\d+)', received_data)]
    if got != list(numbers):
        return f"the first listener got {len(got)} events, not those that were written in their order"
    return None


def check_received(load: LoadClient, numbers: Iterable[int]) -> str | None:
    """Check that every listener received every event. Return why the run is invalid, None if it is valid."""
    if load.received != load.wanted:
        return f"{load.received:,} of {load.wanted:,} frames arrived"
    return check_order(load.first_received, numbers)


class Meter:
    """Measures the CPU time of a server, of the load client and of everything else from its creation to `stop`."""

    def __init__(self, environment: Environment, server: Server) -> None:
        self._core = environment.cores.server
        self._server = server
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float]:
        return (
            time.perf_counter(),
            self._server.cpu_s(),
            time.process_time(),
            machine.core_busy_s(self._core),
        )

    def stop(self) -> Usage:
        """Return the usage since this meter was made."""
        wall, cpu, load, busy = (
            after - before for before, after in zip(self._began, self._now(), strict=True)
        )
        return Usage(wall, cpu, load / wall, max(0.0, busy - cpu) / wall)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time used in a period of `wall_s` seconds."""

    wall_s: float
    cpu_s: float
    load_share: float  # share of its core that the load client used
    others_share: float  # share of the server's core that other processes used

    def noise(self) -> dict[str, float]:
        """Return the figures that tell whether other work disturbed the measurement."""
        return {LOAD.name: 100 * self.load_share, OTHERS.name: 100 * self.others_share}


LOAD = Figure("load client", "% of its core")
OTHERS = Figure("others", "% of the server's core")
NOISE = (LOAD, OTHERS)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def paced(count: int, rate: float, write: Callable[[int], Awaitable[None]]) -> list[float]:
    """Call `write(n)` one after another, `rate` times a second. Return the time of each call."""
    began, called = time.perf_counter(), []
    for n in range(count):
        wait = began + n / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        called.append(time.perf_counter())
        await write(n)
    return called
