"""Messages as they leave the relay: each encoded once, for every connection it is sent to. Pure.

A message is a `Frame` from the hub to the last hop. A WebSocket writes its `body`; a poll and `relay tail --direct`
read its values. Nothing in the relay decodes a frame that the relay encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from relay.protocol.types import TEMPORARY_ERRORS, ErrorCode, Kind


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded message of the server. `body` is its JSON in UTF-8.

    `data` holds the values that `body` was encoded from. Parts that were JSON already, such as an event or the
    events of a state, stand in `data` as `bytes`.
    """

    kind: Kind
    body: bytes
    data: Mapping[str, Any]

    @property
    def task_id(self) -> str | None:
        """The task this message is about; None for a message about the list or the connection."""
        task_id: str | None = self.data.get("taskId")
        return task_id

    @property
    def last(self) -> bool:
        """True if nothing of this answer follows. A state may have several pages; any other message is whole."""
        return not self.data.get("more", False)

    def with_reply_to(self, request_id: str | None) -> Frame:
        """This frame as the answer to the request with that id; itself when the request has none."""
        if request_id is None:
            return self
        # Append to the encoded object: a page may have 256 KiB, and its listeners share one encoding.
        body = self.body[:-1] + b',"replyTo":' + orjson.dumps(request_id) + b"}"
        return Frame(self.kind, body, self.data)


def encode(
    kind: Kind, data: Mapping[str, Any], *, at: str | None = None, reply_to: str | None = None
) -> Frame:
    """Encode one message. `data` must hold plain JSON values; `bytes` in it are taken for JSON and copied as they
    are. Raises TypeError for anything else."""
    envelope: dict[str, Any] = {"type": kind.value, "data": data}
    if at is not None:
        envelope["at"] = at
    if reply_to is not None:
        envelope["replyTo"] = reply_to
    return Frame(kind, orjson.dumps(envelope, default=orjson.Fragment), data)


def error(
    code: ErrorCode,
    message: str,
    *,
    task_id: str | None = None,
    retry_after_ms: int | None = None,
    reply_to: str | None = None,
) -> Frame:
    """An `error` message."""
    data: dict[str, Any] = {"code": code.value, "message": message, "temporary": code in TEMPORARY_ERRORS}
    if task_id is not None:
        data["taskId"] = task_id
    if retry_after_ms is not None:
        data["retryAfterMs"] = retry_after_ms
    return encode(Kind.ERROR, data, reply_to=reply_to)


class Batch:
    """Frames that go to the same listeners at the same time, in order. The WebSocket messages are made at first use
    and shared by all connections, because a burst sends one batch to hundreds of them."""

    __slots__ = ("_websocket", "frames")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._websocket: bytes | None = None

    @property
    def websocket(self) -> bytes:
        """The frames as WebSocket messages, one after the other."""
        if self._websocket is None:
            bodies = [frame.body for frame in self.frames]
            self._websocket = b"".join([part for body in bodies for part in (_header(len(body)), body)])
        return self._websocket


def websocket_message(body: bytes) -> bytes:
    """An unmasked, unfragmented text message of RFC 6455 5.2, as a server sends it."""
    return _header(len(body)) + body


def _header(length: int) -> bytes:
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
