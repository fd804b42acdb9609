"""The rooms that are wanted, and to which join each frame of one connection belongs. Pure.

Rules of this file:

- What is wanted outlives a connection, what was asked of one dies with it.
- Each call to join a room is a want of its own, with the view that shows it. A connection is a member of a room
  for the latest want whose join was answered: a state whose `replyTo` is that request begins a membership, and
  every other frame of the room belongs to the membership in force (PROTOCOL.md 6), also the state of an older join
  that the relay answered later. `task:left`, `task:deleted`, `task:revoked` and `error forbidden` end one.
- A frame counts where its membership is that of the latest want. Once a newer join is wanted, sent or not, the
  answer to that one covers whatever still comes for the older: no position moves by it, no view changes. Only
  the end of the older membership counts: what it showed may not be shown any longer.
- A request that is refused as a whole is halved and asked again, until the one that spoils it stands alone.
- What the relay had no time for is asked again, a join and a leave alike, unless it is not wanted any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from relay.client.endings import seconds
from relay.client.items import Message, Position, Room
from relay.client.live import TaskList, Timeline
from relay.protocol.types import MAX_BATCH, ErrorCode, Kind
from relay.protocol.types import Request as RequestType

REQUEST_BYTES_DEFAULT = 65_536  # the largest frame we send, until a `welcome` says otherwise
_ENVELOPE_BYTES = 128  # what surrounds the entries of a join: type, id, brackets
TASKS_PER_REQUEST, LISTED_PER_REQUEST = 10, 500  # reading this many costs one request (PROTOCOL.md 4)


@dataclass(slots=True, eq=False)
class WantedTask:
    """One call to join a task. `position`: where the next join continues, None from the start."""

    view: Timeline
    position: Position | None = None


@dataclass(slots=True, eq=False)
class WantedList:
    """One call to join the dashboard."""

    view: TaskList
    limit: int


Want = WantedTask | WantedList


@dataclass(slots=True)
class Wanted:
    """What the user of a client asked for last: the list and tasks."""

    dashboard: WantedList | None = None
    tasks: dict[str, WantedTask] = field(default_factory=dict)

    def get(self, room: Room) -> Want | None:
        return self.dashboard if room is None else self.tasks.get(room)

    def lose(self, room: Room) -> None:
        if room is None:
            self.dashboard = None
        else:
            self.tasks.pop(room, None)


@dataclass(frozen=True, slots=True)
class Request:
    """A frame to send, and how many of the allowed requests it counts as."""

    frame: str
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Call `retry` later: not before `wait_s` seconds, if the relay named a time. `troubles` is the number of
    failed rounds in a row before this one."""

    wait_s: float | None
    troubles: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What a message means. `view`: whose it is, None where no view may change by it. `effect`: the view begins
    with an answer that continued from `position`, shows the message, drops what it holds until the answer on
    its way, or ends with the code of the error. `ask`: there may be something to ask at once."""

    view: Timeline | TaskList | None = None
    effect: Literal["begin", "show", "clear", "end"] = "show"
    position: Position | None = None
    ask: bool = False
    retry: Retry | None = None


NOTHING = Noted()


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A join that was sent, and once it is answered the membership that came of it."""

    request: str
    want: Want
    number: int  # of the request
    alone: bool = True  # was it the only one of its request?
    position: Position | None = None


