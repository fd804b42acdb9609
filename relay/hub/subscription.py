"""A subscription as a state machine: its states, the events that move it, and the effects it asks for. Pure.

A subscription ties one listener to one task (`task_subscription`) or to the list of tasks (`list_subscription`). It
is told each event once and answers with effects, which `Driver` carries out in their order. It never waits, reads
or sends by itself, so every pair of state and event can be tested without a database.

Rules of this file: a pair that is not in `TABLE` is a fault of the caller and raises; a handler returns the next
state, which has to be one that `TABLE` allows; a subscription alone writes its fields and its requests' fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, Literal, TypeVar

from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.registry import Group, Room
from relay.hub.snapshot import Pages, TaskState
from relay.protocol.frames import Frame


class State(Enum):
    """What a listener gets of its subject, a task or the list."""

    ABSENT = "nothing: it is not subscribed"
    READING = "states that are being read for it; what is published meanwhile is buffered with the read"
    LIVE = "every message, as it is published"
    BEHIND = "nothing until its socket has drained: its live messages were dropped"


Answer = Literal["given", "forbidden", "unavailable"]


class Request:
    """One request for a state. It is `active` until it is answered or withdrawn.

    `unasked`: the relay itself needs the state, to bring a subscription up to date. Nobody would ask again, so its
    read is tried until it works. `caught_up`: the relay has published everything that the database held when the
    request was made. `postponed`: its state found no room in the receiver and has to be read again.
    """

    __slots__ = ("active", "caught_up", "postponed", "reply_to", "unasked")

    def __init__(self, reply_to: str | None, *, unasked: bool) -> None:
        self.reply_to = reply_to
        self.unasked = unasked
        self.active = True
        self.caught_up = False
        self.postponed = False

    def note_caught_up(self) -> None:
        self.caught_up = True

    def postpone(self) -> None:
        self.postponed = True

    def resume(self) -> None:
        self.postponed = False

    def end(self) -> None:
        """Note that it was answered or withdrawn: a read for it has no use any more."""
        self.active = False


# Events.


@dataclass(frozen=True, slots=True)
class Join:
    """The client asks for a state and for live messages from there on.

    `pinned`: what the receiver has queued will reach the client, so a state may continue from it. It has a meaning
    only for a LIVE subscription. `caught_up`: the relay has come at least as far as the position that the client
    gives.
    """

    request: Request
    pinned: bool = False
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Show:
    """The client asks for a state and for nothing else. `pinned` as in `Join`."""

    request: Request
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class TaskRead:
    """A task as it was at the position of a read, and what was published of it since.

    `room` is the task's room as it is now. `moved`: the read was repeated at a later position than it began with,
    and what was published between the two was not buffered.
    """

    state: TaskState
    since: Sequence[StepFrames]
    room: Room
    moved: bool = False


@dataclass(frozen=True, slots=True)
class ListRead:
    """The list as it was at the position of a read, and what was published to its group since: each frame with
    its step if it is a lifecycle message."""

    pages: Pages
    since: Sequence[tuple[Frame, StepFrames | None]]
    room: Group


@dataclass(frozen=True, slots=True)
class ReadGiven:
    """A read found what the request asks for. `has_room`: the receiver takes another state now."""

    request: Request
    read: TaskRead | ListRead
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class ReadForbidden:
    """A read found that the listener may not see the task. `exists`: there is such a task, for others."""

    request: Request
    exists: bool


@dataclass(frozen=True, slots=True)
class ReadUnavailable:
    """The database did not answer a read."""

    request: Request


@dataclass(frozen=True, slots=True)
class Revoked:
    """A change took the task out of the listener's sight; `frame` says so."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Deleted:
    """A change deleted the task; `frame` says so."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The timeline was rewritten, and a state replaces the rewrites. `pinned` as in `Join`."""

    pinned: bool = False


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The relay lost its position in the change stream: what happened until now is unknown. `pinned` as in `Join`."""

    pinned: bool = False


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """The listener's rights are now others."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The socket takes no more for now; what was sent until here will reach the client."""


