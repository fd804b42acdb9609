"""The interface that a WebSocket connection calls for each message and event; in the relay `Session` implements it.

A *live message* reports a change as it happens, and may be dropped if the client reads too slowly. A *state* is a
snapshot of a task's timeline or of the list of tasks; it replaces live messages that were dropped. A large state is
sent in several messages, its *pages*.
"""

from __future__ import annotations

from typing import Protocol


class Conversation(Protocol):
    """The application side of one WebSocket connection: handles the client's messages and decides what to send.

    No method may block. If a method raises an exception, the connection is closed: after `Refused` with the close
    code of that exception, after any other exception with 1011.
    """

    def receive(self, text: str) -> None:
        """Handle one text message from the client. Raises Refused if the connection must be closed because of it."""

    def tick(self) -> float:
        """Do what is due now, such as sending a heartbeat. Return the time of the event loop's clock at which `tick`
        must be called again. Raises Refused if the client sent no token before its deadline, or if its token has
        expired."""

    def paused(self) -> None:
        """Handle that the socket accepts no more data for now. Everything sent before this call is on its way to the
        client. Not called while pages of a state wait to be sent: live messages that wait behind those pages may still
        be dropped."""

    def lag(self, *, since_pause: bool) -> None:
        """Handle that live messages were dropped. All further live messages are dropped, too, until `drained` is
        called. If `since_pause` is true, only messages sent after the last call of `paused` were dropped; if it is
        false, any live message may have been dropped."""

    def drained(self) -> None:
        """Handle that everything queued has been handed to the socket. Called after `lag`, and after the connection's
        `has_room` returned False: the conversation now sends the states that replace the dropped messages, and the
        states for which there was no room."""

    def closed(self) -> None:
        """Handle the end of the connection. This is the last call of any method, and nothing can be sent any more."""
