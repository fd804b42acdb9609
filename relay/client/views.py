"""Views of the list and of a task, updated by the messages that were iterated over. Pure.

Rules of this file: a view shows exactly the messages iterated over so far; the application reads a view and never
modifies it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, cast

from relay.client.events import Message, Position
from relay.protocol.types import Event, Kind, TaskSummary

# The codes of `ErrorCode` as a type. A newer relay may refuse a join with another code.
ErrorState = Literal[
    "bad_message",
    "unknown_type",
    "bad_request",
    "forbidden",
    "rate_limited",
    "too_many_tasks",
    "feature_disabled",
    "unavailable",
    "internal",
]
ListState = Literal["loading", "ready", "left"] | ErrorState
TimelineState = Literal["loading", "ready", "left", "deleted", "revoked"] | ErrorState

LOADING: Final = "loading"
READY: Final = "ready"
_OPEN_STATES = (LOADING, READY)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


class Timeline:
    """One task with its events.

    `state` is "loading" until the first `task:state` is complete, then "ready". When the timeline ends it is "deleted",
    "revoked" or "left", or the code of the error that refused the join ("forbidden", …). An ended timeline never
    changes again: joining the task again returns a new one.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.state: TimelineState = LOADING
        self.task: TaskSummary | None = None  # None before the first `task:state` and after the end
        self.start = 0  # index of the first event held; above 0 if joined from a position
        self.events: list[Event | None] = []  # None: the array has no element at this index
        self._head: str | None = None
        # Positions of joins without an answer yet, and those of them that lie within the events held.
        self._requested: set[Position] = set()
        self._reached: set[Position] = set()

    @property
    def next(self) -> int:
        """The number of events the task has, including those before `start`."""
        return self.start + len(self.events)

    @property
    def position(self) -> Position | None:
        """The current position: store it and pass it to `join_task` to receive only later events."""
        return None if self._head is None else Position(self.next, self._head)

    @property
    def has_ended(self) -> bool:
        """Whether no message changes this view any more."""
        return self.state not in _OPEN_STATES

    def ask(self, position: Position | None) -> None:
        """Note that the task is joined again from this position, so `begin` knows whether we were exactly there."""
        if position is not None:
            self._requested.add(position)
            self._note_reached()

    def begin(self, position: Position | None) -> None:
        """Prepare for the answer to a join that continued from this position.

        The events held are kept only if this timeline was at exactly that position and still holds what it held
        then. Otherwise they may belong to an older version of the array, and are dropped.
        """
        if position is None:
            return
        if position != self.position and position not in self._reached:
            self.start, self.events, self._head = position.next, [], None
        self._requested = {one for one in self._requested if one.next >= position.next}

    def clear(self) -> None:
        """Show nothing until the next answer: the task was deleted or revoked, but has been joined again since."""
        if not self.has_ended:
            self.state = LOADING
            self._drop()

    def show(self, message: Message) -> None:
        """Apply one message. A message whose shape is not in PROTOCOL.md changes nothing."""
        if self.has_ended:
            return
        match message.type, message.data:
            case (
                Kind.TASK_STATE,
                {"from": int(start), "events": list(events), "head": str(head), "task": dict(), "more": more},
            ):
                self._keep(start)
                self.events += events
                self._head, self.task = head, message.data["task"]
                self._note_reached()
                if not more:
                    self.state = READY
            case Kind.EVENT_ADDED, {"index": int(index), "event": event, "head": str(head)}:
                self._keep(index)
                self.events.append(event)
                self._head = head
                self._note_reached()
            case Kind.UPDATED, {"task": dict()}:
                self.task = message.data["task"]
            case Kind.DELETED, _:
                self.end("deleted")
            case Kind.REVOKED, _:
                self.end("revoked")

    def end(self, state: TimelineState) -> None:
        """End the view with this state and drop its content."""
        # Keep "deleted": it says more than the "forbidden" that answers a later join of the deleted task.
        self.state = self.state if self.has_ended else state
        self._drop()

    def _drop(self) -> None:
        self.task, self.start, self.events, self._head = None, 0, [], None
        self._reached.clear()

    def _note_reached(self) -> None:
        if self._requested and (position := self.position) in self._requested:
            self._reached.add(position)

    def _keep(self, index: int) -> None:
        """Drop the events from this index on; if the index does not adjoin those held, drop all (PROTOCOL.md 6.2)."""
        if self._reached:
            self._reached = {one for one in self._reached if one.next <= index}
        if self.start <= index <= self.next:
            del self.events[index - self.start :]
        else:
            self.start, self.events = index, []


class TaskList:
    """The tasks of the list that the user may see.

    `state` is "loading" until the first list is complete, then "ready". When the list ends it is "left", or the code of
    the error that refused the join. An ended list never changes again.
    """

    def __init__(self) -> None:
        self.state: ListState = LOADING
        self._by_id: dict[str, TaskSummary] = {}
        self._incoming: dict[
            str, TaskSummary
        ] = {}  # pages of a `dashboard:state` until its last page arrives
        self._sorted: Sequence[TaskSummary] | None = None

    @property
    def tasks(self) -> Sequence[TaskSummary]:
        """All tasks, newest first. The same object is returned until a task changes, so `is` detects a change."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._by_id.values(), key=_age, reverse=True))
        return self._sorted

    @property
    def has_ended(self) -> bool:
        """Whether no message changes this view any more."""
        return self.state not in _OPEN_STATES

    def get(self, task_id: str) -> TaskSummary | None:
        """Return the summary of one task, None if it is not in the list."""
        return self._by_id.get(task_id)

    def show(self, message: Message) -> None:
        """Apply one message. A message whose shape is not in PROTOCOL.md changes nothing."""
        if self.has_ended:
            return
        match message.type, message.data:
            case Kind.DASHBOARD_STATE, {"tasks": list(tasks), "reset": reset, "more": more}:
                if reset:
                    self._incoming = {}
                self._incoming |= {task["taskId"]: task for task in tasks if _is_summary(task)}
                if not more:  # until then the previous list stays readable
                    self._by_id, self._incoming = self._incoming, {}
                    self._sorted, self.state = None, READY
            case Kind.LIST_UPDATED, {"change": "upserted", "taskId": str(task_id), **task}:
                self._by_id[task_id] = cast(TaskSummary, {"taskId": task_id, **task})
                self._sorted = None
            case Kind.LIST_UPDATED, {"taskId": str(task_id)}:
                self._by_id.pop(task_id, None)
                self._sorted = None

    def end(self, state: ListState) -> None:
        """End the view with this state and drop its content."""
        self.state = self.state if self.has_ended else state
        self._by_id, self._incoming, self._sorted = {}, {}, None


def _age(task: TaskSummary) -> tuple[float, str]:
    """Return the sort key of a task: its creation time in seconds, then its id.

    An ObjectId begins with its creation second, which gives the relay's order. Other ids say nothing about age, so
    `createdAt` is used, or 0 if that is no time.
    """
    task_id = task["taskId"]
    if _OBJECT_ID.fullmatch(task_id):
        return int(task_id[:8], 16), task_id
    try:
        born = datetime.fromisoformat(str(task.get("createdAt")))
    except ValueError:
        return 0.0, task_id
    return born.replace(tzinfo=born.tzinfo or UTC).timestamp(), task_id


def _is_summary(task: object) -> bool:
    return isinstance(task, dict) and isinstance(task.get("taskId"), str)
