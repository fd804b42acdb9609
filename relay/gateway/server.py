"""The uvicorn server, configured for the relay: without signal handling, and with our HTTP and WebSocket protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket
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
TICK_S = 1.0  # between two changes of the header Date
LOOK_S = 0.01  # between two looks at what is still being answered


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
        self._ending = asyncio.Event()
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
            )
        )

    @property
    def should_exit(self) -> bool:
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value:
            self._ending.set()

    async def main_loop(self) -> None:
        """Serve until `should_exit` is set. uvicorn's own loop looks ten times a second whether it is."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._ending.wait()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Close all connections, once the requests on them are answered, but after GRACE_S at the latest. uvicorn's own
        method waits at least a tenth of a second."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(GRACE_S):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(LOOK_S)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in state.tasks:
                task.cancel()

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
