"""Translate a change of a task's document into messages: (task before, change) -> (messages, task after). Pure.

Rules of this file: equal inputs give equal messages on every instance and after every restart, so there is no I/O, no
clock and no memory between calls; the data of a message comes from the event that caused it, and where the event lacks
it, from the document after the change; who may see a message is decided elsewhere, from the keys before and after.
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
# Fields that a projection adds to a document. They spare reading the whole array of events.
LENGTH_FIELD = "relay_event_count"  # the length of the array
ENDING_FIELD = "relay_last_events"  # its last elements
ENDING = 20  # elements in it; nearly always one of them is a milestone, so that no other has to be read
_VOLATILE = ("eventCount", "updatedAt")  # parts of a summary whose change alone causes no task:updated


@dataclass(frozen=True, slots=True)
class Milestone:
    """The last event of a timeline whose type has a lifecycle message, such as `task:pr_opened`."""

    kind: Kind
    index: int


class Task(NamedTuple):
    """One task after some change, as far as messages and visibility need it."""

    id: str  # the taskId of the wire
    document: Document  # only the fields that the mapping and the visibility rules read
    timeline: Timeline
    summary: Summary
    keys: Keys  # users who hold one of these audience keys may see the task
    status: Kind | None  # the lifecycle message of its status
    last: Milestone | None

    def without_elements(self) -> Task:
        """This task without the elements of its timeline, which saves memory and is enough for most changes."""
        return self._replace(timeline=self.timeline.without_elements()) if self.timeline.held else self

    def shows_the_same(self, other: Task) -> bool:
        """Whether both have equal summaries, audience keys and lengths of the timeline."""
        return (self.summary, self.keys, self.timeline.without_elements()) == (
            other.summary,
            other.keys,
            other.timeline.without_elements(),
        )


class EventAdded(NamedTuple):
    """`task:event_added`, for the subscribers of the task. The event is encoded only if there are any."""

    place: int  # the index of the event in the timeline
    event: Any


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """One of `task:created` … `task:failed`, for the subscribers of the task and for dashboards."""

    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateReset:
    """A `task:state` with the whole timeline, for the subscribers of the task: the timeline was rewritten."""

    elements: Sequence[Element]


@dataclass(frozen=True, slots=True)
class SummaryUpdated:
    """`task:updated`, for the subscribers of the task."""


@dataclass(frozen=True, slots=True)
class Listed:
    """`dashboard:task_list_updated`, for dashboards."""


Message = EventAdded | Lifecycle | StateReset | SummaryUpdated | Listed


@dataclass(slots=True, eq=False)
class Step:
    """The result of translating one change: the task before and after it, and the messages about it.

    A task is None where it does not exist. The messages are made when they are first read, because most changes are of
    tasks that have no subscribers. `corrects`: this step repairs what was published of the task before the change, and
    another step for the same change follows.
    """

    change: Change
    key: bytes  # that of the change; a field and no property, because the hub reads it twice for every step
    id: str  # the taskId of the wire
    before: Task | None
    after: Task | None
    _outcome: Outcome
    _make: Callable[[Task | None, Task, Outcome], Iterable[Message]]  # of the translator; called at most once
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
    """Reads the documents of one deployment, and translates their changes into messages.

    `visibility` returns the audience keys of a document. No method raises on any document.
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
        self._apart = (
            mapping.events.split(".")[0] not in self._tree
        )  # no field shares a top-level name with the array
        self._first_names = {*self._tree, mapping.events.split(".")[0]}
        # The projection for `outline`; None: it has to be given whole documents, so use `read` instead.
        self.outline_projection = self._outline_projection()

    def read(self, document: Document) -> Task:
        """The task in a whole stored document."""
        timeline = timeline_of(document, self.mapping.events)
        elements = timeline.elements or ()
        last = self._milestone(elements, len(elements), NONE)
        return self._task(wire_id(document["_id"]), prune(document, self._tree), timeline, last)

    def _outline_projection(self) -> dict[str, Any] | None:
        """The projection that leaves only the end of the array; None where the mapping reads other fields of the
        sub-document that holds the array."""
        if not self._apart:
            return None
        # Project whole top-level fields: a projection by path drops the scalars of arrays that hold both scalars and
        # documents, and the visibility rules read those.
        whole = roots(self.mapping.roots())
        ending = self._of_array({"$slice": [f"${self.mapping.events}", -ENDING]}, None)
        return {**dict.fromkeys(whole, 1), LENGTH_FIELD: self._length(), ENDING_FIELD: ending}

    def outline(self, projected: Document) -> Task | None:
        """The task in a document that was read with `outline_projection`, without the elements of its timeline.

        None if no milestone is among the last elements and there are earlier ones: then `read` the whole document.
        """
        length, ending = projected[LENGTH_FIELD], projected[ENDING_FIELD]
        timeline = Timeline(length or 0, length is not None, None if length else held([]))
        found = self._milestone_of_values(ending or (), timeline.length - len(ending or ()))
        if found is None and timeline.length > ENDING:
            return None
        return self._task(wire_id(projected["_id"]), prune(projected, self._tree), timeline, found)

    def list_projection(self) -> dict[str, Any]:
        """The projection for `summarise`, which leaves out the array of events."""
        # The taskId needs the whole `_id`, also where the mapping reads only a part of it.
        paths = ("_id" if path.startswith("_id.") else path for path in self.mapping.roots())
        return {**dict.fromkeys(paths, 1), LENGTH_FIELD: self._length()}

    def _length(self) -> dict[str, Any]:
        return self._of_array({"$size": [f"${self.mapping.events}"]}, None)

    def _of_array(self, expression: Any, otherwise: Any) -> dict[str, Any]:
        # Where a field on the way is an array, MongoDB would collect values from all of its elements.
        names = self.mapping.events.split(".")
        holders = [f"${'.'.join(names[:count])}" for count in range(1, len(names))]
        found: list[Any] = [{"$isArray": [f"${self.mapping.events}"]}]
        found += [{"$not": [{"$isArray": [holder]}]} for holder in holders]
        return {"$cond": [{"$and": found} if holders else found[0], expression, otherwise]}

    def summarise(self, projected: Document) -> Summary:
        """The summary of a document that was read with `list_projection`."""
        return self._summaries.of(wire_id(projected["_id"]), projected, projected[LENGTH_FIELD] or 0)

    def translate(self, before: Task | None, change: Change) -> Step | None:
        """The messages of a change, and the task after it. `before` is the task exactly before the change, or None.

        Returns None if the change cannot be translated without the elements before it, which are not in memory, or
        without the document after it: then the document has to be read.
        """
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
        """Whether an update without `paths` may concern the task, so that the document after it has to be read.

        Without `paths` the database did not say whether `a.b` is a field `b` of `a` or a field whose name has a dot.
        """
        fields, removed, truncated, _ = update
        named = [*fields, *removed, *(path for path, _ in truncated)]
        # The relay reads no field whose name has a dot. So a path can only concern the task if its part before the
        # first dot is the name of such a field.
        return not named or any(
            first in self._first_names for first, dot, _ in (path.partition(".") for path in named) if dot
        )

    def correct(self, published: Task, stored: Task | None, change: Change) -> Step:
        """The step from the task as it was published to the task as it was stored before this change.

        For the case that the two differ because a change was missed. The subscribers get the whole timeline, and no
        lifecycle messages, because the changes in between are unknown.
        """
        elements = tuple(stored.timeline.elements or ()) if stored is not None else ()
        outcome = Rewritten(elements, elements)
        return Step(
            change, change.key, published.id, published, stored, outcome, self._messages, corrects=True
        )

    def _pushed(self, before: Task, change: Change) -> Step | None:
        """A fast path for the commonest change, in half of the time: one event is appended to an array that is not in
        memory, and nothing else changes. The result equals that of `_apply`; None for every other change."""
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
                    return None, None  # an update of a document that does not exist changes nothing
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
        if (
            kept is before.document
        ):  # as with most changes: an event was added, and no field of the summary changed
            summary = {**before.summary, "eventCount": timeline.length}
            task = Task(before.id, before.document, timeline, summary, before.keys, before.status, last)
            return task, outcome
        return self._changed(before, kept, timeline, last), outcome

    def _task(self, task_id: str, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        summary = self._summaries.of(task_id, document, timeline.length)
        keys = self._visibility(document)
        return Task(task_id, document, timeline, summary, keys, kind_of(summary), last)

    def _changed(self, before: Task, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        """The task after a change of its document: only the parts that come from fields that differ are computed."""
        differing = _differing(before.document, document)
        summary = self._summaries.after(before.summary, differing, document, timeline.length)
        keys = before.keys if self._rights.isdisjoint(differing) else self._visibility(document)
        return Task(before.id, document, timeline, summary, keys, kind_of(summary), last)

    # Which lifecycle messages a change has. Writers push an event, set a status, or do both, in one update or in two;
    # in each case the message is sent once:
    # 1. An insert sends `task:created`, then the message of its status.
    # 2. An appended event sends its message, unless the status before the change has sent it and no other event has
    #    sent another message since: then the event belongs to that change of the status.
    # 3. A changed status sends its message, unless the last milestone has sent it.

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
                silent = after.last is before.last  # no appended event has a lifecycle message
                for index, element in enumerate(events, before.timeline.length):
                    yield EventAdded(index, element)
                    kind = None if silent else self._event_kind(element)
                    if kind is not None:
                        if self._is_news(kind, before, last):
                            yield self._lifecycle(kind, after, element)
                        last = kind
            case Rewritten(elements):
                yield StateReset(elements)
                yield from self._lifecycle_of_new_events(outcome, before, after)
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
        elif self._may_move(before.document, after.document):
            yield Listed()

    def _may_move(self, before: Document, after: Document) -> bool:
        """Whether the field that orders the list changed. It need not be a part of the summary."""
        name = self.mapping.list_order.split(".")[0]
        return after is not before and before.get(name) != after.get(name)

    def _lifecycle_of_new_events(
        self, rewritten: Rewritten, before: Task, after: Task
    ) -> Iterator[Lifecycle]:
        """The lifecycle messages of the events that a rewrite added."""
        for index in brought(rewritten, self.view):
            element = decode_element(rewritten.elements[index])
            kind = self._event_kind(element)
            if kind is not None:
                earlier = self._milestone(rewritten.elements, index, _silent(before))
                if self._is_news(kind, before, _kind(earlier)):
                    yield self._lifecycle(kind, after, element)

    def _is_news(self, kind: Kind, before: Task, last: Kind | None) -> bool:
        """Whether an event of this kind sends its message; `last` is the kind of the milestone before it."""
        match self.mapping.lifecycle_from:
            case "status":
                return False
            case "events":
                return True
            case "both":
                # Otherwise the status before has sent it, and the event belongs to that change of the status.
                return kind != before.status or kind == last

    def _lifecycle(self, kind: Kind, task: Task, event: Any = None) -> Lifecycle:
        data = _picked(task.summary, ("status",))
        names = LIFECYCLE_FIELDS[kind]
        from_event = self._from_event(event, names) if event is not None else {}
        for name in names:
            value = from_event.get(name, task.summary.get(name))
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
        """The last milestone of a timeline that was rewritten."""
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
        """The last milestone from `start` to before `end`; elements in `silent` are known to be none."""
        for index in reversed(range(start, end)):
            element = elements[index]
            if element not in silent and (kind := self._event_kind(decode_element(element))) is not None:
                return Milestone(kind, index)
        return None

    def _milestone_of_values(self, events: Sequence[Any], first: int) -> Milestone | None:
        """The last milestone among these events, the first of which has the index `first`."""
        for index in reversed(range(len(events))):
            if (kind := self._event_kind(events[index])) is not None:
                return Milestone(kind, first + index)
        return None


def _differing(one: Document, other: Document) -> set[str]:
    """The top-level fields that may differ: `apply` keeps the object of every field that an update does not reach, so
    comparing identities is enough, and fast."""
    names = one.keys() | other.keys()
    return {name for name in names if one.get(name, _MISSING) is not other.get(name, _MISSING)}


def _kind(milestone: Milestone | None) -> Kind | None:
    return milestone.kind if milestone is not None else None


def _silent(task: Task) -> frozenset[Element]:
    """Elements of the task's timeline that are known to be no milestones: those after the last one."""
    elements = task.timeline.elements or ()
    return frozenset(elements[task.last.index + 1 :] if task.last is not None else elements)


NONE: frozenset[Element] = frozenset()
_MISSING = object()


def _picked(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    return {name: summary[name] for name in names if name in summary}


def _lasting(summary: Summary) -> Summary:
    """The parts of a summary whose change causes a task:updated."""
    return {name: value for name, value in summary.items() if name not in _VOLATILE}
