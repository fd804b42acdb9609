"""(task before, change) -> (messages, task after): the heart. Pure: no I/O, no clock, no memory.

Rules of this file: the same two inputs give the same messages on every instance and after every
restart; what a message says comes from the event that caused it first, then from the document after
the change; who may see it is for others to decide, from the keys before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_never

from relay.protocol.types import CREATED_FIELDS, LIFECYCLE_FIELDS, Kind, rfc3339
from relay.source.change import SPLIT, Change, Deleted, Inserted, Replaced, Updated
from relay.source.raw_bson import Element, decode_element
from relay.tasks.document import apply, prune, tree_of
from relay.tasks.mapping import Mapping
from relay.tasks.paths import Document, first_present
from relay.tasks.redact import Redactor
from relay.tasks.scalars import snake
from relay.tasks.summary import Summaries, Summary, kind_of, roots
from relay.tasks.task_ids import wire_id
from relay.tasks.timeline import (
    MAX_EVENT_BYTES,
    Appended,
    EventView,
    NeedsEvents,
    Outcome,
    Rewritten,
    Timeline,
    advance,
    brought,
    held,
    timeline_of,
)

EPOCH = datetime(1970, 1, 1)
Keys = frozenset[str]
LENGTH_FIELD = "relay_event_count"  # the length of the array, computed by the database
ENDING_FIELD = "relay_last_events"  # its last elements
ENDING = 20  # how many of them: nearly always one of them tells where the task stands
_VOLATILE = ("eventCount", "updatedAt")  # not worth a task:updated


@dataclass(frozen=True, slots=True)
class Milestone:
    """The last event of a timeline that stands for a message, and where it is."""

    kind: Kind
    index: int


class Task(NamedTuple):
    """What is known of one task at one moment."""

    id: str  # the taskId of the wire
    document: Document  # only what mapping and visibility need
    timeline: Timeline
    summary: Summary
    keys: Keys  # who may see it, as audience keys
    status: Kind | None  # the message its status stands for
    last: Milestone | None

    def without_elements(self) -> Task:
        """The same, its array not in memory."""
        return self._replace(timeline=self.timeline.without_elements()) if self.timeline.held else self

    def shows_the_same(self, other: Task) -> bool:
        """Would the two be shown to the same people, in the same list entry, with as long a timeline?"""
        return (self.summary, self.keys, self.timeline.without_elements()) == (
            other.summary,
            other.keys,
            other.timeline.without_elements(),
        )


class EventAdded(NamedTuple):
    """`task:event_added`, for the task's room. Encoded only where somebody listens."""

    place: int  # the index of the event
    event: Any


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """One of `task:created` … `task:failed`, for the room and for dashboards."""

    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateReset:
    """A `task:state` from 0, for the room: the timeline was rewritten."""

    elements: Sequence[Element]


@dataclass(frozen=True, slots=True)
class SummaryUpdated:
    """`task:updated`, for the room."""


@dataclass(frozen=True, slots=True)
class Listed:
    """`dashboard:task_list_updated`, for dashboards."""


Message = EventAdded | Lifecycle | StateReset | SummaryUpdated | Listed


@dataclass(slots=True, eq=False)
class Step:
    """The result of translating one change: the task before and after it (None: it does not exist), and the
    messages about it. The messages are made when they are first asked for: of most changes nobody asks.

    `corrects`: the step repairs what was published of the task before its change; another step, with the same
    change, follows for the change itself.
    """

    change: Change
    key: bytes  # the change's; no property, because the hub reads it twice of every step
    id: str
    before: Task | None
    after: Task | None
    _outcome: Outcome
    _make: Callable[[Task | None, Task, Outcome], Iterable[Message]]  # the translator's, called at most once
    corrects: bool = False
    _made: tuple[Message, ...] | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        if self._made is None:
            made = self._make(self.before, self.after, self._outcome) if self.after is not None else ()
            self._made = tuple(made)
        return self._made

    @property
    def at(self) -> str | None:
        """The database's wall-clock time of the change, in the form that messages carry."""
        wall_ms = self.change.wall_ms
        return None if wall_ms is None else rfc3339(EPOCH + timedelta(milliseconds=wall_ms))


