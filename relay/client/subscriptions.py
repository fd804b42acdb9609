"""The wanted list and tasks, and the join that each frame of one connection belongs to. Pure.

Rules of this file:

- A `Want` is one call to join the list or a task, with the view that shows the result. Wants outlive a connection;
  requests and subscriptions end with it.
- A state whose `replyTo` is the request of a join begins the subscription of that join. Every other frame of the
  list or task belongs to the subscription in force (PROTOCOL.md 6), including the state of an older join that the
  relay answered later. `task:left`, `task:deleted`, `task:revoked` and `error forbidden` end a subscription.
- A frame takes effect only if its subscription is that of the latest want. Once there is a newer want, sent or not,
  the answer to its join will replace everything that still arrives for the older one, so older frames move no position
  and change no view. The end of the older subscription does count: what it showed may not be shown any longer.
- If the relay refuses a request with several tasks as a whole, the request is halved and sent again, until the task
  that causes the refusal is alone.
- A join or leave with a temporary error is sent again, unless it is no longer wanted. A leave that was refused has
  withdrawn no join: the relay still answers the joins sent before it.
- What does not continue the events received so far changes nothing: the task is joined again (PROTOCOL.md 6.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from relay.client.close_codes import seconds
from relay.client.events import Message, Position, Room
from relay.client.views import TaskList, Timeline
from relay.protocol.types import MAX_BATCH, ErrorCode, Kind
from relay.protocol.types import Request as RequestType

REQUEST_BYTES_DEFAULT = 65_536  # largest frame we send, used when `welcome` names no limit
_ENVELOPE_BYTES = 128  # allowance for the rest of a join request: type, id, brackets
TASKS_PER_REQUEST, LISTED_PER_REQUEST = 10, 500  # joining this many counts as one request (PROTOCOL.md 4)


@dataclass(slots=True, eq=False)
class WantedTask:
    """One call to join a task. `position` is where its next join request continues; None: from the start."""

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
    """The list and the tasks that the application has joined and not left."""

    dashboard: WantedList | None = None
    tasks: dict[str, WantedTask] = field(default_factory=dict)

    def get(self, room: Room) -> Want | None:
        """Return the latest want of the list (None) or a task, None if it is not wanted."""
        return self.dashboard if room is None else self.tasks.get(room)

    def remove(self, room: Room) -> None:
        """Stop wanting the list (None) or a task."""
        if room is None:
            self.dashboard = None
        else:
            self.tasks.pop(room, None)


@dataclass(frozen=True, slots=True)
class Request:
    """A frame to send. `cost` is the number of requests it counts as in the relay's rate limit."""

    frame: str
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Asks the caller to call `retry` later.

    `wait_s` is the shortest delay in seconds, None if the relay named none. `failed_rounds` counts the rounds with
    temporary errors in a row before this one. It does not count requests that only came too fast: they succeed after
    the delay, unless another client of the same user is faster, and whoever waits longer each time never succeeds.
    """

    wait_s: float | None
    failed_rounds: int | None  # None: the requests came too fast, and nothing has failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message changes.

    `view`: the view to update, None if none may change. `effect`: "begin": the message answers a join that continued
    from `position`; "show": apply the message; "clear": show nothing until the next answer; "end": end with the code of
    the error. `ask`: call `next_request`, there may be a request to send. `retry`: call `retry` later.
    """

    view: Timeline | TaskList | None = None
    effect: Literal["begin", "show", "clear", "end"] = "show"
    position: Position | None = None
    ask: bool = False
    retry: Retry | None = None


