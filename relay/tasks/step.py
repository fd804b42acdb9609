"""A step, which is the result of translating one change, and the messages that a step has. Pure.

A step holds what its messages are made from, and not the messages: most changes concern tasks that nobody has open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from relay.protocol.types import Kind, rfc3339
from relay.source.change import Change
from relay.source.raw_bson import Element
from relay.tasks.task import Task
from relay.tasks.timeline import Outcome

EPOCH = datetime(1970, 1, 1)


class EventAdded(NamedTuple):
    """The message `task:event_added` for the subscribers of a task.

    It holds the event as a decoded value, which is encoded only if the task has subscribers.
    """

    place: int  # the index of the event in the timeline
    event: Any


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A lifecycle message (`task:created` … `task:failed`) for the subscribers of a task and for dashboards."""

    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateReset:
    """The message `task:state` for the subscribers of a task, sent with the whole timeline after it was rewritten."""

    elements: Sequence[Element]


@dataclass(frozen=True, slots=True)
class SummaryUpdated:
    """The message `task:updated` for the subscribers of a task.

    It is sent if a part of the task's summary other than eventCount and updatedAt changed.
    """


@dataclass(frozen=True, slots=True)
class Listed:
    """The message `dashboard:task_list_updated` for dashboards: a row of their list, or its place, changed."""


Message = EventAdded | Lifecycle | StateReset | SummaryUpdated | Listed


@dataclass(slots=True, eq=False)
class Step:
    """The result of translating one change: the task before the change, the task after it, and the messages to send.

    `before` is None if the task did not exist before the change, and `after` is None if it no longer exists. The
    messages are made when they are first read, because most changes concern tasks that have no subscribers. If
    `corrects` is true, this step only repairs what was published about the task earlier, and another step for the same
    change follows.
    """

    change: Change
    key: bytes  # the key of the change; stored here because the hub reads it twice for every step
    id: str  # the taskId of the wire
    before: Task | None
    after: Task | None
    outcome: Outcome  # what the change did to the timeline, by its raw BSON
    _make: Callable[[Task | None, Task, Outcome, bool], Iterable[Message]]  # of the translator
    corrects: bool = False
    _made: tuple[Message, ...] | None = None
    _beside: tuple[Message, ...] | None = None
    prepared: Any = None  # what the publisher has made of this step before it publishes it

    @property
    def messages(self) -> tuple[Message, ...]:
        """Return the messages of this step in the order of sending; empty if the task no longer exists."""
        if self._made is None:
            made = self._make(self.before, self.after, self.outcome, True) if self.after is not None else ()
            self._made = tuple(made)
        return self._made

    @property
    def beside_timeline(self) -> tuple[Message, ...]:
        """Return the messages of this step except those of the timeline (EventAdded and StateReset).

        A dashboard needs no others. They are made without the others, because that costs much less: whether a rewrite
        of the timeline changes anything that is sent is then not looked at, unless it may have a lifecycle message.
        """
        if self._beside is None:
            if self._made is not None or self.after is None:
                made: Iterable[Message] = self.messages
            else:
                made = self._make(self.before, self.after, self.outcome, False)
            self._beside = tuple(one for one in made if not isinstance(one, EventAdded | StateReset))
        return self._beside

    def make_beside_timeline(self) -> None:
        """Make the messages of `beside_timeline` now, in any thread, while no other one uses the step."""
        self.beside_timeline  # noqa: B018 - reading it makes them

    @property
    def at(self) -> str | None:
        """Return the time of the change by the database's clock, as RFC 3339; None if the database did not give it."""
        wall_ms = self.change.wall_ms
        return None if wall_ms is None else rfc3339(EPOCH + timedelta(milliseconds=wall_ms))
