"""The composition root: every stage, put together, from start to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from relay.auth.addresses import networks
from relay.auth.admission import Admission
from relay.auth.key_sources import key_source
from relay.auth.limits import Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import KeySource, Verifier
from relay.cli.process import is_ignored, raise_on_interrupt
from relay.config import Settings
from relay.errors import StartupError
from relay.feed.cache import Known
from relay.feed.pump import Pump
from relay.gateway.descriptors import Room, make_room
from relay.gateway.http import application, operating_application, operating_routes
from relay.gateway.http_protocol import Limits, http_protocol
from relay.gateway.listening import bind, is_local, quiet_about_room, shown
from relay.gateway.polling.endpoint import Polls
from relay.gateway.services import Services
from relay.gateway.websocket.connection import gathered_by
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.pacing import Flusher
from relay.hub.hub import Hub
from relay.hub.joining import Joining
from relay.metrics import Metrics
from relay.source.client import client_of, hosts_of, names_of, warning_of
from relay.source.opening import Opening, Watch
from relay.source.raw_bson import Decoder
from relay.source.reader import Reader
from relay.source.stream import Tail
from relay.tasks.mapping import Mapping, load
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience
from relay.urls import origin_of

log = logging.getLogger(__name__)

STALE_AFTER_S = 5.0  # no reply of the database for so long: what is shown may be old
HEALTH_S = 0.5
FIRST_KEYS_S = 5.0  # a JWKS is waited for so long; without keys the relay runs, but is not ready
FAREWELL_S = 1.0


class Relay:
    """One relay. `run` serves until `stop`, or raises StartupError when it cannot."""

    def __init__(self, settings: Settings) -> None:
        self._where = names_of(settings)
        warning = warning_of(settings)
        if warning is not None:
            log.warning(warning)
        self._settings = settings
        self._keys = key_source(settings)
        self._mapping = load(settings.relay_mapping) if settings.relay_mapping else Mapping()
        self._stop = asyncio.Event()
        self.url = ""  # where it listens, once `on_listening` was called
        self.admin_url = ""  # where operators ask, if that is another port

    def stop(self) -> None:
        """Ask for the end; `run` returns when everything is closed."""
        self._stop.set()

    async def run(self, on_listening: Callable[[], None] = lambda: None) -> None:
        """Serve. `on_listening` is called once the port is open and the stream followed."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(quiet_about_room)
        room = make_room(settings.relay_max_connections)
        listening = bind(settings.relay_host, settings.relay_port, room.ceiling)
        host, port = settings.relay_host, listening.getsockname()[1]
        self.url = settings.relay_public_url or f"http://{shown(host)}:{port}"
        admin = None
        if settings.relay_admin_port is not None:
            admin = bind(settings.relay_host, settings.relay_admin_port, room.admin_ceiling)
            self.admin_url = f"http://{shown(host)}:{admin.getsockname()[1]}"

        metrics = Metrics()
        audience = Audience(self._mapping.visibility)
        translator = Translator(
            self._mapping,
            audience.keys_of,
            max_text=settings.relay_max_text_length,
            max_event_bytes=settings.relay_max_event_bytes,
        )
        interval_s = settings.relay_list_update_min_interval_ms / 1000
        hub = Hub(translator.view, metrics, list_interval_s=interval_s)
        # Two clients: the tail's waiting getMore must not take a connection from the reads (F15).
        clients = [client_of(settings), client_of(settings)]
        decoder = Decoder(self._mapping.events, names=self._mapping.names(), noticed=metrics.undecodable.inc)
        where = (*self._where, decoder)
        flusher = Flusher()
        tail = Tail(clients[0], *where, jitter=random.random, pace=flusher.pace)
        reader = Reader(clients[1], *where, left_out=metrics.left_out.inc)
        opening = Opening(settings, clients[1], tail, reader)
        watch = Watch(settings, clients[1], reader, tail)
        known = Known(settings.relay_known_tasks_max, hub.is_listened)
        verifier = Verifier(
            self._keys,
            issuer=settings.relay_jwt_issuer,
            audience=settings.relay_jwt_audience,
            keep=audience.claims,
        )
        try:
            async with Joining(hub, reader, translator, metrics) as joining:
                admission = Admission(
                    origins=Origins(_origins(settings, port), metrics),
                    caps=_caps(settings, room),
                    verifier=verifier,
                    rollout=_rollout(settings),
                    proxies=networks(settings.relay_trusted_proxies),
                )
                services = Services(settings, admission, audience, hub, joining)
                connections = Connections(services, metrics, random=random.random)
                polls = Polls(services, metrics, random=random.random)
                health = _Health(tail, hub, self._keys, watch)
                operating = operating_routes(metrics, health.state)
                here = operating if admin is None else []
                servers = {
                    listening: _server(
                        settings,
                        application(admission, connections, polls, here, url=self.url),
                        flusher,
                        room,
                    )
                }
                if admin is not None:
                    servers[admin] = _server(settings, operating_application(operating), flusher, room)
                pump = Pump(tail, reader, translator, known, joining, metrics)
                room.say_if_less_than(settings.relay_max_connections)
                async with asyncio.TaskGroup() as group:
                    serving = [
                        group.create_task(server.serve(sockets=[opened]))
                        for opened, server in servers.items()
                    ]
                    background = [
                        group.create_task(self._keys.run()),
                        group.create_task(connections.sweep()),
                        group.create_task(health.watch()),
                        group.create_task(watch.run()),
                        group.create_task(self._follow(opening, hub, pump, on_listening)),
                    ]
                    await self._stop.wait()
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
        except* StartupError as failures:
            raise failures.exceptions[0] from None
        finally:
            listening.close()
            if admin is not None:
                admin.close()
            with suppress(TimeoutError):  # a database that is silent would hold us for its farewell
                async with asyncio.timeout(FAREWELL_S):
                    await asyncio.gather(*(client.close() for client in clients))

    async def _follow(self, opening: Opening, hub: Hub, pump: Pump, on_listening: Callable[[], None]) -> None:
        hub.move_to(await opening.patiently())
        await self._keys.first(FIRST_KEYS_S)
        log.info("following the change stream", extra={"hosts": hosts_of(self._settings)})
        on_listening()
        await pump.run()


