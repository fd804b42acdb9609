"""The rooms that are wanted, and what one connection has been asked for. Pure.

Rules of this file: what is wanted outlives a connection, what was asked of one dies with it; until the answer
to the latest join of a room, an older membership may still be speaking, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.client.endings import seconds
from relay.client.items import Message, Position, Room
from relay.protocol import MAX_BATCH, ErrorCode, Kind, Request

REQUEST_BYTES_DEFAULT = 65_536  # the largest frame we send, until a `welcome` says otherwise
_ENVELOPE_BYTES = 128  # what surrounds the entries of a join: type, id, brackets


@dataclass(slots=True)
class Wanted:
    """What the user of a client asked for: the list, by its limit, and tasks, each from a position."""

    dashboard: int | None = None
    tasks: dict[str, Position | None] = field(default_factory=dict)

    def rooms(self) -> set[Room]:
        return set(self.tasks) if self.dashboard is None else {None, *self.tasks}

    def move(self, task_id: str, data: dict[str, Any]) -> None:
        """The next join of this task continues from where this state or event ends."""
        next_, head = data.get("next"), data.get("head")
        if task_id in self.tasks and isinstance(next_, int) and isinstance(head, str):
            self.tasks[task_id] = Position(next_, head)

    def lose(self, room: Room) -> None:
        if room is None:
            self.dashboard = None
        else:
            self.tasks.pop(room, None)


@dataclass(frozen=True, slots=True)
class Again:
    """Requests the relay had no time for: `retry` them, not before `wait_s` seconds if it said so. Before this
    one there were so many `troubles` in a row."""

    joins: list[Room]
    leaves: list[Room]
    wait_s: float | None
    troubles: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What a message meant for the rooms: those lost by it, what to ask again later, and whether there is
    something to ask at once."""

    lost: tuple[Room, ...] = ()
    again: Again | None = None
    ask: bool = False


NOTHING = Noted()


class Membership:
    """What one connection was asked for, kept equal to what is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._asked: set[Room] = set()
        self._joining: dict[Room, str] = {}  # room -> the latest join without an answer
        self._leaving: dict[Room, str] = {}
        self._alone: set[Room] = set()  # joined one by one, after a batch was turned down
        self._sent = 0  # requests so far; names the next one
        self._troubles = 0  # temporary errors in a row
        self.request_bytes = REQUEST_BYTES_DEFAULT

    def requests(self) -> list[str]:
        """The frames between what was asked and what is wanted; from here on they count as asked."""
        wanted, asked = self._wanted, self._asked
        frames = []
        if wanted.dashboard is None and None in asked:
            frames.append(self._request(Request.DASHBOARD_LEAVE, {}, [None], self._leaving))
        for room in asked:
            if room is not None and room not in wanted.tasks:
                frames.append(self._request(Request.TASK_LEAVE, {"taskId": room}, [room], self._leaving))
        if wanted.dashboard is not None and None not in asked:
            limit = {"limit": wanted.dashboard}
            frames.append(self._request(Request.DASHBOARD_JOIN, limit, [None], self._joining))
        missing = [(room, position) for room, position in wanted.tasks.items() if room not in asked]
        for batch in _batches(missing, self.request_bytes, self._alone):
            rooms = [entry["taskId"] for entry in batch]
            frames.append(self._request(Request.TASK_JOIN, {"tasks": batch}, rooms, self._joining))
        self._asked = wanted.rooms()
        return frames

    def ask_anew(self, *rooms: Room) -> None:
        """Whatever was asked of these rooms, ask again."""
        self._asked.difference_update(rooms)

    def retry(self, again: Again) -> None:
        self._asked.difference_update(room for room in again.joins if room not in self._joining)
        self._asked.update(room for room in again.leaves if room not in self._joining)

    def note(self, message: Message) -> Noted:
        """What this message means for the rooms."""
        data, reply_to = message.data, message.reply_to
        task_id = data.get("taskId")
        match message.type:
            case Kind.TASK_STATE if isinstance(task_id, str):
                if self._joining.get(task_id) in (None, reply_to):
                    self._joining.pop(task_id, None)
                    self._troubles = 0
                    self._wanted.move(task_id, data)
            case Kind.EVENT_ADDED if isinstance(task_id, str):
                if task_id not in self._joining:
                    self._wanted.move(task_id, data)
            case Kind.DELETED | Kind.REVOKED if isinstance(task_id, str):
                if task_id not in self._joining:  # else the answer on its way decides
                    return self._lose([task_id])
            case Kind.DASHBOARD_STATE:
                if self._joining.get(None) == reply_to:
                    self._joining.pop(None, None)
                    self._troubles = 0
            case Kind.TASK_LEFT if isinstance(task_id, str):
                _answered(self._leaving, task_id, reply_to)
            case Kind.DASHBOARD_LEFT:
                _answered(self._leaving, None, reply_to)
            case Kind.ERROR if reply_to is not None:
                return self._note_error(message)
        return NOTHING

    def _note_error(self, message: Message) -> Noted:
        """A request that was not done is asked again where that helps, else it is no longer wanted."""
        joins = [room for room, request in self._joining.items() if request == message.reply_to]
        leaves = [room for room, request in self._leaving.items() if request == message.reply_to]
        if (task_id := message.data.get("taskId")) is not None:
            joins = [room for room in joins if room == task_id]
        for room in joins:
            del self._joining[room]
        for room in leaves:
            del self._leaving[room]
        if message.data.get("temporary") is True:
            wait_s = seconds(message.data.get("retryAfterMs"))
            self._troubles += 1
            return Noted(again=Again(joins, leaves, wait_s, self._troubles - 1))
        if message.data.get("code") == ErrorCode.BAD_REQUEST and len(joins) > 1:
            # One bad element spoils the whole request (PROTOCOL.md 3): alone, each is judged by itself.
            self._alone.update(joins)
            self._asked.difference_update(joins)
            return Noted(ask=True)
        return self._lose(joins)

    def _lose(self, rooms: list[Room]) -> Noted:
        """The relay does not have us in these rooms: they are neither asked nor wanted any more."""
        for room in rooms:
            self._asked.discard(room)
            self._wanted.lose(room)
        return Noted(lost=tuple(rooms))

    def _request(
        self, kind: Request, data: dict[str, Any], rooms: Iterable[Room], open_: dict[Room, str]
    ) -> str:
        self._sent += 1
        request_id = f"r{self._sent}"
        open_.update(dict.fromkeys(rooms, request_id))
        return orjson.dumps({"type": kind.value, "id": request_id, "data": data}).decode()


def _answered(open_: dict[Room, str], room: Room, reply_to: str | None) -> None:
    if open_.get(room) == reply_to:
        open_.pop(room, None)


def _batches(
    missing: Iterable[tuple[str, Position | None]], largest_bytes: int, alone: set[Room]
) -> Iterator[list[dict[str, Any]]]:
    """Joins in as few frames as the limits allow."""
    batch: list[dict[str, Any]] = []
    size = 0
    for task_id, position in missing:
        entry: dict[str, Any] = {"taskId": task_id}
        if position is not None:
            entry |= {"since": position.next, "head": position.head}
        entry_bytes = len(orjson.dumps(entry)) + 1
        full = len(batch) >= MAX_BATCH or size + entry_bytes > largest_bytes - _ENVELOPE_BYTES
        if batch and (full or task_id in alone):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry_bytes
        if task_id in alone:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
