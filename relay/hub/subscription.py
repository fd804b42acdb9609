"""A subscription as a state machine: its states, the events that move it, and the effects it asks for. Pure.

A subscription ties one listener (a connection) to one task (`task_subscription`) or to the list of tasks
(`list_subscription`). It is given each event once and returns effects, which `Driver` carries out in their order. It
never waits, reads or sends by itself, so every pair of state and event can be tested without a database.

Nouns: a state that is read or sent is a snapshot of a task's timeline or of the list (`task:state`, `dashboard:state`);
`State` is the state of the machine. A step is the result of translating one change: the messages about one task. A room
is the live subscribers of one task; a group is the live subscribers of the list with equal rights. Position S is the
cluster time up to which the relay has published every change.

Rules of this file: an event that `TABLE` does not list for the current state is a fault of the caller and raises an
exception; a handler returns the next state, which has to be one that `TABLE` allows; only a subscription writes its
fields and the fields of its requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, Literal

from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.registry import Group, Room
from relay.hub.request import R, Request
from relay.hub.snapshot import Pages, TaskState
from relay.protocol.frames import Frame


class State(Enum):
    """The state of a subscription: what its listener is sent about the subject, which is a task or the list."""

    ABSENT = "nothing: it is not subscribed"
    READING = "states that are being read for it; what is published meanwhile is buffered with the read"
    LIVE = "every message, as it is published"
    BEHIND = "nothing until its socket has drained: its live messages were dropped"


Answer = Literal["given", "forbidden", "unavailable"]


# Events.


@dataclass(frozen=True, slots=True)
class Join:
    """The client asks for a state (a snapshot of the task or list) and for the live messages that follow it.

    `pinned`: all live messages sent so far are certain to reach the client, so the state may continue from the last of
    them. It has a meaning only for a LIVE subscription. `caught_up`: the relay has published at least everything that
    the client has already been sent, also by another instance of the relay.
    """

    request: Request
    pinned: bool = False
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Show:
    """The client asks for a state (a snapshot of the task) once, and for no live messages.

    `pinned`: all live messages sent so far are certain to reach the client, so the state may continue from the last of
    them. It has a meaning only for a LIVE subscription.
    """

    request: Request
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class TaskRead:
    """The result of reading a task: `state` is the task as it was at the position of the read, and `since` has the
    steps (the messages of one change each) that were published for it after that position.

    `room` has the live subscribers of the task and their position now. `moved`: the read was repeated at a later
    position than it began with, and what was published between the two positions was not buffered.
    """

    state: TaskState
    since: Sequence[StepFrames]
    room: Room
    moved: bool = False


@dataclass(frozen=True, slots=True)
class ListRead:
    """The result of reading the list for a group (listeners with equal rights).

    `pages` are the list as it was at the position of the read. `since` has the frames that were published to the group
    after that position; a frame that is a lifecycle message is paired with its step, any other frame with None. `room`
    is the group.
    """

    pages: Pages
    since: Sequence[tuple[Frame, StepFrames | None]]
    room: Group


@dataclass(frozen=True, slots=True)
class ReadGiven:
    """A read found the state that the request asks for. `has_room`: the queue of the connection accepts another state
    now."""

    request: Request
    read: TaskRead | ListRead
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class ReadForbidden:
    """A read found no task that the listener may see. `exists`: the task exists, but only others may see it."""

    request: Request
    exists: bool


@dataclass(frozen=True, slots=True)
class ReadUnavailable:
    """The read for this request failed, because the database did not answer or the data could not be read."""

    request: Request


@dataclass(frozen=True, slots=True)
class Revoked:
    """A change made the task invisible to the listener. `frame` is the revocation to send, which tells the client."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Deleted:
    """A change deleted the task. `frame` is the message to send, which tells the client."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The timeline was rewritten: the client is sent one full state (a snapshot) instead of the individual rewrites.

    `pinned`: all live messages sent so far are certain to reach the client. It has a meaning only for a LIVE
    subscription.
    """

    pinned: bool = False


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The relay lost its position in the change stream, so it does not know which changes happened until now.

    `pinned`: all live messages sent so far are certain to reach the client. It has a meaning only for a LIVE
    subscription.
    """

    pinned: bool = False


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """The rights of the listener have changed; the listener holds the new rights already."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The socket accepts no more data for now. Everything sent to the listener before this event will reach the
    client."""


@dataclass(frozen=True, slots=True)
class Lagged:
    """Live messages to the listener were dropped. `since_pause`: the dropped messages are those sent since the event
    `Paused`; otherwise it is unknown which of the live messages were dropped."""

    since_pause: bool


@dataclass(frozen=True, slots=True)
class Drained:
    """The socket has accepted everything that was queued for it."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The client ends its subscription. `closed`: its connection is gone, so that no pending request needs an answer
    either."""

    closed: bool = False


Event = (
    Join | Show | ReadGiven | ReadForbidden | ReadUnavailable | Revoked | Deleted | Rewritten | StreamLost
    | RightsChanged | Paused | Lagged | Drained | Leave
)  # fmt: skip


# Effects.


@dataclass(frozen=True, slots=True)
class EnterRoom:
    """Add the listener to this room (live subscribers of a task) or group (live subscribers of the list), so that it is
    sent live messages from now on."""

    room: Room | Group


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Remove the listener from this room (live subscribers of a task) or group (live subscribers of the list), so that
    it is sent no more live messages from there."""

    room: Room | Group


@dataclass(frozen=True, slots=True)
class Read:
    """Read a state (a snapshot) for this request at the current position S, up to which every change has been
    published."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadWhenCaughtUp:
    """Read a state (a snapshot) for this request once the relay has published every change that the database holds now,
    or has waited for that as long as it may."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadLater:
    """Read a state (a snapshot) for this request after a pause, because the last read failed and another one at once
    would fail too."""

    request: Request


@dataclass(frozen=True, slots=True)
class SendState:
    """Send the pages of a state (a snapshot) as the answer to the request `reply_to`; None if no client asked for
    it."""

    pages: Pages
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame that must not be dropped, such as an error."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Replay:
    """Send the live messages that were buffered while a state was being read."""

    frames: Sequence[Frame]


@dataclass(frozen=True, slots=True)
class Revoke:
    """Send a revocation: the frame that tells the client that the task was deleted or that it may no longer see the
    task."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Report:
    """Call `answered` with `answer`: it tells the caller of `Hub.show_task` how the request ended."""

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
    """A subscription was given an event that cannot happen in its current state: the caller has a fault."""


class Subscription(ABC, Generic[R]):
    """The common part of the two kinds of subscriptions: the state, the unanswered requests, and the handling of
    events.

    `requests` are in the order in which they were made. `room` is the room (subscribers of a task) or group
    (subscribers of the list) in which the listener is sent live messages; None unless the state is LIVE.
    """

    __slots__ = ("listener", "requests", "room", "state")

    TABLE: ClassVar[Table]

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.state = State.ABSENT
        self.requests: tuple[R, ...] = ()
        self.room: Room | Group | None = None

    def handle(self, event: Event) -> Sequence[Effect]:
        """Move to the state that follows this event, and return the effects that have to be carried out, in this order.

        Raises ImpossibleEvent if `TABLE` does not allow the event in the current state.
        """
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
        """Return the effects that repeat the reads whose states found no room in the queue of the connection."""
        effects: list[Effect] = []
        for request in self.requests:
            if request.postponed:
                request.resume()
                effects.append(Read(request))
        return effects
