"""Every kind of write in a real change stream, and its messages. Each row is what was observed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from bson import Int64, ObjectId
from pymongo import AsyncMongoClient, MongoClient, ReplaceOne, UpdateOne

from relay.source.change import Change, Deleted, Inserted, Replaced, Updated
from relay.source.decoder import Decoder
from relay.source.reader import Reader
from relay.source.stream import Batch
from relay.source.tail import Tail
from relay.tasks.mapping import Mapping
from relay.tasks.step import Lifecycle
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

MAPPING = Mapping()
TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)
A, B, C, D = ({"type": "log", "n": n} for n in range(4))
FOUR = [A, B, C, D]


async def changes_of(url: str, database: str, write: Callable[[], Any]) -> list[Change]:
    """All changes that the relay's tail reads from the stream for this write."""
    async with AsyncMongoClient[Any](url) as client:
        where = (database, "tasks", Decoder("events"))
        tail, reader = Tail(client, *where, jitter=lambda: 0.5), Reader(client, *where)
        await tail.open()
        write()
        end = await reader.now()
        changes: list[Change] = []
        async with aclosing(tail.batches()) as batches:
            async for batch in batches:
                assert isinstance(batch, Batch)
                changes += batch.changes
                if batch.position >= end:
                    return changes
    raise AssertionError("the stream ended")


def names(messages: Any) -> list[str]:
    return [
        one.kind.value.removeprefix("task:") if isinstance(one, Lifecycle) else type(one).__name__
        for one in messages
    ]


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


def update(change: Any) -> Callable[[Any], Any]:
    return lambda tasks: tasks.update_one({"_id": 1}, change)


def push(**modifiers: Any) -> dict[str, Any]:
    return {"$push": {"events": {"$each": [{"type": "dispatched"}], **modifiers}}}


