"""The handshake of a WebSocket: the relay's own protocol class for uvicorn's parameter `ws=`.

A `Handshake` is given the parsed request by `HttpProtocol`, runs the ASGI application, and sends the answer. If the
application accepts, the transport is handed to a `Connection`, and the handshake and its task end. So an open WebSocket
needs no asyncio task, and no memory for what only its handshake needed.

uvicorn has no public interface for a protocol class. This file and `relay/gateway/http_protocol.py` rely on these
private parts of it: the parameters of the constructor; `config.loaded_app`, `root_path` and `ws_max_size`;
`server_state.connections` and `.tasks`; and that the server calls `shutdown` on every member of `connections`. They can
change in any release, so `pyproject.toml` permits only the uvicorn versions that were tested (`<0.55`), and every
upgrade must check these parts. `tests/unit/gateway/test_handshake.py` fails if one of them has changed.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.http11 import Request, Response

from relay.gateway.transports import release
from relay.gateway.websocket.connection import Connection, Owner
from relay.gateway.websocket.framing import Parser
from relay.gateway.websocket.pacing import WritePacer

log = logging.getLogger(__name__)

EXTENSION = "relay.handshake"  # where the ASGI application finds the Handshake in its scope


def websocket_protocol(pacer: WritePacer) -> type[Handshake]:
    """Return a subclass of `Handshake` for uvicorn's parameter `ws=`, whose connections write when `pacer` says so. It
    is a class and not an instance, because uvicorn creates the instances, and passes only its own arguments."""
    return type("Handshake", (Handshake,), {"pacer": pacer})


class Handshake(asyncio.Protocol):
    """One HTTP request to open a WebSocket, until it is accepted or rejected."""

    pacer: WritePacer
    connection_class = Connection

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser = Parser(max_size=config.ws_max_size)
        self._response: Response | None = None  # the prepared 101; None once the request is answered
        self._connection: Connection | None = None  # set when the request is accepted

    def begin(self, request: Request) -> None:
        """Handle the request: refuse it with an HTTP status if it is not a valid WebSocket handshake, else start a task
        that runs the ASGI application. The caller must call this once, after `connection_made`."""
        if self._transport.is_closing():
            return
        response = self._parser.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(response)
            return
        self._response = response
        # Stop reading until we answer. A client must not send anything before our answer; if it did, `Connection` could
        # receive the end of a frame whose beginning was received here.
        self._transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._run_app(self._scope(request)))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    # What the application may do, once: accept or reject.

    def accept(self, subprotocol: str | None, owner: Owner) -> Connection | None:
        """Accept the request, and return the open connection, which belongs to `owner` from now on. Return None if the
        client is gone or the request was answered already.

        The owner must call `Connection.serve` or `Connection.close` before the ASGI application returns; otherwise the
        connection is cut off.
        """
        response, self._response = self._response, None
        if response is None or self._transport.is_closing():
            return None
        if subprotocol is not None:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._parser.send_response(response)
        connection = self.connection_class(
            self._transport,
            owner,
            self.pacer,
            registry=self._server_state.connections,
            max_message_bytes=self._config.ws_max_size,
        )
        self._server_state.connections.discard(cast(Any, self))
        self._transport.set_protocol(connection)
        connection.begin(b"".join(self._parser.data_to_send()))
        self._parser.free()
        self._connection = connection
        return connection

    def reject(self, status: HTTPStatus) -> None:
        """Answer the request with this HTTP status and close the socket. Does nothing if the request was answered
        already."""
        if self._response is not None:
            self._response = None
            self._refuse(self._parser.reject(status, f"{status.phrase}\n"))

    def _refuse(self, response: Response) -> None:
        self._parser.send_response(response)
        self._transport.write(b"".join(self._parser.data_to_send()))
        self._transport.close()

    # What uvicorn and the transport call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(cast(Any, self))
        self._response = None
        self._parser.free()
        release(self._transport)

    def shutdown(self) -> None:
        """Reject the request with 503, because the server stops: uvicorn calls this for every open protocol."""
        self.reject(HTTPStatus.SERVICE_UNAVAILABLE)

    # ASGI.

    def _scope(self, request: Request) -> dict[str, Any]:
        raw_path, _, query = request.path.partition("?")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        transport, root_path = self._transport, self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if transport.get_extra_info("sslcontext") else "ws",
            "server": _address(transport, "sockname"),
            "client": _address(transport, "peername"),
            "root_path": root_path,
            "path": root_path + unquote(raw_path),
            "raw_path": (root_path + raw_path).encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [
                (name.lower().encode("ascii"), value.encode("latin-1"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": [name for one in offered.split(",") if (name := one.strip())],
            "state": self._app_state.copy(),
            "extensions": {EXTENSION: self},
        }

    async def _run_app(self, scope: dict[str, Any]) -> None:
        try:
            await cast(Any, self._config.loaded_app)(scope, _receive_nothing, self._send)
        except Exception:
            log.exception("a handshake failed")
        self.reject(HTTPStatus.INTERNAL_SERVER_ERROR)
        if self._connection is not None:
            self._connection.abort_if_unserved()

    async def _send(self, message: Any) -> None:
        """Handle ASGI's `send`. Starlette sends `websocket.close` for a path without a route, which becomes a 404.
        Raises RuntimeError for any other message: the application accepts and rejects through the extension in its
        scope."""
        if message["type"] == "websocket.close":
            self.reject(HTTPStatus.NOT_FOUND)
        else:
            raise RuntimeError(f"{message['type']}: accept and send go through scope['extensions']")


def _address(transport: asyncio.BaseTransport, end: str) -> tuple[str, int] | None:
    """Return the host and the port of this end of a connection, or None if it is a Unix socket, which has neither."""
    name = transport.get_extra_info(end)
    return name[:2] if isinstance(name, tuple) else None


async def _receive_nothing() -> dict[str, Any]:
    return {"type": "websocket.connect"}
