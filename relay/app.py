"""The composition root: builds all parts of a relay from its settings, and runs them from the start to the stop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from socket import socket
from typing import Any

from starlette.routing import BaseRoute

from relay.auth.addresses import networks
from relay.auth.admins import Admins
from relay.auth.admission import Admission
from relay.auth.current_keys import CurrentKeys
from relay.auth.limits import Buckets, Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.auth.shared_counts import WorkerCounts
from relay.auth.tokens import Verifier
from relay.config import Settings
from relay.errors import StartupError
from relay.feed.pump import Pump
from relay.gateway.admin.api import AdminApi
from relay.gateway.admin.process import ProcessAdministration
from relay.gateway.certificate import certificate_of
from relay.gateway.http import Operations, application, operating_application, operating_routes
from relay.gateway.listening import Ports, ignore_out_of_descriptors, open_ports
from relay.gateway.page import Page
from relay.gateway.polling.endpoint import Polls
from relay.gateway.server import Server
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.handshake import websocket_protocol
from relay.gateway.websocket.pacing import WritePacer
from relay.health import Health
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.parts import SIZES, Parts, origins_of
from relay.pipeline import Pipeline, bus_of, mapping_of
from relay.reload import Reloaded, Reloads, in_force, result
from relay.source.client import hosts_of, names_of, warning_of
from relay.source.shared.feed import Feed
from relay.tasks.mapping import Mapping
from relay.tasks.visibility import Audience

log = logging.getLogger(__name__)

FIRST_KEYS_S = 5.0  # how long the start waits for a JWKS; without keys the relay starts, but is not ready


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a relay among several processes that serve the same port (`relay/workers`).

    `ports` opens the ports that it serves, and closes them at the end; None: it opens those of its settings. `counts`
    are what it counts together with the others. `operations` answers operators who ask on the clients' port; None: the
    relay does, for itself. `feed` is what it receives the change stream from; None: it follows the stream itself.
    `workers` is the number of processes, and `number` that of this one among them, from 1 on. `speaks` says whether
    this one logs the warnings about settings and limits, which are the same for all.
    """

    ports: AbstractContextManager[Ports] | None = None
    counts: WorkerCounts = field(default_factory=WorkerCounts)
    operations: Operations | None = None
    feed: Feed | None = None
    workers: int = 1
    number: int = 1
    speaks: bool = True


