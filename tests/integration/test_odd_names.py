"""Field names with dots, digits and dollars in a real MongoDB: the relay never guesses what a path means."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest
from bson import Timestamp
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import OperationFailure
from support import odd_diffs
from support.collector import Collector, stored
from support.relay_fixture import SOON_S, connected, running, settings_for
from support.stored_comparison import TRANSLATOR, same

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics
from relay.source import cursor
from relay.source.change import Change, Updated
from relay.source.decoder import Decoder
from relay.source.reader import Reader
from relay.source.stream import Batch
from relay.source.tail import Tail
from relay.tasks.step import Step

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


def literal(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an update pipeline that replaces the document by this one. MongoDB reports only the differences."""
    return [{"$replaceWith": {"$literal": document}}]


def operators(rng: random.Random) -> dict[str, Any]:
    path = rng.choice(
        ["events.0.a.b", "events.1.0", "members.0", "github.a.0", "a.0", "createdBy", "error.0.1"]
    )
    made = odd_diffs.value(rng)
    return rng.choice(
        [
            {"$set": {path: made}},
            {"$unset": {path: 1}},
            {"$push": {"events": odd_diffs.event(rng)}},
            {"$push": {"events": {"$each": [odd_diffs.event(rng)], "$slice": -3}}},
            {"$push": {"events": odd_diffs.event(rng)}, "$set": {"status": made, "github.prUrl": "w"}},
            {"$push": {path: made}},
        ]
    )


class RecordingPublisher(Collector):
    """A publisher that keeps every step, and the timelines as a client has them."""

    def __init__(self, timelines: dict[str, list[bytes]]) -> None:
        super().__init__(timelines)
        self.steps: list[Step] = []
        self.position = Timestamp(0, 0)
        self._published = asyncio.Event()

    def prepare(self, step: Step) -> Callable[[], None] | None:
        return step.make_beside_timeline

    def publish(self, steps: Any, position: Timestamp) -> None:
        super().publish(steps, position)
        self.steps += steps
        self.position = position
        self._published.set()

    async def reaches(self, position: Timestamp) -> None:
        """Wait until everything up to this cluster time has been published."""
        while self.position < position:
            self._published.clear()
            await self._published.wait()


