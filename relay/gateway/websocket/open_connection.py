"""The record of one open WebSocket connection: what operators can ask about it, and when the timers visit it.

There are tens of thousands of records, so one holds little. What is counted is counted where the message passes anyway
(`Connection`, `Outbox`), and read from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.gateway.session import Session
from relay.gateway.websocket.connection import Connection

MAX_PATH_CHARS = 200  # of a path that is kept; an ellipsis replaces the rest
_USUAL_PATHS = {path: path for path in ("/ws", "/ws/dashboard")}


@dataclass(eq=False, slots=True)
class OpenConnection:
    """An open WebSocket connection, from the moment its handshake is accepted.

    `path` is the path of its address, without the query, as `kept_path` returns it. `opened_at` is the time of the
    handshake in seconds since 1970. `address` is the client address whose connection cap the connection counts for; it
    is empty if the client came through a Unix socket.
    """

    connection: Connection | None  # None, like `session`, after the connection has ended
    path: str
    opened_at: float
    address: str
    session: Session | None = None  # None until the checks that need no token are passed
    due: int = 0  # the number of the tick at which the timers visit the connection next

    @property
    def id(self) -> str:
        """The name of the connection, which the client is told as `connectionId`. Empty after the connection has
        ended."""
        return self.connection.id if self.connection is not None else ""

    @property
    def user(self) -> str | None:
        """The `sub` of the authenticated user. None before authentication and after the connection has ended."""
        return self.session.user if self.session is not None else None

    @property
    def messages_in(self) -> int:
        """How many messages of the client have arrived. 0 after the connection has ended."""
        return self.connection.messages_in if self.connection is not None else 0

    @property
    def messages_out(self) -> int:
        """How many messages were sent to the client, with answers that still wait for its socket. 0 after the
        connection has ended."""
        return self.connection.messages_out if self.connection is not None else 0

    def release(self) -> None:
        """Drop the references to the connection, which has ended, and to its session, so that both are freed now. The
        timers keep this record until its tick comes."""
        self.connection = self.session = None


def kept_path(path: str) -> str:
    """Return the path as a record keeps it: cut to MAX_PATH_CHARS characters, because a client chooses how long it is.
    All connections to one of the usual paths share one string."""
    if len(path) > MAX_PATH_CHARS:
        return path[: MAX_PATH_CHARS - 1] + "…"
    return _USUAL_PATHS.get(path, path)
