"""Who listens, and what they wait for: the records that `hub` and `joining` keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bson import Timestamp

from relay.hub.frames import StepFrames
from relay.hub.states import Progress
from relay.tasks.translate import Keys

Answer = Literal["given", "forbidden", "unavailable"]


class Listener:
    """One connection as the hub sees it: what it may see, where it sits, how to reach it.

    `send` queues ready-made frames of the live delivery, which a state can replace; `answer` one that was
    asked for, or that must not be dropped: neither waits.
    """

    __slots__ = (
        "answer",
        "behind",
        "dashboard",
        "dashboard_behind",
        "delivered",
        "filter",
        "keys",
        "lagging",
        "limit",
        "pending",
        "rooms",
        "send",
        "user",
    )

    def __init__(
        self,
        keys: Keys,
        filter: Callable[[], dict[str, Any]],
        *,
        user: str,
        send: Callable[[Sequence[bytes]], None],
        answer: Callable[[bytes], None],
    ) -> None:
        self.keys = keys
        self.filter = filter  # makes the Mongo filter that agrees with the keys: few need it
        self.user = user
        self.send = send
        self.answer = answer
        self.rooms: set[bytes] = set()  # keys of the tasks it is served live
        self.dashboard: Group | None = None
        self.limit = 0  # of its dashboard's state
        self.pending: dict[str, Pending] = {}  # requests for states not answered yet, by taskId
        # How far it had been told of each of its tasks when its socket took no more.
        self.delivered: dict[bytes, Progress] = {}
        self.lagging = False  # too much waits for it: it is served nothing live until it has caught up
        self.behind: dict[
            str, Progress | None
        ] = {}  # the tasks that wait for that, from where it was told to
        self.dashboard_behind = False

    def may_see(self, keys: Keys) -> bool:
        return not self.keys.isdisjoint(keys)


@dataclass(eq=False, slots=True)
class Joiner:
    """One request for a task's state.

    `joins`: it asks to be served live from there on. `answered`, if there is one, hears how it ended
    instead of the listener. `healing`: nobody asked, the relay itself lost its place.
    """

    listener: Listener
    task_id: str
    since: int | None
    head: str | None
    reply_to: str | None
    joins: bool
    answered: Callable[[Answer], None] | None = None
    healing: bool = False
    active: bool = True


@dataclass(eq=False, slots=True)
class Pending:
    """A listener's unanswered requests for one task. While there are any it is served nothing live of
    it; the last one to be answered gives what was held.

    `inside`: it has been told, or will have been told by then, that it is in the room. `was_at`: how
    far it had been told when it was held, where no answer has moved it since.
    """

    inside: bool = False
    was_at: Progress | None = None
    joiners: list[Joiner] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class TaskReading:
    """A read of one task in flight; `since` holds the steps published after the position it is read at, under
    whichever of the keys its taskId may stand for. It is shared by all who join while there are none."""

    task_id: str
    keys: tuple[bytes, ...]
    batch: TaskBatch
    caught_up: bool = False  # read at or after the moment its requests arrived
    joiners: list[Joiner] = field(default_factory=list)
    since: list[StepFrames] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class TaskBatch:
    """Tasks that one user asked for at once, read together at `position`; `readings` are those left."""

    user: str
    position: Timestamp
    moved: bool = False  # to a later position than it began with: what was published between is not held
    readings: list[TaskReading] = field(default_factory=list)

    @property
    def joiners(self) -> Iterator[Joiner]:
        return (joiner for reading in self.readings for joiner in reading.joiners)

    def move(self, position: Timestamp) -> None:
        """Read again, at a later position."""
        self.position, self.moved = position, True
        for reading in self.readings:
            reading.since.clear()


@dataclass(eq=False, slots=True)
class DashboardJoiner:
    """One request for a dashboard's state; `healing` as in `Joiner`. Without `stay` a later request is
    the one that is served live."""

    listener: Listener
    reply_to: str | None
    healing: bool
    held: int  # how many frames the reading had held when this one came
    stay: bool = True


@dataclass(eq=False, slots=True)
class DashboardReading:
    """A read of what a group may see in flight at `position`, shared by all who join meanwhile."""

    position: Timestamp
    limit: int
    joiners: list[DashboardJoiner] = field(default_factory=list)
    since: list[tuple[bytes, StepFrames | None]] = field(default_factory=list)  # the step of a lifecycle

    def move(self, position: Timestamp) -> None:
        """Read again, at a later position."""
        self.position = position
        self.since.clear()
        for joiner in self.joiners:
            joiner.held = 0


@dataclass(eq=False, slots=True)
class Room:
    """The listeners of one task that are served live, and how far they have been told.

    `stale`: the timeline was rewritten and they were not told: until a state is read for them, they are
    told nothing of it. `rewritten_at`: when they were last given a state unasked, by the loop's time.
    """

    key: bytes
    id: str
    keys: Keys  # who may see the task now
    progress: Progress
    rewritten_at: float
    live: set[Listener] = field(default_factory=set)
    stale: bool = False


@dataclass(eq=False, slots=True)
class Group:
    """The dashboards of all who may see the same."""

    keys: Keys
    filter: dict[str, Any]
    live: set[Listener] = field(default_factory=set)
    readings: list[DashboardReading] = field(default_factory=list)
