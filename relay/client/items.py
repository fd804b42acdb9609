"""What an iteration over a client yields, and a frame taken apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.errors import Refused

Room = str | None  # a task by its id; None is the dashboard


class ConnectionRefused(Refused):
    """The relay does not want this client, and coming again would be no use. `code` is a close code, or the
    HTTP status that came instead of an upgrade."""


@dataclass(frozen=True, slots=True)
class Message:
    """A frame of the relay (PROTOCOL.md 5). `raw` is its text as received."""

    type: str
    data: dict[str, Any]
    at: str | None = None
    reply_to: str | None = None
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """The relay said `welcome`; `attempt` counts the tries it took, from 1."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """No connection, or no longer. `code` is a close code, an HTTP status (below 1000), or None where no
    answer came at all; `retry_in` is in seconds, None when the relay ended the conversation for good."""

    reason: str
    code: int | None
    retry_in: float | None


Item = Message | Connected | Disconnected


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a task's timeline has been received (PROTOCOL.md 6): keep it, and join with it."""

    next: int
    head: str


def decode(raw: str | bytes) -> Message:
    """A frame of the relay as a Message. Raises ValueError for anything that is not one."""
    if isinstance(raw, bytes):
        raise ValueError("binary frame")
    frame = orjson.loads(raw)
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ValueError("not an envelope")
    data, at, reply_to = frame.get("data"), frame.get("at"), frame.get("replyTo")
    return Message(
        frame["type"],
        data if isinstance(data, dict) else {},
        at if isinstance(at, str) else None,
        reply_to if isinstance(reply_to, str) else None,
        raw,
    )
