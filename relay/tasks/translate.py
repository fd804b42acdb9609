"""Translate a change of a task's document into messages: (task before, change) -> (messages, task after). Pure.

A step is the result of translating one change. A milestone is an event whose type has a lifecycle message, such as
`task:pr_opened`. An outline is a task without the elements of its timeline. Audience keys (`team:s:red`) say who may
see a task: a user must hold at least one of the keys of the task.

Rules of this file: equal inputs give equal messages on every instance and after every restart, so there is no I/O, no
clock and no memory between calls; who may see a message is decided elsewhere, from the keys before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Map
from typing import Any, assert_never

from relay.source.change import SPLIT, Change, Deleted, Inserted, Operation, Replaced, Updated
from relay.source.raw_bson import RawArray
from relay.tasks.document import apply, prune
from relay.tasks.event_view import MAX_EVENT_BYTES, EventView
from relay.tasks.kept import Kept, kept_of
from relay.tasks.lifecycle import LifecycleRules
from relay.tasks.mapping import Mapping
from relay.tasks.packed_keys import TaskKeys
from relay.tasks.paths import Document, at_path
from relay.tasks.projections import ENDING, ENDING_FIELD, LENGTH_FIELD, Projections
from relay.tasks.redact import CUT_MARGIN, Redactor
from relay.tasks.step import EventAdded, Listed, Message, StateReset, Step, SummaryUpdated
from relay.tasks.summary import Summaries, Summary, kind_of, roots
from relay.tasks.task import Milestone, Task
from relay.tasks.task_ids import wire_id
from relay.tasks.timeline import (
    Appended,
    NeedsEvents,
    Outcome,
    Rewritten,
    Timeline,
    advance,
    held,
    settled,
    timeline_of,
)

# Bytes of an array of events: more are divided into elements in a thread. If these are tiny, it takes up to 20 ms.
HEAVY_ARRAY = 128 * 1024
_VOLATILE = ("eventCount", "updatedAt")  # parts of a summary whose change alone causes no task:updated


class Translator:
    """Reads the documents of one deployment, and translates their changes into messages.

    `visibility` returns the audience keys of a document (which say who may see it), `max_text` limits the characters
    of a string in a summary, and `max_event_bytes` the JSON of one event. No method raises on any document.
    """

    def __init__(
        self,
        mapping: Mapping,
        visibility: Callable[[Document], TaskKeys],
        *,
        max_text: int,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.mapping = mapping
        self.view = EventView(mapping.event, Redactor(mapping.redact), max_event_bytes)
        self._visibility = visibility
        self._summaries = Summaries(mapping, self.view.redactor, max_text)
        self._lifecycle = LifecycleRules(mapping, self.view, self._summaries)
        characters = max_text + CUT_MARGIN + 1
        self._fields = kept_of(
            mapping.fields, mapping.visibility.rules, mapping.need_paths(), mapping.list_order, characters
        )
        self._kept = Kept(inner=self._fields)
        self._rights = roots(path for rule in mapping.visibility.rules for path in rule.field)
        self._first_name = mapping.events.split(".")[0]
        # Whether the array shares its top-level name with no field that the mapping reads.
        self._apart = self._first_name not in self._fields
        self._first_names = {*self._fields, self._first_name}
        # The projection for `outline`. If it is None, no projection is enough, so read whole documents with `read`.
        self._projections = Projections(mapping, characters)
        self.outline_projection = self._projections.outline

    def read(self, document: Document) -> Task:
        """Return the task that a whole stored document describes, with the elements of its timeline in memory."""
        timeline = timeline_of(document, self.mapping.events)
        elements = timeline.elements or ()
        last = self._lifecycle.last_in(elements)
        return self._task(wire_id(document["_id"]), prune(document, self._fields), timeline, last)

    def reads_long(self, document: Document) -> bool:
        """Whether `read` takes so long for this document that it has to be called in a thread."""
        array = at_path(document, self.mapping.events)
        return isinstance(array, RawArray) and len(array.raw) >= HEAVY_ARRAY

    def keep(self, document: Document) -> Document:
        """Return the part of a document, as it was read with or without a projection, from which the methods of this
        class make the same as from the document. It may be called in any thread."""
        if not self._apart:
            return document
        kept = prune(document, self._fields)
        for name in ("_id", self._first_name, LENGTH_FIELD, ENDING_FIELD):
            if name in document:
                kept[name] = document[name]
        return kept

    def keep_of(self, operation: Operation) -> Operation:
        """Return an operation that `translate` translates to the same step, without the values that it does not need:
        None takes the place of such a value. It may be called in any thread."""
        match operation:
            case Updated(fields, removed, truncated, paths) if paths is not None:
                kept = {path: self._kept_value(path, value, paths) for path, value in fields.items()}
                return Updated(kept, removed, truncated, paths)
            case Inserted(document):
                return Inserted(self.keep(document))
            case Replaced(document, update):
                return Replaced(self.keep(document), update)
            case _:
                return operation

    def _kept_value(self, path: str, value: Any, paths: Map[str, Sequence[str]]) -> Any:
        first, *rest = paths.get(path) or path.split(".")
        if first not in self._first_names:
            return None
        if first == self._first_name and not self._apart:
            return value  # it may hold the array of events
        # The inside of a kept field may be an array or a sub-document, which only the document tells.
        return value if rest or first not in self._fields else self._fields[first].of(value)

    def keys_of(self, document: Document) -> TaskKeys:
        """Return the audience keys of a document that was read with any projection of this class, or with none."""
        return self._visibility(document)

    def outline(self, projected: Document) -> Task | None:
        """Return the task in a document that was read with `outline_projection`, without the timeline's elements.

        Return None if the last elements hold no milestone (an event that has a lifecycle message) and there are earlier
        elements, which may hold one: then the whole document has to be read.
        """
        length, ending = projected[LENGTH_FIELD], projected[ENDING_FIELD]
        timeline = Timeline(length or 0, length is not None, None if length else held([]))
        found = self._lifecycle.last_of_values(ending or (), timeline.length - len(ending or ()))
        if found is None and timeline.length > ENDING:
            return None
        return self._task(wire_id(projected["_id"]), prune(projected, self._fields), timeline, found)

    def list_projection(self) -> dict[str, Any]:
        """Return the MongoDB projection for `summarise`: the length of the array of events in place of the array."""
        return self._projections.list

    def summarise(self, projected: Document) -> Summary:
        """Return the summary of the task in a document that was read with the projection of `list_projection`."""
        return self._summaries.of(wire_id(projected["_id"]), projected, projected[LENGTH_FIELD] or 0)

    def translate(self, before: Task | None, change: Change) -> Step | None:
        """Translate a change into a step: the messages about the change, and the task after it.

        `before` is the task exactly as it was before the change; None if it did not exist. Return None if the document
        has to be read first: either the elements before the change are needed and not in memory, or the effect of the
        update is only known from the document after it.
        """
        pushed = self._pushed(before, change) if before is not None else None
        if pushed is not None:
            return pushed
        after, outcome = self._apply(before, change)
        if isinstance(outcome, NeedsEvents):
            return None
        task = after or before
        task_id = task.id if task is not None else wire_id(change.id)
        return Step(change, change.key, task_id, before, after, outcome, self._translated)

    def is_compared(self, change: Change) -> bool:
        """Whether the change brings a whole array of events, which has to be compared with the one before, if any."""
        match change.operation:
            case Updated(fields):
                return self.mapping.events in fields
            case Replaced():
                return True
            case _:
                return False

    def must_be_read(self, update: Updated) -> bool:
        """Whether an update whose `paths` is None may concern the task, so that the document after it has to be read.

        `paths` is None if the database did not say whether `a.b` is the field `b` of `a` or one field with a dot in its
        name.
        """
        fields, removed, truncated, _ = update
        named = [*fields, *removed, *(path for path, _ in truncated)]
        # The relay reads no field whose name has a dot. So a path can only concern the task if its part before the
        # first dot is the name of such a field.
        return not named or any(
            first in self._first_names for first, dot, _ in (path.partition(".") for path in named) if dot
        )

    def correct(self, published: Task, stored: Task | None, change: Change) -> Step:
        """Return a step that corrects a task whose published form differs from the stored one.

        The two differ if a change was missed. `published` is the task that was last published, and `stored` the task in
        the database just before `change`; None if it did not exist. The subscribers get the whole timeline, but no
        lifecycle messages, because the changes between the two are unknown.
        """
        elements = tuple(stored.timeline.elements or ()) if stored is not None else ()
        outcome = Rewritten(elements, elements)
        return Step(
            change, change.key, published.id, published, stored, outcome, self._messages, corrects=True
        )

    def restate(self, before: Task | None, after: Task | None, change: Change) -> Step:
        """Return a step that says how a task is after a change, and not what the change did to it.

        `before` is the task before the change as far as that is known, and `after` the stored task after it; None if it
        does not exist. The subscribers get the whole timeline and the lists get the summary, also if they have them
        already.
        """
        task = after or before
        elements = tuple(after.timeline.elements or ()) if after is not None else ()
        task_id = task.id if task is not None else wire_id(change.id)
        outcome = Rewritten(elements, elements)
        return Step(change, change.key, task_id, before, after, outcome, self._restated)

    def _restated(
        self, before: Task | None, after: Task, outcome: Outcome, timeline: bool = True
    ) -> Iterator[Message]:
        if before is None:
            yield from self._lifecycle.of_insert(after)
        if timeline and isinstance(outcome, Rewritten):
            yield StateReset(outcome.elements)
        if before is not None:
            if (by_status := self._lifecycle.of_status(before, after)) is not None:
                yield by_status
            yield SummaryUpdated()
        yield Listed()

    def _pushed(self, before: Task, change: Change) -> Step | None:
        """Translate the most common change in half of the time: one event is appended, and nothing else changes.

        Return None for every other change, and if the elements of the timeline are in memory. The step that is
        returned equals the one that `translate` makes from the result of `_apply`.
        """
        operation, timeline = change.operation, before.timeline
        if not isinstance(operation, Updated) or operation.removed or operation.truncated:
            return None
        length = timeline.length
        event = operation.fields.get(f"{self.mapping.events}.{length}")
        if event is None or len(operation.fields) > 1 or operation.paths is not SPLIT:
            return None
        if timeline.held is not None or not timeline.is_array or not self._apart:
            return None
        kind = self._lifecycle.kind_of(event)
        last = Milestone(kind, length) if kind is not None else before.last
        summary = {**before.summary, "eventCount": length + 1}
        grown = Timeline(length + 1, True)
        after = Task(before.id, before.document, grown, summary, before.keys, before.status, last)
        return Step(change, change.key, before.id, before, after, Appended((event,)), self._translated)

    def _apply(self, before: Task | None, change: Change) -> tuple[Task | None, Outcome]:
        """Return the task after a change, and what the change did to its timeline.

        The task is None if it does not exist after the change. If the outcome is NeedsEvents, the change could not be
        translated, and the document has to be read.
        """
        operation = change.operation
        match operation:
            case Updated(fields, removed, truncated, paths):
                if before is None:
                    return None, None  # an update of a document that does not exist changes nothing
                if paths is None and self.must_be_read(operation):
                    return before, NeedsEvents()
                kept = apply(before.document, fields, removed, truncated, self._kept, paths)
            case Inserted(document):
                return self.read(document), None
            case Replaced(document):
                if before is None:
                    return self.read(document), None
                kept = prune(document, self._fields)
            case Deleted():
                return None, None
            case _:
                assert_never(operation)
        timeline, outcome = advance(before.timeline, operation, self.mapping.events)
        match outcome:
            case Appended(events):
                last = self._lifecycle.last_of_values(events, before.timeline.length) or before.last
            case Rewritten():
                last = self._lifecycle.last_after(outcome, before)
            case _:
                last = before.last
        if kept is before.document:
            # As with most changes, an event was added and no field of the summary changed: copy what is known.
            summary = {**before.summary, "eventCount": timeline.length}
            task = Task(before.id, before.document, timeline, summary, before.keys, before.status, last)
            return task, outcome
        return self._changed(before, kept, timeline, last), outcome

    def _task(self, task_id: str, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        summary = self._summaries.of(task_id, document, timeline.length)
        keys = self._visibility(document)
        return Task(task_id, document, timeline, summary, keys, kind_of(summary), last)

    def _changed(self, before: Task, document: Document, timeline: Timeline, last: Milestone | None) -> Task:
        """Return the task after a change, computing only what is read from top-level fields that the change touched.

        `document`, `timeline` and `last` (the last milestone) are those after the change.
        """
        differing = _differing(before.document, document)
        summary = self._summaries.after(before.summary, differing, document, timeline.length)
        keys = before.keys if self._rights.isdisjoint(differing) else self._visibility(document)
        return Task(before.id, document, timeline, summary, keys, kind_of(summary), last)

    def _translated(
        self, before: Task | None, after: Task, outcome: Outcome, timeline: bool
    ) -> Iterator[Message]:
        """Yield the messages about one change in the order of sending; `before` is None for a new task.

        `timeline`: the messages of the timeline (EventAdded and StateReset) are among them.
        """
        added: Sequence[tuple[int, Any]] = ()
        if isinstance(outcome, Rewritten):
            added = self._lifecycle.brought(outcome)
            # Comparing what is sent of all events takes long, and only messages about events depend on the result.
            outcome = settled(outcome, self.view) if timeline or added else None
        yield from self._messages(before, after, outcome, timeline, added)

    def _messages(
        self,
        before: Task | None,
        after: Task,
        outcome: Outcome,
        timeline: bool,
        added: Sequence[tuple[int, Any]] = (),
    ) -> Iterator[Message]:
        """Do the same as `_translated`, with the outcome as it has to be sent. If that is a rewrite, `added` are the
        events that it added and that have a lifecycle message, with their indexes."""
        lifecycle = self._lifecycle
        if before is None:
            yield from lifecycle.of_insert(after)
            yield Listed()
            return
        match outcome:
            case Appended(events):
                sent = lifecycle.of_appended(events, before, after)
                for index, event in enumerate(events, before.timeline.length):
                    if timeline:
                        yield EventAdded(index, event)
                    if index in sent:
                        yield sent[index]
            case Rewritten(elements):
                if timeline:
                    yield StateReset(elements)
                yield from lifecycle.of_rewritten(outcome, added, before, after)
        by_status = lifecycle.of_status(before, after)
        if by_status is not None:
            yield by_status
        if after.summary != before.summary:
            if after.document is not before.document and _lasting(after.summary) != _lasting(before.summary):
                yield SummaryUpdated()
            yield Listed()
        elif self._may_move(before.document, after.document):
            yield Listed()

    def _may_move(self, before: Document, after: Document) -> bool:
        """Whether the field by which the list is ordered changed. That field need not be a part of the summary."""
        name = self.mapping.list_order.split(".")[0]
        return after is not before and before.get(name) != after.get(name)


def _differing(one: Document, other: Document) -> set[str]:
    """Return the names of the top-level fields that may differ between two versions of a document.

    Objects are compared by identity, which is fast, and enough because `apply` keeps the object of every field that an
    update does not reach.
    """
    names = one.keys() | other.keys()
    return {name for name in names if one.get(name, _MISSING) is not other.get(name, _MISSING)}


_MISSING = object()


def _lasting(summary: Summary) -> Summary:
    """Return the parts of a summary whose change causes a `task:updated`: all but eventCount and updatedAt."""
    return {name: value for name, value in summary.items() if name not in _VOLATILE}
