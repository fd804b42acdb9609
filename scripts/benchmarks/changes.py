"""What one change costs from the change stream to the frames, in CPU time of this process.

The changes are written first; what is measured is reading, translating and publishing them. mongod and
whoever wrote take no part in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne

from relay.access.audience import Audience, Principal
from relay.feed.known import Known
from relay.feed.pump import Pump
from relay.hub.hub import Hub, Listener
from relay.hub.joining import Joining
from relay.metrics import Metrics
from relay.source.arrays import Decoder
from relay.source.reader import Reader
from relay.source.stream import Tail
from relay.tasks.mapping import Mapping
from relay.tasks.translate import Translator

TASKS = 50
CAP = 2_000


def event(n: int) -> dict[str, Any]:
    return {
        "type": "log",
        "n": n,
        "data": {"message": f"line {n} of what a worker has to say about its task"},
    }


@dataclass(frozen=True)
class Kind:
    """One kind of writer: what it does `count` times, to tasks that begin with `length` events."""

    count: int
    length: int
    update: Callable[[int], dict[str, Any]]
    tasks: int = TASKS
    known: int = 100_000
    listens: bool = False


def append(n: int) -> dict[str, Any]:
    return {"$push": {"events": event(n)}}


def capped(n: int) -> dict[str, Any]:
    return {"$push": {"events": {"$each": [event(n)], "$slice": -CAP}}}


KINDS = {
    "appends, tasks known": Kind(20_000, 10, append),
    "appends, one listener": Kind(20_000, 10, append, tasks=1, listens=True),
    "appends, every batch cold": Kind(20_000, 10, append, known=1),
    f"capped arrays of {CAP:,}": Kind(2_000, CAP, capped, tasks=2),
    f"capped arrays of {CAP:,}, one listener": Kind(2_000, CAP, capped, tasks=1, listens=True),
}


async def measure(url: str, *, rounds: int, scale: float) -> dict[str, list[float]]:
    """Changes per CPU-second of tail, translation and publishing, in each round, for each kind of writer."""
    rates: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(rounds):
        for name, kind in KINDS.items():
            rates[name].append(await _measure(url, kind, round(kind.count * scale)))
    return rates


async def _measure(url: str, kind: Kind, count: int) -> float:
    async with AsyncMongoClient[dict[str, Any]](url) as client, AsyncMongoClient[Any](url) as tailing:
        await client.drop_database("bench")
        tasks = client["bench"]["tasks"]
        await tasks.insert_many(
            [{"_id": n, "createdBy": "u", "events": _events(kind.length)} for n in range(kind.tasks)]
        )
        mapping, metrics = Mapping(), Metrics()
        audience = Audience(mapping.visibility)
        translator = Translator(mapping, audience.keys_of, max_text=1000)
        where = ("bench", "tasks", Decoder(mapping.events))
        tail, reader = Tail(tailing, *where, jitter=lambda: 0.5), Reader(client, *where)
        hub = Hub(translator.view, metrics, list_interval_s=0.1)
        known = Known(kind.known, hub.is_listened)
        async with Joining(hub, reader, translator, metrics) as joining:
            hub.move_to(await tail.open())
            if kind.listens:
                await _listen(hub, joining, audience)
            await _write(tasks, (UpdateOne({"_id": n % kind.tasks}, kind.update(n)) for n in range(count)))
            end = await reader.now()
            pump = asyncio.ensure_future(Pump(tail, reader, translator, known, joining, metrics).run())
            began = time.process_time()
            await hub.reached(end)
            spent = time.process_time() - began
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
        return count / spent


def _events(count: int) -> list[dict[str, Any]]:
    return [event(-n) for n in range(count)]


async def _write(tasks: Any, orders: Iterable[UpdateOne]) -> None:
    await tasks.bulk_write(list(orders), ordered=True)


async def _listen(hub: Hub, joining: Joining, audience: Audience) -> None:
    """One listener in the room of the first task, whose frames go nowhere."""
    principal = Principal("u", {"sub": "u"}, 0)
    joined = asyncio.Event()
    listener = Listener(
        audience.keys_for(principal),
        audience.filter_for(principal),
        send=lambda frame: None,
        answer=lambda frame: joined.set(),
    )
    hub.enter(listener)
    joining.join_task(listener, '{"$numberInt": "0"}', None, None, None)
    await joined.wait()