NO_EFFECT = Outcome()


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A join request for one task or the list, and after its answer the subscription that it began."""

    request: str  # the request's id
    want: Want
    number: int  # the request's serial number on this connection
    alone: bool = True  # whether the request joined nothing else
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """A leave request without an answer, and the joins that had no answer when it was sent. The relay answers them only
    if it refuses the leave."""

    request: str
    joins: list[Join]


class Subscriptions:
    """The requests and subscriptions of one connection, and the requests that are missing for what is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._asked: dict[Room, Want] = {}  # the want of the latest request
        self._joining: dict[Room, list[Join]] = {}  # joins without an answer, in the order sent
        self._joined: dict[Room, Join] = {}  # the subscription in force
        self._late_joins: dict[Room, set[str]] = {}  # ids of older joins answered after the one in force
        self._leaving: dict[Room, Leave] = {}  # the latest leave without an answer
        self._leaves_to_repeat: dict[
            Room, None
        ] = {}  # refused leaves to send again unless a join replaces them
        self._halves: deque[list[str]] = deque()  # tasks to join by a separate request
        # Joins (with: were they refused as one request?) and leaves that wait for `retry`.
        self._refused: list[tuple[list[tuple[Room, Want]], bool]] = []
        self._refused_leaves: dict[Room, None] = {}
        self._listed: set[str] = set()  # tasks that the list has shown since their join was sent
        self._sent = 0  # number of requests so far, from which the next id is made
        self._failed_rounds = 0  # rounds of temporary errors in a row
        self.request_bytes = REQUEST_BYTES_DEFAULT

    def next_request(self) -> Request | None:
        """Return the next request needed to subscribe to what is wanted, None if there is none.

        The request counts as sent from here on, so the caller must send it.
        """
        for room in (*self._asked, *self._joined, *self._leaves_to_repeat):
            if self._wanted.get(room) is None and room not in self._refused_leaves:
                return self._leave(room)
        if self._wanted.dashboard is not None and self._is_missing(None):
            return self._join_list(self._wanted.dashboard)
        while self._halves:
            if half := [task_id for task_id in self._halves.popleft() if self._is_missing(task_id)]:
                return self._join_tasks(half)
        missing = [task_id for task_id in self._wanted.tasks if self._is_missing(task_id)]
        return self._join_tasks(missing) if missing else None

    def retry(self) -> None:
        """Make the requests that had a temporary error due again. `next_request` returns them."""
        for refused, together in self._refused:
            again = [room for room, want in refused if self._asked.get(room) is want]
            for room in again:
                del self._asked[room]
            if together:
                self._halves.append([room for room in again if room is not None])
        self._leaves_to_repeat |= self._refused_leaves
        self._refused, self._refused_leaves = [], {}

    def receive(self, message: Message) -> Outcome:
        """Process a received message. Return what it changes for the views and what to send next."""
        data = message.data
        task_id = data.get("taskId")
        match message.type:
            case Kind.TASK_STATE if isinstance(task_id, str):
                return self._on_state(task_id, message)
            case Kind.EVENT_ADDED if isinstance(task_id, str):
                return self._on_live(task_id, data, continues=lambda held: data.get("index") == held)
            case Kind.UPDATED if isinstance(task_id, str):
                return self._on_live(task_id, data)
            case Kind.DELETED | Kind.REVOKED if isinstance(task_id, str):
                return self._on_gone(task_id)
            case Kind.DASHBOARD_STATE:
                tasks = data.get("tasks")
                self._note_listed(tasks if isinstance(tasks, list) else [])
                return self._on_state(None, message)
            case Kind.LIST_UPDATED:
                self._note_listed([data] if data.get("change") == "upserted" else [])
                return self._on_live(None, data)
            case Kind.TASK_LEFT if isinstance(task_id, str):
                self._on_left(task_id, message.reply_to)
            case Kind.DASHBOARD_LEFT:
                self._on_left(None, message.reply_to)
            case Kind.ERROR if message.reply_to is not None:
                return self._on_error(message, message.reply_to)
        return NO_EFFECT

    def _on_state(self, room: Room, message: Message) -> Outcome:
        join = self._take_join(room, message.reply_to)
        subscription = self._joined.get(room)
        begins = join is not None and (subscription is None or join.number > subscription.number)
        if join is not None:
            self._failed_rounds = 0
            if begins:
                subscription = self._joined[room] = join
                self._late_joins.pop(room, None)
                self._leaves_to_repeat.pop(room, None)
            else:  # an older join, answered late: later frames continue from this state
                self._late_joins.setdefault(room, set()).add(join.request)
        if subscription is None or not (
            message.reply_to in (None, subscription.request)
            or message.reply_to in self._late_joins.get(room, ())
        ):
            return NO_EFFECT
        start = message.data.get("from")
        outcome = self._on_live(
            room, message.data, continues=lambda held: not isinstance(start, int) or start <= held
        )
        if begins and outcome.view is not None:
            return Outcome(outcome.view, "begin", subscription.position)
        return outcome

    def _on_live(
        self, room: Room, data: dict[str, Any], continues: Callable[[int], bool] = lambda _held: True
    ) -> Outcome:
        """Process a frame of the subscription in force. `continues` says whether it continues this number of events."""
        subscription = self._joined.get(room)
        if subscription is None or subscription.want is not self._wanted.get(room):
            return NO_EFFECT
        want = subscription.want
        if isinstance(want, WantedTask):
            if room is not None and not continues(0 if want.position is None else want.position.next):
                return self._start_over(room, want, keep_position="index" in data)
            next_, head = data.get("next"), data.get("head")
            if isinstance(next_, int) and isinstance(head, str):
                want.position = Position(next_, head)
        return Outcome(want.view)

    def _start_over(self, task_id: str, want: WantedTask, *, keep_position: bool) -> Outcome:
        """Join a task again, because a frame was lost or came twice: from its position, or, where a state does not
        continue from that, from the beginning."""
        position = want.position if keep_position else None
        want.view.ask(position)
        self._wanted.tasks[task_id] = WantedTask(want.view, position)
        return Outcome(ask=True)

    def _on_gone(self, room: Room) -> Outcome:
        subscription = self._joined.pop(room, None)
        self._leaves_to_repeat.pop(room, None)
        if subscription is None:
            return NO_EFFECT  # it belongs to a subscription that has ended
        want = self._wanted.get(room)
        if subscription.want is want:
            self._asked.pop(room, None)
            self._wanted.remove(room)
            return Outcome(subscription.want.view)
        if want is not None and want.view is subscription.want.view:
            if isinstance(want, WantedTask):
                want.position = None  # the events before it are gone
            return Outcome(want.view, "clear")
        return NO_EFFECT

    def _take_join(self, room: Room, request: str | None) -> Join | None:
        """Remove and return the join that this request id belongs to, None if no such join waits for an answer."""
        joins = self._joining.get(room, [])
        for index, join in enumerate(joins):
            if join.request == request:
                del joins[index]  # earlier joins may be answered after this one
                if not joins:
                    del self._joining[room]
                return join
        return None

    def _on_left(self, room: Room, reply_to: str | None) -> None:
        leave = self._leaving.get(room)
        if leave is not None and leave.request == reply_to:
            del self._leaving[room]

    def _on_error(self, message: Message, request: str) -> Outcome:
        """Process an error that answers a request: send the request again if that helps, else stop wanting it."""
        code, task_id = message.data.get("code"), message.data.get("taskId")
        rooms = [room for room in self._joining if task_id is None or room == task_id]
        failed = {room: join for room in rooms if (join := self._take_join(room, request)) is not None}
        leaves = dict.fromkeys(room for room, leave in self._leaving.items() if leave.request == request)
        for room in leaves:
            # The relay has these joins still, and may answer them after a newer one: live messages continue from there.
            if earlier := self._leaving.pop(room).joins:
                self._joining[room] = [*earlier, *self._joining.get(room, ())]
        # What was left or joined again meanwhile has a newer request of its own.
        current = {room: join.want for room, join in failed.items() if join.want is self._wanted.get(room)}
        as_a_whole = task_id is None and not all(join.alone for join in failed.values())
        full = code == ErrorCode.TOO_MANY_TASKS and not as_a_whole and self._has_leaves()
        if message.data.get("temporary") is True or full:
            return self._on_temporary_error(current, leaves, message, together=task_id is None)
        if as_a_whole:
            self._halve([room for room in current if room is not None])
            return Outcome(ask=True)
        for room, want in current.items():
            return self._on_refusal(room, want, code)
        return NO_EFFECT

    def _on_temporary_error(
        self, joins: dict[Room, Want], leaves: dict[Room, None], message: Message, *, together: bool
    ) -> Outcome:
        if not joins and not leaves:
            return NO_EFFECT
        wait_s = seconds(message.data.get("retryAfterMs"))
        is_first = not self._refused and not self._refused_leaves
        self._refused.append((list(joins.items()), together))
        self._refused_leaves |= leaves
        if message.data.get("code") == ErrorCode.RATE_LIMITED and wait_s is not None:
            return Outcome(retry=Retry(wait_s, None))
        if is_first:
            self._failed_rounds += 1  # several errors before the next retry count as one round
        return Outcome(retry=Retry(wait_s, max(0, self._failed_rounds - 1)))

    def _on_refusal(self, room: Room, want: Want, code: object) -> Outcome:
        """Process the permanent refusal of one join, which was alone in its request or named by the error."""
        if code == ErrorCode.FORBIDDEN and room in self._listed:
            # The list has shown the task since the join was sent, so the refusal is outdated: join again.
            del self._asked[room]
            return Outcome(ask=True)
        self._wanted.remove(room)
        if code == ErrorCode.FORBIDDEN:
            self._joined.pop(room, None)
            self._leaves_to_repeat.pop(room, None)
        self._asked.pop(room, None)
        # After an error other than `forbidden` an older subscription may still be in force: then send a leave.
        return Outcome(want.view, "end", ask=True)

    def _halve(self, task_ids: list[str]) -> None:
        """Join these tasks again in two requests."""
        for task_id in task_ids:
            del self._asked[task_id]
        middle = (len(task_ids) + 1) // 2
        self._halves += (task_ids[:middle], task_ids[middle:])

    def _note_listed(self, listed: Iterable[object]) -> None:
        """Note which of the listed tasks have a join without an answer."""
        for task in listed:
            if isinstance(task, dict) and task.get("taskId") in self._joining:
                self._listed.add(task["taskId"])

    def _has_leaves(self) -> bool:
        """Whether the relay may still count subscriptions that are no longer wanted."""
        there = (*self._asked, *self._joined, *self._leaves_to_repeat, *self._refused_leaves)
        return bool(self._leaving) or any(self._wanted.get(room) is None for room in there)

    def _is_missing(self, room: Room) -> bool:
        want = self._wanted.get(room)
        return want is not None and self._asked.get(room) is not want

    def _leave(self, room: Room) -> Request:
        joins = self._joining.pop(room, [])
        if (earlier := self._leaving.get(room)) is not None:  # it may be refused too
            joins = [*earlier.joins, *joins]
        for rooms in (self._asked, self._joined):
            rooms.pop(room, None)
        self._leaves_to_repeat.pop(room, None)
        if room is None:
            request, frame = self._encode(RequestType.DASHBOARD_LEAVE, {})
        else:
            request, frame = self._encode(RequestType.TASK_LEAVE, {"taskId": room})
        self._leaving[room] = Leave(request, joins)
        return Request(frame)

    def _join_list(self, want: WantedList) -> Request:
        request, frame = self._encode(RequestType.DASHBOARD_JOIN, {"limit": want.limit})
        self._asked[None] = want
        self._joining.setdefault(None, []).append(Join(request, want, self._sent))
        return Request(frame, max(1.0, want.limit / LISTED_PER_REQUEST))

    def _join_tasks(self, task_ids: list[str]) -> Request:
        """Make a request that joins as many of these tasks as one frame may contain, in their order."""
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
        request, frame = self._encode(RequestType.TASK_JOIN, {"tasks": entries})
        for entry in entries:
            task_id = entry["taskId"]
            want = self._asked[task_id] = self._wanted.tasks[task_id]
            self._joining.setdefault(task_id, []).append(
                Join(request, want, self._sent, len(entries) == 1, want.position)
            )
            self._listed.discard(task_id)
        return Request(frame, 1 + (len(entries) - 1) / TASKS_PER_REQUEST)

    def _encode(self, kind: RequestType, data: dict[str, Any]) -> tuple[str, str]:
        self._sent += 1
        request = f"r{self._sent}"
        return request, orjson.dumps({"type": kind.value, "id": request, "data": data}).decode()
