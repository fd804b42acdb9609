"""CPU time of one change from the change stream to the frames, in a process that does nothing else.

The changes are written first. Only reading, translating and publishing them is measured, without mongod and without
the writer. Python's garbage collector is tuned as in `relay serve`. That also speeds up the driver's own loop, so the
loop is measured with and without it.

There are three benchmarks. `changes`: nobody listens, and the driver's own loop over the same changes is the
reference. `arrays`: appends compared with arrays that are replaced. `redaction`: one listener receives events with and
without the search for secrets.

python -m scripts.benchmarks.changes URL COUNT CASE        prints changes per CPU-second
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne

from relay.cli.process import tune_garbage_collection
from relay.config import Settings
from relay.hub.hub import Hub
from relay.hub.listener import Listener
from relay.metrics import Metrics
from relay.pipeline import Pipeline
from relay.tasks.bson_json import hides_nothing
from relay.tasks.mapping import Mapping
from relay.tasks.redact import Redactor
from relay.tasks.visibility import Audience, Principal
from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, append, event
from scripts.benchmarks.contenders import ROOT
from scripts.benchmarks.machine import running_on

TASKS = 50
CAP = 2_000
LONG = 1_024  # bytes of an event's message
BATCH_SIZE = 1_000  # as the relay requests
TRIES = 3  # capped arrays fill the oplog; a run fails if it drops changes before they are read


@dataclass(frozen=True)
class Kind:
    """One case: a writer makes `count` updates to tasks that start with `length` events."""

    count: int
    length: int
    update: Callable[[int], dict[str, Any]]
    tasks: int = TASKS
    cache_size: int = 100_000
    has_listener: bool = False
    bare: bool = False  # read by the driver's own loop, which discards the changes
    redacts: bool = True
    tunes_gc: bool = True


class NoRedaction(Redactor):
    """A redactor that finds no secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.hides = hides_nothing

    def may_change(self, json: bytes) -> bool:
        return False


def capped(n: int) -> dict[str, Any]:
    return {"$push": {"events": {"$each": [event(n)], "$slice": -CAP}}}


def long(n: int) -> dict[str, Any]:
    return append(n, LONG)


KINDS = {
    "the driver's own loop": Kind(20_000, 10, append, bare=True, tunes_gc=False),
    "the driver's own loop, tuned GC": Kind(20_000, 10, append, bare=True),
    "appends, tasks cached": Kind(20_000, 10, append),
    "appends, one listener": Kind(5_000, 10, append, tasks=1, has_listener=True),
    "appends, one listener, no redaction": Kind(5_000, 10, append, tasks=1, has_listener=True, redacts=False),
    f"appends of {LONG:,} bytes": Kind(2_000, 10, long, tasks=1, has_listener=True),
    f"appends of {LONG:,} bytes, no redaction": Kind(
        2_000, 10, long, tasks=1, has_listener=True, redacts=False
    ),
    "appends, every batch cold": Kind(20_000, 10, append, cache_size=1),
    f"capped arrays of {CAP:,}": Kind(2_000, CAP, capped, tasks=2),
    f"capped arrays of {CAP:,}, one listener": Kind(2_000, CAP, capped, tasks=1, has_listener=True),
}


