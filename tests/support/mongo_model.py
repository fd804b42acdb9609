"""A model of the database: documents, their change events, and reads at earlier times.

It records changes as MongoDB does (observed on 6.0): a push as the path of the new element, any other move of elements
as the whole array, and edits as paths inside it. The changes of a transaction have one cluster time. All values are
encoded as BSON and decoded again, as with a real database.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import bson
from bson import Timestamp
from hypothesis import strategies as st

from relay.source.change import Change
from relay.source.decoder import Decoder
from relay.source.events import read_changes
from relay.source.stream import Batch
from relay.tasks.projections import ENDING, ENDING_FIELD, LENGTH_FIELD

DECODER = Decoder("events")
Group = list[tuple[Any, ...]]  # the writes of one cluster time; several are a transaction

KINDS = ("log", "dispatched", "PR_OPENED", "merged", "failed")
ELEMENTS = (
    st.builds(lambda kind, n: {"type": kind, "n": n}, st.sampled_from(KINDS), st.integers(0, 2))
    | st.none()
    | st.integers(0, 1)
)
ARRAYS = st.lists(ELEMENTS, max_size=5)
STATUSES = st.sampled_from(["new", "dispatched", "in_review", "merged"])
INDEX = st.integers(0, 6)


def _write(name: str, *parts: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), st.sampled_from(["t0", "t1", "t2"]), *parts)


PUSHED = st.lists(ELEMENTS, min_size=1, max_size=3)
WRITES = st.one_of(
    _write("push", PUSHED, st.none() | STATUSES),
    _write("push", PUSHED, st.none()),
    _write("array", st.sampled_from(["same", "reversed", "rest", "first", "full", "in front"]), ELEMENTS),
    _write("element", INDEX, ELEMENTS),
    _write("edit", INDEX, st.integers(0, 2)),
    _write("forget", INDEX),
    _write("cut", INDEX, st.lists(ELEMENTS, max_size=2)),
    _write("unset"),
    _write("object", ELEMENTS),
    _write("fields", STATUSES, st.sampled_from(["alice", "bob"])),
    _write("replace", ARRAYS, STATUSES),
    _write("delete"),
    _write("insert", ARRAYS, STATUSES),
)
GROUPS = st.lists(st.lists(WRITES, min_size=1, max_size=4), min_size=1, max_size=25)


def resume_token(time: Timestamp) -> bytes:
    """Return the resume token of the place just after this cluster time, as raw BSON."""
    return bson.encode({"_data": f"82{time.time:08x}{time.inc:08x}"})


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the changes of several that follow each other."""
    return Batch(
        [change for batch in batches for change in batch.changes],
        [raw for batch in batches for raw in batch.raws],
        batches[0].start,
        batches[-1].position,
        batches[-1].token,
    )


