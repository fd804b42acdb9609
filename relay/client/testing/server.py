"""A fake relay's side of its connections: answers requests, and sends what each client has joined. Does I/O: sockets
of this process, on the loopback interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.typing import Subprotocol

from relay.client.testing.tasks import Tasks, Told
from relay.protocol.types import (
    DASHBOARD_LIMIT_DEFAULT,
    SUBPROTOCOL,
    TEMPORARY_ERRORS,
    Claims,
    ErrorCode,
    Kind,
    Request,
    rfc3339,
)

HEARTBEAT_MS = 3_600_000  # none is sent while a test runs
RETRY_AFTER_MS = 10
MAX_TASKS = 200
# No limit on the rate: a client would wait.
LIMITS = {"maxMessageBytes": 65_536, "messagesPerSecond": 1_000_000, "maxTasks": MAX_TASKS}
_CLOSED_WITHIN_S = 1.0


class FakeServer:
    """Listens on a free port of the loopback interface while it is open. `failures` are errors for the next joins."""

    def __init__(self, tasks: Tasks, sub: str, claims: Claims) -> None:
        self.failures: list[ErrorCode] = []
        self.online = asyncio.Event()
        self.online.set()
        self.stale_ms: int | None = None
        self.url = ""
        self._tasks = tasks
        self._sub = sub
        self._claims = claims
        self._server: Server | None = None
        self._peers: set[_Peer] = set()

    async def open(self) -> None:
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            0,
            process_request=self._refuse_while_offline,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            ping_interval=None,
            close_timeout=_CLOSED_WITHIN_S,
        )
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def tell(self, messages: Sequence[Told]) -> None:
        """Send the messages of a change to everybody who joined what they are about, each once."""
        for peer in self._peers:
            peer.tell(messages)

    def send(self, kind: Kind, data: dict[str, Any]) -> None:
        for peer in self._peers:
            peer.send(kind, data)

    def end(self, code: int, reason: str) -> None:
        """Close every connection with this code."""
        for peer in self._peers:
            peer.outgoing.put_nowait((code, reason))

    def cut(self) -> None:
        """Let every connection break without an explanation."""
        for peer in self._peers:
            peer.socket.transport.abort()

    def _refuse_while_offline(self, socket: ServerConnection, request: HttpRequest) -> None:
        if not self.online.is_set():
            socket.transport.abort()

    async def _converse(self, socket: ServerConnection) -> None:
        peer = _Peer(socket, self._tasks, self.failures)
        expires = rfc3339(datetime.now(UTC) + timedelta(hours=1))
        welcome = {"connectionId": "fake", "sub": self._sub, "protocol": 1, "heartbeatMs": HEARTBEAT_MS}
        peer.send(Kind.WELCOME, welcome | {"expiresAt": expires, "limits": LIMITS, "claims": self._claims})
        if self.stale_ms is not None:
            peer.send(Kind.STREAM_STATUS, {"state": "stale", "lagMs": self.stale_ms})
        self._peers.add(peer)
        writing = asyncio.create_task(peer.write())
        try:
            async for raw in socket:
                peer.answer(orjson.loads(raw))
        except ConnectionClosed:
            pass  # the test has cut the connection
        finally:
            self._peers.discard(peer)
            writing.cancel()
            await asyncio.wait({writing})


class _Peer:
    """One connection. `outgoing` holds what is to be sent, in its order, and at last the code to close with."""

    def __init__(self, socket: ServerConnection, tasks: Tasks, failures: list[ErrorCode]) -> None:
        self.socket = socket
        self.outgoing: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue()
        self._tasks = tasks
        self._failures = failures
        self._has_list = False
        self._rooms: set[str] = set()

    async def write(self) -> None:
        with suppress(ConnectionClosed):
            while isinstance(sent := await self.outgoing.get(), bytes):
                await self.socket.send(sent, text=True)
            await self.socket.close(*sent)

    def send(self, kind: Kind, data: dict[str, Any], *, reply_to: Any = None, at: str | None = None) -> None:
        frame = {"type": kind, "data": data, "at": at, "replyTo": reply_to}
        self.outgoing.put_nowait(
            orjson.dumps({name: value for name, value in frame.items() if value is not None})
        )

    def tell(self, messages: Sequence[Told]) -> None:
        at = _now()
        for message in messages:
            task_id = message.data["taskId"]
            if (message.to_list and self._has_list) or (message.to_room and task_id in self._rooms):
                self.send(message.kind, message.data, at=at)
            if message.kind in (Kind.DELETED, Kind.REVOKED):
                self._rooms.discard(task_id)

    def answer(self, request: dict[str, Any]) -> None:
        reply_to, data = request.get("id"), request.get("data", {})
        match request["type"]:
            case Request.AUTH:
                self.send(Kind.AUTH_OK, {"expiresAt": _now()}, reply_to=reply_to)
            case Request.DASHBOARD_JOIN:
                self._join_list(data, reply_to)
            case Request.DASHBOARD_LEAVE:
                self._has_list = False
                self.send(Kind.DASHBOARD_LEFT, {}, reply_to=reply_to)
            case Request.TASK_JOIN:
                self._join_tasks(data.get("tasks", [data]), reply_to)
            case Request.TASK_LEAVE:
                self._rooms.discard(data["taskId"])
                self.send(Kind.TASK_LEFT, {"taskId": data["taskId"]}, reply_to=reply_to)
            case Request.PING:
                self.send(Kind.PONG, {"serverTime": _now()}, reply_to=reply_to)
            case _:
                self._refuse(ErrorCode.UNKNOWN_TYPE, reply_to)

    def _join_list(self, data: dict[str, Any], reply_to: Any) -> None:
        if self._failures:
            return self._refuse(self._failures.pop(0), reply_to)
        self._has_list = True
        tasks = self._tasks.summaries(data.get("limit", DASHBOARD_LIMIT_DEFAULT))
        self.send(Kind.DASHBOARD_STATE, {"tasks": tasks, "reset": True, "more": False}, reply_to=reply_to)

    def _join_tasks(self, joins: list[dict[str, Any]], reply_to: Any) -> None:
        if len(self._rooms | {join["taskId"] for join in joins}) > MAX_TASKS:
            return self._refuse(ErrorCode.TOO_MANY_TASKS, reply_to)
        failure = self._failures.pop(0) if self._failures else None
        for join in joins:
            task_id = join["taskId"]
            if failure is not None or not self._tasks.is_visible(task_id):
                self._refuse(failure or ErrorCode.FORBIDDEN, reply_to, taskId=task_id)
                continue
            self._rooms.add(task_id)
            state = self._tasks.state(task_id, join.get("since"), join.get("head"))
            self.send(Kind.TASK_STATE, state, reply_to=reply_to)

    def _refuse(self, code: ErrorCode, reply_to: Any, **about: str) -> None:
        error: dict[str, Any] = {
            "code": code,
            "message": f"The fake relay says {code}.",
            "temporary": code in TEMPORARY_ERRORS,
            **about,
        }
        if code in TEMPORARY_ERRORS:
            error["retryAfterMs"] = RETRY_AFTER_MS
        self.send(Kind.ERROR, error, reply_to=reply_to)


def _now() -> str:
    return rfc3339(datetime.fromtimestamp(time.time(), UTC))