async def rate(url: str, kind: Kind, count: int) -> float:
    """Measure one case. Return the changes per second of this process's CPU time."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client.drop_database("bench")
        tasks = client["bench"]["tasks"]
        await tasks.insert_many(
            [{"_id": n, "createdBy": "u", "events": _events(kind.length)} for n in range(kind.tasks)]
        )
        orders = (UpdateOne({"_id": n % kind.tasks}, kind.update(n)) for n in range(count))
        usage = await (_driver(tasks, orders, count) if kind.bare else _relay(url, tasks, kind, orders))
        await client.drop_database("bench")
        return count / usage


async def _driver(tasks: Any, orders: Iterable[UpdateOne], count: int) -> float:
    async with await tasks.watch(batch_size=BATCH_SIZE) as stream:
        await _write(tasks, orders)
        began, left = time.process_time(), count
        async for _ in stream:
            left -= 1
            if not left:
                break
        return time.process_time() - began


async def _relay(url: str, tasks: Any, kind: Kind, orders: Iterable[UpdateOne]) -> float:
    settings = Settings(
        relay_mongo_url=url,
        relay_mongo_database="bench",
        relay_tasks_collection="tasks",
        relay_jwt_secret="x" * 32,
        relay_known_tasks_max=kind.cache_size,
    )
    metrics = Metrics()
    async with Pipeline(settings, Mapping(), metrics) as pipeline:
        if not kind.redacts:
            pipeline.translator.view = replace(pipeline.translator.view, redactor=NoRedaction())
        interval_s = settings.relay_list_update_min_interval_ms / 1000
        async with Hub(pipeline.reader, pipeline.translator, metrics, list_interval_s=interval_s) as hub:
            hub.move_to(await pipeline.tail.open())
            if kind.has_listener:
                await _listen(hub, pipeline.audience)
            await _write(tasks, orders)
            end = await pipeline.reader.now()
            pumping = asyncio.ensure_future(pipeline.pump(hub, hub.is_listened).run())
            began = time.process_time()
            await hub.reached(end)
            usage = time.process_time() - began
            pumping.cancel()
            with suppress(asyncio.CancelledError):
                await pumping
            if metrics.registry.get_sample_value("relay_stream_reopened_total"):
                raise RuntimeError("the oplog dropped changes before they were read")
            return usage


def _events(count: int) -> list[dict[str, Any]]:
    return [event(-n) for n in range(count)]


async def _write(tasks: Any, orders: Iterable[UpdateOne]) -> None:
    await tasks.bulk_write(list(orders), ordered=True)


class _DiscardingReceiver:
    """A receiver that discards frames. The first answer sets `joined`."""

    def __init__(self, joined: asyncio.Event) -> None:
        self._joined = joined

    def send(self, frames: Sequence[bytes]) -> None:
        pass

    def answer(self, frame: bytes) -> None:
        self._joined.set()

    def answer_pages(self, pages: Iterable[bytes], size: int) -> None:
        self._joined.set()

    def pin(self) -> bool:
        return True

    def has_room(self) -> bool:
        return True


async def _listen(hub: Hub, audience: Audience) -> None:
    """Subscribe one listener to the first task. Its frames are discarded."""
    principal = Principal("u", {"sub": "u"}, 0)
    joined = asyncio.Event()
    listener = Listener(
        audience.keys_for(principal),
        partial(audience.filter_for, principal),
        user=principal.sub,
        receiver=_DiscardingReceiver(joined),
    )
    hub.enter(listener)
    hub.join_task(listener, '{"$numberInt": "0"}', None, None, None)
    await joined.wait()


RATE = Figure("changes", "per CPU-second", less_is_better=False)


async def measure(environment: Environment, case: str) -> Measured:
    count = KINDS[case].count // environment.sized(1, 10)
    command = [sys.executable, "-m", "scripts.benchmarks.changes", environment.url, str(count), case]
    for _ in range(TRIES):
        with running_on({environment.cores.server}):
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
        output = (await process.communicate())[0]
        if not process.returncode:
            return Measured({RATE.name: float(output)})
    raise RuntimeError(f"{case} could not be measured")


CHANGES = Benchmark(
    "changes",
    "Tail, translation and publishing to nobody, and the driver's own loop over the same changes",
    ["the driver's own loop", "the driver's own loop, tuned GC", "appends, tasks cached"],
    (RATE,),
    measure,
    reference="the driver's own loop",
)
ARRAYS = Benchmark(
    "arrays",
    "Tail, translation and publishing: appends, and arrays that come whole",
    [
        "appends, tasks cached",
        "appends, one listener",
        "appends, every batch cold",
        f"capped arrays of {CAP:,}",
        f"capped arrays of {CAP:,}, one listener",
    ],
    (RATE,),
    measure,
    reference="appends, tasks cached",
)
REDACTION = Benchmark(
    "redaction",
    "Tail, translation and publishing to one listener, with and without a search for secrets",
    [
        "appends, one listener, no redaction",
        "appends, one listener",
        f"appends of {LONG:,} bytes, no redaction",
        f"appends of {LONG:,} bytes",
    ],
    (RATE,),
    measure,
    reference="appends, one listener, no redaction",
)

if __name__ == "__main__":
    measured = KINDS[sys.argv[3]]
    if measured.tunes_gc:
        tune_garbage_collection()
    print(asyncio.run(rate(sys.argv[1], measured, int(sys.argv[2]))))
