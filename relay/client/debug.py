"""What `Client.debug` reports, and the notes it is made of. Pure: the caller gives the time.

Rules of this file: no token, and nothing that a task holds, unless payloads are asked for. Memory is bounded.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

import orjson

from relay.client.events import Connected, Disconnected, Item, Message, Room
from relay.client.views import TaskList, Timeline

KEPT = 50  # messages, and changes of the connection
DELAYS_KEPT = 31
PAYLOAD_MAX_LENGTH = 4_096

State = Literal["connecting", "live", "offline", "refused", "done"]


class DebugMessage(TypedDict):
    """A message of the relay."""

    at: float  # when it arrived, in seconds since the epoch
    type: str
    size: int  # characters of its JSON
    room: NotRequired[
        Room
    ]  # the task it is about, None for the list; absent where it is about the connection
    payload: NotRequired[str]  # its JSON, cut after 4,096 characters


class DebugStatus(TypedDict):
    """A state that the connection had. `code` is a close code, an HTTP status below 1000, or None without an answer."""

    at: float
    state: State
    reason: NotRequired[str]
    code: NotRequired[int | None]


class DebugRoom(TypedDict):
    """What the program has joined, as far as it has iterated. `held` counts the events of the task or the tasks of the
    list that are here; `since` and `head` are the position in the task."""

    room: Room
    state: str
    held: int
    since: NotRequired[int]
    head: NotRequired[str]


class DebugToken(TypedDict):
    """The times of a token, in seconds since the epoch; absent where it names none or cannot be read."""

    length: int
    issued_at: NotRequired[float]
    expires_at: NotRequired[float]


class DebugReport(TypedDict):
    """A plain dict, safe to be shown to others: it has no token and no title. It has ids of tasks. Times are in seconds
    since the epoch. `messages` and `statuses` are the last 50, the oldest first; messages count when they arrive, also
    before they are iterated over. `delays` are those of the last changes, in seconds from the database to here, with
    the difference of the two clocks in them."""

    at: float
    state: State
    why: str | None
    code: int | None
    transport: Literal["websocket"] | None
    token: DebugToken | None
    reconnects: int
    received: int
    waiting: int  # messages that arrived and were not iterated over yet
    delays: list[float]
    rooms: list[DebugRoom]
    statuses: list[DebugStatus]
    messages: list[DebugMessage]


class Notes:
    """Notes of the last items that arrived."""

    def __init__(self, at: float) -> None:
        self.received = 0
        self.keeps_payloads = False
        self.statuses: deque[DebugStatus] = deque([{"at": at, "state": "connecting"}], maxlen=KEPT)
        self.connects = 0
        # Tuples: this is done for every message. The last element is its JSON where payloads are kept.
        self._messages: deque[tuple[float, str, int, Any, str | None, str | None]] = deque(maxlen=KEPT)

    def note(self, item: Item, at: float) -> None:
        """Note an item that arrived at `at`, in seconds since the epoch."""
        if isinstance(item, Message):
            self.received += 1
            payload = item.raw[:PAYLOAD_MAX_LENGTH] if self.keeps_payloads else None
            entry = (at, item.type, len(item.raw), item.data.get("taskId"), item.at, payload)
            self._messages.append(entry)
        elif isinstance(item, Connected):
            self.connects += 1
            self.statuses.append({"at": at, "state": "live"})
        else:
            self._lost(item, at)

    def _lost(self, item: Disconnected, at: float) -> None:
        state: State = "done" if item.retry_in is None else "offline"
        self.statuses.append({"at": at, "state": state, "reason": item.reason, "code": item.code})

    def refused(self, reason: str, code: int, at: float) -> None:
        """Note that the client has given up."""
        self.statuses.append({"at": at, "state": "refused", "reason": reason, "code": code})

    def delays(self) -> list[float]:
        """Return the delays of the last changes, in seconds."""
        found = []
        for arrived, _, _, _, at, _ in self._messages:
            try:
                found.append(arrived - datetime.fromisoformat(at or "").timestamp())
            except ValueError:
                continue  # no change, or a time that is none
        return found[-DELAYS_KEPT:]

    def messages(self, *, payloads: bool) -> list[DebugMessage]:
        """Return the last messages, the oldest first."""
        shown: list[DebugMessage] = []
        for at, kind, size, task_id, _, payload in self._messages:
            message: DebugMessage = {"at": at, "type": kind, "size": size}
            if kind.startswith("dashboard:"):
                message["room"] = None
            elif isinstance(task_id, str):
                message["room"] = task_id
            if payloads and payload is not None:
                message["payload"] = payload
            shown.append(message)
        return shown


def rooms_of(views: Iterable[TaskList | Timeline]) -> list[DebugRoom]:
    """Return what these views show, and their positions."""
    rooms: list[DebugRoom] = []
    for view in views:
        if isinstance(view, TaskList):
            rooms.append({"room": None, "state": view.state, "held": len(view.tasks)})
            continue
        room: DebugRoom = {"room": view.task_id, "state": view.state, "held": len(view.events)}
        if (position := view.position) is not None:
            room |= {"since": position.next, "head": position.head}
        rooms.append(room)
    return rooms


def token_times(token: str | None) -> DebugToken | None:
    """Return the length and the times of a token, and nothing else of it."""
    if token is None:
        return None
    times: DebugToken = {"length": len(token)}
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issued, expires = claims.get("iat"), claims.get("exp")
    except (IndexError, ValueError, AttributeError, binascii.Error):
        return times
    if isinstance(issued, int | float):
        times["issued_at"] = issued
    if isinstance(expires, int | float):
        times["expires_at"] = expires
    return times