class Model:
    """A collection with its complete history."""

    def __init__(self, groups: Sequence[Group] = ()) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.snapshots: list[tuple[Timestamp, dict[str, dict[str, Any]]]] = [(Timestamp(1, 0), {})]
        self.batches: list[Batch] = []  # one per group
        self._raws: list[bytes] = []  # the raw BSON of the changes of the group that is being written
        for group in groups:
            self.write(group)

    def write(self, group: Group) -> Batch:
        """Make these writes at the next cluster time, and return their changes."""
        time = Timestamp(10 + len(self.batches), 1)
        batch = self._written(group, time)
        self.snapshots.append((time, copy.deepcopy(self.documents)))
        return batch

    def _written(self, group: Group, time: Timestamp) -> Batch:
        """Make these writes at a cluster time, and append the batch of their changes."""
        self._raws = []
        changes = [change for write in group if (change := self._apply(time, *write)) is not None]
        start = self.snapshots[-1][0]
        self.batches.append(Batch(changes, self._raws, start, time, resume_token(time)))
        return self.batches[-1]

    def at(self, position: Timestamp) -> dict[str, dict[str, Any]]:
        return [documents for time, documents in self.snapshots if time <= position][-1]

    def _apply(self, time: Timestamp, name: str, task: str, *what: Any) -> Change | None:
        document = self.documents.get(task)
        if name == "insert":
            if document is not None:
                return None
            self.documents[task] = {"_id": task, "events": what[0], "status": what[1], "createdBy": "alice"}
            return self._change(time, "insert", task, {"fullDocument": self.documents[task]})
        if document is None:
            return None
        if name == "delete":
            del self.documents[task]
            return self._change(time, "delete", task, {})
        if name == "replace":
            self.documents[task] = {"_id": task, "events": what[0], "status": what[1], "createdBy": "bob"}
            return self._change(time, "replace", task, {"fullDocument": self.documents[task]})
        description = self._update(document, name, *what)
        if not any(description.values()):
            return None
        return self._change(time, "update", task, {"updateDescription": description})

    def _update(self, document: dict[str, Any], name: str, *what: Any) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        removed: list[str] = []
        truncated: list[dict[str, Any]] = []
        held = document.get("events")
        events = held if isinstance(held, list) else None
        match name, what:
            case "push", (values, status) if held is None or events is not None:
                if events:
                    fields |= {f"events.{len(events) + index}": value for index, value in enumerate(values)}
                    events += values
                else:
                    document["events"] = fields["events"] = list(values)
                if status is not None and status != document.get("status"):
                    document["status"] = fields["status"] = status
            case "array", (how, value) if events is not None:
                arrays = {
                    "same": [*events],
                    "reversed": events[::-1],
                    "rest": events[1:],
                    "first": events[:1],
                    "full": [*events[1:], value],
                    "in front": [value, *events],
                }
                document["events"] = fields["events"] = arrays[how]
            case "element", (index, value) if events:
                events += [None] * (index + 1 - len(events))
                events[index] = fields[f"events.{index}"] = value
            case "edit", (index, n) if events and index < len(events) and isinstance(events[index], dict):
                events[index] = {**events[index], "n": n}
                fields[f"events.{index}.n"] = n
            case "forget", (index,) if events and index < len(events) and isinstance(events[index], dict):
                events[index] = {name: one for name, one in events[index].items() if name != "n"}
                removed.append(f"events.{index}.n")
            case "cut", (size, values) if events and size < len(events):
                truncated.append({"field": "events", "newSize": size})
                document["events"] = [*events[:size], *values]
                fields |= {f"events.{size + index}": value for index, value in enumerate(values)}
            case "unset", () if held is not None:
                del document["events"]
                removed.append("events")
            case "object", (value,):
                document["events"] = fields["events"] = {"0": value}
            case "fields", (status, creator):
                document |= {"status": status, "createdBy": creator}
                fields |= {"status": status, "createdBy": creator}
        return {"updatedFields": fields, "removedFields": removed, "truncatedArrays": truncated}

    def _change(self, time: Timestamp, operation: str, task: str, more: dict[str, Any]) -> Change:
        event = {
            "_id": {"_data": "82"},
            "operationType": operation,
            "clusterTime": time,
            "wallTime": datetime(2026, 1, 1) + timedelta(seconds=time.time),
            "documentKey": {"_id": task},
            **more,
        }
        raw = bson.encode(event)
        self._raws.append(raw)
        change = next(read_changes([raw], DECODER))
        assert isinstance(change, Change)
        return change


class ModelSource:
    """A `feed.pump.Source` with the changes of a model, several groups in one batch."""

    def __init__(self, batches: Sequence[Batch], sizes: Sequence[int]) -> None:
        self._batches = batches
        self._sizes = sizes

    async def batches(self) -> AsyncGenerator[Batch]:
        left = list(self._batches)
        for number in range(len(left)):
            if not left:
                return
            size = self._sizes[number % len(self._sizes)]
            taken, left = left[:size], left[size:]
            yield joined(taken)

    def reopen(self, reason: str) -> None:
        raise AssertionError(reason)


class ModelReads:
    """A `feed.pump.Reads` that reads a model's documents at any time of its history."""

    is_routed = False

    def __init__(self, model: Model) -> None:
        self._model = model

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], *, projection: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        documents = self._model.at(position)
        found = [documents[one] for one in filter["_id"]["$in"] if one in documents]
        if projection is not None:
            found = [self._projected(document, projection) for document in found]
        return [DECODER.document(bson.encode(document)) for document in found]

    @staticmethod
    def _projected(document: dict[str, Any], projection: Mapping[str, Any]) -> dict[str, Any]:
        events = document.get("events")
        is_array = isinstance(events, list)
        return {name: value for name, value in document.items() if name == "_id" or name in projection} | {
            LENGTH_FIELD: len(events) if is_array else None,
            ENDING_FIELD: events[-ENDING:] if is_array else None,
        }
