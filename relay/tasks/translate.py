"""(task before, change) -> (messages, task after): the heart. Pure: no I/O, no clock, no memory.

Rules of this file: the same two inputs give the same messages on every instance and after every
restart; what a message says comes from the event that caused it first, then from the document after
the change; who may see it is for others to decide, from the keys before and after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from relay.protocol import CREATED_FIELDS, LIFECYCLE_FIELDS, Kind, rfc3339
from relay.source.changes import Change, Deleted, Inserted, Operation, Replaced, Updated
from relay.tasks.document import apply, prune, tree_of
from relay.tasks.mapping import Mapping
from relay.tasks.timeline import (
    Appended,
    NeedsEvents,
    Outcome,
    Rewritten,
    Timeline,
    advance,
    event_json,
    timeline_of,
)
from relay.tasks.values import Document, first_present, moment, number, snake, text, wire_id

Keys = frozenset[str]
Summary = dict[str, Any]  # a protocol.TaskSummary
LENGTH_FIELD = "relay_event_count"  # the length of the array, computed by the database for a list
_VOLATILE = ("eventCount", "updatedAt")  # not worth a task:updated


@dataclass(frozen=True, slots=True)
class Task:
    """What is known of one task at one moment."""

    id: str  # the taskId of the wire
    document: Document  # only what mapping and visibility need
    timeline: Timeline
    summary: Summary
    keys: Keys  # who may see it, as audience keys
    status: Kind | None  # the message its status stands for
    last: Kind | None  # the message of the last event that stands for one


@dataclass(frozen=True, slots=True)
class EventAdded:
    """`task:event_added`, for the task's room. Encoded only where somebody listens."""

    index: int
    event: Any


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """One of `task:created` … `task:failed`, for the room and for dashboards."""

    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateReset:
    """A `task:state` from 0, for the room: the timeline was rewritten."""

    events: Sequence[Any]


@dataclass(frozen=True, slots=True)
class SummaryUpdated:
    """`task:updated`, for the room."""


@dataclass(frozen=True, slots=True)
class Listed:
    """`dashboard:task_list_updated`, for dashboards."""


Message = EventAdded | Lifecycle | StateReset | SummaryUpdated | Listed


@dataclass(frozen=True, slots=True)
class Step:
    """One change, translated: from `before` to `after` (None: not there), and what to say of it."""

    key: bytes
    id: str
    at: str | None
    before: Task | None
    after: Task | None
    messages: tuple[Message, ...]


