"""What an HTTP connection may cost that sends no request, or reads no response, with and without TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from support.certificates import Authority
from support.relay_fixture import SOON_S

from relay.auth.addresses import networks
from relay.auth.limits import Caps
from relay.gateway.http_protocol import (
    KEEP_ALIVE_S,
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
    MAX_REQUEST_BYTES,
    PROXY_KEEP_ALIVE_S,
    Limits,
    http_protocol,
)

TIMEOUT_S = 0.15
MOST = 4  # connections of one address
PLENTY = 16 * 1024 * 1024  # more than the sockets of both ends hold


class Server(uvicorn.Server):
    has_tls = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def short(_: Request) -> Response:
    return PlainTextResponse("hello")


async def long(_: Request) -> Response:
    return PlainTextResponse("x" * PLENTY)


async def pieces(_: Request) -> Response:
    async def body() -> AsyncIterator[str]:
        for _ in range(PLENTY // 65_536):
            yield "x" * 65_536

    return StreamingResponse(body())


async def echo(request: Request) -> Response:
    return Response(await request.body())


ROUTES = [
    Route("/", short),
    Route("/long", long),
    Route("/pieces", pieces),
    Route("/echo", echo, methods=["POST"]),
]


@pytest.fixture(params=["TCP", "TLS"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The certificate with which the server serves TLS; None if it does not."""
    return Authority(tmp_path).issue("server") if request.param == "TLS" else None


@pytest.fixture
async def server(certificate: Path | None) -> AsyncIterator[Server]:
    """A server that soon cuts a connection that sends no whole request or reads no response."""
    async with serving(certificate=certificate) as server:
        yield server


@pytest.fixture
async def patient(certificate: Path | None) -> AsyncIterator[Server]:
    """A server that does not cut a client because the machine is busy."""
    async with serving(timeout_s=SOON_S, certificate=certificate) as server:
        yield server


@pytest.fixture
async def stalling(certificate: Path | None) -> AsyncIterator[Server]:
    """A server that soon cuts a connection that reads no response, and waits for requests."""
    async with serving(stall_s=TIMEOUT_S, timeout_s=SOON_S, certificate=certificate) as server:
        yield server


@asynccontextmanager
async def serving(
    *proxies: str,
    timeout_s: float = TIMEOUT_S,
    stall_s: float | None = None,
    certificate: Path | None = None,
) -> AsyncIterator[Server]:
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    caps = Caps(total=9, per_address=MOST, per_user=1)
    config = uvicorn.Config(
        Starlette(routes=ROUTES),
        http=http_protocol(Limits(timeout_s, stall_s or timeout_s, caps, networks(proxies), tls)),
        port=0,
        lifespan="off",
        log_config=None,
    )
    server = Server(config)
    server.has_tls = tls is not None
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = True
    await task


class Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        async with asyncio.timeout(SOON_S):
            try:
                return await self.reader.readline()
            except ConnectionError:
                return b""

    async def dripping(self, piece: bytes) -> bool:
        """Send this again and again, and read nothing, until the server closes the connection."""
        async with asyncio.timeout(SOON_S):
            try:
                while True:
                    self.writer.write(piece)
                    await self.writer.drain()
                    await asyncio.sleep(TIMEOUT_S / 10)
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(server: Server, limit: int = 2**16) -> AsyncIterator[Peer]:
    port = server.servers[0].sockets[0].getsockname()[1]
    trusting = None
    if server.has_tls:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit, ssl=trusting)
    except ConnectionError:  # it was cut during the handshake
        over = asyncio.StreamReader()
        over.feed_eof()
        yield Peer(over, Mock(drain=AsyncMock(side_effect=ConnectionResetError)))
        return
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def gone(server: Server) -> None:
    """Wait until the server has no connection and no task left."""
    async with asyncio.timeout(SOON_S):
        while server.server_state.connections or server.server_state.tasks:
            await asyncio.sleep(0.01)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        pytest.param(b"", b"G", id="a request line"),
        pytest.param(GET, b"X: y\r\n", id="headers"),
        pytest.param(GET + b"Content-Length: 100000\r\n\r\n", b"x", id="an unexpected body"),
        pytest.param(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"x", id="a body"),
        pytest.param(CHUNKED + b"0\r\n", b"X: y\r\n", id="trailers"),
        pytest.param(GET + b"\r\n", b"\r\n", id="empty lines after a request"),
        pytest.param(GET + b"\r\n", b"G", id="the next request"),
        pytest.param(GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", b"x", id="another protocol"),
    ],
)
async def test_a_request_that_arrives_too_slowly_is_cut(server: Server, first: bytes, piece: bytes) -> None:
    """S23, also after the headers."""
    async with connected(server) as peer:
        peer.writer.write(first)
        assert await peer.dripping(piece)
        await gone(server)