class Membership:
    """What one connection was asked for, kept equal to what is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._asked: dict[Room, Want] = {}  # the want that was asked for last
        self._joining: dict[Room, list[Join]] = {}  # without an answer, in the order they were sent
        self._joined: dict[Room, Join] = {}  # the membership in force
        self._overtaken: dict[Room, set[str]] = {}  # older joins of it, answered after the one in force
        self._leaving: dict[Room, str] = {}  # the leave without an answer
        self._owed: dict[Room, None] = {}  # refused leaves, to be sent again where no join takes their place
        self._halves: deque[list[str]] = deque()  # tasks to be joined by a request of their own
        # What waits for `retry`: joins, and whether they go together again; leaves.
        self._refused: list[tuple[list[tuple[Room, Want]], bool]] = []
        self._refused_leaves: dict[Room, None] = {}
        self._sighted: set[str] = set()  # listed since their join was sent
        self._sent = 0  # requests so far; names the next one
        self._troubles = 0  # rounds of temporary errors in a row
        self.request_bytes = REQUEST_BYTES_DEFAULT

    def next_request(self) -> Request | None:
        """The next step from what was asked to what is wanted, which counts as asked from here on; None when
        there is nothing to ask."""
        for room in (*self._asked, *self._joined, *self._owed):
            if self._wanted.get(room) is None:
                return self._leave(room)
        if self._wanted.dashboard is not None and self._is_missing(None):
            return self._join_list(self._wanted.dashboard)
        while self._halves:
            if half := [task_id for task_id in self._halves.popleft() if self._is_missing(task_id)]:
                return self._join_tasks(half)
        missing = [task_id for task_id in self._wanted.tasks if self._is_missing(task_id)]
        return self._join_tasks(missing) if missing else None

    def retry(self) -> None:
        """The time has come to ask again for what the relay had no time for."""
        for refused, together in self._refused:
            again = [room for room, want in refused if self._asked.get(room) is want]
            for room in again:
                del self._asked[room]
            if together:
                self._halves.append([room for room in again if room is not None])
        self._owed |= self._refused_leaves
        self._refused, self._refused_leaves = [], {}

    def note(self, message: Message) -> Noted:
        """What this message means for the rooms and their views."""
        data = message.data
        task_id = data.get("taskId")
        match message.type:
            case Kind.TASK_STATE if isinstance(task_id, str):
                return self._note_state(task_id, message)
            case Kind.EVENT_ADDED | Kind.UPDATED if isinstance(task_id, str):
                return self._note_live(task_id, data)
            case Kind.DELETED | Kind.REVOKED if isinstance(task_id, str):
                return self._note_gone(task_id)
            case Kind.DASHBOARD_STATE:
                tasks = data.get("tasks")
                self._sight(tasks if isinstance(tasks, list) else [])
                return self._note_state(None, message)
            case Kind.LIST_UPDATED:
                self._sight([data] if data.get("change") == "upserted" else [])
                return self._note_live(None, data)
            case Kind.TASK_LEFT if isinstance(task_id, str):
                self._note_left(task_id, message.reply_to)
            case Kind.DASHBOARD_LEFT:
                self._note_left(None, message.reply_to)
            case Kind.ERROR if message.reply_to is not None:
                return self._note_error(message, message.reply_to)
        return NOTHING

    def _note_state(self, room: Room, message: Message) -> Noted:
        join = self._answered(room, message.reply_to)
        membership = self._joined.get(room)
        begins = join is not None and (membership is None or join.number > membership.number)
        if join is not None:
            self._troubles = 0
            if begins:
                membership = self._joined[room] = join
                self._overtaken.pop(room, None)
                self._owed.pop(room, None)
            else:  # what follows continues from this state
                self._overtaken.setdefault(room, set()).add(join.request)
        if membership is None or not (
            message.reply_to in (None, membership.request)
            or message.reply_to in self._overtaken.get(room, ())
        ):
            return NOTHING
        noted = self._note_live(room, message.data)
        if begins and noted.view is not None:
            return Noted(noted.view, "begin", membership.position)
        return noted

    def _note_live(self, room: Room, data: dict[str, Any]) -> Noted:
        membership = self._joined.get(room)
        if membership is None or membership.want is not self._wanted.get(room):
            return NOTHING
        next_, head = data.get("next"), data.get("head")
        if isinstance(membership.want, WantedTask) and isinstance(next_, int) and isinstance(head, str):
            membership.want.position = Position(next_, head)
        return Noted(membership.want.view)

    def _note_gone(self, room: Room) -> Noted:
        membership = self._joined.pop(room, None)
        self._owed.pop(room, None)
        if membership is None:
            return NOTHING  # of a membership that we have ended, or that is over
        want = self._wanted.get(room)
        if membership.want is want:
            self._asked.pop(room, None)
            self._wanted.lose(room)
            return Noted(membership.want.view)
        if want is not None and want.view is membership.want.view:
            if isinstance(want, WantedTask):
                want.position = None  # what stood before it is gone
            return Noted(want.view, "clear")
        return NOTHING

    def _answered(self, room: Room, request: str | None) -> Join | None:
        """The join of this room that this request was, which waits for its answer no more."""
        joins = self._joining.get(room, [])
        for place, join in enumerate(joins):
            if join.request == request:
                del joins[place]  # those before it may be answered after it
                if not joins:
                    del self._joining[room]
                return join
        return None

    def _note_left(self, room: Room, reply_to: str | None) -> None:
        if self._leaving.get(room) == reply_to:
            del self._leaving[room]

    def _note_error(self, message: Message, request: str) -> Noted:
        """A request that was not done is asked again where that helps, else it is no longer wanted."""
        code, task_id = message.data.get("code"), message.data.get("taskId")
        rooms = [room for room in self._joining if task_id is None or room == task_id]
        failed = {room: join for room in rooms if (join := self._answered(room, request)) is not None}
        leaves = dict.fromkeys(room for room, sent in self._leaving.items() if sent == request)
        for room in leaves:
            del self._leaving[room]
        # Who left or joined again meanwhile is served by the request that says so.
        current = {room: join.want for room, join in failed.items() if join.want is self._wanted.get(room)}
        as_a_whole = task_id is None and not all(join.alone for join in failed.values())
        full = code == ErrorCode.TOO_MANY_TASKS and not as_a_whole and self._has_leaves()
        if message.data.get("temporary") is True or full:
            return self._note_trouble(current, leaves, message, together=task_id is None)
        if as_a_whole:
            self._halve([room for room in current if room is not None])
            return Noted(ask=True)
        for room, want in current.items():
            return self._note_refusal(room, want, code)
        return NOTHING

    def _note_trouble(
        self, joins: dict[Room, Want], leaves: dict[Room, None], message: Message, *, together: bool
    ) -> Noted:
        if not joins and not leaves:
            return NOTHING
        if not self._refused and not self._refused_leaves:
            self._troubles += 1  # several errors before the next try are one trouble
        self._refused.append((list(joins.items()), together))
        self._refused_leaves |= leaves
        return Noted(retry=Retry(seconds(message.data.get("retryAfterMs")), self._troubles - 1))

    def _note_refusal(self, room: Room, want: Want, code: object) -> Noted:
        """The join of this room alone was refused for good."""
        if code == ErrorCode.FORBIDDEN and room in self._sighted:
            # It came into sight after that answer was decided: what the list showed is the newer truth.
            del self._asked[room]
            return Noted(ask=True)
        self._wanted.lose(room)
        if code == ErrorCode.FORBIDDEN:
            self._joined.pop(room, None)
            self._owed.pop(room, None)
        self._asked.pop(room, None)
        # After another error an older membership may still be in force: then there is a leave to be sent.
        return Noted(want.view, "end", ask=True)

    def _halve(self, task_ids: list[str]) -> None:
        for task_id in task_ids:
            del self._asked[task_id]
        middle = (len(task_ids) + 1) // 2
        self._halves += (task_ids[:middle], task_ids[middle:])

    def _sight(self, listed: Iterable[object]) -> None:
        for task in listed:
            if isinstance(task, dict) and task.get("taskId") in self._joining:
                self._sighted.add(task["taskId"])

    def _has_leaves(self) -> bool:
        """Are there rooms that the relay may still count, though we want to be out of them?"""
        there = (*self._asked, *self._joined, *self._owed, *self._refused_leaves)
        return bool(self._leaving) or any(self._wanted.get(room) is None for room in there)

    def _is_missing(self, room: Room) -> bool:
        want = self._wanted.get(room)
        return want is not None and self._asked.get(room) is not want

    def _leave(self, room: Room) -> Request:
        for rooms in (self._asked, self._joined, self._joining):
            rooms.pop(room, None)
        self._owed.pop(room, None)
        if room is None:
            request, frame = self._framed(RequestType.DASHBOARD_LEAVE, {})
        else:
            request, frame = self._framed(RequestType.TASK_LEAVE, {"taskId": room})
        self._leaving[room] = request
        return Request(frame)

    def _join_list(self, want: WantedList) -> Request:
        request, frame = self._framed(RequestType.DASHBOARD_JOIN, {"limit": want.limit})
        self._asked[None] = want
        self._joining.setdefault(None, []).append(Join(request, want, self._sent))
        return Request(frame, max(1.0, want.limit / LISTED_PER_REQUEST))

    def _join_tasks(self, task_ids: list[str]) -> Request:
        """Join as many of these as one frame may hold."""
        entries: list[dict[str, Any]] = []
        left_bytes = self.request_bytes - _ENVELOPE_BYTES
        for task_id in task_ids[:MAX_BATCH]:
            entry: dict[str, Any] = {"taskId": task_id}
            if (position := self._wanted.tasks[task_id].position) is not None:
                entry |= {"since": position.next, "head": position.head}
            left_bytes -= len(orjson.dumps(entry)) + 1
            if entries and left_bytes < 0:
                break
            entries.append(entry)
        request, frame = self._framed(RequestType.TASK_JOIN, {"tasks": entries})
        for entry in entries:
            task_id = entry["taskId"]
            want = self._asked[task_id] = self._wanted.tasks[task_id]
            self._joining.setdefault(task_id, []).append(
                Join(request, want, self._sent, len(entries) == 1, want.position)
            )
            self._sighted.discard(task_id)
        return Request(frame, 1 + (len(entries) - 1) / TASKS_PER_REQUEST)

    def _framed(self, kind: RequestType, data: dict[str, Any]) -> tuple[str, str]:
        self._sent += 1
        request = f"r{self._sent}"
        return request, orjson.dumps({"type": kind.value, "id": request, "data": data}).decode()
