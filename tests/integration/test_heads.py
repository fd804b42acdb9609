"""Heads of requests have the same limits for every endpoint, and no request can hide in another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from support.raw_client import Peer, handshake, tcp_connection
from support.relay_fixture import SOON_S, running, settings_for, token

from relay.app import Relay
from relay.auth.tokens import MAX_TOKEN_BYTES
from relay.gateway.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS

BODY = b'{"dashboard":{}}'


def health(*headers: str) -> tuple[bytes, bytes]:
    return "\r\n".join(["GET /healthz HTTP/1.1", "Host: x", *headers, "", ""]).encode(), b""


def poll(*headers: str) -> tuple[bytes, bytes]:
    lines = ["POST /poll HTTP/1.1", "Host: x", f"Content-Length: {len(BODY)}", *headers]
    if not any("earer" in header for header in headers):
        lines.append(f"Authorization: Bearer {token('alice')}")
    return "\r\n".join([*lines, "", ""]).encode(), BODY


def upgrade(*headers: str) -> tuple[bytes, bytes]:
    return handshake("/ws", *headers), b""


Ask = Callable[..., tuple[bytes, bytes]]
ASKS: list[tuple[Ask, int]] = [(health, 200), (poll, 200), (upgrade, 101)]


@pytest.fixture
async def relay(mongo_url: str, database_name: str) -> AsyncIterator[Relay]:
    async with running(settings_for(mongo_url, database_name)) as relay:
        yield relay


async def send_in_pieces(peer: Peer, data: bytes, *cuts: int) -> None:
    """Send the data with a pause at each of these positions, so that the relay reads it in pieces."""
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        peer.send(data[start:end])
        await peer.writer.drain()
        await asyncio.sleep(0.02)


async def answered(relay: Relay, request: tuple[bytes, bytes], *cuts: int) -> int:
    async with tcp_connection(relay.url) as peer:
        await send_in_pieces(peer, b"".join(request), *cuts)
        return (await peer.answer())[0]


def of_size(ask: Ask, size: int) -> tuple[bytes, bytes]:
    """A request whose head has this many bytes, in lines of at most 9 KB."""
    headers: list[str] = []
    while (left := size - len(ask(*headers)[0])) > 9_000:
        headers.append("Cookie: " + "c" * 8_000)
    return ask(*headers, "X: " + "x" * (left - len("X: \r\n")))


def with_headers(ask: Ask, count: int) -> tuple[bytes, bytes]:
    """A request with this many headers."""
    own = ask()[0].count(b"\r\n") - 2
    return ask(*[f"X-{number}: y" for number in range(count - own)])


@pytest.mark.parametrize(("ask", "fine"), ASKS)
async def test_each_kind_of_request_has_the_same_limits_for_its_head(
    relay: Relay, ask: Ask, fine: int
) -> None:
    def cookie(size: int) -> str:
        return "Cookie: a=" + "c" * size

    asked = [
        (ask(*[cookie(3_500)] * 3), fine),
        (ask(cookie(9_000)), fine),
        (ask("X-Forwarded-Client-Cert: " + "c" * 25_000), fine),
        (with_headers(ask, 120), fine),
        (with_headers(ask, MAX_HEADERS), fine),
        (with_headers(ask, MAX_HEADERS + 1), 431),
        (with_headers(ask, 2_000), 431),
        (of_size(ask, MAX_HEAD_BYTES), fine),
        (of_size(ask, MAX_HEAD_BYTES + 1), 431),
    ]
    assert [await answered(relay, request) for request, _ in asked] == [status for _, status in asked]


@pytest.mark.parametrize("ask", [poll, upgrade])
@pytest.mark.parametrize("size", [9_000, MAX_TOKEN_BYTES, MAX_TOKEN_BYTES + 1])
async def test_a_token_has_the_same_limit_in_each_kind_of_request(relay: Relay, ask: Ask, size: int) -> None:
    text = token_of(size)
    offers = [f"Authorization: Bearer {text}"]
    if ask is upgrade:
        offers.append(f"Sec-WebSocket-Protocol: relay.v1, bearer.{text}")
    for offer in offers:
        async with tcp_connection(relay.url) as peer:
            peer.send(*ask(offer))
            status, _ = await peer.answer()
            if ask is poll:
                assert status == (200 if size <= MAX_TOKEN_BYTES else 401)
            else:
                assert status == 101
                _, payload = await peer.frame()
                assert (b'"welcome"' in payload) == (size <= MAX_TOKEN_BYTES)


def token_of(size: int) -> str:
    """A token of this many characters, or of one more if Base64 cannot have this length."""
    missing = size - len(token("alice", padding=""))
    fitting = (token("alice", padding="x" * count) for count in range(missing * 3 // 4 - 4, missing))
    text = next(text for text in fitting if len(text) >= size)
    assert len(text) <= size + 1
    return text


@pytest.mark.parametrize(("ask", "fine"), ASKS)
async def test_a_head_may_arrive_in_any_pieces(relay: Relay, ask: Ask, fine: int) -> None:
    head, body = of_size(ask, MAX_HEAD_BYTES)
    for cuts in ([1], [5_000, 20_000], *([len(head) - back] for back in (1, 2, 3, 4))):
        assert await answered(relay, (head, body), *cuts) == fine, cuts
    over, body = of_size(ask, MAX_HEAD_BYTES + 1)
    for cuts in ([1], *([len(over) - back] for back in (1, 2, 3, 4))):
        assert await answered(relay, (over, body), *cuts) == 431, cuts


async def test_a_body_that_arrives_with_the_end_of_the_head_does_not_count_as_head(relay: Relay) -> None:
    """The head is small. The body, which is larger than the limit for heads, arrives with the head's last bytes."""
    body = b'{"dashboard":{},"x":"' + b"x" * (MAX_HEAD_BYTES + 5_000) + b'"}'
    head = poll()[0].replace(b"Length: %d" % len(BODY), b"Length: %d" % len(body))
    for back in (1, 2, 3, 4):
        assert await answered(relay, (head, body), len(head) - back) == 200, back


