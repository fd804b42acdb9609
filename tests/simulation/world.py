"""What is written to the database during one history, and what each user should see of it at any moment.

Simulated here: MongoDB, as `tests/support/mongo_model.py` models it. A history of writes is made up before it begins;
then `World` writes its groups one after the other on the virtual clock, and answers reads at any of its moments.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import bson
import orjson
from bson import Timestamp
from support.mongo_model import DECODER, KINDS, Group, Model

from relay.source.change import Change
from relay.source.events import read_changes
from relay.tasks.event_view import element_json
from relay.tasks.mapping import Mapping as TaskMapping
from relay.tasks.projections import ENDING, ENDING_FIELD, LENGTH_FIELD
from relay.tasks.step import Lifecycle
from relay.tasks.task import Task
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

MAPPING = TaskMapping()
AUDIENCE = Audience(MAPPING.visibility)
TRANSLATOR = Translator(MAPPING, AUDIENCE.keys_of, max_text=100)
WRITERS = ("alice", "bob")
STATUSES = ("new", "analyzing", "dispatched", "in_review", "merged")
EPOCH = datetime(2026, 1, 1)
VOLATILE = ("eventCount", "updatedAt")  # of a summary, what `task:updated` does not follow
Event = dict[str, Any] | None


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A task after one change: what somebody who may see it should hold. `moment` numbers the group of
    writes; `summary` is None where the task is not there."""

    moment: int
    events: list[Event]
    summary: dict[str, Any] | None
    keys: frozenset[str]

    def is_for(self, keys: frozenset[str]) -> bool:
        """Whether a user with these keys may see it."""
        return self.summary is not None and not self.keys.isdisjoint(keys)

    def lasting(self) -> dict[str, Any] | None:
        return lasting(self.summary)


def lasting(summary: dict[str, Any] | None) -> dict[str, Any] | None:
    """A summary without what changes with every event, which a room is not sent."""
    return summary and {name: value for name, value in summary.items() if name not in VOLATILE}


@dataclass(frozen=True, slots=True)
class LifecycleMessage:
    """A lifecycle message a change means; `keys`: who may see the task after it."""

    keys: frozenset[str]
    type: str
    data: dict[str, Any]


class History(Model):
    """All writes of one history, with every version of every task they make."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.snapshots: list[tuple[Timestamp, dict[str, dict[str, Any]]]] = [(Timestamp(1, 0), {})]
        self.batches = []
        self.versions: dict[str, list[Version]] = {}
        self.lifecycle: dict[
            str, list[LifecycleMessage]
        ] = {}  # by the time (`at`) of their change, which each has its own
        self._tasks: dict[str, Task | None] = {}
        self._serial = 0
        self._shown: dict[bytes, Event] = {}
        for number, group in enumerate(groups):
            time = Timestamp(10 + number, 1)
            self._written(group, time)
            touched = {write[1] for write in group}
            documents = {name: one for name, one in self.snapshots[-1][1].items() if name not in touched}
            documents |= {name: copy.deepcopy(one) for name, one in self.documents.items() if name in touched}
            self.snapshots.append((time, documents))

    def _apply(self, time: Timestamp, name: str, task: str, *what: Any) -> Change | None:
        change = super()._apply(time, name, task, *what)
        if change is not None:
            self._note(task, change)
        return change

    def _note(self, task_id: str, change: Change) -> None:
        """The version that this change makes, and the lifecycle messages it means."""
        before, document = self._tasks.get(task_id), self.documents.get(task_id)
        after = None
        if document is not None:
            after = TRANSLATOR.read(DECODER.document(bson.encode(document)))
        step = TRANSLATOR.translate(before, change)
        assert step is not None
        if after is not None:
            messages = [one for one in step.messages if isinstance(one, Lifecycle)]
            self.lifecycle[step.at or ""] = [
                LifecycleMessage(after.keys, one.kind.value, one.data) for one in messages
            ]
        self._tasks[task_id] = after
        elements = after.timeline.elements or () if after is not None else ()
        version = Version(
            moment=len(self.snapshots),
            events=[self._show(element) for element in elements],
            summary=after.summary if after is not None else None,
            keys=after.keys if after is not None else frozenset(),
        )
        self.versions.setdefault(task_id, []).append(version)

    def _show(self, element: bytes) -> Event:
        if element not in self._shown:
            self._shown[element] = orjson.loads(element_json(element, TRANSLATOR.view))
        return self._shown[element]

    def _change(self, time: Timestamp, operation: str, task: str, more: dict[str, Any]) -> Change:  # type: ignore[override]
        self._serial += 1
        event = {
            "_id": {"_data": "82"},
            "operationType": operation,
            "clusterTime": time,
            "wallTime": EPOCH + timedelta(milliseconds=self._serial),
            "documentKey": {"_id": task},
            **more,
        }
        change = next(read_changes([bson.encode(event)], DECODER))
        assert isinstance(change, Change)
        return change


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written in a history."""

    tasks: Sequence[str]
    groups: int
    begins_with: int  # fewer events than these has a task at first
    padding: Sequence[int]  # sizes of texts in events
    repeats: bool  # whether equal events occur
    ends_whole: bool  # whether all tasks exist at the end


