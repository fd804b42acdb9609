"""A scripted relay for tests of the client: real sockets, tasks in memory, and faults. Does I/O.

Each connection has the next of the given faults. Connections after the last fault have none. `after` is the number of
frames, including `welcome`, that the relay sends on the connection before the fault happens.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a connection after `after` frames. Without a status, a code or silence its socket is aborted."""

    after: int = 0
    status: int | None = None  # respond with this HTTP status instead of an upgrade
    code: int | None = None  # send a close frame with this code
    reason: str = ""
    silent: bool = False  # keep the connection open and send nothing more


def drop(after: int) -> Fault:
    return Fault(after)


def close(code: int, reason: str = "", after: int = 1) -> Fault:
    return Fault(after, code=code, reason=reason)


def refuse(status: int = 403) -> Fault:
    return Fault(status=status)


def silence(after: int = 1) -> Fault:
    return Fault(after, silent=True)


NO_FAULT = Fault(-1)


class FakeTime:
    """A clock that only moves by `advance`, and a `sleep` that follows it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self._someone_slept = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        sleeper = (self.now + seconds, asyncio.Event())
        self._sleepers.append(sleeper)
        self._someone_slept.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Move the clock, and wake the sleepers that are due."""
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now + 1e-6:
                woken.set()

    async def until_someone_sleeps(self, seconds: float) -> None:
        """Wait until a task sleeps that is due in exactly this time."""
        while not any(abs(due - self.now - seconds) < 1e-6 for due, _ in self._sleepers):
            self._someone_slept.clear()
            await self._someone_slept.wait()


@dataclass(slots=True, eq=False)
class Peer:
    """A connection of the fake relay."""

    ws: ServerConnection
    fault: Fault
    rooms: set[str | None] = field(default_factory=set)
    sent: int = 0

    async def send(self, frame: str | bytes) -> None:
        if self.fault.silent and self.sent >= self.fault.after:
            return
        try:
            await self.ws.send(frame)
        except ConnectionClosed:
            return  # the client has disconnected, which is not a fault
        self.sent += 1
        await self.fail_if_due()

    async def fail_if_due(self) -> None:
        if self.fault.silent or self.sent != self.fault.after:
            return
        if self.fault.code is None:
            self.ws.transport.abort()
        else:
            await self.ws.close(self.fault.code, self.fault.reason)


