"""The composition root: builds all parts of a relay from its settings, and runs them from the start to the stop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from relay.auth.addresses import networks
from relay.auth.admission import Admission
from relay.auth.keys import key_source
from relay.auth.limits import Caps
from relay.auth.origins import Origins, allowed_origins
from relay.auth.rollout import Rollout
from relay.auth.shared_counts import WorkerCounts
from relay.auth.tokens import Verifier
from relay.config import Settings
from relay.errors import StartupError
from relay.feed.pump import Pump
from relay.gateway.http import application, operating_application, operating_routes
from relay.gateway.listening import Ports, ignore_out_of_descriptors, open_ports
from relay.gateway.polling.endpoint import Polls
from relay.gateway.server import Server
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.pacing import WritePacer
from relay.health import Health
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.pipeline import Pipeline, mapping_of
from relay.source.client import hosts_of, names_of, warning_of
from relay.source.opening import Opening

log = logging.getLogger(__name__)

FIRST_KEYS_S = 5.0  # how long the start waits for a JWKS; without keys the relay starts, but is not ready


class Relay:
    """One relay process: serves clients from `run` until `stop` is called.

    `counts` are what it counts together with other worker processes; None if there are no others.

    The constructor raises StartupError if the settings, the keys or the mapping (the description of how documents are
    read) cannot be used. It opens no connection and no port.
    """

    def __init__(self, settings: Settings, counts: WorkerCounts | None = None) -> None:
        names_of(settings)  # raises StartupError if they name no database, before anything is opened
        warning = warning_of(settings)
        if warning is not None:
            log.warning(warning)
        self._settings = settings
        self._counts = counts or WorkerCounts()
        self._keys = key_source(settings)
        self._mapping = mapping_of(settings)
        self._stop = asyncio.Event()
        self.url = ""  # the URL of the relay; set when `run` has opened the port
        self.admin_url = ""  # the URL of the port for operators, if there is one

    def stop(self) -> None:
        """Ask the relay to stop, and return at once. Clients are sent a notice first; `run` returns when everything is
        closed."""
        self._stop.set()

    async def run(self, on_listening: Callable[[], None] = lambda: None) -> None:
        """Serve clients until `stop` is called. `on_listening` is called once, when the port is open and the relay
        follows the change stream of the database.

        Raises StartupError if a port cannot be opened, the limit on open files is too low, or the database is not one
        that the relay can follow.
        """
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(ignore_out_of_descriptors)
        try:
            with open_ports(self._settings) as ports:
                self.url = self._settings.relay_public_url or ports.url
                self.admin_url = ports.admin_url
                await self._serve(ports, on_listening)
        except* StartupError as failures:
            raise failures.exceptions[0] from None

    async def _serve(self, ports: Ports, on_listening: Callable[[], None]) -> None:
        """Build all parts of the relay that serve these open ports, run them until `stop` is called, and close them.
        The parameter `on_listening` is called once, when the relay follows the change stream."""
        settings, counts, metrics, pacer = self._settings, self._counts, Metrics(), WritePacer()
        pipeline = Pipeline(settings, self._mapping, metrics, pace=pacer.wait_for_room)
        interval_s = settings.relay_list_update_min_interval_ms / 1000
        hub = Hub(pipeline.reader, pipeline.translator, metrics, list_interval_s=interval_s)
        async with pipeline, hub:
            allowed = allowed_origins(
                settings.relay_allowed_origins, settings.relay_public_url, ports.browser_hosts, ports.number
            )
            admission = Admission(
                origins=Origins(allowed, metrics),
                caps=Caps.of(settings, ports.capacity.connections, counts.admission),
                verifier=self._verifier(pipeline),
                rollout=Rollout.of(settings),
                proxies=networks(settings.relay_trusted_proxies),
            )
            services = Services(settings, admission, pipeline.audience, hub)
            connections = Connections(services, metrics, random=random.random)
            polls = Polls(services, metrics, random=random.random, shared=counts.polls)
            health = Health(pipeline.tail, hub, self._keys, pipeline.watch)
            operating = operating_routes(metrics, health.state)
            here = operating if ports.admin is None else []
            apps = {ports.clients: application(admission, connections, polls, here, url=self.url)}
            if ports.admin is not None:
                apps[ports.admin] = operating_application(operating)
            most = ports.capacity.connections
            servers = {
                # The caps of the admin port are always those of one process: operators keep places of their own.
                port: Server(settings, app, pacer, most, counts.http if port is ports.clients else None)
                for port, app in apps.items()
            }
            pump = pipeline.pump(hub, hub.is_listened)
            ports.capacity.warn_if_below(settings.relay_max_connections)
            async with asyncio.TaskGroup() as group:
                serving = [
                    group.create_task(server.serve(sockets=[port])) for port, server in servers.items()
                ]
                background = [
                    group.create_task(self._keys.run()),
                    group.create_task(connections.run_timers()),
                    group.create_task(health.run()),
                    group.create_task(pipeline.watch.run()),
                    group.create_task(self._follow(pipeline.opening, hub, pump, on_listening)),
                ]
                await self._stop.wait()
                # First answer all polls and send all clients a notice, so that they can reconnect to another instance
                # while this one still serves. Then close the connections. The servers wait for requests that are being
                # answered.
                health.stopping = True
                polls.drain()
                await connections.drain()
                connections.close_all()
                for server in servers.values():
                    server.should_exit = True
                await asyncio.gather(*serving)
                connections.abort_all()
                for task in background:
                    task.cancel()

    async def _follow(self, opening: Opening, hub: Hub, pump: Pump, on_listening: Callable[[], None]) -> None:
        """Open the change stream, call `on_listening`, and then pass every change to the hub. Ends only by
        cancellation, or by StartupError if the database is not one that the relay can follow."""
        hub.move_to(await opening.patiently())
        await self._keys.first(FIRST_KEYS_S)
        log.info("following the change stream", extra={"hosts": hosts_of(self._settings)})
        on_listening()
        await pump.run()

    def _verifier(self, pipeline: Pipeline) -> Verifier:
        return Verifier(
            self._keys,
            issuer=self._settings.relay_jwt_issuer,
            audience=self._settings.relay_jwt_audience,
            keep=pipeline.audience.claims,
        )
