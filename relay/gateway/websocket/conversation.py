"""What a WebSocket connection calls: the side that decides what is said over it."""

from __future__ import annotations

from typing import Protocol


class Conversation(Protocol):
    """What is said over a connection: in the relay a `Session`.

    No method may block. An exception ends the connection: `Refused` with its close code, any other with 1011.
    """

    def receive(self, text: str) -> None:
        """Take one message of the client. Raises Refused."""

    def tick(self) -> float:
        """Do what is due by now, such as a heartbeat or the end of a token. Return when the next call is needed, by
        the loop's time. Raises Refused."""

    def paused(self) -> None:
        """The socket takes no more. Everything sent before this call is on its way to the client. Not called while
        pages of a state wait: then live messages wait behind them, and may still be dropped."""

    def lag(self, *, since_pause: bool) -> None:
        """Live messages were dropped, and all further ones are until `drained`. With `since_pause` only messages sent
        after the last `paused` were dropped; without, it is unknown which."""

    def drained(self) -> None:
        """Nothing waits to be sent any more. Called after `lag`, and after `has_room` was false: now send the states
        that replace what was dropped, and those that found no room."""

    def closed(self) -> None:
        """The connection has ended. It is the last call, and nothing can be sent."""