class Translator:
    """One deployment's way to read documents and to tell what their changes mean.

    `visibility` gives the audience keys of a document. Raises nothing on any document.
    """

    def __init__(
        self,
        mapping: Mapping,
        visibility: Callable[[Document], Keys],
        *,
        max_text: int,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.mapping = mapping
        self.view = EventView(mapping.event, Redactor(mapping.redact), max_event_bytes)
        self._visibility = visibility
        self._summaries = Summaries(mapping, self.view.redactor, max_text)
        self._tree = tree_of(mapping.kept())
        self._rights = roots(path for rule in mapping.visibility.rules for path in rule.field)
        self._apart = mapping.events.split(".")[0] not in self._tree  # no field lies beside or in the array
        self._first_names = {*self._tree, mapping.events.split(".")[0]}
        self.outline_projection = self._outline_projection()  # for `outline`; None: read whole documents

    def read(self, document: Document) -> Task:
        """The task a whole stored document shows."""
        timeline = timeline_of(document, self.mapping.events)
        elements = timeline.elements or ()
        last = self._milestone(elements, len(elements), NONE)
        return self._task(wire_id(document["_id"]), prune(document, self._tree), timeline, last)

    def _outline_projection(self) -> dict[str, Any] | None:
        """A projection under which `outline` needs only the end of the array to be read; None where
        the mapping looks for other things beside the array, in the same sub-document."""
        if not self._apart:
            return None
        # Whole top-level fields: a projection by path would take the scalars out of mixed arrays.
        whole = roots(self.mapping.roots())
        ending = self._of_array({"$slice": [f"${self.mapping.events}", -ENDING]}, None)
        return {**dict.fromkeys(whole, 1), LENGTH_FIELD: self._length(), ENDING_FIELD: ending}

    def outline(self, projected: Document) -> Task | None:
        """The task a document read under `outline_projection` shows, its elements not in memory; None
        where the end of the array does not tell enough."""
        length, ending = projected[LENGTH_FIELD], projected[ENDING_FIELD]
        timeline = Timeline(length or 0, length is not None, None if length else held([]))
        found = self._milestone_of_values(ending or (), timeline.length - len(ending or ()))
        if found is None and timeline.length > ENDING:
            return None
        return self._task(wire_id(projected["_id"]), prune(projected, self._tree), timeline, found)

    def list_projection(self) -> dict[str, Any]:
        """A projection under which `summarise` needs no array to be read."""
        # The whole `_id` names the task, also where the mapping wants no more than a part of it.
        paths = ("_id" if path.startswith("_id.") else path for path in self.mapping.roots())
        return {**dict.fromkeys(paths, 1), LENGTH_FIELD: self._length()}

    def _length(self) -> dict[str, Any]:
        return self._of_array({"$size": [f"${self.mapping.events}"]}, None)

    def _of_array(self, expression: Any, otherwise: Any) -> dict[str, Any]:
        # In an array on the way, the database would collect what its elements have at the rest of the path.
        names = self.mapping.events.split(".")
        holders = [f"${'.'.join(names[:count])}" for count in range(1, len(names))]
        found: list[Any] = [{"$isArray": [f"${self.mapping.events}"]}]
        found += [{"$not": [{"$isArray": [holder]}]} for holder in holders]
        return {"$cond": [{"$and": found} if holders else found[0], expression, otherwise]}

    def summarise(self, projected: Document) -> Summary:
        """The summary of a document read under `list_projection`."""
        return self._summaries.of(wire_id(projected["_id"]), projected, projected[LENGTH_FIELD] or 0)

    def translate(self, before: Task | None, change: Change) -> Step | None:
        """What this change means to whoever may see the task; None where that cannot be told without the
        array before it, which is not in memory, or without the document after it. `before` is the exact state
        before it."""
        pushed = self._pushed(before, change) if before is not None else None
        if pushed is not None:
            return pushed
        after, outcome = self._apply(before, change)
        if isinstance(outcome, NeedsEvents):
            return None
        task = after or before
        task_id = task.id if task is not None else wire_id(change.id)
        return Step(change, change.key, task_id, before, after, outcome, self._messages)

    def must_be_read(self, update: Updated) -> bool:
        """Of an update without `paths`: may one of its paths, read one way or another, concern the task? Then only
        the document after it tells what it did."""
        fields, removed, truncated, _ = update
        named = [*fields, *removed, *(path for path, _ in truncated)]
        # However a path is read, it begins with the name before one of its dots; and no name that the relay
        # looks for has a dot, so it has to be the first.
        return not named or any(
            first in self._first_names for first, dot, _ in (path.partition(".") for path in named) if dot
        )

    def correct(self, published: Task, stored: Task | None, change: Change) -> Step:
        """The step from what was published of a task to what it is before this change, where the two differ:
        its timeline is shown as it is, and what happened is unknown."""
        elements = tuple(stored.timeline.elements or ()) if stored is not None else ()
        outcome = Rewritten(elements, elements)
        return Step(
            change, change.key, published.id, published, stored, outcome, self._messages, corrects=True
        )

    def _pushed(self, before: Task, change: Change) -> Step | None:
        """What `_apply` makes of the change that most changes are, in half of its time: one event at the end
        of an array that is not in memory, and nothing else. None for any other."""
        operation, timeline = change.operation, before.timeline
        if not isinstance(operation, Updated) or operation.removed or operation.truncated:
            return None
        length = timeline.length
        event = operation.fields.get(f"{self.mapping.events}.{length}")
        if event is None or len(operation.fields) > 1 or operation.paths is not SPLIT:
            return None
        if timeline.held is not None or not timeline.is_array or not self._apart:
            return None
        kind = self._event_kind(event)
        last = Milestone(kind, length) if kind is not None else before.last
        summary = {**before.summary, "eventCount": length + 1}
        grown = Timeline(length + 1, True)
        after = Task(before.id, before.document, grown, summary, before.keys, before.status, last)
        return Step(change, change.key, before.id, before, after, Appended((event,)), self._messages)

    def _apply(self, before: Task | None, change: Change) -> tuple[Task | None, Outcome]:
        operation = change.operation
        match operation:
            case Updated(fields, removed, truncated, paths):
                if before is None:
                    return None, None  # of a document that was not there: nothing to tell
                if paths is None and self.must_be_read(operation):
                    return before, NeedsEvents()
                kept = apply(before.document, fields, removed, truncated, self._tree, paths)
            case Inserted(document):
                return self.read(document), None
            case Replaced(document):
                if before is None:
                    return self.read(document), None
                kept = prune(document, self._tree)
            case Deleted():
                return None, None
            case _:
                assert_never(operation)
        timeline, outcome = advance(before.timeline, operation, self.mapping.events, self.view)
        match outcome:
            case Appended(events):
                last = self._milestone_of_values(events, before.timeline.length) or before.last
            case Rewritten():
                last = self._milestone_after(outcome, before)
            case _:
                last = before.last
        if kept is before.document:  # most changes: an event, and nothing that the summary shows
            summary = {**before.summary, "eventCount": timeline.length}
            task = Task(before.id, before.document, timeline, summary, before.keys, before.status, last)
            return task, outcome
        return self._changed(before, kept, timeline, last), outcome

    def _task(self, task_id: str, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        summary = self._summaries.of(task_id, document, timeline.length)
        keys = self._visibility(document)
        return Task(task_id, document, timeline, summary, keys, kind_of(summary), last)

    def _changed(self, before: Task, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        """The same of a task before it, looking only at what comes from fields that differ."""
        differing = _differing(before.document, document)
        summary = self._summaries.after(before.summary, differing, document, timeline.length)
        keys = before.keys if self._rights.isdisjoint(differing) else self._visibility(document)
        return Task(before.id, document, timeline, summary, keys, kind_of(summary), last)

    # The lifecycle rule, for writers that push an event, set a status, or do both in one update or in two:
    # 1. an insert sends `task:created`, then the message of its status;
    # 2. an appended event sends its message, unless the status before said it already and no other event
    #    has said something else since: then it is the status' pair;
    # 3. a changed status sends its message, unless the last event that means something means the same.

    def _messages(self, before: Task | None, after: Task, outcome: Outcome) -> Iterator[Message]:
        if before is None:
            yield Lifecycle(Kind.CREATED, _picked(after.summary, CREATED_FIELDS))
            if after.status is not None and self.mapping.lifecycle_from != "events":
                yield self._lifecycle(after.status, after)
            yield Listed()
            return
        match outcome:
            case Appended(events):
                last = _kind(before.last)
                silent = after.last is before.last  # none of them stands for a message
                for index, element in enumerate(events, before.timeline.length):
                    yield EventAdded(index, element)
                    kind = None if silent else self._event_kind(element)
                    if kind is not None:
                        if self._says_something(kind, before, last):
                            yield self._lifecycle(kind, after, element)
                        last = kind
            case Rewritten(elements):
                yield StateReset(elements)
                yield from self._news_of(outcome, before, after)
        if (
            self.mapping.lifecycle_from != "events"
            and after.status is not None
            and after.status != before.status
            and (_kind(after.last) != after.status or self.mapping.lifecycle_from == "status")
        ):
            yield self._lifecycle(after.status, after)
        if after.summary != before.summary:
            if after.document is not before.document and _lasting(after.summary) != _lasting(before.summary):
                yield SummaryUpdated()
            yield Listed()
        elif self._moved(before.document, after.document):
            yield Listed()

    def _moved(self, before: Document, after: Document) -> bool:
        """Has the task another place in the list, though nothing of the summary shows it?"""
        name = self.mapping.list_order.split(".")[0]
        return after is not before and before.get(name) != after.get(name)

    def _news_of(self, rewritten: Rewritten, before: Task, after: Task) -> Iterator[Lifecycle]:
        """The lifecycle of the elements that a rewrite brought."""
        for index in brought(rewritten, self.view):
            element = decode_element(rewritten.elements[index])
            kind = self._event_kind(element)
            if kind is not None:
                earlier = self._milestone(rewritten.elements, index, _silent(before))
                if self._says_something(kind, before, _kind(earlier)):
                    yield self._lifecycle(kind, after, element)

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
            if (
                value := self._summaries.part(
                    name, first_present(sources, getattr(self.mapping.fields, name))
                )
            )
            is not None
        }

    def _event_kind(self, element: Any) -> Kind | None:
        name = self.view.type_of(element)
        return self.mapping.event_types.get(snake(name)) if name is not None else None

    def _milestone_after(self, rewritten: Rewritten, before: Task) -> Milestone | None:
        """The last one of a timeline that was rewritten."""
        elements, run = rewritten.elements, rewritten.run
        if not run:
            return self._milestone(elements, len(elements), _silent(before))
        found = self._milestone(elements, len(elements), NONE, start=run)
        if found is not None or before.last is None:
            return found
        index = before.last.index - (len(rewritten.before) - run)
        return Milestone(before.last.kind, index) if index >= 0 else None

    def _milestone(
        self, elements: Sequence[Element], end: int, silent: Container[Element], *, start: int = 0
    ) -> Milestone | None:
        """The last one from `start` to before `end`; `silent` are elements known to stand for nothing."""
        for index in reversed(range(start, end)):
            element = elements[index]
            if element not in silent and (kind := self._event_kind(decode_element(element))) is not None:
                return Milestone(kind, index)
        return None

    def _milestone_of_values(self, events: Sequence[Any], first: int) -> Milestone | None:
        """The last one of these events, whose first stands at the index `first`."""
        for index in reversed(range(len(events))):
            if (kind := self._event_kind(events[index])) is not None:
                return Milestone(kind, first + index)
        return None


def _differing(one: Document, other: Document) -> set[str]:
    """The top-level fields that are not the same objects: an update makes new ones where it reaches."""
    names = one.keys() | other.keys()
    return {name for name in names if one.get(name, _MISSING) is not other.get(name, _MISSING)}


def _kind(milestone: Milestone | None) -> Kind | None:
    return milestone.kind if milestone is not None else None


def _silent(task: Task) -> frozenset[Element]:
    """Elements of the task's timeline that stand for no message: those after its last milestone."""
    elements = task.timeline.elements or ()
    return frozenset(elements[task.last.index + 1 :] if task.last is not None else elements)


NONE: frozenset[Element] = frozenset()
_MISSING = object()


def _picked(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    return {name: summary[name] for name in names if name in summary}


def _lasting(summary: Summary) -> Summary:
    return {name: value for name, value in summary.items() if name not in _VOLATILE}
