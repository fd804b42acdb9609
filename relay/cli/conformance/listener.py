"""The address that a client is given in one scenario: tokens, `/config`, WebSockets and polls. Does I/O.

It is written on plain sockets, because a scenario has to end connections in ways that no server offers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from relay.cli.conformance.exam import Exam, Peer, now
from relay.cli.conformance.polls import answer
from relay.cli.conformance.socket import Socket
from relay.protocol.types import BEARER_PREFIX, Close, Request

HEAD_BYTES = 32 * 1024
AUTH_WITHIN_S = 5.0  # for a token in the first frame (PROTOCOL.md 2)
TOKEN_NAMES = frozenset({"token", "access_token", "jwt"})
TASK_PATH = "/ws/tasks/"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, with lower-case names of its headers. `head` is how it was sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def bearer(self) -> str | None:
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        return given.strip() if scheme.lower() == "bearer" else None

    @property
    def offered(self) -> str | None:
        """The token in the offer of subprotocols."""
        offers = [one.strip() for one in self.headers.get("sec-websocket-protocol", "").split(",")]
        return next(
            (one.removeprefix(BEARER_PREFIX) for one in offers if one.startswith(BEARER_PREFIX)), None
        )


@asynccontextmanager
async def listening(exam: Exam, host: str) -> AsyncIterator[str]:
    """Serve the scenario at an address of its own, which is given."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            # ValueError: what was sent is no HTTP, or no UTF-8.
            with suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError
            ):
                await _serve(exam, reader, writer)
        finally:
            connections.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, host, 0, limit=HEAD_BYTES)
    try:
        name, port = server.sockets[0].getsockname()[:2]
        yield f"http://{f'[{name}]' if ':' in name else name}:{port}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _serve(exam: Exam, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    request = HttpRequest(method, target, headers, head, body)
    if headers.get("upgrade", "").lower() == "websocket":
        return await _serve_socket(exam, request, reader, writer)
    status, kind, text = await _respond(exam, request, headers.get("host", ""))
    data = text.encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
        + data
    )
    await writer.drain()


async def _respond(exam: Exam, request: HttpRequest, host: str) -> tuple[str, str, str]:
    match request.method, request.path:
        case "GET", "/token":
            return "200 OK", "text/plain", exam.token
        case "GET", "/config":
            found: dict[str, Any] = {"enabled": True, "protocol": 1, "websocketUrl": f"ws://{host}/ws"}
            return "200 OK", "application/json", json.dumps(found | {"pollUrl": f"http://{host}/poll"})
        case "POST", "/poll":
            status, body = await answer(exam, request.bearer, request.body)
            return status, "application/json", json.dumps(body, ensure_ascii=False)
        case "GET", "/ws":
            return "426 Upgrade Required", "text/plain", "This is a WebSocket.\n"
    return "404 Not Found", "text/plain", "There is nothing here.\n"


async def _serve_socket(
    exam: Exam, request: HttpRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    exam.trace.append(f"   GET {request.path} (WebSocket)")
    if exam.blocked:
        exam.attempts.append(exam.clock())
        exam.moved()
        return writer.transport.abort()

    def pong() -> None:
        exam.pongs += 1
        exam.moved()

    socket = Socket(reader, writer, pong)
    if socket.accept(request.head) is None:
        return exam.fault("asked for a WebSocket in a way that cannot be accepted", "1")
    number = len(exam.attempts) + 1
    exam.attempts.append(exam.clock())
    exam.moved()
    texts = socket.texts()
    refusal = _judge(exam, request)
    if refusal is not None:
        return await socket.close(Close.BAD_HANDSHAKE, refusal)
    given = request.bearer or request.offered
    if given is None:
        given = await _first_frame(exam, texts)
    if given != exam.token:
        exam.fault("came with another token than the one that it was given last", "7")
        return await socket.close(Close.UNAUTHENTICATED, "unauthenticated")
    peer = Peer(socket, number)
    exam.welcome(peer, now(3600))
    _join_by_address(exam, peer, request)
    async for text in texts:
        exam.receive(peer, text)
    if socket.binary:
        exam.fault("sent a binary frame", "1")


def _judge(exam: Exam, request: HttpRequest) -> str | None:
    """Return why the request for a connection is refused; None if it is not."""
    if TOKEN_NAMES & request.query.keys():
        exam.fault("put its token into the query of the address, which servers log", "2")
        return "token_in_query"
    if request.bearer is not None and request.offered is not None:
        exam.fault("sent two tokens at once: a header and an offer of subprotocols", "2")
        return "bad_handshake"
    if request.path not in ("/ws", "/ws/dashboard") and not request.path.startswith(TASK_PATH):
        exam.fault(f"connected to {request.path}, which is no address of a relay", "1")
        return "bad_handshake"
    return None


async def _first_frame(exam: Exam, texts: AsyncIterator[str]) -> str | None:
    """Return the token in the first frame."""
    with suppress(TimeoutError, StopAsyncIteration, ValueError):
        async with asyncio.timeout(AUTH_WITHIN_S):
            found = json.loads(await anext(texts))
        if isinstance(found, dict) and found.get("type") == Request.AUTH:
            return str(found.get("data", {}).get("token"))
    exam.fault("sent no token: not with the request, and not in the first frame within 5 s", "2")
    return None


def _join_by_address(exam: Exam, peer: Peer, request: HttpRequest) -> None:
    if request.path == "/ws/dashboard":
        peer.listed = True
        exam.send(peer, *(exam.world.list_state(None) if exam.answers else ()))
    elif request.path.startswith(TASK_PATH):
        since = request.query.get("since", "")
        position = int(since) if since.isdigit() else None
        exam.join(
            peer, unquote(request.path.removeprefix(TASK_PATH)), position, request.query.get("head"), None
        )
    exam.moved()
