"""The port for operators (RELAY_ADMIN_PORT), which the parent serves for all workers. Does I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from relay.config import Settings
from relay.gateway.descriptors import reserve_descriptors
from relay.gateway.http import Operations, operating_application, operating_routes
from relay.gateway.listening import ListeningSocket, bind, ignore_out_of_descriptors, shown
from relay.gateway.server import Server

CONNECTIONS = 256  # far more than operators and their monitoring need


class AdminPort:
    """The open port for operators. It has `/healthz`, too, which says that the parent is alive."""

    def __init__(self, settings: Settings, listening: ListeningSocket, connections: int) -> None:
        self.url = f"http://{shown(settings.relay_host)}:{listening.getsockname()[1]}"
        self._settings = settings
        self._listening = listening
        self._connections = connections
        self._server: Server | None = None

    async def serve(self, operations: Operations) -> None:
        """Answer operators until `stop` is called."""
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(ignore_out_of_descriptors)
        app = operating_application(operating_routes(operations))
        self._server = Server(self._settings, app, self._connections)
        await self._server.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Make `serve` return."""
        if self._server is not None:
            self._server.should_exit = True


@contextmanager
def open_admin_port(settings: Settings) -> Iterator[AdminPort]:
    """Open the port for operators that the settings name, and close it in the end.

    Raises StartupError if the port cannot be opened, or if the limit on open files leaves room for no connection."""
    assert settings.relay_admin_port is not None
    capacity = reserve_descriptors(CONNECTIONS)
    with bind(settings.relay_host, settings.relay_admin_port, capacity.admin_ceiling) as listening:
        yield AdminPort(settings, listening, capacity.connections)
