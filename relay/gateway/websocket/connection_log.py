"""The log lines about WebSocket connections: one when a client was admitted, and one when it was refused or its
connection began to end.

The lines about admitted clients are not bounded here, because the rate of their users bounds them. The others go
through `RefusalLog`.
"""

from __future__ import annotations

import logging
from typing import Literal

from relay.auth.refusal_log import RefusalLog
from relay.auth.shown import shown
from relay.errors import Refused
from relay.gateway.websocket.open_connection import OpenConnection
from relay.gateway.websocket.owner import End

log = logging.getLogger(__name__)

TokenPlace = Literal["header", "subprotocol", "message"]  # where the client's token came


class ConnectionLog:
    """Logs what happens to WebSocket connections. `refusals` bounds the lines about clients that are not admitted."""

    def __init__(self, refusals: RefusalLog) -> None:
        self._refusals = refusals

    def opened(self, entry: OpenConnection, place: TokenPlace, now: float) -> None:
        """Log that a client was admitted. `place` is where its token came, `now` is in seconds since 1970.

        If the token came in a message, the line says how long the client took to send it."""
        if not log.isEnabledFor(logging.INFO):
            return
        fields: dict[str, object] = {
            "id": entry.id,
            "user": shown(entry.user or ""),
            "address": entry.address or "unix",
            "path": shown(entry.path),
            "token": place,
        }
        if place == "message":
            fields["waitedMs"] = max(0, round((now - entry.opened_at) * 1000))
        log.info("connection opened", extra=fields)

    def ended(self, entry: OpenConnection, end: End, now: float) -> None:
        """Log that a connection begins to end. `now` is in seconds since 1970."""
        if not log.isEnabledFor(logging.INFO):
            return
        seconds = max(0.0, round(now - entry.opened_at, 3))
        session = entry.session
        if session is not None and session.is_admitted:
            fields = {
                "id": entry.id,
                "user": shown(session.user or ""),
                "address": entry.address or "unix",
                "code": int(end.code),
                "reason": shown(end.reason),
                "closedBy": "client" if end.by_client else "relay",
                "seconds": seconds,
                "messagesIn": entry.messages_in,
                "messagesOut": entry.messages_out,
            }
            if end.refused is not None and end.refused.detail:
                fields["detail"] = shown(end.refused.detail)
            log.info("connection closed", extra=fields)
            return
        refused = end.refused or Refused(end.code, end.reason)
        self._refusals.say(
            "connection left without a token" if end.by_client else "connection refused",
            entry.address,
            refused.user,
            code=int(end.code),
            reason=end.reason,
            detail=refused.detail,
            path=entry.path,
            id=entry.id,
            seconds=seconds,
        )
