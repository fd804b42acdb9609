"""The rules which lifecycle messages a change has, and which events of a timeline have one. Pure.

A lifecycle message is a message such as `task:pr_opened`. A milestone is an event whose type has a lifecycle message.

Writers push an event, set a status, or do both, in one update or in two; in each case the message is sent once:

1. An insert sends `task:created`, then the message of the task's status.
2. An appended event sends its message, unless the status before the change has sent that message and no event has sent
   another message since: then the event belongs to the earlier change of the status.
3. A changed status sends its message, unless the last milestone has sent that message.
4. A rewrite sends the messages of the events that it added, as in 2, but of each kind at most one, that of the last
   event. A migration may change the type of thousands of events at once; nobody wants to be told of each, and the
   messages are hints for the moment.

The mapping's `lifecycle_from` may leave out the events or the statuses. The data of a message comes from the event that
caused it, and where the event lacks it, from the summary after the change.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from relay.protocol.types import CREATED_FIELDS, LIFECYCLE_FIELDS, Kind
from relay.source.raw_bson import Element, decode_elements
from relay.tasks.event_view import EventView
from relay.tasks.mapping import Mapping
from relay.tasks.paths import first_present
from relay.tasks.scalars import snake
from relay.tasks.step import Lifecycle
from relay.tasks.summary import Summaries, Summary
from relay.tasks.task import Milestone, Task
from relay.tasks.timeline import Rewritten, brought

_LOOK = 20  # elements that are decoded together when the last milestone is looked for


class LifecycleRules:
    """Applies the rules of this file with one deployment's mapping.

    `view` finds the type of an event, and `summaries` converts the fields of a message. No method keeps anything, so
    equal tasks and events give equal messages on every instance.
    """

    def __init__(self, mapping: Mapping, view: EventView, summaries: Summaries) -> None:
        self._mapping = mapping
        self._view = view
        self._summaries = summaries
        self._source = mapping.lifecycle_from

    def kind_of(self, element: Any) -> Kind | None:
        """Return the kind of lifecycle message that a decoded event's type has in the mapping; None if it has none."""
        return self._kind_named(self._view.type_of(element))

    def _kind_named(self, name: str | None) -> Kind | None:
        return self._mapping.event_types.get(snake(name)) if name is not None else None

    def last_in(self, elements: Sequence[Element]) -> Milestone | None:
        """Return the last milestone of a whole timeline; None if there is none."""
        return self._last(elements, len(elements))

    def last_of_values(self, events: Sequence[Any], first: int) -> Milestone | None:
        """Return the last milestone among decoded events; None if there is none.

        `first` is the index in the timeline of the first of these events.
        """
        for index in reversed(range(len(events))):
            if (kind := self.kind_of(events[index])) is not None:
                return Milestone(kind, first + index)
        return None

    def last_after(self, rewritten: Rewritten, before: Task) -> Milestone | None:
        """Return the last milestone of a timeline that a change rewrote; None if there is none.

        `before` is the task before the change: events that it had after its last milestone are not decoded again.
        """
        elements, run = rewritten.elements, rewritten.run
        if not run:
            return self._last(elements, len(elements), _silent(before))
        found = self._last(elements, len(elements), start=run)
        if found is not None or before.last is None:
            return found
        index = before.last.index - (len(rewritten.before) - run)
        return Milestone(before.last.kind, index) if index >= 0 else None

    def _last(
        self,
        elements: Sequence[Element],
        end: int,
        silent: Container[Element] = frozenset(),
        *,
        start: int = 0,
    ) -> Milestone | None:
        """Return the last milestone in `elements[start:end]`; None if there is none.

        The elements in `silent` are known to have no lifecycle message, so they are not decoded.
        """
        while end > start:
            first = max(start, end - _LOOK)
            looked_at = [index for index in range(first, end) if elements[index] not in silent]
            values = decode_elements([elements[index] for index in looked_at])
            for index, value in zip(reversed(looked_at), reversed(values), strict=True):
                if (kind := self.kind_of(value)) is not None:
                    return Milestone(kind, index)
            end = first
        return None

    def of_insert(self, task: Task) -> Iterator[Lifecycle]:
        """Yield the lifecycle messages of a task that is new."""
        yield Lifecycle(Kind.CREATED, _picked(task.summary, CREATED_FIELDS))
        if task.status is not None and self._source != "events":
            yield self._message(task.status, task)

    def of_appended(self, events: Sequence[Any], before: Task, after: Task) -> dict[int, Lifecycle]:
        """Return the lifecycle messages of the decoded events that a change appended, by index in the timeline.

        `before` and `after` are the task before and after the change.
        """
        found: dict[int, Lifecycle] = {}
        if after.last is before.last:  # no appended event has a lifecycle message
            return found
        last = _kind(before.last)
        for index, event in enumerate(events, before.timeline.length):
            kind = self.kind_of(event)
            if kind is not None:
                if self._is_news(kind, before, last):
                    found[index] = self._message(kind, after, event)
                last = kind
        return found

    def brought(self, rewritten: Rewritten) -> list[tuple[int, Any]]:
        """Return the events that a rewrite of the timeline added and that have a lifecycle message: pairs of the index
        and the decoded value, by ascending index. Events without one are not encoded for this."""
        if self._source == "status":
            return []
        return brought(rewritten, self._view, lambda name: self._kind_named(name) is not None)

    def of_rewritten(
        self, rewritten: Rewritten, added: Iterable[tuple[int, Any]], before: Task, after: Task
    ) -> Iterator[Lifecycle]:
        """Yield the lifecycle messages of the events that a rewrite of the timeline `added`, unless sent already: of
        each kind at most one, that of the last event. `added` is the result of `brought`."""
        newest: dict[Kind, Any] = {}
        known, last = 0, None  # the last milestone among the first `known` elements
        silent: frozenset[Element] | None = None
        for index, event in added:
            kind = self.kind_of(event)
            assert kind is not None
            if self._source == "both" and kind == before.status:
                silent = _silent(before) if silent is None else silent
                last = self._last(rewritten.elements, index, silent, start=known) or last
                known = index
            if self._is_news(kind, before, _kind(last)):
                newest.pop(kind, None)  # so that the messages are in the order of their events
                newest[kind] = event
        for kind, event in newest.items():
            yield self._message(kind, after, event)

    def of_status(self, before: Task, after: Task) -> Lifecycle | None:
        """Return the lifecycle message of the status that a change set; None if there is none, or an event sends it."""
        status = after.status
        if status is None or status == before.status or self._source == "events":
            return None
        if self._source == "both" and _kind(after.last) == status:
            return None
        return self._message(status, after)

    def _is_news(self, kind: Kind, before: Task, last: Kind | None) -> bool:
        """Whether an added event whose lifecycle message is of this kind causes that message to be sent.

        `last` is the kind of the milestone before the event, and `before` the task before the change.
        """
        match self._source:
            case "status":
                return False
            case "events":
                return True
            case "both":
                # Otherwise the status before the change has sent the message, and the event belongs to that status.
                return kind != before.status or kind == last

    def _message(self, kind: Kind, task: Task, event: Any = None) -> Lifecycle:
        """Make a lifecycle message, with data from the event that caused it and, where it lacks some, the summary."""
        data = _picked(task.summary, ("status",))
        names = LIFECYCLE_FIELDS[kind]
        from_event = self._from_event(event, names) if event is not None else {}
        for name in names:
            value = from_event.get(name, task.summary.get(name))
            if value is not None:
                data[name] = value
        return Lifecycle(kind, data)

    def _from_event(self, event: Any, names: Sequence[str]) -> dict[str, Any]:
        sources = [event, *(first_present((event,), (path,)) for path in self._mapping.event.payload)]
        return {
            name: value
            for name in names
            if (
                value := self._summaries.part(
                    name, first_present(sources, getattr(self._mapping.fields, name))
                )
            )
            is not None
        }


def _kind(milestone: Milestone | None) -> Kind | None:
    return milestone.kind if milestone is not None else None


def _silent(task: Task) -> frozenset[Element]:
    """Return the elements of the task's timeline that are known to be no milestones: all after the last milestone."""
    elements = task.timeline.elements or ()
    return frozenset(elements[task.last.index + 1 :] if task.last is not None else elements)


def _picked(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    return {name: summary[name] for name in names if name in summary}
