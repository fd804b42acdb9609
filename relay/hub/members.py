"""Who listens, and what they wait for: the records that `hub` and `joining` keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bson import Timestamp

from relay.hub.messages import StepFrames
from relay.hub.snapshot import Pages, Progress
from relay.protocol.frames import Batch, Frame
from relay.tasks.translate import Keys

Answer = Literal["given", "forbidden", "unavailable"]


class Receiver(Protocol):
    """What takes a listener's frames. None of its methods waits."""

    def send(self, batch: Batch) -> None:
        """Queue live messages, which may be dropped: a state can replace them."""

    def answer(self, frame: Frame) -> None:
        """Queue a frame that was asked for, or that must not be dropped."""

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue a state of about `size` bytes, whose pages are made as they are taken."""

    def pin(self) -> bool:
        """Drop nothing of what is queued now: a state that follows continues from it. False if live messages were
        dropped before, of which `Joining.lag` is still to be told."""

    def has_room(self) -> bool:
        """May another state be queued? If not, `Joining.catch_up` is called when it may."""


class Listener:
    """One connection as the hub sees it: what it may see, where it sits, how to reach it."""

    __slots__ = (
        "behind",
        "dashboard",
        "dashboard_behind",
        "dashboard_joins",
        "delivered",
        "filter",
        "keys",
        "lagging",
        "limit",
        "pending",
        "postponed",
        "receiver",
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
        receiver: Receiver,
    ) -> None:
        self.keys = keys
        self.filter = filter  # makes the Mongo filter that agrees with the keys: few need it
        self.user = user
        self.receiver = receiver
        self.send = receiver.send  # at hand, because it is called once for each delivery
        self.rooms: set[bytes] = set()  # keys of the tasks it is served live
        self.dashboard: Group | None = None
        self.dashboard_joins: list[DashboardJoiner] = []  # requests for its list not answered yet
        self.limit = 0  # of its dashboard's state
        self.pending: dict[str, Pending] = {}  # requests for states not answered yet, by taskId
        # How far it had been told of each of its tasks when its socket took no more.
        self.delivered: dict[bytes, Progress] = {}
        self.lagging = False  # too much waits for it: it is served nothing live until it has caught up
        self.behind: dict[
            str, Progress | None
        ] = {}  # the tasks that wait for that, from where it was told to
        self.dashboard_behind = False
        # Requests whose states found no room in the receiver: they are read again when it has room.
        self.postponed: list[Joiner | DashboardJoiner] = []

    def answer(self, frame: Frame) -> None:
        """Send a frame that was asked for, or that must not be dropped."""
        self.receiver.answer(frame)

    def answer_state(self, pages: Pages, reply_to: str | None) -> None:
        """Send a state in answer to the request `reply_to`, or to none."""
        if pages.fit_one:  # with whatever else is queued it leaves in one write
            self.receiver.answer(next(iter(pages)).with_reply_to(reply_to))
        else:
            self.receiver.answer_pages((page.with_reply_to(reply_to) for page in pages), pages.size)

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
    caught_up: bool = False  # the relay has come as far as the database was when it asked


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
    joiners: list[Joiner] = field(default_factory=list)
    since: list[StepFrames] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class TaskBatch:
    """Tasks that one user asked for at once, read together at `position`; `readings` are those left.

    Only documents are read that somebody with one of the rights in `rights` may see: what is forbidden must
    cost no more than what does not exist.
    """

    user: str
    position: Timestamp
    moved: bool = False  # to a later position than it began with: what was published between is not held
    readings: list[TaskReading] = field(default_factory=list)
    rights: set[Keys] = field(default_factory=set)  # of those who had asked when it was read

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
    limit: int
    reply_to: str | None
    healing: bool
    stay: bool = True
    active: bool = True


@dataclass(eq=False, slots=True)
class DashboardReading:
    """A read of what a group may see in flight at `position`, shared by all who join while the list is as it
    was then. Later ones share a later read: so however often a list changes, and however many ask for it, few
    reads of it are in flight."""

    position: Timestamp
    limit: int
    outdated: bool = False  # the list is another one by now
    joiners: list[DashboardJoiner] = field(default_factory=list)
    next_joiners: list[DashboardJoiner] = field(default_factory=list)  # who came when it was outdated
    since: list[tuple[Frame, StepFrames | None]] = field(default_factory=list)  # the step of a lifecycle

    def move(self, position: Timestamp) -> None:
        """Read again, at a later position."""
        self.position = position
        self.outdated = False
        self.since.clear()


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
