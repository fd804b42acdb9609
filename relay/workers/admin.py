"""The port for operators (RELAY_ADMIN_PORT), which the parent serves for all workers. Does I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from relay.auth.admins import Admins
from relay.auth.current_keys import CurrentKeys, Source
from relay.config import Settings
from relay.gateway.admin.api import AdminApi, Answer
from relay.gateway.certificate import certificate_of
from relay.gateway.descriptors import reserve_descriptors
from relay.gateway.http import operating_application, operating_routes
from relay.gateway.listening import ListeningSocket, bind, ignore_out_of_descriptors, scheme_of, shown
from relay.gateway.server import Server
from relay.workers.administration import WorkersAdministration
from relay.workers.operations import AllWorkers
from relay.workers.slot import Slot

CONNECTIONS = 256  # far more than operators and their monitoring need


class AdminPort:
    """The open port for operators. It has `/healthz`, too, which says that the parent is alive."""

    def __init__(self, settings: Settings, listening: ListeningSocket, connections: int) -> None:
        self.url = f"{scheme_of(settings)}://{shown(settings.relay_host)}:{listening.getsockname()[1]}"
        self.certificate = certificate_of(settings)  # None if the relay serves no TLS
        self._settings = settings
        self._listening = listening
        self._connections = connections
        self._server: Server | None = None
        self._keys = CurrentKeys(settings)
        self._admin: AdminApi | None = None

    async def serve(
        self,
        operations: AllWorkers,
        workers: Sequence[Slot],
        reload: Callable[[], Awaitable[Answer]],
    ) -> None:
        """Answer operators, and administrators for the workers in these slots, until `stop` is called.
        `reload` reloads the settings of all processes."""
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(ignore_out_of_descriptors)
        administration = WorkersAdministration(workers, operations)
        admin = self._admin = AdminApi(Admins.of(self._settings, self._keys), administration, reload)
        app = operating_application([*operating_routes(operations), *admin.routes()])
        tls = self.certificate.context if self.certificate is not None else None
        self._server = Server(self._settings, app, self._connections, tls=tls)
        fetching = asyncio.create_task(self._keys.run())
        try:
            await self._server.serve(sockets=[self._listening])
        finally:
            fetching.cancel()

    async def read(self, settings: Settings) -> Source:
        """Read the keys of these settings, for `use`. Raises StartupError if they or the certificate cannot be used."""
        if self.certificate is not None:
            self.certificate.check(settings)
        return await self._keys.read(settings)

    def use(self, keys: Source, settings: Settings) -> None:
        """Recognise administrators by these settings and keys from now on, and serve their certificate. Raises
        StartupError if it can no longer be used; then nothing has changed."""
        if self.certificate is not None:
            self.certificate.reload(settings)
        self._keys.use(keys, settings)
        self._settings = settings
        if self._admin is not None:
            self._admin.admit(Admins.of(settings, self._keys))

    def stop(self) -> None:
        """Make `serve` return."""
        if self._server is not None:
            self._server.should_exit = True


@contextmanager
def open_admin_port(settings: Settings) -> Iterator[AdminPort]:
    """Open the port for operators that the settings name, and close it in the end.

    Raises StartupError if the port cannot be opened, the limit on open files leaves room for no connection, the
    settings have no key that verifies tokens, or their certificate cannot be used."""
    assert settings.relay_admin_port is not None
    capacity = reserve_descriptors(CONNECTIONS)
    with bind(settings.relay_host, settings.relay_admin_port, capacity.admin_ceiling) as listening:
        yield AdminPort(settings, listening, capacity.connections)