@dataclass(frozen=True, slots=True)
class Lagged:
    """Live messages were dropped: those since `Paused` if `since_pause`, else an unknown part of them."""

    since_pause: bool


@dataclass(frozen=True, slots=True)
class Drained:
    """The socket has taken everything that was queued."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The client leaves; `closed`: its connection is gone."""

    closed: bool = False


Event = (
    Join | Show | ReadGiven | ReadForbidden | ReadUnavailable | Revoked | Deleted | Rewritten | StreamLost
    | RightsChanged | Paused | Lagged | Drained | Leave
)  # fmt: skip


# Effects.


@dataclass(frozen=True, slots=True)
class EnterRoom:
    """Serve the listener live in this room, or group of the list, from now on."""

    room: Room | Group


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Stop serving the listener live in this room or group."""

    room: Room | Group


@dataclass(frozen=True, slots=True)
class Read:
    """Read a state for this request at position S of now."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadWhenCaughtUp:
    """Read a state once the relay has published everything that the database holds now."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadLater:
    """Read a state after a pause, because reading it at once would fail again."""

    request: Request


@dataclass(frozen=True, slots=True)
class SendState:
    """Send the pages of a state as the answer to `reply_to`."""

    pages: Pages
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame that must not be dropped."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Replay:
    """Send live messages that were buffered with a read."""

    frames: Sequence[Frame]


@dataclass(frozen=True, slots=True)
class Revoke:
    """Send a revocation."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the asker of a `Show` how it was answered."""

    answered: Callable[[Answer], None]
    answer: Answer


Effect = (
    EnterRoom | LeaveRoom | Read | ReadWhenCaughtUp | ReadLater | SendState | Send | Replay | Revoke | Report
)  # fmt: skip

Outcome = tuple[State, Sequence[Effect]]
Table = Mapping[State, Mapping[type[Event], frozenset[State]]]


def states(*allowed: State) -> frozenset[State]:
    return frozenset(allowed)


class ImpossibleEvent(RuntimeError):
    """An event came to a subscription in a state in which it cannot happen."""


R = TypeVar("R", bound=Request)


class Subscription(ABC, Generic[R]):
    """What is common to both machines: the state, the unanswered requests, and how an event is handled.

    `requests` are in the order in which they were made. `member`: the listener gets live messages once its
    requests are answered. `room` is where it gets them, while it is LIVE.
    """

    __slots__ = ("listener", "member", "requests", "room", "state")

    TABLE: ClassVar[Table]

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.state = State.ABSENT
        self.requests: tuple[R, ...] = ()
        self.member = False
        self.room: Room | Group | None = None

    def handle(self, event: Event) -> Sequence[Effect]:
        """Move to the next state; return what has to be done, in this order. Raises ImpossibleEvent."""
        allowed = self.TABLE[self.state].get(type(event))
        if allowed is None:
            raise ImpossibleEvent(f"{type(event).__name__} while {self.state.name}")
        state, effects = self._react(event)
        assert state in allowed, f"{type(event).__name__}: {self.state.name} to {state.name}"
        self.state = state
        return effects

    @abstractmethod
    def _react(self, event: Event) -> Outcome: ...

    def _leave_room(self) -> list[Effect]:
        room, self.room = self.room, None
        return [LeaveRoom(room)] if room is not None else []

    def _enter_room(self, room: Room | Group) -> Outcome:
        self.room = room
        return State.LIVE, [EnterRoom(room)]

    def _add(self, request: R) -> None:
        self.requests = (*self.requests, request)

    def _withdraw(self, ended: Sequence[R]) -> None:
        for request in ended:
            request.end()
        self.requests = tuple(request for request in self.requests if request.active)

    def _read_postponed(self) -> list[Effect]:
        """Read the states again that found no room."""
        effects: list[Effect] = []
        for request in self.requests:
            if request.postponed:
                request.resume()
                effects.append(Read(request))
        return effects