class Translator:
    """One deployment's way to read documents and to tell what their changes mean.

    `visibility` gives the audience keys of a document. Raises nothing on any document.
    """

    def __init__(self, mapping: Mapping, visibility: Callable[[Document], Keys], *, max_text: int) -> None:
        self.mapping = mapping
        self._visibility = visibility
        self._max_text = max_text
        self._tree = tree_of(mapping.roots())

    def read(self, document: Document) -> Task:
        """The task a whole stored document shows."""
        timeline = timeline_of(document, self.mapping.events)
        last = self._last_kind(timeline.events or ())
        return self._task(wire_id(document["_id"]), prune(document, self._tree), timeline, last)

    def list_projection(self) -> dict[str, Any]:
        """A projection under which `summarise` needs no array to be read."""
        events = f"${self.mapping.events}"
        size = {"$cond": [{"$isArray": [events]}, {"$size": [events]}, 0]}
        return {**dict.fromkeys(self.mapping.roots(), 1), LENGTH_FIELD: size}

    def summarise(self, projected: Document) -> Summary:
        """The summary of a document read under `list_projection`."""
        return self._summary(wire_id(projected["_id"]), projected, projected[LENGTH_FIELD])

    def needs_events(self, task: Task, operation: Operation) -> bool:
        """Can this operation be translated only with the array before it in memory?"""
        return isinstance(self._advance(task.timeline, operation)[1], NeedsEvents)

    def grow(self, task: Task, operation: Operation) -> Task:
        """The task with its timeline moved on, for planning what a batch will need."""
        return replace(task, timeline=self._advance(task.timeline, operation)[0].without_events())

    def translate(self, before: Task | None, change: Change) -> Step:
        """What this change means to whoever may see the task.

        `before` is the exact state before it, with its array where `needs_events` says so.
        """
        after, outcome = self._apply(before, change)
        task = after or before
        task_id = task.id if task is not None else wire_id(change.id)
        messages = tuple(self._messages(before, after, outcome)) if after is not None else ()
        at = rfc3339(change.wall) if change.wall is not None else None
        return Step(change.key, task_id, at, before, after, messages)

    def _advance(self, timeline: Timeline, operation: Operation) -> tuple[Timeline, Outcome]:
        return advance(timeline, operation, self.mapping.events, self.mapping.event)

    def _apply(self, before: Task | None, change: Change) -> tuple[Task | None, Outcome]:
        operation = change.operation
        match operation:
            case Deleted():
                return None, None
            case Inserted(document):
                return self.read(document), None
            case Replaced(document):
                if before is None:
                    return self.read(document), None
                kept = prune(document, self._tree)
            case Updated(fields, removed, truncated):
                if before is None:
                    return None, None  # of a document that was not there: nothing to tell
                kept = apply(before.document, fields, removed, truncated, self._tree)
            case _:
                assert_never(operation)
        timeline, outcome = self._advance(before.timeline, operation)
        match outcome:
            case NeedsEvents():
                raise AssertionError("translate was called without the array it needs")
            case Appended(events):
                last = self._last_kind(events) or before.last
            case Rewritten(events):
                last = self._last_kind(events)
            case None:
                last = before.last
        if kept is before.document:  # most changes: an event, and nothing that the summary shows
            summary = {**before.summary, "eventCount": timeline.length}
            return replace(before, timeline=timeline, last=last, summary=summary), outcome
        return self._task(before.id, kept, timeline, last), outcome

    def _task(self, task_id: str, document: Document, timeline: Timeline, last: Kind | None) -> Task:
        summary = self._summary(task_id, document, timeline.length)
        status = self.mapping.statuses.get(snake(summary.get("status", "")))
        return Task(task_id, document, timeline, summary, self._visibility(document), status, last)

    # The lifecycle rule (COMMANDS-AND-SETTINGS, "How a task document is read").

    def _messages(self, before: Task | None, after: Task, outcome: Outcome) -> Iterator[Message]:
        if before is None:
            yield Lifecycle(Kind.CREATED, _picked(after.summary, CREATED_FIELDS))
            if after.status is not None and self.mapping.lifecycle_from != "events":
                yield self._lifecycle(after.status, after)
            yield Listed()
            return
        match outcome:
            case Appended(events):
                last = before.last
                for index, element in enumerate(events, before.timeline.length):
                    yield EventAdded(index, element)
                    kind = self._event_kind(element)
                    if kind is not None:
                        if self._says_something(kind, before, last):
                            yield self._lifecycle(kind, after, element)
                        last = kind
            case Rewritten(events, old):
                yield StateReset(events)
                yield from self._news_of(events, old, before, after)
        if (
            self.mapping.lifecycle_from != "events"
            and after.status is not None
            and after.status != before.status
            and (after.last != after.status or self.mapping.lifecycle_from == "status")
        ):
            yield self._lifecycle(after.status, after)
        if after.summary != before.summary:
            if _lasting(after.summary) != _lasting(before.summary):
                yield SummaryUpdated()
            yield Listed()

    def _news_of(
        self, events: Sequence[Any], old: Sequence[Any], before: Task, after: Task
    ) -> Iterator[Lifecycle]:
        """The lifecycle of elements that a rewrite brought, told apart by what is sent of them."""
        left = Counter(event_json(element, self.mapping.event) for element in old)
        last: Kind | None = None
        for element in events:
            shown = event_json(element, self.mapping.event)
            kind = self._event_kind(element)
            if left[shown]:
                left[shown] -= 1
            elif kind is not None and self._says_something(kind, before, last):
                yield self._lifecycle(kind, after, element)
            last = kind or last

    def _says_something(self, kind: Kind, before: Task, last: Kind | None) -> bool:
        match self.mapping.lifecycle_from:
            case "status":
                return False
            case "events":
                return True
            case "both":
                # The status said it already, and the event is its pair.
                return kind != before.status or kind == last

    def _lifecycle(self, kind: Kind, task: Task, event: Any = None) -> Lifecycle:
        data = _picked(task.summary, ("status",))
        names = LIFECYCLE_FIELDS[kind]
        told = self._from_event(event, names) if event is not None else {}
        for name in names:
            value = told.get(name, task.summary.get(name))
            if value is not None:
                data[name] = value
        return Lifecycle(kind, data)

    def _from_event(self, event: Any, names: Sequence[str]) -> dict[str, Any]:
        sources = [event, *(first_present((event,), (path,)) for path in self.mapping.event.payload)]
        return {
            name: value
            for name in names
            if (value := self._field(name, first_present(sources, getattr(self.mapping.fields, name))))
            is not None
        }

    def _event_kind(self, element: Any) -> Kind | None:
        name = first_present((element,), self.mapping.event.type)
        return self.mapping.event_types.get(snake(name)) if isinstance(name, str) else None

    def _last_kind(self, events: Sequence[Any]) -> Kind | None:
        return next((kind for element in reversed(events) if (kind := self._event_kind(element))), None)

    # Summaries.

    def _summary(self, task_id: str, document: Document, length: int) -> Summary:
        summary: Summary = {"taskId": task_id, "eventCount": length}
        for name in _SUMMARY_FIELDS:
            value = self._field(name, first_present((document,), getattr(self.mapping.fields, name)))
            if value is not None:
                summary[name] = value
        return summary

    def _field(self, name: str, value: Any) -> Any:
        """One part of a summary, in the type the wire promises, or None."""
        match name:
            case "issueNumber" | "prNumber":
                return number(value)
            case "createdAt" | "updatedAt":
                return moment(value)
            case "questions":
                return self._questions(value)
            case "error" if isinstance(value, dict):
                return text(first_present((value,), ("message", "error", "reason")), self._max_text)
            case _:
                return text(value, self._max_text)

    def _questions(self, value: Any) -> list[str] | None:
        listed = value if isinstance(value, list) else [value]
        shown = [
            question
            for item in listed[:MAX_QUESTIONS]
            if (question := text(_question(item), self._max_text)) is not None
        ]
        return shown or None


MAX_QUESTIONS = 100
_SUMMARY_FIELDS = (
    "title",
    "creator",
    "status",
    "createdAt",
    "updatedAt",
    "issueUrl",
    "issueNumber",
    "prUrl",
    "prNumber",
    "mergeCommitSha",
    "error",
    "questions",
)


def _question(item: Any) -> Any:
    return first_present((item,), ("question", "text", "message")) if isinstance(item, dict) else item


def _picked(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    return {name: summary[name] for name in names if name in summary}


def _lasting(summary: Summary) -> Summary:
    return {name: value for name, value in summary.items() if name not in _VOLATILE}