APPENDED = ["EventAdded", "dispatched", "Listed"]
RESET, RESET_LISTED = ["StateReset"], ["StateReset", "Listed"]
ROWS: dict[str, tuple[dict[str, Any] | None, Callable[[Any], Any], list[str]]] = {
    "an insert": (None, lambda tasks: tasks.insert_one({"_id": 1, "events": FOUR}), ["created", "Listed"]),
    "an upsert that inserts": (
        None,
        lambda tasks: tasks.update_one({"_id": 1}, push(), upsert=True),
        ["created", "Listed"],
    ),
    "the first push, no array": ({}, update(push()), APPENDED),
    "the first push, an empty array": ({"events": []}, update(push()), APPENDED),
    "a later push": ({"events": FOUR}, update(push()), APPENDED),
    "a push with a status": (
        {"events": FOUR, "status": "new"},
        update(push() | {"$set": {"status": "dispatched"}}),
        ["EventAdded", "dispatched", "SummaryUpdated", "Listed"],
    ),
    "a push at or past the end": ({"events": FOUR}, update(push(**{"$position": 9})), APPENDED),
    "a push of several": (
        {"events": FOUR},
        update({"$push": {"events": {"$each": [A, {"type": "dispatched"}, B]}}}),
        ["EventAdded", "EventAdded", "dispatched", "EventAdded", "Listed"],
    ),
    "a push that cuts": ({"events": FOUR}, update(push(**{"$slice": -4})), ["StateReset", "dispatched"]),
    "a push in front": (
        {"events": FOUR},
        update(push(**{"$position": 0})),
        ["StateReset", "dispatched", "Listed"],
    ),
    "a push that sorts": (
        {"events": FOUR},
        update(push(**{"$sort": {"n": -1}})),
        ["StateReset", "dispatched", "Listed"],
    ),
    "$addToSet": ({"events": FOUR}, update({"$addToSet": {"events": {"type": "dispatched"}}}), APPENDED),
    "$pull": ({"events": FOUR}, update({"$pull": {"events": {"n": 1}}}), RESET_LISTED),
    "$pop": ({"events": FOUR}, update({"$pop": {"events": 1}}), RESET_LISTED),
    "$set of the array": ({"events": FOUR}, update({"$set": {"events": [B]}}), RESET_LISTED),
    "$set of the same array": ({"events": FOUR}, update({"$set": {"events": FOUR, "x": 1}}), []),
    "$set at the end": ({"events": FOUR}, update({"$set": {"events.4": {"type": "dispatched"}}}), APPENDED),
    "$set past the end": (
        {"events": FOUR},
        update({"$set": {"events.6": A}}),
        ["EventAdded", "EventAdded", "EventAdded", "Listed"],
    ),
    "$set of an element": ({"events": FOUR}, update({"$set": {"events.1": C}}), RESET),
    "$set inside an element": ({"events": FOUR}, update({"$set": {"events.1.n": 99}}), RESET),
    "$set inside all elements": ({"events": FOUR}, update({"$set": {"events.$[].seen": True}}), RESET),
    "$unset of an element": ({"events": FOUR}, update({"$unset": {"events.1": 1}}), RESET),
    "$unset inside an element": ({"events": FOUR}, update({"$unset": {"events.0.n": 1}}), RESET),
    "$unset of the array": ({"events": FOUR}, update({"$unset": {"events": 1}}), RESET_LISTED),
    "a pipeline that appends": (
        {"events": FOUR},
        update([{"$set": {"events": {"$concatArrays": ["$events", [{"type": "dispatched"}]]}}}]),
        APPENDED,
    ),
    "a pipeline that shortens": (
        {"events": FOUR},
        update([{"$set": {"events": {"$slice": ["$events", 2]}}}]),
        RESET_LISTED,
    ),
    "a pipeline that shortens and appends": (
        {"events": FOUR},
        update([{"$set": {"events": {"$concatArrays": [{"$slice": ["$events", 2]}, [D]]}}}]),
        RESET_LISTED,
    ),
    "a pipeline that reorders keys": (
        {"events": FOUR},
        update(
            [{"$set": {"events": {"$map": {"input": "$events", "in": {"n": "$$this.n", "type": "log"}}}}}]
        ),
        [],
    ),
    "an array where none was": ({}, update({"$set": {"events.3": A}}), []),
    "no array any more": ({"events": FOUR}, update({"$set": {"events": "gone"}}), RESET_LISTED),
    "a field whose name has a dot": (
        {"events": FOUR},
        update([{"$replaceWith": {"$setField": {"field": "events.0", "input": "$$ROOT", "value": 1}}}]),
        [],
    ),
    "a number as a field's name": ({"meta": {}}, update({"$set": {"meta.0": "x"}}), []),
    "a replacement that adds": (
        {"events": FOUR},
        lambda tasks: tasks.replace_one({"_id": 1}, {"events": [*FOUR, {"type": "dispatched"}]}),
        APPENDED,
    ),
    "a replacement with the same": (
        {"events": FOUR},
        lambda tasks: tasks.find_one_and_replace({"_id": 1}, {"events": FOUR, "seen": 1}),
        [],
    ),
    "a replacement with another": (
        {"events": FOUR},
        lambda tasks: tasks.bulk_write([ReplaceOne({"_id": 1}, {"events": [D]})]),
        RESET_LISTED,
    ),
    "bulkWrite": (
        {"events": FOUR},
        lambda tasks: tasks.bulk_write([UpdateOne({"_id": 1}, push())]),
        APPENDED,
    ),
    "updateMany": ({"events": FOUR}, lambda tasks: tasks.update_many({}, push()), APPENDED),
    "findOneAndUpdate": (
        {"events": FOUR},
        lambda tasks: tasks.find_one_and_update({"_id": 1}, push()),
        APPENDED,
    ),
    "a delete": ({"events": FOUR}, lambda tasks: tasks.delete_one({"_id": 1}), []),
    "events that are no objects": (
        {"events": [1]},
        update({"$push": {"events": {"$each": [None, "x", [2], Int64(3)]}}}),
        ["EventAdded"] * 4 + ["Listed"],
    ),
    "a change of who may see it": ({"members": ["a", "b"]}, update({"$set": {"members.1": "c"}}), []),
}


@pytest.mark.parametrize("row", ROWS)
async def test_every_kind_of_write_is_translated(
    tasks: Any, mongo_url: str, database_name: str, row: str
) -> None:
    stored, write, expected = ROWS[row]
    tasks.insert_one({"_id": "another", "events": [A]})
    if stored is not None:
        tasks.insert_one({"_id": 1, **stored})
    before = tasks.find_one({"_id": 1})
    changes = await changes_of(mongo_url, database_name, lambda: write(tasks))
    after = tasks.find_one({"_id": 1})
    (change,) = (one for one in changes if one.id == 1)
    step = TRANSLATOR.translate(TRANSLATOR.read(before) if before is not None else None, change)
    assert names(step.messages) == expected
    # What was computed from the change is what the database has.
    assert step.after == (TRANSLATOR.read(after) if after is not None else None)


