"""Changes of every shape, valid or not, raise nothing, block nothing and do not affect other changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
import pytest
from bson import DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics
from relay.source.change import Change, Invalidated, Unreadable
from relay.source.decoder import Decoder
from relay.source.events import read_change, read_changes
from relay.source.stream import Batch, Reopened
from relay.tasks.mapping import Mapping as TaskMapping
from relay.tasks.projections import ENDING_FIELD, LENGTH_FIELD
from relay.tasks.step import EventAdded, Step
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

DECODER = Decoder("events")
MAPPING = TaskMapping()
METRICS = Metrics()
TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)
TIME = Timestamp(10, 1)
TOKEN = {"_data": "82" + "0000000A" + "00000001" + "2B"}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from(
        [
            ObjectId("0" * 24),
            Decimal128("NaN"),
            Int64(1),
            MinKey(),
            MaxKey(),
            Regex("a", "i"),
            Timestamp(2**32 - 1, 2**32 - 1),
            DBRef("c", 1),
            DatetimeMS(2**60),
            bson.Code("x", {"a": 1}),
        ]
    ),
)
NAMES = st.sampled_from(
    ["events", "events.0", "events.1", "events.x", "0", "", "status", "createdBy", "_id", "a.b", "."]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=3).filter(lambda s: "\0" not in s), inner, max_size=3)
    ),
    max_leaves=6,
)
CUTS = st.lists(st.fixed_dictionaries({}, optional={"field": NAMES | VALUES, "newSize": VALUES}), max_size=2)
DESCRIPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "updatedFields": st.dictionaries(NAMES, VALUES, max_size=3) | VALUES,
        "removedFields": st.lists(NAMES, max_size=2) | VALUES,
        "truncatedArrays": CUTS | VALUES,
        "disambiguatedPaths": VALUES,
    },
)
OPERATIONS = st.sampled_from(
    ["insert", "update", "replace", "delete", "drop", "rename", "dropDatabase", "create", "modify",
     "createIndexes", "shardCollection", "refineCollectionShardKey", "no such operation"]
)  # fmt: skip
# Change events with any part missing or of another type.
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "_id": st.just(TOKEN) | VALUES,
        "operationType": OPERATIONS | OPERATIONS | VALUES,
        "clusterTime": st.just(TIME) | VALUES,
        "wallTime": VALUES,
        "documentKey": st.just({"_id": "odd"}) | st.just({"_id": "t"}) | VALUES,
        "fullDocument": st.just({"_id": "odd", "events": [1]}) | VALUES,
        "updateDescription": DESCRIPTIONS | VALUES,
        "ns": VALUES,
        "txnNumber": VALUES,
        "lsid": VALUES,
        "collectionUUID": VALUES,
        "splitEvent": VALUES,
    },
)
# Updates that only set fields, as a server writes them, and slight variations.
USUAL = st.tuples(
    st.just({"_id": TOKEN, "operationType": "update", "clusterTime": TIME}),
    st.builds(lambda wall: {"wallTime": wall}, st.sampled_from([datetime(2026, 1, 2), DatetimeMS(2**60), 1])),
    st.just({"ns": {"db": "app", "coll": "tasks"}}),
    st.builds(lambda value: {"documentKey": {"_id": value}}, SCALARS),
    st.builds(
        lambda fields, more: {
            "updateDescription": {"updatedFields": fields, "removedFields": [], "truncatedArrays": [], **more}
        },
        st.dictionaries(NAMES, VALUES, max_size=3),
        st.sampled_from([{}, {}, {"removedFields": ["x"]}, {"disambiguatedPaths": {}}]),
    ),
    st.sampled_from([{}, {}, {"txnNumber": 1}]),
).map(lambda parts: {name: value for part in parts for name, value in part.items()})


def read(event: Mapping[str, Any]) -> Change | Invalidated | Unreadable | None:
    return next(read_changes([bson.encode(event)], DECODER))


@settings(max_examples=500)
@given(EVENTS)
def test_a_change_of_any_shape_is_read_or_reported_as_unreadable(event: dict[str, Any]) -> None:
    change = read(event)
    if isinstance(change, Change):
        assert event["operationType"] in ("insert", "update", "replace", "delete")
        assert isinstance(change.time, Timestamp)


@pytest.mark.parametrize(
    "event",
    [
        {"operationType": "insert", "_id": TOKEN},
        {"operationType": "insert", "_id": TOKEN, "documentKey": {"_id": 1}, "clusterTime": TIME},
        {"operationType": "replace", "_id": TOKEN, "documentKey": {"_id": 1}, "fullDocument": None},
        {"operationType": "update", "_id": TOKEN, "documentKey": {"_id": 1}, "clusterTime": TIME},
        {"operationType": "delete", "_id": TOKEN, "documentKey": {}, "clusterTime": TIME},
        {"operationType": "delete", "_id": TOKEN, "documentKey": {"_id": 1}, "clusterTime": 10},
    ],
)
def test_a_known_operation_of_unknown_shape_is_unreadable_at_its_time(event: dict[str, Any]) -> None:
    assert read(event) == Unreadable(TIME)


@pytest.mark.parametrize(
    "operation", ["create", "modify", "shardCollection", "drop", "rename", "dropDatabase", "invented", None]
)
def test_operations_without_effect_on_tasks_are_ignored(operation: Any) -> None:
    """F20: their other fields do not matter."""
    assert read({"operationType": operation, "_id": TOKEN, "documentKey": 7, "fullDocument": []}) is None


@settings(max_examples=500)
@given(st.lists(USUAL | EVENTS, max_size=5))
def test_reading_a_batch_equals_reading_each_of_its_changes(events: list[dict[str, Any]]) -> None:
    raws = [bson.encode(event) for event in events]
    # Compare the string forms, because NaN is not equal to itself.
    assert repr(list(read_changes(raws, DECODER))) == repr([read_change(raw, DECODER) for raw in raws])


@settings(max_examples=500)
@given(USUAL, st.binary(min_size=1, max_size=8), st.integers(0, 400))
def test_a_corrupt_update_does_not_affect_the_others_of_its_batch(
    event: dict[str, Any], noise: bytes, where: int
) -> None:
    raw = bson.encode(event)
    where = min(4 + where, len(raw) - 1)
    broken = (raw[:where] + noise + raw[where + len(noise) :])[: len(raw)]
    first, _, last = read_changes([raw, broken, raw], DECODER)
    assert repr(first) == repr(last) == repr(read_change(raw, DECODER))


@given(st.binary(max_size=60), st.integers(0, 120))
def test_corrupt_bytes_of_a_change_raise_nothing(noise: bytes, where: int) -> None:
    raw = bytearray(
        bson.encode({"_id": TOKEN, "operationType": "delete", "documentKey": {"_id": 1}, "clusterTime": TIME})
    )
    where = min(4 + where, len(raw) - 1)
    noise = noise[: len(raw) - 1 - where]
    raw[where : where + len(noise)] = noise
    list(read_changes([bytes(raw)], DECODER))


# The pump with malformed changes in its batches


class Stream:
    """A `feed.pump.Source` with one batch, and a `Reopened` if `reopen` is called."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._batch = Batch(changes, (), Timestamp(9, 1), TIME, b"")
        self._reason: str | None = None

    async def batches(self) -> AsyncGenerator[Batch | Reopened]:
        yield self._batch
        if self._reason is not None:
            yield Reopened(Timestamp(11, 1), self._reason, b"")

    def reopen(self, reason: str) -> None:
        self._reason = reason