async def test_a_trailer_of_a_chunked_body_is_not_a_header(relay: Relay) -> None:
    """Kept as a header, a trailer with a token would be trusted, although no proxy has checked it."""
    head = b"POST /poll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer %s\r\n\r\n" % (len(BODY), BODY, token("alice").encode())
    assert await answered(relay, (head, body)) == 401


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ws", 101),
        ("http://relay.example.com/ws", 101),  # RFC 9112 3.2.2: the absolute form, as sent to a proxy
        ("/ws/dashboard?limit=5", 101),
        ("/ws/tasks/a/b%20c", 101),
        pytest.param("/ws/tasks/" + "x" * 25_000, 101, id="a long id"),
        ("/ws/", 404),
        ("/ws/dashboard/", 404),
        ("/live/ws", 404),
        ("/nowhere", 404),
        ("/", 404),
        ("/poll", 404),
        ("/config", 404),
        ("/healthz", 404),
        ("/client", 404),
        ("/client/index.js", 404),
        ("/dashboard/", 404),
        ("//evil.test/ws", 404),
        ("*", 404),
        ("http://relay.example.com", 400),
        ("/\xff", 400),
    ],
)
async def test_a_handshake_at_an_unknown_path_gets_404(relay: Relay, target: str, status: int) -> None:
    async def status_of(*headers: str) -> int:
        return await answered(relay, (handshake(target, *headers), b""))

    assert await status_of() == status
    # A page of another origin learns no more than that.
    assert await status_of("Origin: https://evil.test") == (403 if status == 101 else status)


@pytest.mark.parametrize("path", ["/ws", "/ws/dashboard", "/ws/tasks/t"])
async def test_a_plain_request_to_a_websocket_path_gets_426(relay: Relay, path: str) -> None:
    async with tcp_connection(relay.url) as peer:
        peer.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, head = await peer.answer()
    assert status == 426
    assert b"\r\nupgrade: websocket\r\n" in head.lower()
    for method in ("POST", "PUT", "DELETE"):
        asked = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
        assert await answered(relay, (f"{asked}\r\n".encode(), b"")) == 405
        upgrading = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        asked += upgrading + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        assert await answered(relay, (asked.encode(), b"")) == 405


@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_a_handshake_with_a_body_is_refused(relay: Relay, header: str) -> None:
    body = b"hello" if "Length" in header else b"5\r\nhello\r\n0\r\n\r\n"
    assert await answered(relay, (handshake("/ws", header), body)) == 400


# A request that asks for another protocol is read like any other. Its body must not be read as a request.

ANOTHER = ["Upgrade: h2c", "Upgrade: foo", "Upgrade: h2c, websocket", "Upgrade: websocket\r\nUpgrade: h2c"]
# A proxy would send the response to this hidden request to the next client.
WITHIN = b"GET /client/index.js HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(WITHIN), WITHIN)


def asking(path: str, length: str, upgrade: str | None) -> bytes:
    connection = () if upgrade is None else ("Connection: Upgrade", upgrade)
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *connection, length, "", ""]).encode()


async def statuses(relay: Relay, data: bytes, *cuts: int) -> list[int]:
    """The statuses of all responses on one connection. The last request closes it."""
    last = b"GET /schema.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with tcp_connection(relay.url) as peer:
        await send_in_pieces(peer, data, *cuts)
        peer.send(last)
        async with asyncio.timeout(SOON_S):
            answers = await peer.reader.read(-1)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]


@pytest.mark.parametrize("upgrade", ANOTHER)
@pytest.mark.parametrize("path", ["/poll", "/healthz", "/ws", "/nothing"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_the_body_of_a_request_for_another_protocol_is_not_a_request(
    relay: Relay, upgrade: str, path: str, framing: str
) -> None:
    length, body = ("Transfer-Encoding: chunked", CHUNKED)
    if framing == "length":
        length, body = f"Content-Length: {len(WITHIN)}", WITHIN
    plain, head = asking(path, length, None) + body, asking(path, length, upgrade)
    expected = await statuses(relay, plain)
    assert expected in ([401], [401, 200], [404, 200], [405, 200])
    for cut in ((), (len(head),), (len(head) + 5,), (len(head) - 2, len(head) + len(body) - 1)):
        assert await statuses(relay, head + body, *cut) == expected, cut


async def test_a_connect_request_is_refused_and_ends_the_connection(relay: Relay) -> None:
    connect = b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await statuses(relay, connect + WITHIN) == [400]
    assert await statuses(relay, connect + WITHIN, len(connect)) == [400]


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, chunked", "identity", "xchunked"])
async def test_a_body_in_an_unsupported_transfer_coding_is_refused(relay: Relay, coding: str) -> None:
    request = asking("/poll", f"Transfer-Encoding: {coding}", None)
    assert await statuses(relay, request + CHUNKED) == [400]


async def test_a_head_that_follows_another_request_has_the_same_limits(relay: Relay) -> None:
    first, large = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", of_size(health, MAX_HEAD_BYTES + 1000)[0]
    assert await answered(relay, (first, large)) == 431
