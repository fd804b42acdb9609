"""The handshake of a WebSocket: the relay's own protocol class for uvicorn's parameter `ws=`.

A `Handshake` is given the parsed request by `HttpProtocol`, and calls an endpoint, which accepts or rejects the request
before it returns. If it accepts, the transport is handed to a `Connection`. So no handshake needs an asyncio task, and
an open WebSocket needs no memory for what only its handshake needed. (As an ASGI application with a task and a router,
a handshake took 70 µs more.)

uvicorn has no public interface for a protocol class. This file and `relay/gateway/http_protocol.py` rely on these
private parts of it: `config.ws_max_size`; `server_state.connections`; and that the server calls `shutdown` on every
member of `connections`. They can change in any release, so `pyproject.toml` permits
only the uvicorn versions that were tested (`<0.55`), and every upgrade must check these parts.
`tests/unit/gateway/test_handshake.py` fails if one of them has changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from uvicorn.config import Config
from uvicorn.server import ServerState

from relay.gateway.transports import forget_addresses
from relay.gateway.websocket.connection import Connection
from relay.gateway.websocket.owner import Owner
from relay.gateway.websocket.pacing import WritePacer
from relay.gateway.websocket.upgrade import (
    NotAnUpgrade,
    RawHeaders,
    accept_key,
    accepting,
    path_and_query,
    rejecting,
)

log = logging.getLogger(__name__)


def websocket_protocol(pacer: WritePacer, endpoint: Endpoint) -> type[Handshake]:
    """Return a subclass of `Handshake` for uvicorn's parameter `ws=`, which expects a class. `endpoint` answers its
    requests, and its connections write when `pacer` says so."""
    return type("Handshake", (Handshake,), {"pacer": pacer, "endpoint": staticmethod(endpoint)})


class Handshake:
    """One request to open a WebSocket, while it is answered. This class itself rejects every request with 404;
    `websocket_protocol` makes those that do more."""

    pacer: WritePacer
    connection_class = Connection

    def __init__(self, config: Config, server_state: ServerState) -> None:
        self._config = config
        self._server_state = server_state
        self._transport: asyncio.Transport | None = None  # None once the request is answered
        self._accept = b""  # for the response that accepts
        self._connection: Connection | None = None  # set when the request is accepted
        self.invalid_status = (
            0  # the HTTP status, if the request was refused because it is no valid handshake
        )

    def begin(
        self,
        transport: asyncio.Transport,
        method: str,
        target: bytes,
        http_version: str,
        headers: RawHeaders,
        client: tuple[str, int] | None,
    ) -> None:
        """Answer the request on this transport: refuse it with an HTTP status if it is not a valid handshake, else call
        the endpoint. The caller must call this once, and nothing afterwards.

        `target` is the request's path with its query. `headers` have names in lower case, and no spaces around their
        values. `client` is the address and the port of the other end of the socket, or None if it is a Unix socket.
        Raises ValueError if the target is invalid or the request has a body: then nothing was answered.
        """
        path, query = path_and_query(target)
        self._transport = transport
        try:
            self._accept = accept_key(method, http_version, headers)
        except NotAnUpgrade as refused:
            self.invalid_status = refused.status
            self._refuse(refused.answer)
            return
        offered = b",".join(value for name, value in headers if name == b"sec-websocket-protocol").decode(
            "latin-1"
        )
        request = HTTPConnection(
            {
                "type": "websocket",
                "client": client,
                "path": unquote(path),
                "query_string": query,
                "headers": headers,
                "subprotocols": [name for one in offered.split(",") if (name := one.strip())],
            }
        )
        try:
            self.endpoint(self, request)
        except Exception:
            log.exception("a handshake failed")
        self.reject(HTTPStatus.INTERNAL_SERVER_ERROR)
        if self._connection is not None:
            self._connection.abort_if_unserved()

    @staticmethod
    def endpoint(handshake: Handshake, request: HTTPConnection) -> None:
        """Answer the request before returning: call `accept` or `reject` of the handshake."""
        handshake.reject(HTTPStatus.NOT_FOUND)

    # What the endpoint may do, once: accept or reject.

    def accept(self, subprotocol: str | None, owner: Owner) -> Connection | None:
        """Accept the request, and return the open connection, which belongs to `owner` from now on. Return None if the
        client is gone or the request was answered already.

        The owner must call `Connection.serve` or `Connection.close` before the endpoint returns; otherwise the
        connection is cut off.
        """
        transport, self._transport = self._transport, None
        if transport is None or transport.is_closing():
            return None
        connection = self._connection = self.connection_class(
            transport,
            owner,
            self.pacer,
            registry=self._server_state.connections,
            max_message_bytes=self._config.ws_max_size,
        )
        transport.set_protocol(connection)
        forget_addresses(transport)
        connection.begin(accepting(self._accept, subprotocol))
        return connection

    def reject(self, status: HTTPStatus) -> None:
        """Answer the request with this HTTP status and close the socket. Does nothing if the request was answered
        already."""
        if self._transport is not None:
            self._refuse(rejecting(status))

    def _refuse(self, answer: bytes) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(answer)
            transport.close()


Endpoint = Callable[[Handshake, HTTPConnection], None]