class _Health:
    """Is what we show current?"""

    def __init__(self, tail: Tail, hub: Hub, keys: KeySource, watch: Watch) -> None:
        self._tail = tail
        self._hub = hub
        self._keys = keys
        self._watch = watch
        self.stopping = False

    def state(self) -> dict[str, Any]:
        silence = self._silence()
        stale = silence is None or silence > STALE_AFTER_S
        suits = self._watch.refused is None
        ready = not stale and suits and not self.stopping and self._keys.current() is not None
        state: dict[str, Any] = {"ready": ready, "stale": stale}
        if silence is not None:
            state["lastReplyMs"] = round(silence * 1000)
        return state

    async def watch(self) -> None:
        """Tell the listeners when the database falls silent, and when it is back."""
        while True:
            await asyncio.sleep(HEALTH_S)
            silence = self._silence()
            if silence is not None:
                self._hub.announce("stale" if silence > STALE_AFTER_S else "live", round(silence * 1000))

    def _silence(self) -> float | None:
        last = self._tail.current_at
        return None if last is None else time.monotonic() - last


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the relay decides what a signal means."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _rollout(settings: Settings) -> Rollout:
    return Rollout(
        enabled=settings.feature_websocket_enabled,
        percent=settings.feature_websocket_percent,
        users=settings.feature_websocket_users,
    )


def _caps(settings: Settings, room: Room) -> Caps:
    return Caps(
        total=room.connections,
        per_address=settings.relay_max_connections_per_address,
        per_user=settings.relay_max_connections_per_user,
    )


def _server(settings: Settings, app: Any, flusher: Flusher, room: Room) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=http_protocol(
                Limits(
                    request_within_s=settings.relay_handshake_timeout_ms / 1000,
                    stall_s=settings.relay_stall_timeout_ms / 1000,
                    # Not the caps of `Admission`, which a connection joins when it becomes a WebSocket or a poll: one
                    # count for both would count a poll twice.
                    caps=_caps(settings, room),
                    proxies=networks(settings.relay_trusted_proxies),
                )
            ),
            ws=gathered_by(flusher),
            ws_max_size=settings.relay_max_message_bytes,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
    )


def on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM, SIGINT and a terminal that closes ask for the end; a second SIGINT is Python's own, and any other
    that follows changes nothing, also when this loop is closed. SIGINT and SIGHUP stay ignored where they are, as in
    the background of a script or under nohup."""
    loop = asyncio.get_running_loop()

    # Not the loop's own handlers: closing the loop would bring back what kills.
    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            raise_on_interrupt()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(stop)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is signal.SIGTERM or not is_ignored(number):
            signal.signal(number, handle)


def _origins(settings: Settings, port: int) -> list[str]:
    """The origins whose pages may connect: those of the settings, and of the relay's own address."""
    if settings.relay_public_url:
        return [*settings.relay_allowed_origins, _origin(settings.relay_public_url)]
    hosts = {shown(settings.relay_host)}
    if is_local(settings.relay_host):
        hosts |= {"localhost", "127.0.0.1", "[::1]"}
    own: list[str] = []
    for host in sorted(hosts):
        with suppress(ValueError):  # a host that no browser can write, such as fe80::1%eth0
            own.append(_origin(f"http://{host}:{port}"))
    return [*settings.relay_allowed_origins, *own]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return origin_of(f"{parts.scheme}://{parts.netloc}")