async def test_a_silent_connection_is_cut(server: Server) -> None:
    """S23: connect, and send nothing."""
    async with connected(server) as peer:
        assert await peer.answer() == b""
        await gone(server)


async def test_a_connection_above_the_cap_of_its_address_is_cut_until_another_ends(patient: Server) -> None:
    """S24, before any request."""
    async with AsyncExitStack() as stack:
        first = connected(patient)
        await first.__aenter__()
        peers = [await stack.enter_async_context(connected(patient)) for _ in range(MOST)]
        for peer in peers:
            peer.writer.write(GET + b"\r\n")
        answers = [await peer.answer() for peer in peers]
        assert b"".join(answers).count(b"200") == MOST - 1
        await first.__aexit__(None, None, None)
        async with asyncio.timeout(SOON_S):
            while len(patient.server_state.connections) == MOST:
                await asyncio.sleep(0.01)
        async with connected(patient) as peer:
            peer.writer.write(GET + b"\r\n")
            assert b"200" in await peer.answer()


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
async def test_a_connection_that_reads_no_response_is_cut(stalling: Server, close: bytes) -> None:
    async with connected(stalling, limit=1024) as peer:
        peer.writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
        assert b"200" in await peer.answer()
        await gone(stalling)


async def test_a_connection_that_reads_slowly_stays() -> None:
    async with serving(timeout_s=SOON_S, stall_s=3_600) as server, connected(server) as peer:
        peer.writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await peer.answer()
        (protocol,) = server.server_state.connections
        read = checks = 0
        while (unread := protocol.transport.get_write_buffer_size()) and not protocol.transport.is_closing():
            protocol._check_for_stall()  # when this is called again, the client has read a little
            checks += 1
            while protocol.transport.get_write_buffer_size() == unread:
                read += len(await peer.reader.read(2**16))
        assert checks > 2
        while read < PLENTY:
            read += len(await peer.reader.read(2**16))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GET + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", b"431"),
        (GET + b"X: " + b"y" * MAX_HEAD_BYTES, b"431"),
        (GET + b"X: y\r\n" * (MAX_HEAD_BYTES // 6), b"431"),
        (GET.replace(b"/", b"/" + b"y" * MAX_HEAD_BYTES, 1) + b"\r\n", b"431"),
        (CHUNKED + b"1\r\nx\r\n" * (MAX_REQUEST_BYTES // 6), b"413"),
        (CHUNKED + b"0\r\nX: " + b"y" * MAX_REQUEST_BYTES, b"413"),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * (MAX_REQUEST_BYTES // 6), b"413"),
        (b"GET / HTTP/1.1\r\n\r\n" * 2 * MAX_PIPELINED, b"400"),
    ],
)
async def test_a_request_that_is_too_large_is_refused(patient: Server, sent: bytes, status: bytes) -> None:
    """S13: whether it arrives in one piece or in many. The connection ends."""
    for size in (len(sent), 5_000):
        async with connected(patient) as peer:
            for start in range(0, len(sent), size):
                peer.writer.write(sent[start : start + size])
                await asyncio.sleep(0)
            assert status in await peer.answer()
            try:
                async with asyncio.timeout(SOON_S):
                    await peer.reader.read()
            except ConnectionError:
                pass
            await gone(patient)


async def test_a_large_request_may_arrive_in_one_read_and_be_followed_by_another(patient: Server) -> None:
    async with connected(patient) as peer:
        body = b"b" * (MAX_HEAD_BYTES * 2)
        request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for _ in range(3):
            peer.writer.write(request)
            assert b"200" in await peer.answer()
            assert (await peer.reader.readuntil(b"\r\n\r\n")).endswith(b"\r\n\r\n")
            assert await peer.reader.readexactly(len(body)) == body


@pytest.mark.parametrize("path", [b"/long", b"/pieces"])
async def test_an_upgrade_is_cut_while_an_earlier_response_is_not_read(stalling: Server, path: bytes) -> None:
    """The transport would resume the WebSocket instead of the response that waits, and the WebSocket would not know
    that it must pause."""
    async with connected(stalling, limit=1024) as peer:
        peer.writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await peer.answer()
        peer.writer.write(
            GET
            + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await gone(stalling)


# Between two requests.


def idle_for(server: Server) -> list[float]:
    """For each idle connection, the seconds until it is closed."""
    now = asyncio.get_running_loop().time()
    waiting = [one.timeout_keep_alive_task for one in server.server_state.connections]
    return [timer.when() - now for timer in waiting if timer is not None]


@pytest.mark.parametrize(
    ("proxies", "longer_than_s", "at_most_s"),
    [
        pytest.param((), 60, KEEP_ALIVE_S, id="any peer: AWS, nginx and most others reuse it for 60 s"),
        pytest.param(
            ("127.0.0.0/8",), 600, PROXY_KEEP_ALIVE_S, id="a trusted proxy: Google's reuse it for 600 s"
        ),
    ],
)
async def test_an_idle_connection_outlives_the_timeout_of_load_balancers(
    proxies: tuple[str, ...], longer_than_s: float, at_most_s: float
) -> None:
    async with serving(*proxies, timeout_s=SOON_S) as server, connected(server) as peer:
        for _ in range(2):
            peer.writer.write(GET + b"\r\n")
            assert b"200" in await peer.answer()
            await peer.reader.readuntil(b"hello")
            async with asyncio.timeout(SOON_S):
                while not idle_for(server):
                    await asyncio.sleep(0.01)
            (left_s,) = idle_for(server)
            assert longer_than_s < left_s <= at_most_s


async def test_idle_connections_end_sooner_when_their_address_has_many(
    patient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page leaves six idle connections. The pages of one office could use up the cap of its address."""
    monkeypatch.setattr("relay.gateway.http_protocol.CROWDED_KEEP_ALIVE_S", SOON_S)
    async with AsyncExitStack() as stack:
        for number in range(1, MOST + 1):
            peer = await stack.enter_async_context(connected(patient))
            peer.writer.write(GET + b"\r\n")
            await peer.reader.readuntil(b"hello")
            async with asyncio.timeout(SOON_S):
                while len(idle_for(patient)) < number:
                    await asyncio.sleep(0.01)
        soon = [left_s for left_s in idle_for(patient) if left_s <= SOON_S]
        assert len(soon) == MOST - MOST // 2


async def test_an_idle_connection_counts_for_its_address_and_does_not_delay_a_stop(
    patient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.http_protocol.CROWDED_KEEP_ALIVE_S", SOON_S)
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(patient)) for _ in range(MOST)]
        for peer in peers:
            peer.writer.write(GET + b"\r\n")
            await peer.reader.readuntil(b"hello")
        late = await stack.enter_async_context(connected(patient))
        late.writer.write(GET + b"\r\n")
        assert b"200" not in await late.answer()
        patient.should_exit = True
        assert [await peer.answer() for peer in peers] == [b""] * MOST
        await gone(patient)


async def test_a_request_for_an_unknown_protocol_is_answered_over_http(patient: Server) -> None:
    """Java's client asks for h2c with its first request, and uses HTTP/1.1 if the server ignores that."""
    async with connected(patient) as peer:
        peer.writer.write(
            GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        )
        await peer.reader.readuntil(b"hello")
        peer.writer.write(GET + b"\r\n")
        assert b"200" in await peer.answer()