class Relay:
    """One relay process: serves clients from `run` until `stop` is called.

    `place` is its place among several processes; by default it is the only one. `read` returns the settings again for
    `reload`; by default they stay as they are, and only files that they name are read again. `on_reloaded` is called
    with the settings that are in force after each reload. `pages` are further routes on the port of clients.

    The constructor raises StartupError if the settings, the keys, the mapping (the description of how documents are
    read) or the certificate cannot be used. It opens no connection and no port.
    """

    def __init__(
        self,
        settings: Settings,
        place: Place | None = None,
        *,
        read: Callable[[], Settings] | None = None,
        on_reloaded: Callable[[Settings], None] = lambda _: None,
        pages: Sequence[BaseRoute] = (),
    ) -> None:
        names_of(settings)  # raises StartupError if they name no database, before anything is opened
        self._place = place or Place()
        warning = warning_of(settings)
        if warning is not None and self._place.speaks:
            log.warning(warning)
        self._settings = settings
        self._reloads = Reloads(read or (lambda: self._settings), self.use)
        self._on_reloaded = on_reloaded
        self._pages = pages
        self._parts: Parts | None = None  # those that a reload changes; None until they are built
        self.built = asyncio.Event()  # set once they are there, and `use` may be called
        self._health: Health | None = None
        self.administration: ProcessAdministration | None = None  # set once the relay serves clients
        self._accepting = True
        self._keys = CurrentKeys(settings)
        self._mapping = mapping_of(settings)
        self.certificate = certificate_of(settings)  # None if the relay serves no TLS
        self._warn_of_certificate()
        # A worker receives the change stream from the process that shares it with other machines.
        self._bus = bus_of(settings) if self._place.feed is None else None
        self._stop = asyncio.Event()
        self.metrics = Metrics()
        self.url = ""  # the URL of the relay; set when `run` has opened the port
        self.admin_url = ""  # the URL of the port for operators, if there is one

    def stop(self, *, accepting: bool = True) -> None:
        """Ask the relay to stop, and return at once. Clients are sent a notice first; `run` returns when everything is
        closed.

        Until then, new clients are served, too. With `accepting` False they are not: another process accepts them from
        the listening sockets that both have."""
        self._accepting = self._accepting and accepting
        self._stop.set()

    async def reload(self) -> Reloaded:
        """Read everything again that the settings consist of, and use it from now on: all of it, or nothing if a part
        cannot be used. Return what has changed. Calls that come together are executed one after the other.

        Clients that may stay notice nothing. Raises StartupError, which has been logged, if everything stays as it was.
        """
        return await self._reloads.reload()

    async def check(self, settings: Settings) -> None:
        """Raise StartupError if `use` could not use these settings."""
        new = in_force(self._settings, settings)
        await self._keys.read(new)
        mapping = await asyncio.to_thread(mapping_of, new)
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.check, new)
        if self._parts is not None and self._reads_otherwise(mapping, new):
            await self._parts.check_database()

    async def use(self, settings: Settings) -> Reloaded:
        """Use these settings from now on, except those that need a restart, and return what has changed. Raises
        StartupError if they cannot be used; then everything stays as it was."""
        parts, old = self._parts, self._settings
        if parts is None:
            raise StartupError("The relay has not opened its ports yet.")
        new = in_force(old, settings)
        mapping = await asyncio.to_thread(mapping_of, new)
        keys = await self._keys.read(new)
        if self.certificate is not None:
            await asyncio.to_thread(self.certificate.check, new)
        also: list[str] = []

        def use(audience: Audience) -> None:
            if self.certificate is not None and self.certificate.reload(new):
                also.append("relay_tls_cert")
            # From here on nothing can fail, and nothing is awaited: no client is served by a half.
            if self._keys.use(keys, new) and new.relay_jwt_public_key is not None:
                also.append("relay_jwt_public_key")  # also where only the file has changed that it names
            self._settings = new
            parts.use(new, self._keys, audience)

        if self._reads_otherwise(mapping, new):
            await parts.use_mapping(mapping, new, use)
            also += ["relay_mapping"] if mapping != self._mapping else []
            self._mapping = mapping
        else:
            use(parts.services.audience)
        self._on_reloaded(new)
        self._warn_of_certificate()
        return result(old, settings, also=also)

    def _reads_otherwise(self, mapping: Mapping, settings: Settings) -> bool:
        """Return whether documents look different, or are seen by others, with this mapping and these settings."""
        return mapping != self._mapping or any(
            getattr(self._settings, name) != getattr(settings, name) for name in SIZES
        )

    def _warn_of_certificate(self) -> None:
        warning = self.certificate.warning() if self.certificate is not None else None
        if warning is not None and self._place.speaks:
            log.warning(warning)

    def readiness(self) -> dict[str, Any]:
        """Return the body of /readyz (see `Health.state`)."""
        return self._health.state() if self._health is not None else {"ready": False, "stale": True}

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
            with self._place.ports or open_ports(self._settings) as ports:
                self.url = self._settings.relay_public_url or ports.url
                self.admin_url = ports.admin_url
                await self._serve(ports, on_listening)
        except* StartupError as failures:
            raise failures.exceptions[0] from None

    async def _serve(self, ports: Ports, on_listening: Callable[[], None]) -> None:
        """Build all parts of the relay that serve these open ports, run them until `stop` is called, and close them.
        The parameter `on_listening` is called once, when the relay follows the change stream."""
        settings, counts, metrics = self._settings, self._place.counts, self.metrics
        pacer = WritePacer(metrics)
        pipeline = Pipeline(
            settings,
            self._mapping,
            metrics,
            pace=pacer.wait_for_room,
            feed=self._place.feed,
            bus=self._bus,
        )
        interval_s = settings.relay_list_update_min_interval_ms / 1000
        hub = Hub(pipeline.reader, pipeline.translator, metrics, list_interval_s=interval_s)
        async with pipeline, hub:
            # The limit is one of all workers together, and their metrics are added up: so must these shares be. The
            # first worker has the largest.
            later = self._place.workers - self._place.number
            share = (settings.relay_max_connections + later) // self._place.workers
            metrics.connections_limit.set(min(share, ports.capacity.connections))
            admission = Admission(
                origins=Origins(origins_of(settings, ports), metrics),
                caps=Caps.of(settings, ports.capacity.connections, counts.admission),
                verifier=Verifier.of(settings, self._keys, pipeline.audience.claims, metrics.note_token),
                rollout=Rollout.of(settings),
                proxies=networks(settings.relay_trusted_proxies),
            )
            metrics.users.set_function(lambda: len(admission.users()))
            reads = Buckets.of_users(settings, counts.reads)
            services = Services(settings, admission, pipeline.audience, hub, reads, metrics=metrics)
            services.shown_by = pipeline.reading.digest
            connections = Connections(services, metrics, random=random.random)
            polls = Polls(services, metrics, random=random.random)
            health = self._health = Health(pipeline.tail, hub, self._keys, pipeline.watch)
            health.show_in(metrics)
            operating = operating_routes(self._place.operations or _Own(health, metrics))
            here = [*(operating if settings.relay_admin_port is None else []), *self._pages]
            page = Page(settings)
            app = application(
                admission,
                polls,
                here,
                metrics,
                page=page,
                url=self.url,
                links=lambda: pipeline.mapping.links.named(),
            )
            most = ports.capacity.connections
            tls = self.certificate.context if self.certificate is not None else None
            clients = Server(
                settings,
                app,
                most,
                websockets=websocket_protocol(pacer, connections.open),
                shared=counts.http,
                tls=tls,
                refusals=admission.refusals,
            )
            pump = pipeline.pump(hub, hub.is_listened, pacer.watch)
            metrics.known_tasks.set_function(lambda: pump.known_tasks)
            administration = self.administration = ProcessAdministration(
                connections,
                polls,
                hub,
                admission,
                readiness=health.state,
                known_tasks=lambda: pump.known_tasks,
            )
            servers: list[tuple[Server, list[socket]]] = [(clients, [ports.clients, *ports.further])]
            admin = None
            if ports.admin is not None:
                admin = AdminApi(Admins.of(settings, self._keys), administration, self._reloads.answer)
                app = operating_application([*operating, *admin.routes()])
                # The caps of the admin port are always those of one process: operators keep places of their own.
                servers.append((Server(settings, app, most, tls=tls), [ports.admin]))
            self._parts = Parts(ports, services, connections, polls, page, clients, admin, pipeline, pump)
            self.built.set()
            if self._place.speaks:
                ports.capacity.warn_if_below(share)
            async with asyncio.TaskGroup() as group:
                serving = [group.create_task(server.serve(sockets=sockets)) for server, sockets in servers]
                background = [
                    group.create_task(self._keys.run()),
                    group.create_task(connections.run_timers()),
                    group.create_task(health.run()),
                    group.create_task(pipeline.watch.run()),
                    group.create_task(pipeline.lead()),
                    group.create_task(self._follow(pipeline, hub, pump, on_listening)),
                ]
                await self._stop.wait()
                if not self._accepting:
                    clients.stop_accepting()
                    metrics.connections_limit.set(0)  # its successor has this share of the limit now
                # First answer all polls and send all clients a notice, so that they can reconnect to another instance
                # while this one still serves. Then close the connections. The servers wait for requests that are being
                # answered.
                health.stopping = True
                told = {"connections": len(connections), "polls": len(polls)}
                log.info("relay draining", extra={**told, "graceMs": self._settings.relay_drain_ms})
                polls.drain()
                await connections.drain()
                log.info("relay drained", extra={"closed": len(connections)})
                connections.close_all()
                for server, _ in servers:
                    server.should_exit = True
                await asyncio.gather(*serving)
                connections.abort_all()
                admission.refusals.flush()
                for task in background:
                    task.cancel()

    async def _follow(
        self, pipeline: Pipeline, hub: Hub, pump: Pump, on_listening: Callable[[], None]
    ) -> None:
        """Open the change stream, call `on_listening`, and then pass every change to the hub. Ends only by
        cancellation, or by StartupError if the database is not one that the relay can follow."""
        hub.move_to(await pipeline.open())
        await self._keys.first(FIRST_KEYS_S)
        log.info("following the change stream", extra={"hosts": hosts_of(self._settings)})
        on_listening()
        await pump.run()


@dataclass(frozen=True, slots=True)
class _Own:
    """Answers operators for a relay that is the only process (`Operations`)."""

    health: Health
    own: Metrics

    async def readiness(self) -> dict[str, Any]:
        return self.health.state()

    async def metrics(self) -> bytes:
        return self.own.text()
