"""The WebSocket carrier: origin, token, and the conversation over each wire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket

from relay.auth.addresses import client_address, networks
from relay.auth.origins import Origins
from relay.errors import BadRequest, Refused
from relay.gateway.session import NOTHING, Desk, Opening, Session
from relay.gateway.websocket.connection import EXTENSION, Pace, Wire
from relay.gateway.websocket.timers import Place, Sweep
from relay.metrics import Metrics
from relay.protocol.requests import check_limit, check_position
from relay.protocol.types import BEARER_PREFIX, DASHBOARD_LIMIT_DEFAULT, SUBPROTOCOL, Close

log = logging.getLogger(__name__)

TOKEN_PARAMETERS = ("token", "access_token", "jwt")


class Connections:
    """All WebSocket conversations of a relay."""

    def __init__(
        self, desk: Desk, origins: Origins, metrics: Metrics, *, random: Callable[[], float]
    ) -> None:
        self._desk = desk
        self._origins = origins
        self._trusted = networks(desk.settings.relay_trusted_proxies)
        self._metrics = metrics
        self._random = random  # a number in [0, 1)
        self._open: dict[Wire, Place] = {}
        settings = desk.settings
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
        """Runs for the life of the relay."""
        await self._sweep.run()

    async def drain(self) -> None:
        """Tell everyone that the relay will stop, and when to come back; return after the time for that,
        or as soon as nobody is left."""
        self._draining = True
        grace_s = self._desk.settings.relay_drain_ms / 1000
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
        # Spread over the time a restart takes, so that not all come back at once.
        session.announce_drain(round(self._desk.settings.relay_drain_ms * self._random()))

    def close_all(self) -> None:
        """The relay stops: everyone is told to come back, and so is who comes from here on."""
        self._closing = True
        for wire in list(self._open):
            wire.close(Close.GOING_AWAY, "restart")

    def abort_all(self) -> None:
        """Whoever has not gone by now is cut off."""
        for wire in list(self._open):
            wire.abort(Close.GOING_AWAY)

    async def any(self, websocket: WebSocket) -> None:
        """`/ws`"""
        await self._serve(websocket)

    async def dashboard(self, websocket: WebSocket) -> None:
        """`/ws/dashboard?limit=`"""
        await self._serve(websocket, dashboard=True)

    async def task(self, websocket: WebSocket) -> None:
        """`/ws/tasks/{taskId}?since=&head=`"""
        await self._serve(websocket, task_id=websocket.path_params["task_id"])

    async def _serve(
        self, websocket: WebSocket, *, dashboard: bool = False, task_id: str | None = None
    ) -> None:
        wire: Wire = websocket.scope["extensions"][EXTENSION]
        if not self._origins.allows(websocket.headers.get("origin"), "websocket"):
            wire.reject(HTTPStatus.FORBIDDEN)
            return
        offered = websocket.scope["subprotocols"]
        if not wire.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None):
            return
        client = websocket.scope["client"]
        address = client_address(
            client[0] if client else "", websocket.headers.getlist("x-forwarded-for"), self._trusted
        )
        counted = self._desk.caps.enter(address)
        opening, token = NOTHING, None
        # Not the exception: its traceback holds this frame, which would hold it in return.
        refused: tuple[int, str] | None = None
        try:
            if not counted:
                raise Refused(Close.AT_CAPACITY, "at_capacity")
            opening = _opening(websocket.query_params, dashboard=dashboard, task_id=task_id)
            token = bearer(websocket.headers.getlist("authorization"), offered)
        except Refused as failure:
            refused = failure.code, failure.reason
        except Exception:  # it counts already, and must not stay without a conversation to end it
            log.exception("a conversation could not begin")
            refused = Close.INTERNAL, "internal error"
        session = Session(self._desk, wire, opening)
        self._enter(wire, session, address if counted else None)
        try:
            if self._closing:
                raise Refused(Close.GOING_AWAY, "restart")
            if refused is not None:
                raise Refused(*refused)
            if token is not None:
                session.authenticate(token)
            if self._draining:
                self._announce_drain(session)
        except Refused as failure:
            wire.close(failure.code, failure.reason)
        except Exception:
            log.exception("a conversation could not begin")
            wire.close(Close.INTERNAL, "internal error")

    def _enter(self, wire: Wire, session: Session, address: str | None) -> None:
        wire.converse(session, max_bytes=self._desk.settings.relay_outbox_max_bytes)
        wire.supervised(self)
        place = self._open[wire] = Place(wire, session, address)
        self._sweep.attend(place)
        self._empty.clear()
        self._metrics.connections.inc()

    # What a wire says.

    def attend(self, wire: Wire) -> None:
        self._sweep.attend(self._open[wire])

    def lost(self, wire: Wire) -> None:
        place = self._open.pop(wire)
        place.vacate()
        if place.address is not None:
            self._desk.caps.leave(place.address)
        if not self._open:
            self._empty.set()
        self._metrics.connections.dec()
        # What a peer sends as its code is the peer's, and must not make labels.
        self._metrics.closed.labels(wire.code if wire.code in _CODES else "other").inc()


_CODES = frozenset(int(code) for code in Close)


def bearer(authorization: Sequence[str], offered: Sequence[str] = ()) -> str | None:
    """The token of a request's headers, or None when there is none. Raises Refused."""
    tokens = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    for header in authorization:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
        tokens.append(token.strip())
    if len(tokens) > 1:
        raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
    return tokens[0] if tokens else None


def _opening(query: QueryParams, *, dashboard: bool, task_id: str | None) -> Opening:
    """What the address asks for. Raises Refused."""
    if any(name in query for name in TOKEN_PARAMETERS):
        raise Refused(Close.BAD_HANDSHAKE, "token_in_query")
    try:
        if dashboard:
            limit = _number(query, "limit")
            return Opening(dashboard_limit=check_limit(DASHBOARD_LIMIT_DEFAULT if limit is None else limit))
        if task_id is not None:
            if not task_id:  # the address of no task; the empty `_id` is joined by a request
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