async def test_a_write_that_changes_nothing_is_no_change(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    tasks.insert_one({"_id": 1, "status": "new"})
    assert (
        await changes_of(mongo_url, database_name, lambda: update({"$set": {"status": "new"}})(tasks)) == []
    )


async def test_the_changes_of_a_transaction_have_one_time(
    mongo: MongoClient[dict[str, Any]], tasks: Any, mongo_url: str, database_name: str
) -> None:
    tasks.insert_many([{"_id": 1, "events": [A]}, {"_id": 2, "events": [A]}])

    def write() -> None:
        with mongo.start_session() as session:
            session.with_transaction(
                lambda session: [
                    tasks.update_one({"_id": one}, push(), session=session).modified_count
                    for one in (1, 2, 1)
                ]
            )

    changes = await changes_of(mongo_url, database_name, write)
    assert [change.id for change in changes] == [1, 2, 1]
    assert len({change.time for change in changes}) == 1
    assert all(change.grouped for change in changes)


@pytest.mark.parametrize("kind", [Inserted, Updated, Replaced, Deleted])
async def test_operations_are_read_from_the_change_stream(
    tasks: Any, mongo_url: str, database_name: str, kind: type
) -> None:
    writes: dict[type, Callable[[], Any]] = {
        Inserted: lambda: tasks.insert_one({"_id": 2}),
        Updated: lambda: tasks.update_one({"_id": 1}, {"$set": {"x": 1}}),
        Replaced: lambda: tasks.replace_one({"_id": 1}, {"y": 1}),
        Deleted: lambda: tasks.delete_one({"_id": 1}),
    }
    tasks.insert_one({"_id": 1})
    (change,) = await changes_of(mongo_url, database_name, writes[kind])
    assert isinstance(change.operation, kind)
    assert change.wall_ms is not None
    assert not change.grouped


@pytest.mark.parametrize("length", [0, 1, 20, 21, 50, None])
@pytest.mark.parametrize("milestone", [None, 0, -1, -20, -21])
async def test_an_outline_from_mongodb_equals_the_task_of_the_whole_document(
    tasks: Any, mongo_url: str, database_name: str, length: int | None, milestone: int | None
) -> None:
    events: Any = "no array" if length is None else [{"type": "log", "n": n} for n in range(length)]
    if milestone is not None and length is not None and -length <= milestone < length:
        events[milestone] = {"type": "merged"}
    document = {
        "_id": ObjectId(),
        "github": {"prUrl": "x", "y": 1},
        "members": ["a", {"b": 1}],
        "events": events,
    }
    tasks.insert_one(document)
    async with AsyncMongoClient[Any](mongo_url) as client:
        reader = Reader(client, database_name, "tasks", Decoder("events"))
        (found,) = await reader.read_at(await reader.now(), {}, projection=TRANSLATOR.outline_projection)
        (whole,) = await reader.read_at(await reader.now(), {})
    outline, task = TRANSLATOR.outline(found), TRANSLATOR.read(whole)
    if length is not None and length > 20 and milestone in (None, 0, -21):
        assert outline is None
    else:
        assert outline is not None
        assert (outline.summary, outline.keys, outline.last) == (task.summary, task.keys, task.last)
        assert outline.document == task.document
        assert outline.timeline.without_elements() == task.timeline.without_elements()


async def test_writes_during_a_pause_of_the_tail_come_in_one_batch(
    mongo_url: str, database_name: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    tasks = mongo[database_name]["tasks"]
    go_on = asyncio.Event()
    async with AsyncMongoClient[Any](mongo_url) as client:
        tail = Tail(client, database_name, "tasks", Decoder("events"), jitter=lambda: 0.5, pace=go_on.wait)
        await tail.open()
        tasks.insert_one({"_id": 0})
        sizes: list[int] = []
        async with aclosing(tail.batches()) as batches:
            async for batch in batches:
                assert isinstance(batch, Batch)
                if not batch.changes:
                    continue
                sizes.append(len(batch.changes))
                if len(sizes) == 2:
                    break
                for number in range(1, 21):
                    tasks.insert_one({"_id": number})
                go_on.set()
    assert sizes == [1, 20]
