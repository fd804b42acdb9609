"""What a WebSocket connection tells the object that keeps all open connections; in the relay this is `Connections`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relay.errors import Refused

if TYPE_CHECKING:
    from relay.gateway.websocket.connection import Connection


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ends.

    `code` is its close code, ABNORMAL if the socket ended without a close frame. `reason` is the reason of the close
    frame, or a word for the operator if the connection is cut off without one; a client may have written it. `refused`
    is the refusal that ended the connection, if one did.
    """

    code: int
    reason: str
    by_client: bool
    refused: Refused | None = None


class Owner(Protocol):
    """The object that keeps all open connections and calls their `tick`."""

    def wake(self, connection: Connection) -> None:
        """Call the `tick` of this connection soon, even if its last `tick` returned a later time."""

    def admitted(self, connection: Connection) -> None:
        """Note that a message of this connection's client brought the token with which it was admitted."""

    def ending(self, connection: Connection, end: End) -> None:
        """Note that this connection begins to end. Called once, before `Conversation.closed`."""

    def lost(self, connection: Connection) -> None:
        """Forget this connection, which has ended. The connection makes no other call after this one."""
