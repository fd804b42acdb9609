"""The WebSocket endpoint: it admits clients, starts a session for each connection, and announces a planned stop.

The *drain* is the time between the notice of a planned stop, which tells each client when to reconnect, and the
closing of all connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection

from relay.config import Settings
from relay.errors import BadRequest, Refused
from relay.gateway.http_errors import ORIGIN_NOT_ALLOWED
from relay.gateway.paths import rest_of
from relay.gateway.services import Services
from relay.gateway.session import NOTHING, Opening, Session
from relay.gateway.websocket.connection import Connection, Timeouts
from relay.gateway.websocket.connection_log import ConnectionLog, TokenPlace
from relay.gateway.websocket.handshake import Handshake
from relay.gateway.websocket.open_connection import OpenConnection, kept_path
from relay.gateway.websocket.owner import End
from relay.gateway.websocket.timers import Timers
from relay.hub.listener import Listener
from relay.hub.mapping_switch import Rights
from relay.metrics import Metrics
from relay.protocol.requests import check_limit, check_position
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT, SUBPROTOCOL, Close
from relay.tasks.visibility import Audience

log = logging.getLogger(__name__)


PATHS = ("/ws", "/ws/dashboard", rest_of("/ws/tasks", "task_id"))  # as Starlette writes them


class Connections:
    """All open WebSocket connections of one relay process, and the endpoint that opens them."""

    def __init__(self, services: Services, metrics: Metrics, *, random: Callable[[], float]) -> None:
        self._services = services
        self._metrics = metrics
        self._random = random  # a number in [0, 1)
        self._open: dict[Connection, OpenConnection] = {}
        # Connections whose address is not counted, because a cap is reached or the relay stops.
        self._uncounted: set[OpenConnection] = set()
        self._log = ConnectionLog(services.admission.refusals)
        self._timers = Timers(
            _timeouts(services.settings),
            services.settings.relay_outbox_max_bytes,
            note_delay=metrics.loop_delay.observe,
        )
        metrics.outbox_bytes.set_function(lambda: self._timers.waiting_bytes)
        self._draining = self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def run_timers(self) -> None:
        """Run the timers of all connections: pings, heartbeats and deadlines. Does not return; ends by cancellation."""
        await self._timers.run()

    def reload(self) -> None:
        """Use the timeouts of the new settings for all connections, and close each whose client would not be admitted
        any more."""
        self._timers.change(
            _timeouts(self._services.settings), self._services.settings.relay_outbox_max_bytes
        )
        for connection, entry in list(self._open.items()):
            if entry.session is not None:
                try:
                    entry.session.recheck()
                except Refused as refused:
                    self._metrics.note_refusal("websocket", refused.reason)
                    connection.close(refused.code, refused.reason, refused)

    def rights_by(self, audience: Audience, unchanged: Audience) -> dict[Listener, Rights]:
        """Return the rights of all listeners under a new mapping, as `Session.rights_by` does. Close connections whose
        tokens are needed again."""
        found: dict[Listener, Rights] = {}
        for connection, entry in list(self._open.items()):
            try:
                rights = entry.session.rights_by(audience, unchanged) if entry.session is not None else None
            except Refused as refused:
                connection.close(refused.code, refused.reason)
            else:
                found |= [rights] if rights is not None else []
        return found

    async def drain(self) -> None:
        """Announce to every client that the relay will stop, and when to reconnect. Clients that connect later are sent
        the same notice. Return after RELAY_DRAIN_MS milliseconds, or as soon as no connection is open."""
        self._draining = True
        grace_s = self._services.settings.relay_drain_ms / 1000
        if grace_s and self._open:
            for entry in self._open.values():
                if entry.session is not None:
                    self._announce_drain(entry.session)
            try:
                async with asyncio.timeout(grace_s):
                    await self._empty.wait()
            except TimeoutError:
                pass

    def _announce_drain(self, session: Session) -> None:
        # Each client is given a random time, because otherwise all would reconnect at once.
        session.announce_drain(round(self._services.settings.relay_drain_ms * self._random()))

    def close_all(self) -> None:
        """Close every open connection with 1001, because the relay stops: clients reconnect after this code. Each
        connection that is opened after this call is closed the same way."""
        self._closing = True
        for connection in list(self._open):
            if connection.code is None:
                self._metrics.note_refusal("websocket", "restart")
                connection.close(Close.GOING_AWAY, "restart")

    def __len__(self) -> int:
        """The number of open connections."""
        return len(self._open)

    def opened(self) -> Iterator[OpenConnection]:
        """Yield the connections that are open and do not close yet, the oldest first."""
        return (entry for connection, entry in self._open.items() if connection.code is None)

    def disconnect(self, user: str) -> int:
        """Close all connections of this user with 4403, because an operator has disconnected the user. Return how many
        they are."""
        found = [connection for connection, entry in self._open.items() if entry.user == user]
        for connection in found:
            self._metrics.note_refusal("websocket", "disconnected")
            connection.close(Close.DISCONNECTED, "disconnected")
        return len(found)

    def abort_all(self) -> None:
        """Cut off every connection that is still open at once, and drop what is queued for it."""
        for connection in list(self._open):
            connection.abort(Close.GOING_AWAY, "restart")

    def open(self, handshake: Handshake, request: HTTPConnection) -> None:
        """Answer a request to open a WebSocket, by its path:

        - `/ws`: nothing is subscribed to by the address; the client sends requests for whatever it wants.
        - `/ws/dashboard?limit=`: the client is subscribed to the list of tasks right after the `welcome` message.
        - `/ws/tasks/{taskId}?since=&head=`: the client is subscribed to this task right after the `welcome`.

        Every other path is rejected with HTTP status 404.
        """
        path: str = request.scope["path"]
        if path == "/ws":
            self._serve(handshake, request)
        elif path == "/ws/dashboard":
            self._serve(handshake, request, dashboard=True)
        elif path.startswith("/ws/tasks/"):
            self._serve(handshake, request, task_id=path.removeprefix("/ws/tasks/"))
        else:
            self._reject(handshake, request, HTTPStatus.NOT_FOUND, "not_found")

    def _serve(
        self,
        handshake: Handshake,
        request: HTTPConnection,
        *,
        dashboard: bool = False,
        task_id: str | None = None,
    ) -> None:
        """Admit the client and start its session, or refuse the client.

        A page of a foreign origin is refused with HTTP status 403, every other client with a close code. `dashboard`
        subscribes the client to the list of tasks, `task_id` to that task.
        """
        admission = self._services.admission
        if not admission.allows_origin(request, "websocket"):
            self._metrics.note_refusal("websocket", ORIGIN_NOT_ALLOWED)
            self._reject(handshake, request, HTTPStatus.FORBIDDEN, ORIGIN_NOT_ALLOWED)
            return
        offered = request.scope["subprotocols"]
        connection = handshake.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None, self)
        if connection is None:
            return
        # From here on a refusal is a close code, which a page can read. The timers must see the connection end even
        # if the client never answers that close. So the connection is registered before any check that may refuse it.
        entry = self._register(connection, request)
        try:
            if self._closing:
                raise Refused(Close.GOING_AWAY, "restart")
            admission.enter(entry.address)  # given back in `lost`
            self._uncounted.discard(entry)
            token = admission.token_of(request)
            opening = _opening(request, dashboard=dashboard, task_id=task_id)
            session = entry.session = Session(self._services, connection, opening)
            connection.serve(session, max_bytes=self._services.settings.relay_outbox_max_bytes)
            if token is not None:
                session.authenticate(token)
                place: TokenPlace = "header" if "authorization" in request.headers else "subprotocol"
                self._log.opened(entry, place, self._services.wall())
            if self._draining:
                self._announce_drain(session)
        except Refused as refused:
            self._metrics.note_refusal("websocket", refused.reason)
            connection.close(refused.code, refused.reason, refused)
        except Exception:
            log.exception("a session could not begin")
            connection.close(Close.INTERNAL, "internal error")

    def _reject(self, handshake: Handshake, request: HTTPConnection, status: HTTPStatus, reason: str) -> None:
        """Reject the request with this HTTP status, and log it with this reason."""
        admission = self._services.admission
        admission.refusals.say(
            "connection refused",
            admission.address_of(request),
            status=status.value,
            reason=reason,
            path=request.scope["path"],
            origin=request.headers.get("origin"),
        )
        handshake.reject(status)

    def _register(self, connection: Connection, request: HTTPConnection) -> OpenConnection:
        """Start the timers of a new connection, and count it in the metrics. `lost` undoes both. Return its record."""
        entry = self._open[connection] = OpenConnection(
            connection,
            kept_path(request.scope["path"]),
            self._services.wall(),
            self._services.admission.address_of(request),
        )
        self._uncounted.add(entry)
        self._timers.wake(entry)
        self._empty.clear()
        self._metrics.connections.inc()
        return entry

    # Called by a connection (connection.Owner).

    def wake(self, connection: Connection) -> None:
        self._timers.wake(self._open[connection])

    def admitted(self, connection: Connection) -> None:
        self._log.opened(self._open[connection], "message", self._services.wall())

    def ending(self, connection: Connection, end: End) -> None:
        self._log.ended(self._open[connection], end, self._services.wall())

    def lost(self, connection: Connection) -> None:
        entry = self._open.pop(connection)
        entry.release()
        if entry in self._uncounted:
            self._uncounted.discard(entry)
        else:
            self._services.admission.leave(entry.address)
        if not self._open:
            self._empty.set()
        self._metrics.connections.dec()
        self._metrics.note_close(connection.code)


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        ping_every_s=settings.relay_ping_interval_ms / 1000,
        pong_within_s=settings.relay_ping_timeout_ms / 1000,
        stall_s=settings.relay_stall_timeout_ms / 1000,
    )


def _opening(request: HTTPConnection, *, dashboard: bool, task_id: str | None) -> Opening:
    """Return what the address of a WebSocket asks to subscribe to, from its query and, if given, its task id.

    Raises Refused (4500) if a value in the query is invalid or the task id is empty.
    """
    try:
        if dashboard:
            limit = _number(request.query_params, "limit")
            return Opening(dashboard_limit=check_limit(DASHBOARD_LIMIT_DEFAULT if limit is None else limit))
        if task_id is not None:
            if not task_id:  # no task id at all; the task with the id "" can be joined by a request
                raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
            since, head = check_position(
                _number(request.query_params, "since"), request.query_params.get("head")
            )
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