def made_up(chance: Random, writing: Writing) -> list[Group]:
    """Random groups of writes, as writers in all their ways make them."""
    number = 0

    def element() -> Any:
        nonlocal number
        if chance.random() >= 0.88:
            return chance.choice((None, 0, 1))
        number += 1
        shown = chance.randrange(3) if writing.repeats else number
        event = {"type": chance.choice(KINDS), "n": shown}
        padding = chance.choice(writing.padding)
        return event | ({"text": "x" * padding} if padding else {})

    def elements(most: int) -> list[Any]:
        return [element() for _ in range(chance.randrange(most))]

    def write() -> tuple[Any, ...]:
        task, status = chance.choice(writing.tasks), chance.choice(STATUSES)
        kinds = {
            "push": 42,
            "array": 8,
            "element": 4,
            "edit": 5,
            "forget": 2,
            "cut": 3,
            "unset": 2,
            "object": 2,
            "fields": 13,
            "replace": 5,
            "delete": 5,
            "insert": 9,
        }
        kind = chance.choices(tuple(kinds), tuple(kinds.values()))[0]
        match kind:
            case "push":
                pushed = [element() for _ in range(chance.choice((1, 1, 1, 3)))]
                return kind, task, pushed, chance.choice((None, None, status))
            case "array":
                how = chance.choice(("same", "reversed", "rest", "first", "full", "in front"))
                return kind, task, how, element()
            case "element":
                return kind, task, chance.randrange(7), element()
            case "edit":
                return kind, task, chance.randrange(4), 1000 + chance.randrange(3)
            case "forget":
                return kind, task, chance.randrange(4)
            case "cut":
                return kind, task, chance.randrange(5), elements(3)
            case "object":
                return kind, task, element()
            case "fields":
                return kind, task, status, chance.choice(WRITERS)
            case "replace" | "insert":
                return kind, task, elements(5), status
        return kind, task

    groups: list[Group] = [[("insert", task, elements(writing.begins_with), "new") for task in writing.tasks]]
    for _ in range(writing.groups):
        group = [write() for _ in range(chance.choice((1, 1, 1, 2, 4)))]
        if chance.random() < 0.12:
            task = chance.choice(writing.tasks)
            group += [("delete", task), ("insert", task, [element()], "new")]
        groups.append(group)
    if writing.ends_whole:
        groups.append([("insert", task, [], "new") for task in writing.tasks])
        groups.append([("push", task, [element()], None) for task in writing.tasks])
    return groups


class World:
    """The history as it is written. `written` is the number of its groups of writes so far."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.times = [time for time, _ in history.snapshots]
        self.written = 1
        self.written_at = [0.0] * len(self.times)  # by the loop's time
        self._listeners: list[asyncio.Event] = []
        self._listed: dict[tuple[frozenset[str], int], dict[str, dict[str, Any]]] = {}

    @property
    def is_over(self) -> bool:
        return self.written == len(self.times) - 1

    def write(self, groups: int = 1) -> None:
        """Make the next groups of writes, if any are left."""
        now = asyncio.get_running_loop().time()
        for _ in range(groups):
            if not self.is_over:
                self.written += 1
                self.written_at[self.written] = now
        for listener in self._listeners:
            listener.set()

    def listen(self, listener: asyncio.Event) -> None:
        """Set it at every write."""
        self._listeners.append(listener)

    def moment_of(self, time: Timestamp) -> int:
        """The last group that had been written by then."""
        number = time.time - 9 if time.inc else time.time - 10
        return max(0, min(number, len(self.times) - 1))

    def find(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None,
        sort: Mapping[str, int] | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """What a snapshot read would answer."""
        documents = self.history.snapshots[self.moment_of(position)][1]
        found = [one for one in documents.values() if _matches(one, filter)]
        if sort:
            found.sort(key=lambda one: str(one["_id"]), reverse=True)
        if limit:
            found = found[:limit]
        if projection is not None:
            found = [_projected(one, projection) for one in found]
        return [DECODER.document(bson.encode(one)) for one in found]

    # What should be seen.

    def versions(self, task_id: str) -> Sequence[Version]:
        return self.history.versions.get(task_id, ())

    def current(self, task_id: str, moment: int) -> int:
        """The number of the task's version at this moment; -1 before its first."""
        current = -1
        for number, version in enumerate(self.versions(task_id)):
            if version.moment > moment:
                break
            current = number
        return current

    def seen(self, task_id: str, keys: frozenset[str], moment: int) -> Version | None:
        """What somebody with these keys should see of a task at a moment; None: nothing."""
        number = self.current(task_id, moment)
        if number < 0:
            return None
        version = self.versions(task_id)[number]
        return version if version.is_for(keys) else None

    def listed(self, keys: frozenset[str], moment: int) -> dict[str, dict[str, Any]]:
        """The list of somebody with these keys at a moment."""
        known = self._listed.get((keys, moment))
        if known is None:
            seen = {task_id: self.seen(task_id, keys, moment) for task_id in self.history.versions}
            known = {one: version.summary for one, version in seen.items() if version and version.summary}
            self._listed[keys, moment] = known
        return known


def _matches(document: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
    """The part of MongoDB's query language that the relay's filters use."""
    for name, condition in filter.items():
        if name == "$or":
            if not any(_matches(document, one) for one in condition):
                return False
        elif name == "$expr":
            return False
        elif isinstance(condition, Mapping):
            value = document.get(name)
            values = value if isinstance(value, list) else [value]
            if not any(one in condition["$in"] for one in values if one is not None):
                return False
        elif condition is None and document.get(name) is not None:
            return False
    return True


def _projected(document: Mapping[str, Any], projection: Mapping[str, Any]) -> dict[str, Any]:
    events = document.get("events")
    shown = {name: value for name, value in document.items() if name == "_id" or name in projection}
    if LENGTH_FIELD in projection:
        shown[LENGTH_FIELD] = len(events) if isinstance(events, list) else None
    if ENDING_FIELD in projection:
        shown[ENDING_FIELD] = events[-ENDING:] if isinstance(events, list) else None
    return shown