class ValidTaskReads:
    """A `feed.pump.Reads` whose database contains only the task with valid changes."""

    is_routed = False

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], /, *, projection: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        found = [
            {"_id": one, "createdBy": "alice", "events": [0]} for one in filter["_id"]["$in"] if one == "t"
        ]
        if projection is not None:
            found = [one | {LENGTH_FIELD: 1, ENDING_FIELD: [0]} for one in found]
        return [DECODER.document(bson.encode(one)) for one in found]


class RecordingPublisher:
    """A publisher that keeps the events of the task with valid changes."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.resynced = False

    def prepare(self, step: Step) -> Callable[[], None] | None:
        return step.make_beside_timeline

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        self.events += [
            message.event
            for step in steps
            if step.id == "t"
            for message in step.messages
            if isinstance(message, EventAdded)
        ]

    def resync(self, position: Timestamp) -> None:
        self.resynced = True


def push(value: int) -> dict[str, Any]:
    return {
        "_id": TOKEN,
        "operationType": "update",
        "clusterTime": TIME,
        "documentKey": {"_id": "t"},
        "updateDescription": {"updatedFields": {f"events.{value}": value}},
    }


@settings(max_examples=200)
@given(
    st.lists(EVENTS.filter(lambda event: event.get("documentKey") != {"_id": "t"}), min_size=1, max_size=3)
)
def test_changes_beside_malformed_ones_are_published_or_a_resync_is(odd: list[dict[str, Any]]) -> None:
    events = [push(1), *odd, push(2)]
    changes = [change for event in events if isinstance(change := read(event), Change)]
    publisher = RecordingPublisher()
    pump = Pump(
        Stream(changes), ValidTaskReads(), TRANSLATOR, TaskCache(10, lambda key: False), publisher, METRICS
    )
    asyncio.run(asyncio.wait_for(pump.run(), 10))
    assert publisher.events == [1, 2] or publisher.resynced