class RecordingSource:
    """A source for the pump that also keeps the changes of the tail it wraps."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self.changes: list[Change] = []

    async def batches(self) -> AsyncGenerator[Batch]:
        async for batch in self._tail.batches():
            assert isinstance(batch, Batch)
            self.changes += batch.changes
            yield batch

    def reopen(self, reason: str) -> None:
        raise AssertionError(reason)


def update_at_random(tasks: Any, rng: random.Random, ids: list[str]) -> None:
    """Make 300 random updates. The server refuses those that do not fit their document."""
    for _ in range(300):
        (held,) = tasks.find({"_id": (name := rng.choice(ids))})
        update = operators(rng) if not rng.randrange(3) else literal(odd_diffs.changed(rng, held))
        with suppress(OperationFailure):
            tasks.update_one({"_id": name}, update)


@pytest.mark.parametrize("options", [True, False], ids=["diffs", "paths"])
async def test_the_computed_task_equals_the_document_in_mongodb(
    tasks: Any, mongo_url: str, database_name: str, monkeypatch: Any, options: bool, capsys: Any
) -> None:
    if not options:  # as if the server refused these options
        monkeypatch.setattr(cursor, "WAYS", {0: {"no such": True}, 1: {"nor such": True}, 2: {}})
    with capsys.disabled():
        print(f"\n  RELAY_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    first = {name: {**odd_diffs.document(rng), "_id": name} for name in map(str, range(20))}
    tasks.insert_many(list(first.values()))
    async with AsyncMongoClient[Any](mongo_url) as mongo:
        where = (database_name, "tasks", Decoder("events"))
        reader = Reader(mongo, *where)
        tail = RecordingSource(opened := Tail(mongo, *where, jitter=lambda: 0.5))
        await opened.open()
        # In a thread: while writes block the event loop, the driver cannot see the server's heartbeats. On a busy
        # machine they take so long that it gives up its connections, and with them the stream that is compared.
        await asyncio.to_thread(update_at_random, tasks, rng, [*first])
        end = await reader.now()
        publisher = RecordingPublisher({name: stored(document) for name, document in first.items()})
        pump = Pump(tail, reader, TRANSLATOR, TaskCache(10, lambda key: False), publisher, Metrics())
        pumping, reached = (asyncio.ensure_future(one) for one in (pump.run(), publisher.reaches(end)))
        await asyncio.wait((pumping, reached), return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        pumping.cancel()
        with suppress(asyncio.CancelledError):
            await pumping
        for change, step in zip(tail.changes, publisher.steps, strict=True):
            (document,) = await reader.read_at(change.time, {"_id": change.id})
            same(step.after, document)
    for document in tasks.find({}):
        assert publisher.timelines[document["_id"]] == stored(document)


def set_field(name: str, value: Any) -> list[dict[str, Any]]:
    field = {"$setField": {"field": {"$literal": name}, "input": "$$ROOT", "value": value}}
    return [{"$replaceWith": field}]


async def test_a_field_name_with_dots_changes_no_rights(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    tasks.insert_one({"_id": "t", "members": ["m"], "createdBy": "c", "events": [{"n": 0}]})
    async with (
        running(settings_for(mongo_url, database_name)) as relay,
        connected(relay, sub="m") as member,
        connected(relay, sub="x") as stranger,
    ):
        for client in (member, stranger):
            await client.send("dashboard:join")
            await client.until("dashboard:state")
        await member.send("task:join", {"taskId": "t"})
        await member.until("task:state")
        in_event = {"$setField": {"field": "http.status", "input": "$$this", "value": 5}}
        names = ("members.0", "createdBy.0", "events.1", "events.0", "events.0.n", "members.", "$x", "")
        for update in (
            *(set_field(name, "x") for name in names),
            [{"$set": {"events": {"$map": {"input": "$events", "in": in_event}}}}],
        ):
            await asyncio.to_thread(tasks.update_one, {"_id": "t"}, update)
        reset = (await member.until("task:state"))["data"]
        assert [event["data"] for event in reset["events"]] == [{"n": 0, "http.status": 5}]
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": 1}}, "$set": {"title": "end"}})
        assert (await member.until("task:event_added"))["data"]["index"] == 1
        await member.until("dashboard:task_list_updated", title="end")
        assert not [frame for frame in member.frames if frame["type"] in ("task:revoked", "error")]
        assert await stranger.quiet() == []


async def test_a_server_without_the_promised_option_is_used_without_it(
    tasks: Any, mongo_url: str, database_name: str, monkeypatch: Any
) -> None:
    """MongoDB 7.0 behaves so until setFeatureCompatibilityVersion is run after its upgrade from 6.0."""
    monkeypatch.setattr(cursor, "WIRE_VERSION_6_1", 17)
    async with AsyncMongoClient[Any](mongo_url) as mongo:
        tail = Tail(mongo, database_name, "tasks", Decoder("events"), jitter=lambda: 0.5)
        await tail.open()
        tasks.insert_one({"_id": 1, "events": [0]})
        tasks.create_index("status")
        pushed: list[Any] = []
        async with asyncio.timeout(SOON_S), aclosing(tail.batches()) as batches:
            tasks.update_one({"_id": 1}, {"$push": {"events": 1}})
            async for batch in batches:
                assert isinstance(batch, Batch)
                pushed += [one.operation for one in batch.changes if isinstance(one.operation, Updated)]
                if len(pushed) == 3:
                    break
                if len(batch.changes):
                    tasks.drop_indexes()
                    tasks.update_one({"_id": 1}, {"$push": {"events": 2}})
    reported = [(next(iter(update.fields)), update.paths is None) for update in pushed]
    assert reported == [("events.1", True), ("events.2", False), ("events.3", False)]
