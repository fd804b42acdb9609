"""The Autobahn cases, played against the relay's own WebSocket protocol on uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any, cast

import kosoku
import pytest
import uvicorn
from starlette.requests import HTTPConnection
from support.certificates import Authority
from support.relay_fixture import SOON_S
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from relay.auth.limits import Caps
from relay.gateway.http_protocol import Limits, http_protocol
from relay.gateway.websocket import connection
from relay.gateway.websocket.connection import Connection, Timeouts
from relay.gateway.websocket.handshake import Handshake
from relay.gateway.websocket.owner import End
from relay.gateway.websocket.pacing import WritePacer
from relay.protocol.frames import Frame
from relay.protocol.types import Kind

CASES = 301  # all cases, without these:
LEFT_OUT = ("12.*", "13.*")  # compression, which the relay does not offer
# For the parser of `websockets`, a close within a fragmented message is a protocol error (1002), while this case
# expects an echo of the code. RFC 6455 5.4 permits control frames between fragments and does not name closes. uvicorn,
# which uses the same parser, answers like the relay.
KNOWN = {"7.1.5"}
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
TICK_S = 0.05


class EchoConnection(Connection):
    """The relay's connection, except that it accepts and echoes binary messages."""

    __slots__ = ()
    takes_binary = True

    def message(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.TEXT:
            super().message(opcode, data)
        else:
            self._keep(WebSocketFrame(Opcode.BINARY, data).serialize(mask=False))


class EchoHandshake(Handshake):
    connection_class = EchoConnection


class Echo:
    """A conversation that echoes every message."""

    def __init__(self, ours: Connection) -> None:
        self._connection = ours

    def receive(self, text: str) -> None:
        self._connection.answer(Frame(Kind.PONG, text.encode(), {}))

    def tick(self) -> float:
        return inf

    def paused(self) -> None: ...
    def lag(self, *, since_pause: bool) -> None: ...
    def drained(self) -> None: ...
    def closed(self) -> None: ...


class Owner:
    """Calls `tick` of all its connections every TICK_S."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()

    def add(self, ours: Connection) -> None:
        self.open.add(ours)

    def wake(self, ours: Connection) -> None: ...

    def admitted(self, ours: Connection) -> None: ...

    def ending(self, ours: Connection, end: End) -> None: ...

    def lost(self, ours: Connection) -> None:
        self.open.discard(ours)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            for ours in list(self.open):
                ours.tick(loop.time(), Timeouts(ping_every_s=20, pong_within_s=8, stall_s=30))


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def echoing(tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run an echo server with the relay's WebSocket protocol, with TLS if there is a context. Yields its address."""
    owner = Owner()

    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    def endpoint(handshake: Handshake, _: HTTPConnection) -> None:
        ours = handshake.accept(None, owner)
        if ours is not None:
            ours.serve(Echo(ours), max_bytes=1024 * 1024)
            owner.add(ours)

    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(
        uvicorn.Config(
            application,
            http=http_protocol(
                Limits(
                    request_within_s=SOON_S,
                    stall_s=SOON_S,
                    caps=Caps(total=1_000, per_address=1_000, per_user=1),
                    tls=tls,
                )
            ),
            ws=type(
                "Protocol", (EchoHandshake,), {"pacer": WritePacer(), "endpoint": staticmethod(endpoint)}
            ),
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
        )
    )
    serving, ticking = asyncio.create_task(server.serve([listening])), asyncio.create_task(owner.run())
    try:
        yield "127.0.0.1:{1}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        await serving
        ticking.cancel()
    assert not owner.open, "connections were left behind"


async def test_a_connection_passes_the_autobahn_cases(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One case sends 4 MB in fragments of 64 bytes, more than the relay permits.
    monkeypatch.setattr(connection, "MAX_FRAGMENTS", 100_000)
    with caplog.at_level(logging.INFO):
        async with echoing() as address:
            check_results(await played(address))
    check_calm(caplog)


async def played(address: str) -> Any:
    try:
        return await kosoku.run_fuzzingclient(address, exclude_cases=LEFT_OUT, concurrency=4)
    except kosoku.FailureError as failure:
        return failure.results


def check_results(results: Any) -> None:
    verdicts = {one.case_id: (one.behavior.value, one.behavior_close.value) for one in results}
    failed = {case: verdict for case, verdict in verdicts.items() if not set(verdict) <= GOOD}
    assert failed.keys() <= KNOWN, failed
    assert len(verdicts) >= CASES


def check_calm(caplog: pytest.LogCaptureFixture) -> None:
    """The log has only the start and the stop of uvicorn: nothing that a client sends may be logged."""
    assert all(record.name == "uvicorn.error" for record in caplog.records), caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records), caplog.text
    assert len(caplog.records) < 10, caplog.text


def contexts(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of a client that trusts it."""
    authority = Authority(directory)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(authority.issue("server"))
    return server, ssl.create_default_context(cafile=str(authority.file))


@asynccontextmanager
async def decrypting(address: str, trusting: ssl.SSLContext) -> AsyncIterator[str]:
    """Forward plain connections to a server that has TLS. Yields the address to connect to."""
    host, port = address.split(":")
    taking: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taking.add(cast(asyncio.Task[None], asyncio.current_task()))
        there, onward = await asyncio.open_connection(host, int(port), ssl=trusting)
        await asyncio.gather(forward(reader, onward), forward(there, writer))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as front:
        yield "127.0.0.1:{1}".format(*front.sockets[0].getsockname())
        await asyncio.wait_for(asyncio.gather(*taking, return_exceptions=True), SOON_S)


async def test_a_connection_over_tls_passes_the_autobahn_cases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_FRAGMENTS", 100_000)
    server, trusting = contexts(tmp_path)
    with caplog.at_level(logging.INFO):
        async with echoing(server) as address, decrypting(address, trusting) as front:
            check_results(await played(front))
    check_calm(caplog)


async def test_a_connection_works_over_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server, trusting = contexts(tmp_path)
    big = "x" * 3_000_000
    async with echoing(server) as address:

        def open_one() -> Any:
            return connect(f"wss://{address}", ssl=trusting, proxy=None, max_size=None, max_queue=1)

        async with open_one() as client:
            # Every answer comes before the close, however often the socket is full.
            async def say() -> None:
                for number in range(8):
                    await client.send(f"{number}{big}")
                await client.send("last")
                await client.close()

            saying = asyncio.create_task(say())
            got = [message[:4] async for message in client]
            await saying
            assert got == [*(f"{number}xxx" for number in range(8)), "last"]
            assert (client.close_code, client.protocol.close_rcvd_then_sent) == (1000, False)
        async with open_one() as client:
            await client.send("before")
            client.transport.write(b"\xff\xff")
            assert await client.recv() == "before"
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1002
        async with open_one() as client:
            client.transport.abort()
    check_calm(caplog)
