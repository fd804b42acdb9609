"""The items that iterating over a client yields, and the decoding of a frame into one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic

import orjson
from typing_extensions import TypeVar  # the one of `typing` has no default before Python 3.13

from relay.errors import Refused

D = TypeVar("D", default=dict[str, Any])

Room = str | None  # what a client can join: a task by its id, or None for the dashboard (the list of tasks)


class ConnectionRefused(Refused):
    """The relay refused this client and reconnecting cannot help. `code` is a close code, or the HTTP status of a
    refused upgrade."""


@dataclass(frozen=True, slots=True)
class Message(Generic[D]):
    """A message from the relay (PROTOCOL.md 5). `raw` is the frame's JSON text as received.

    `data` has the type that `relay.protocol.messages` declares for the type of the message, where `Client.on` and
    `Client.messages` name that; otherwise it is a dictionary. Nothing is checked when a message arrives.
    """

    type: str
    data: D
    at: str | None = None
    reply_to: str | None = None
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """The relay sent `welcome`. `attempt` is the number of attempts since the last connection, from 1."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended or could not be opened. `code` is a close code, an HTTP status (below 1000), or None when no
    answer came. `retry_in` is the delay in seconds before the next attempt, None when the relay is done."""

    reason: str
    code: int | None
    retry_in: float | None


Item = Message | Connected | Disconnected


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a task's timeline was received (PROTOCOL.md 6). Store it and join with it to get only the rest."""

    next: int
    head: str


def decode(raw: str | bytes) -> Message:
    """Decode a frame from the relay. Raises ValueError for a frame that is not a JSON object with a `type`."""
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
