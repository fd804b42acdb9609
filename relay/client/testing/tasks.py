"""The tasks of a fake relay, and the messages that each change of them causes. Pure.

The messages and their order are those of PROTOCOL.md section 5. One suite of scenarios runs against the fake relay and
against a real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from relay.client.testing.stages import WAITING, kind_of_event, kind_of_status
from relay.protocol.types import CREATED_FIELDS, KINDS, LIFECYCLE_FIELDS, STAGES, Kind, rfc3339

FIELDS = (
    *("title", "creator", "status", "stage", "createdAt", "updatedAt", "issueUrl", "issueNumber", "prUrl"),
    *("prNumber", "mergeCommitSha", "error", "questions", "waitsFor"),
)
_VOLATILE = ("eventCount", "updatedAt")  # a change of these alone causes no task:updated
_PAYLOADS = ("data", "payload", "metadata", "details")  # where an event may hold the data of a message, too


@dataclass(frozen=True, slots=True)
class Told:
    """A message of a change: for those who joined the list, for those who joined the task, or for both."""

    kind: Kind
    data: dict[str, Any]
    to_list: bool
    to_room: bool


@dataclass(slots=True)
class _Stored:
    task_id: str
    life: int  # a task that was deleted and added again is another one
    fields: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    last: Kind | None = None  # the last event that has a lifecycle message
    is_visible: bool = True

    @property
    def kind(self) -> Kind | None:
        """The lifecycle message of the status."""
        stage = self.fields.get("stage")
        return KINDS.get(stage) if stage is not None else kind_of_status(self.fields.get("status"))

    @property
    def summary(self) -> dict[str, Any]:
        summary = {"taskId": self.task_id, "eventCount": len(self.events), **self.fields}
        if (kind := self.kind) is not None:
            summary["stage"] = STAGES[kind]
        if kind in WAITING:
            creator = self.fields.get("creator")
            summary.setdefault("waitsFor", {"sub": [creator]} if creator is not None else {})
        return summary

    def head(self, index: int) -> str:
        return f"fake.{self.life}.{index}"


class Tasks:
    """Tasks by their ids, oldest first. A wrong call raises KeyError or ValueError, and changes nothing."""

    def __init__(self) -> None:
        self._all: dict[str, _Stored] = {}
        self._lives = count(1)

    def summaries(self, limit: int) -> list[dict[str, Any]]:
        """Return the summaries of the newest visible tasks, newest first."""
        return [task.summary for task in reversed(self._all.values()) if task.is_visible][:limit]

    def is_visible(self, task_id: str) -> bool:
        return task_id in self._all and self._all[task_id].is_visible

    def state(self, task_id: str, since: int | None, head: str | None) -> dict[str, Any]:
        """Return the `task:state` of a task from a position on."""
        task = self._known(task_id)
        length = len(task.events)
        resumes = since is not None and since <= length and head == task.head(since)
        start = since if resumes and since is not None else 0
        state = {"taskId": task_id, "task": task.summary, "events": task.events[start:], "from": start}
        return state | {"next": length, "head": task.head(length), "reset": not resumes, "more": False}

    def add(self, given: Mapping[str, Any]) -> list[Told]:
        """Add a task: the fields of its summary, with `taskId` and, if it has any, `events` as writers push them."""
        fields = dict(given)
        task_id = fields.pop("taskId", None)
        if not isinstance(task_id, str) or not task_id:
            raise ValueError("a task needs a taskId, a string")
        if task_id in self._all:
            raise ValueError(f"there is a task {task_id!r} already")
        task = _Stored(
            task_id, next(self._lives), events=[_event(event) for event in fields.pop("events", ())]
        )
        _assign(task, fields)
        kinds = [kind for event in task.events if (kind := kind_of_event(event)) is not None]
        task.last = kinds[-1] if kinds else None
        self._all[task_id] = task
        told = [_lifecycle(Kind.CREATED, task_id, task.summary, CREATED_FIELDS)]
        if (kind := task.kind) is not None:
            told.append(_staged(kind, task))
        return [*told, _listed(task)]

    def change(
        self, task_id: str, events: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]
    ) -> list[Told]:
        """Append events and set fields, in one change. A field that is None becomes absent."""
        task = self._known(task_id)
        written = [_event(event) for event in events]
        before, kind_before, first = task.summary, task.kind, len(task.events)
        _assign(task, fields)
        task.events += written
        told: list[Told] = []
        for index, event in enumerate(written, first):
            data = {"taskId": task_id, "index": index, "event": event, "next": index + 1}
            told.append(Told(Kind.EVENT_ADDED, data | {"head": task.head(index + 1)}, False, True))
            kind = kind_of_event(event)
            if kind is None:
                continue
            if (
                kind != kind_before or kind == task.last
            ):  # otherwise the status before has sent the message already
                told.append(_staged(kind, task, event["data"]))
            task.last = kind
        kind, summary = task.kind, task.summary
        if kind is not None and kind not in (kind_before, task.last):
            told.append(_staged(kind, task))
        if _lasting(before) != _lasting(summary):
            told.append(Told(Kind.UPDATED, {"taskId": task_id, "task": summary}, False, True))
        if before != summary:
            told.append(_listed(task))
        return told if task.is_visible else []

    def remove(self, task_id: str) -> list[Told]:
        """Delete a task."""
        task = self._known(task_id)
        del self._all[task_id]
        return _gone(task_id, Kind.DELETED) if task.is_visible else []

    def show(self, task_id: str, is_visible: bool) -> list[Told]:
        """Hide a task from the user, or show it again."""
        task = self._known(task_id)
        if task.is_visible == is_visible:
            return []
        task.is_visible = is_visible
        return [_listed(task)] if is_visible else _gone(task_id, Kind.REVOKED)

    def _known(self, task_id: str) -> _Stored:
        if task_id not in self._all:
            raise ValueError(
                f"there is no task {task_id!r}; the tasks are {', '.join(map(repr, self._all)) or 'none'}"
            )
        return self._all[task_id]


def _assign(task: _Stored, fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in FIELDS:
            raise ValueError(f"a task has no field {name!r}; it has {', '.join(FIELDS)}")
    merged = task.fields | {name: _plain(value) for name, value in fields.items()}
    task.fields = {name: value for name, value in merged.items() if value is not None}


def _event(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = given.get("type")
    if not isinstance(kind, str) or not kind:
        raise ValueError('an event needs a type, a string, as in {"type": "note", "text": "Hello"}')
    data = _plain(given)
    return {"type": kind, "at": data.get("at"), "data": data}


def _staged(kind: Kind, task: _Stored, event: Mapping[str, Any] | None = None) -> Told:
    data, sources = task.summary, [event or {}, *((event or {}).get(name) for name in _PAYLOADS)]
    for name in LIFECYCLE_FIELDS[kind]:
        found = (
            source[name] for source in sources if isinstance(source, dict) and source.get(name) is not None
        )
        data[name] = next(found, data.get(name))
    return _lifecycle(kind, task.task_id, data, ("status", *LIFECYCLE_FIELDS[kind]))


def _lifecycle(kind: Kind, task_id: str, data: Mapping[str, Any], names: Iterable[str]) -> Told:
    present = {name: data[name] for name in names if data.get(name) is not None}
    return Told(kind, {"taskId": task_id, **present}, True, True)


def _listed(task: _Stored) -> Told:
    return Told(Kind.LIST_UPDATED, {"change": "upserted", **task.summary}, True, False)


def _gone(task_id: str, kind: Kind) -> list[Told]:
    change = kind.removeprefix("task:")
    listed = Told(Kind.LIST_UPDATED, {"change": change, "taskId": task_id}, True, False)
    return [Told(kind, {"taskId": task_id}, False, True), listed]


def _lasting(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in _VOLATILE}


def _plain(value: Any) -> Any:
    """Return a copy as it is on the wire: with strings for times."""
    match value:
        case datetime():
            return rfc3339(value)
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