class FakeRelay:
    """A relay whose answers and faults the test chooses. Tasks and their events are plain lists."""

    def __init__(
        self,
        tasks: dict[str, list[Event | None]] | None = None,
        *faults: Fault,
        page: int = 100,
        heartbeat_ms: int = 25_000,
        request_bytes: int = 65_536,
        rate: int = 20,
        max_tasks: int = 200,
        bad: frozenset[str] = frozenset(),
    ) -> None:
        self.tasks = tasks or {}
        self.faults = deque(faults)
        self.page = page  # events in one page of a state
        self.heartbeat_ms = heartbeat_ms
        self.request_bytes = request_bytes
        self.rate = rate
        self.max_tasks = max_tasks
        self.bad = bad  # ids that this relay refuses as invalid
        self.peers: list[Peer] = []
        self.received: list[dict[str, Any]] = []
        self.tokens: list[str] = []  # Authorization headers, one per connection attempt
        self._answers: dict[str, deque[dict[str, Any] | None]] = {}
        self._something_received = asyncio.Event()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            0,
            process_request=self._process_request,
            subprotocols=[Subprotocol("relay.v1")],
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    def answer_next(self, request: str, code: str, *, temporary: bool = False, **data: Any) -> None:
        """Answer the next request of this type with an error, and ignore the request."""
        error = {"code": code, "message": f"{code}.", "temporary": temporary, **data}
        self._answers.setdefault(request, deque()).append(error)

    def ignore_next(self, request: str) -> None:
        """Leave the next request of this type without an answer, like a relay that is slow."""
        self._answers.setdefault(request, deque()).append(None)

    async def send(self, type_: str, data: dict[str, Any], at: str | None = None) -> None:
        """Send a message to all connections."""
        frame = {"type": type_, "data": data} | ({"at": at} if at else {})
        await self.send_raw(json.dumps(frame))

    async def send_raw(self, frame: str | bytes) -> None:
        for peer in list(self.peers):
            await peer.send(frame)

    async def append(self, task_id: str, event: Event, at: str | None = None) -> None:
        events = self.tasks[task_id]
        events.append(event)
        data = {"taskId": task_id, "index": len(events) - 1, "event": event, **position(events)}
        frame = json.dumps({"type": "task:event_added", "data": data} | ({"at": at} if at else {}))
        for peer in list(self.peers):
            if task_id in peer.rooms:
                await peer.send(frame)

    async def rewrite(self, task_id: str, events: list[Event | None]) -> None:
        self.tasks[task_id] = events
        for peer in list(self.peers):
            if task_id in peer.rooms:
                await self._send_state(peer, {"taskId": task_id}, None)

    async def has_received(self, request: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait for this number of requests of this type, and return all of them."""
        while len(found := [frame for frame in self.received if frame["type"] == request]) < times:
            self._something_received.clear()
            await self._something_received.wait()
        return found

    def _process_request(self, ws: ServerConnection, request: Request) -> Response | None:
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.faults and (status := self.faults[0].status) is not None:
            self.faults.popleft()
            return ws.respond(HTTPStatus(status), "no\n")
        return None

    async def _converse(self, ws: ServerConnection) -> None:
        peer = Peer(ws, self.faults.popleft() if self.faults else NO_FAULT)
        self.peers.append(peer)
        try:
            await peer.fail_if_due()
            limits = {"maxMessageBytes": self.request_bytes, "messagesPerSecond": self.rate}
            limits["maxTasks"] = self.max_tasks
            await self._send(peer, "welcome", {"heartbeatMs": self.heartbeat_ms, "limits": limits}, None)
            async for raw in ws:
                frame = json.loads(raw)
                self.received.append(frame)
                self._something_received.set()
                await self._answer(peer, frame)
        except ConnectionClosed:
            pass
        finally:
            self.peers.remove(peer)

    async def _answer(self, peer: Peer, frame: dict[str, Any]) -> None:
        reply_to, data = frame.get("id"), frame.get("data", {})
        if answers := self._answers.get(frame["type"]):
            if (error := answers.popleft()) is not None:
                await self._send(peer, "error", error, reply_to)
            return
        match frame["type"]:
            case "task:join":
                ids = {entry["taskId"] for entry in data["tasks"]}
                if ids & self.bad:
                    return await self._refuse(peer, "bad_request", reply_to)
                if len(ids | (peer.rooms - {None})) > self.max_tasks:
                    return await self._refuse(peer, "too_many_tasks", reply_to)
                for entry in data["tasks"]:
                    await self._join(peer, entry, reply_to)
            case "task:leave":
                peer.rooms.discard(data["taskId"])
                await self._send(peer, "task:left", data, reply_to)
            case "dashboard:join":
                peer.rooms.add(None)
                tasks = [summary(task_id, events) for task_id, events in self.tasks.items()]
                state = {"tasks": tasks, "reset": True, "more": False}
                await self._send(peer, "dashboard:state", state, reply_to)
            case "dashboard:leave":
                peer.rooms.discard(None)
                await self._send(peer, "dashboard:left", {}, reply_to)
            case "auth":
                await self._send(peer, "auth:ok", {}, reply_to)

    async def _refuse(self, peer: Peer, code: str, reply_to: str | None) -> None:
        await self._send(peer, "error", {"code": code, "message": "No.", "temporary": False}, reply_to)

    async def _join(self, peer: Peer, entry: dict[str, Any], reply_to: str | None) -> None:
        if entry["taskId"] in self.tasks:
            await self._send_state(peer, entry, reply_to)
            peer.rooms.add(entry["taskId"])
        else:
            error = {"code": "forbidden", "message": "No.", "temporary": False, "taskId": entry["taskId"]}
            await self._send(peer, "error", error, reply_to)

    async def _send_state(self, peer: Peer, entry: dict[str, Any], reply_to: str | None) -> None:
        task_id, start = entry["taskId"], entry.get("since", 0)
        events = self.tasks[task_id]
        reset = start > len(events) or position(events[:start])["head"] != entry.get("head")
        start = 0 if reset else start
        while True:
            end = min(start + self.page, len(events))
            page = {"taskId": task_id, "task": summary(task_id, events), "events": events[start:end]}
            more = end < len(events)
            page |= {"from": start, "reset": reset, "more": more, **position(events[:end])}
            await self._send(peer, "task:state", page, reply_to)
            if not more:
                return
            start, reset = end, False

    async def _send(self, peer: Peer, type_: str, data: dict[str, Any], reply_to: str | None) -> None:
        await peer.send(
            json.dumps({"type": type_, "data": data} | ({"replyTo": reply_to} if reply_to else {}))
        )


def event(message: str, type_: str = "analyzing") -> Event:
    return {"type": type_, "at": "2026-05-01T11:59:00.000Z", "data": {"type": type_, "message": message}}


def position(events: list[Event | None]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(events).encode()).hexdigest()[:12]
    return {"next": len(events), "head": f"v1:{digest}"}


def summary(task_id: str, events: list[Event | None]) -> dict[str, Any]:
    return {"taskId": task_id, "title": "Fix it", "status": "dispatched", "eventCount": len(events)}
