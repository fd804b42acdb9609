"""uvicorn, set up for the relay: its own signal handling off, and our protocols for HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from relay.auth.addresses import networks
from relay.auth.limits import Caps
from relay.config import Settings
from relay.gateway.http_protocol import Limits, http_protocol
from relay.gateway.websocket.handshake import websocket_protocol
from relay.gateway.websocket.pacing import WritePacer

GRACE_S = 3  # for requests that are being answered when the server is asked to stop


class Server(uvicorn.Server):
    """A uvicorn server for one ASGI application, with room for `connections` that speak HTTP."""

    def __init__(self, settings: Settings, app: Any, pacer: WritePacer, connections: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=http_protocol(
                    Limits(
                        request_within_s=settings.relay_handshake_timeout_ms / 1000,
                        stall_s=settings.relay_stall_timeout_ms / 1000,
                        # Not the caps of `Admission`, which a connection joins when it becomes a WebSocket or a poll:
                        # one count for both would count a poll twice.
                        caps=Caps.of(settings, connections),
                        proxies=networks(settings.relay_trusted_proxies),
                    )
                ),
                ws=websocket_protocol(pacer),
                ws_max_size=settings.relay_max_message_bytes,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the program that runs the relay decides what they do."""
        yield
