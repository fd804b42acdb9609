"""The WebSocket endpoints: admission, a session for each connection, and the drain before the relay stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket

from relay.errors import BadRequest, Refused
from relay.gateway.services import Services
from relay.gateway.session import NOTHING, Opening, Session
from relay.gateway.websocket.connection import EXTENSION, Pace, Wire
from relay.gateway.websocket.timers import Place, Sweep
from relay.metrics import Metrics
from relay.protocol.requests import check_limit, check_position
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT, SUBPROTOCOL, Close

log = logging.getLogger(__name__)


class Connections:
    """All open WebSocket connections of a relay."""

    def __init__(self, services: Services, metrics: Metrics, *, random: Callable[[], float]) -> None:
        self._services = services
        self._metrics = metrics
        self._random = random  # a number in [0, 1)
        self._open: dict[Wire, Place] = {}
        settings = services.settings
        pace = Pace(
            ping_every_s=settings.relay_ping_interval_ms / 1000,
            pong_within_s=settings.relay_ping_timeout_ms / 1000,
            stall_s=settings.relay_stall_timeout_ms / 1000,
        )
        self._sweep = Sweep(pace, settings.relay_outbox_max_bytes)
        self._draining = self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def sweep(self) -> None:
        """Run the timers of all connections. Does not return."""
        await self._sweep.run()

    async def drain(self) -> None:
        """Announce to all clients, also later ones, that the relay will stop, and when to reconnect. Return after
        RELAY_DRAIN_MS, or as soon as no connection is open."""
        self._draining = True
        grace_s = self._services.settings.relay_drain_ms / 1000
        if grace_s and self._open:
            for place in self._open.values():
                if place.session is not None:
                    self._announce_drain(place.session)
            try:
                async with asyncio.timeout(grace_s):
                    await self._empty.wait()
            except TimeoutError:
                pass

    def _announce_drain(self, session: Session) -> None:
        # Each client is given another time, or all would reconnect at once.
        session.announce_drain(round(self._services.settings.relay_drain_ms * self._random()))

    def close_all(self) -> None:
        """Close every connection, and each later one, with 1001: the relay stops, and clients reconnect."""
        self._closing = True
        for wire in list(self._open):
            wire.close(Close.GOING_AWAY, "restart")

    def abort_all(self) -> None:
        """Cut every connection that is still open, whatever it has queued."""
        for wire in list(self._open):
            wire.abort(Close.GOING_AWAY)

    async def any(self, websocket: WebSocket) -> None:
        """`/ws`: the client asks for everything by requests."""
        await self._serve(websocket)

    async def dashboard(self, websocket: WebSocket) -> None:
        """`/ws/dashboard?limit=`: joins the list of tasks after the welcome."""
        await self._serve(websocket, dashboard=True)

    async def task(self, websocket: WebSocket) -> None:
        """`/ws/tasks/{taskId}?since=&head=`: joins one task after the welcome."""
        await self._serve(websocket, task_id=websocket.path_params["task_id"])

    async def _serve(
        self, websocket: WebSocket, *, dashboard: bool = False, task_id: str | None = None
    ) -> None:
        admission = self._services.admission
        wire: Wire = websocket.scope["extensions"][EXTENSION]
        if not admission.allows_origin(websocket, "websocket"):
            wire.reject(HTTPStatus.FORBIDDEN)
            return
        if not wire.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None):
            return
        # From here on a refusal is a close code, which a page can read, and the timers must see the connection
        # end. So it is registered before any check that may refuse it.
        place = self._register(wire)
        try:
            if self._closing:
                raise Refused(Close.GOING_AWAY, "restart")
            place.address = admission.enter(websocket)  # until `lost`
            token = admission.token_of(websocket)
            opening = _opening(websocket.query_params, dashboard=dashboard, task_id=task_id)
            session = place.session = Session(self._services, wire, opening)
            wire.converse(session, max_bytes=self._services.settings.relay_outbox_max_bytes)
            if token is not None:
                session.authenticate(token)
            if self._draining:
                self._announce_drain(session)
        except Refused as refused:
            wire.close(refused.code, refused.reason)
        except Exception:
            log.exception("a session could not begin")
            wire.close(Close.INTERNAL, "internal error")

    def _register(self, wire: Wire) -> Place:
        """Watch a connection and count it in the metrics, until `lost`."""
        wire.supervised(self)
        place = self._open[wire] = Place(wire, None, None)
        self._sweep.attend(place)
        self._empty.clear()
        self._metrics.connections.inc()
        return place

    # Called by a connection.

    def attend(self, wire: Wire) -> None:
        self._sweep.attend(self._open[wire])

    def lost(self, wire: Wire) -> None:
        place = self._open.pop(wire)
        place.vacate()
        if place.address is not None:
            self._services.admission.leave(place.address)
        if not self._open:
            self._empty.set()
        self._metrics.connections.dec()
        # The client chooses the code of its own close frame. As a label it could make series without end.
        self._metrics.closed.labels(wire.code if wire.code in _CODES else "other").inc()


_CODES = frozenset(int(code) for code in Close)


def _opening(query: QueryParams, *, dashboard: bool, task_id: str | None) -> Opening:
    """Parse the query into what the session joins after the welcome. Raises Refused (4500)."""
    try:
        if dashboard:
            limit = _number(query, "limit")
            return Opening(dashboard_limit=check_limit(DASHBOARD_LIMIT_DEFAULT if limit is None else limit))
        if task_id is not None:
            if not task_id:  # no task id at all; the task with the id "" can be joined by a request
                raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
            since, head = check_position(_number(query, "since"), query.get("head"))
            return Opening(task_id=task_id, since=since, head=head)
    except (BadRequest, ValueError):
        raise Refused(Close.BAD_HANDSHAKE, "bad_handshake") from None
    return NOTHING


def _number(query: QueryParams, name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise ValueError(name)
    return int(value)
