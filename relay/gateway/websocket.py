"""The WebSocket carrier: handshake, origin, token, and one queue of ready-made frames."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from relay.errors import BadRequest, Refused
from relay.gateway.requests import MAX_TASK_ID, check_limit, check_position
from relay.gateway.session import Desk, Opening, Session
from relay.metrics import Metrics
from relay.protocol import BEARER_PREFIX, DASHBOARD_LIMIT_DEFAULT, SUBPROTOCOL, Close

log = logging.getLogger(__name__)

SWEEP_S = 0.25  # how exact heartbeats and expiries are
ANSWERS_FACTOR = 64  # answers may wait up to so many times what live messages may: documents have 16 MB
TOKEN_PARAMETERS = ("token", "access_token", "jwt")


class Connections:
    """All WebSocket conversations of a relay, and the one sweep that gives them the time."""

    def __init__(self, desk: Desk, origins: Sequence[str], metrics: Metrics) -> None:
        self._desk = desk
        self._origins = frozenset(origins)
        self._metrics = metrics
        self._open: dict[_QueueCarrier, Session] = {}

    async def sweep(self) -> None:
        """Runs for the life of the relay."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for carrier, session in list(self._open.items()):
                try:
                    session.tick()
                except Refused as refused:
                    carrier.close(refused.code, refused.reason)

    def close_all(self) -> None:
        """The relay stops: everyone is told to come back."""
        for carrier in list(self._open):
            carrier.close(Close.GOING_AWAY, "restart")

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
        origin = websocket.headers.get("origin")
        if origin is not None and origin not in self._origins:
            await websocket.close()  # before it is accepted: HTTP 403
            return
        offered = websocket.scope.get("subprotocols") or []
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        carrier = _QueueCarrier(websocket, self._desk.settings.relay_outbox_max_bytes)
        session: Session | None = None
        try:
            opening = _opening(websocket.query_params, dashboard=dashboard, task_id=task_id)
            token = _token(websocket.headers.getlist("authorization"), offered)
            session = Session(self._desk, carrier, opening)
            if token is not None:
                session.authenticate(token)
        except Refused as refused:
            self._closed(refused.code)
            await websocket.close(refused.code, refused.reason)
            return
        except Exception:
            log.exception("a conversation could not begin")
            if session is not None:
                session.closed()
            self._closed(Close.INTERNAL)
            await websocket.close(Close.INTERNAL, "internal error")
            return
        await self._converse(websocket, carrier, session)

    async def _converse(self, websocket: WebSocket, carrier: _QueueCarrier, session: Session) -> None:
        self._open[carrier] = session
        self._metrics.connections.inc()
        reading = asyncio.ensure_future(_receive_all(websocket, carrier, session))
        try:
            await carrier.write_all()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the peer went away while a frame was on its way
        finally:
            del self._open[carrier]
            self._metrics.connections.dec()
            self._closed(carrier.code)
            session.closed()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    def _closed(self, code: int | None) -> None:
        # What a peer sends as its code is the peer's, and must not make labels.
        self._metrics.closed.labels(code if code in _CODES else "other").inc()


_CODES = frozenset(int(code) for code in Close)


async def _receive_all(websocket: WebSocket, carrier: _QueueCarrier, session: Session) -> None:
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                carrier.gone(message.get("code"))
                return
            text = message.get("text")
            if text is None:
                raise Refused(Close.BINARY, "text frames only")
            session.receive(text)
    except Refused as refused:
        carrier.close(refused.code, refused.reason)
    except Exception:
        log.exception("a conversation failed")
        carrier.close(Close.INTERNAL, "internal error")


class _QueueCarrier:
    """Frames wait here, bounded in bytes, for the one writer of the connection."""

    def __init__(self, websocket: WebSocket, max_bytes: int) -> None:
        self._websocket = websocket
        self._max_bytes = max_bytes
        self._frames: deque[tuple[bytes, bool]] = deque()  # (frame, was it asked for?)
        self._live_bytes = 0
        self._answer_bytes = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._reason = ""
        self.code: int | None = None  # how the connection ended, once it has

    def send(self, frame: bytes) -> None:
        self._live_bytes += len(frame)
        self._queue(frame, answer=False)

    def answer(self, frame: bytes) -> None:
        self._answer_bytes += len(frame)
        self._queue(frame, answer=True)

    def _queue(self, frame: bytes, *, answer: bool) -> None:
        if self._ended:
            return
        self._frames.append((frame, answer))
        self._wake.set()
        if self._live_bytes > self._max_bytes or self._answer_bytes > self._max_bytes * ANSWERS_FACTOR:
            self._frames.clear()
            self.close(Close.TIMEOUT, "stalled")

    def close(self, code: int, reason: str) -> None:
        if not self._ended:
            self._ended, self.code, self._reason = True, int(code), reason
            self._wake.set()

    def gone(self, code: int | None) -> None:
        """The peer closed: nothing can be sent any more."""
        self._ended, self.code = True, code
        self._frames.clear()
        self._websocket.application_state = WebSocketState.DISCONNECTED
        self._wake.set()

    async def write_all(self) -> None:
        """Write until the connection ends."""
        send: Any = self._websocket.send
        while True:
            while self._frames:
                frame, answer = self._frames.popleft()
                if answer:
                    self._answer_bytes -= len(frame)
                else:
                    self._live_bytes -= len(frame)
                await send({"type": "websocket.send", "text": frame.decode()})
            if self._ended:
                break
            self._wake.clear()
            await self._wake.wait()
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(self.code or Close.DONE, self._reason)


def _token(authorization: Sequence[str], offered: Sequence[str]) -> str | None:
    """The token of the handshake, or None when it is to come as the first frame. Raises Refused."""
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
            if not 0 < len(task_id) <= MAX_TASK_ID:
                raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
            since, head = check_position(_number(query, "since"), query.get("head"))
            return Opening(task_id=task_id, since=since, head=head)
    except (BadRequest, ValueError):
        raise Refused(Close.BAD_HANDSHAKE, "bad_handshake") from None
    return Opening()


def _number(query: QueryParams, name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise ValueError(name)
    return int(value)
