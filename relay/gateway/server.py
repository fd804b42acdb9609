"""The uvicorn server, configured for the relay: without signal handling, and with our HTTP and WebSocket protocols."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any, cast

import uvicorn

from relay.auth.addresses import networks
from relay.auth.limits import Caps
from relay.auth.refusal_log import RefusalLog
from relay.auth.shared_cells import SharedCaps
from relay.config import Settings
from relay.gateway.http_protocol import Limits, http_protocol
from relay.gateway.websocket.handshake import Handshake

GRACE_S = 3  # how long the server waits for requests that are being answered when it is asked to stop


class Server(uvicorn.Server):
    """A uvicorn server for one ASGI application. It accepts at most `connections` HTTP connections at once; WebSockets
    do not count. `websockets` is the class that answers requests to open one (`websocket_protocol` makes it); without
    it, they are rejected with 404. With `shared`, the caps of the settings hold for this server and those of other
    worker processes together. With `tls`, it serves TLS only, with this context. `refusals` logs requests that are
    refused before they are understood."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        connections: int,
        *,
        websockets: type[Handshake] = Handshake,
        shared: SharedCaps | None = None,
        tls: SSLContext | None = None,
        refusals: RefusalLog | None = None,
    ) -> None:
        # These caps are separate from those of `Admission`, which count a connection when it becomes a WebSocket or
        # sends a poll. Common caps would count every poll twice.
        self._caps = Caps.of(settings, connections, shared)
        self._tls, self._refusals = tls, refusals
        self._protocol = http_protocol(self._limits(settings))
        super().__init__(
            uvicorn.Config(
                app,
                http=self._protocol,
                ws=cast(Any, websockets),  # only `HttpProtocol` uses it
                ws_max_size=settings.relay_max_message_bytes,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    def reload(self, settings: Settings) -> None:
        """Use the timeouts, caps and trusted proxies of these settings from now on, for all connections."""
        self._caps.change(settings)
        self._protocol.limits = self._limits(settings)

    def _limits(self, settings: Settings) -> Limits:
        return Limits(
            request_within_s=settings.relay_handshake_timeout_ms / 1000,
            stall_s=settings.relay_stall_timeout_ms / 1000,
            caps=self._caps,
            proxies=networks(settings.relay_trusted_proxies),
            tls=self._tls,
            refusals=self._refusals,
        )

    def stop_accepting(self) -> None:
        """Close the listening sockets now, and go on serving the connections that are open. A socket that another
        process has inherited, too, stays open there."""
        for listening in self.servers if self.started else ():
            listening.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Replace uvicorn's signal handling by nothing: the program that runs the relay handles signals."""
        yield
