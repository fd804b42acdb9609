"""The list and a task as plain objects, kept current by the messages that were iterated over. Pure.

Rules of this file: a view shows exactly what has been handed over so far; its user reads it and changes
nothing in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from relay.client.items import Message, Position
from relay.protocol.types import Event, Kind, TaskSummary

LOADING, READY = "loading", "ready"
_GOING_ON = (LOADING, READY)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


class Timeline:
    """One task with its events.

    `state` is "loading" until the first state is complete, then "ready"; "deleted", "revoked" or "left" when
    that was its end, otherwise the code of the error that refused the join ("forbidden", …). A timeline that has
    ended stays so: to join the task again makes another one.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.state = LOADING
        self.task: TaskSummary | None = None  # None before the first state, and after the end
        self.start = 0  # the index of the first event held: above 0 where it was joined from a position
        self.events: list[Event | None] = []  # None is a hole in the array
        self._head: str | None = None
        # Positions the task is being joined again from, and those of them that are in what we hold.
        self._asked: set[Position] = set()
        self._passed: set[Position] = set()

    @property
    def next(self) -> int:
        """How many events the task has, those before `start` included."""
        return self.start + len(self.events)

    @property
    def position(self) -> Position | None:
        """Where we are: keep it, and `join_task` with it to be given only the rest."""
        return None if self._head is None else Position(self.next, self._head)

    @property
    def has_ended(self) -> bool:
        return self.state not in _GOING_ON

    def ask(self, position: Position | None) -> None:
        """The task is being joined again from this position."""
        if position is not None:
            self._asked.add(position)
            self._pass()

    def begin(self, position: Position | None) -> None:
        """The next message answers a join that continued from this position: what is held stands before it only
        where we have been exactly there, and have kept what we held then."""
        if position is None:
            return
        if position != self.position and position not in self._passed:
            self.start, self.events, self._head = position.next, [], None
        self._asked = {one for one in self._asked if one.next >= position.next}

    def clear(self) -> None:
        """The task was taken away, but has been joined again: show nothing until that is answered."""
        if not self.has_ended:
            self.state = LOADING
            self._drop()

    def show(self, message: Message) -> None:
        """Apply one message; a shape that the contract does not know changes nothing."""
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
                self._pass()
                if not more:
                    self.state = READY
            case Kind.EVENT_ADDED, {"index": int(index), "event": event, "head": str(head)}:
                self._keep(index)
                self.events.append(event)
                self._head = head
                self._pass()
            case Kind.UPDATED, {"task": dict()}:
                self.task = message.data["task"]
            case Kind.DELETED, _:
                self.end("deleted")
            case Kind.REVOKED, _:
                self.end("revoked")

    def end(self, state: str) -> None:
        """Nothing more is heard of it; what it held is dropped."""
        # "deleted" says more than the "forbidden" a later join of the same task is answered with.
        self.state = self.state if self.has_ended else state
        self._drop()

    def _drop(self) -> None:
        self.task, self.start, self.events, self._head = None, 0, [], None
        self._passed.clear()

    def _pass(self) -> None:
        if self._asked and (position := self.position) in self._asked:
            self._passed.add(position)

    def _keep(self, index: int) -> None:
        """Keep the events before this index (PROTOCOL.md 6.2)."""
        if self._passed:
            self._passed = {one for one in self._passed if one.next <= index}
        if self.start <= index <= self.next:
            del self.events[index - self.start :]
        else:
            self.start, self.events = index, []


class TaskList:
    """The tasks a dashboard shows. `state` is "loading", then "ready"; "left" when that was its end, or the code
    of the error that refused the join. A list that has ended stays so."""

    def __init__(self) -> None:
        self.state = LOADING
        self._by_id: dict[str, TaskSummary] = {}
        self._incoming: dict[str, TaskSummary] = {}  # the pages of a state until its last one has come
        self._sorted: Sequence[TaskSummary] | None = None

    @property
    def tasks(self) -> Sequence[TaskSummary]:
        """All tasks, newest first; the same object until something changes."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._by_id.values(), key=_age, reverse=True))
        return self._sorted

    @property
    def has_ended(self) -> bool:
        return self.state not in _GOING_ON

    def get(self, task_id: str) -> TaskSummary | None:
        return self._by_id.get(task_id)

    def show(self, message: Message) -> None:
        """Apply one message; a shape that the contract does not know changes nothing."""
        if self.has_ended:
            return
        match message.type, message.data:
            case Kind.DASHBOARD_STATE, {"tasks": list(tasks), "reset": reset, "more": more}:
                if reset:
                    self._incoming = {}
                self._incoming |= {task["taskId"]: task for task in tasks if _is_summary(task)}
                if not more:  # until then what was there stays readable
                    self._by_id, self._incoming = self._incoming, {}
                    self._sorted, self.state = None, READY
            case Kind.LIST_UPDATED, {"change": "upserted", "taskId": str(task_id), **task}:
                self._by_id[task_id] = cast(TaskSummary, {"taskId": task_id, **task})
                self._sorted = None
            case Kind.LIST_UPDATED, {"taskId": str(task_id)}:
                self._by_id.pop(task_id, None)
                self._sorted = None

    def end(self, state: str) -> None:
        """Nothing more is heard of it; what it held is dropped."""
        self.state = self.state if self.has_ended else state
        self._by_id, self._incoming, self._sorted = {}, {}, None


def _age(task: TaskSummary) -> tuple[float, str]:
    """An ObjectId begins with its second of birth and orders the list as the relay does; other ids say nothing
    about age."""
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
