"""Each kind of request and connection that a relay may get, refused ones too, over blocking sockets. Does I/O.

The sockets are not asyncio's, whose transports would leave reference cycles of their own.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from support.fake_transport import masked
from support.relay_fixture import SOON_S, token

# RELAY_HANDSHAKE_TIMEOUT_MS of the relay that cuts half a request after this time, and on a machine that
# stands still for so long, a whole one.
HANDSHAKE_MS = 1_000
POLL_WAIT_MS = 10  # RELAY_POLL_WAIT_MS of the visited relay: it answers a poll without news after this time
TEXT, CLOSE, PING = 0x1, 0x8, 0x9

Address = tuple[str, int]


class Visitor:
    """Visits a relay, a `slow` one that permits one request per second, one whose rollout is `off`, and a
    `hasty` one that cuts a request that is not complete after HANDSHAKE_MS."""

    def __init__(self, url: str, slow: str = "", off: str = "", hasty: str = "") -> None:
        self.relay, self.slow, self.off = _address(url), _address(slow or url), _address(off or url)
        self.hasty = _address(hasty or url)
        self.bearer = b"Authorization: Bearer " + token("alice", ttl_s=3600).encode() + b"\r\n"
        self.expired = b"Authorization: Bearer " + token("alice", ttl_s=-60).encode() + b"\r\n"
        self._users = count()

    def bearer_of_another(self) -> bytes:
        """The token of a user who has not visited the relay before, and so has used up no rate."""
        return b"Authorization: Bearer " + token(f"user{next(self._users)}", ttl_s=3600).encode() + b"\r\n"

    def connect(self, of: Address | None = None) -> socket.socket:
        return socket.create_connection(of or self.relay, timeout=SOON_S)

    def ask(self, *requests: bytes, expecting: bytes, answers: int = 1, of: Address | None = None) -> None:
        """Send these requests at once on one connection, and read until the relay closes it or has answered."""
        with self.connect(of) as tcp:
            tcp.sendall(b"".join(requests))
            got = b""
            while got.count(b"HTTP/1.1 ") < answers or b"\r\n\r\n" not in got:
                if not (piece := tcp.recv(65_536)):
                    break
                got += piece
        assert got.startswith(b"HTTP/1.1 " + expecting), got[:200]
        assert got.count(b"HTTP/1.1 ") >= answers, got


def _address(url: str) -> Address:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def get(path: str, *headers: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path.encode(), b"".join(headers))


def post(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    head = b"POST /poll HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (
        len(body) if length is None else length
    )
    return head + b"".join(headers) + b"\r\n" + body


def upgrade(path: str = "/ws", *headers: bytes) -> bytes:
    return get(
        path,
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        *headers,
    )


BIG_HEAD = b"X-Padding: %s\r\n" % (b"x" * 31_000)
AWAY, BROKEN = b'{"tasks":[{"taskId":"away"}]}', b'{"tasks":[{"taskId":"broken"}]}'
LONG_LIST = b'{"dashboard":{"limit":5000}}'  # counts as ten requests
DASHBOARD, TASK = b'{"dashboard":{}}', b'{"tasks":[{"taskId":"t1"}]}'
FOREIGN = b"Origin: https://evil.example\r\n"


def cut_off(visitor: Visitor, begun: bytes) -> None:
    """A request that stops in the middle, until the relay cuts it."""
    # On a machine that stands still, the relay may cut it before all of it is sent.
    with visitor.connect(visitor.hasty) as tcp, suppress(ConnectionError):
        tcp.sendall(begun)
        while tcp.recv(65_536):
            pass


def reset(visitor: Visitor, begun: bytes) -> None:
    """A client that ends its connection with a TCP reset."""
    with visitor.connect() as tcp:
        tcp.sendall(begun)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leave_at_once(visitor: Visitor, *requests: bytes) -> None:
    with visitor.connect() as tcp:
        tcp.sendall(b"".join(requests))


def leave_an_answer(visitor: Visitor, request: bytes) -> None:
    """A client that closes before it has read the response, which resets the connection."""
    with visitor.connect() as tcp:
        tcp.sendall(request)
        select.select([tcp], [], [], SOON_S)


def leave_a_waiting_poll(visitor: Visitor) -> None:
    waiting = b'{"tasks":[{"taskId":"no such","forbidden":true}]}'
    with visitor.connect() as tcp:
        tcp.sendall(post(waiting, visitor.bearer))
        tcp.settimeout(0.02)
        with suppress(TimeoutError):
            tcp.recv(1)


def converse(
    visitor: Visitor,
    *frames: bytes,
    path: str = "/ws",
    authorized: bool = True,
    how: str = "close",
    of: Address | None = None,
    bearer: bytes | None = None,
) -> None:
    """A WebSocket: send these frames at once, read what they cause, and end it. It is alice's, or that of `bearer`."""
    with visitor.connect(of) as tcp:
        tcp.sendall(upgrade(path, *([bearer or visitor.bearer] if authorized else [])))
        is_open = until(tcp, b'"welcome"' if authorized else b"\r\n\r\n")
        if frames and is_open:
            tcp.sendall(b"".join(frames) + masked(PING, b"and back"))
            until(tcp, b"and back")
        if how == "reset":
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "close":
            try:
                tcp.sendall(masked(CLOSE, b"\x03\xe8"))
                while tcp.recv(65_536):
                    pass
            except ConnectionError:
                pass  # the relay had closed already


def until(tcp: socket.socket, wanted: bytes) -> bool:
    """Read until these bytes, a close frame, or the end of the connection. Return whether these bytes have come."""
    got = b""
    while wanted not in got and b"\x88" not in got and (piece := tcp.recv(65_536)):
        got += piece
    return wanted in got


def too_fast(visitor: Visitor, pings: int) -> None:
    """A WebSocket of a user with no other, which sends more requests at once than its rate permits."""
    bearer = visitor.bearer_of_another()
    converse(visitor, *[frame(b'{"type":"ping"}')] * pings, of=visitor.slow, bearer=bearer)


def frame(text: bytes) -> bytes:
    return masked(TEXT, text)


CLOSES = b"Connection: close\r\n"
KINDS: dict[str, Callable[[Visitor], None]] = {
    "health": lambda v: v.ask(get("/healthz"), expecting=b"200"),
    "health, closed by the relay": lambda v: v.ask(get("/healthz", CLOSES), expecting=b"200"),
    "HTTP/1.0": lambda v: v.ask(b"GET /healthz HTTP/1.0\r\n\r\n", expecting=b"200"),
    "HEAD": lambda v: v.ask(get("/healthz").replace(b"GET", b"HEAD"), expecting=b"200"),
    "readiness": lambda v: v.ask(get("/readyz"), expecting=b"200"),
    "metrics": lambda v: v.ask(get("/metrics"), expecting=b"200"),
    "schema": lambda v: v.ask(get("/schema.json"), expecting=b"200"),
    "page": lambda v: v.ask(get("/"), expecting=b"200"),
    "static file": lambda v: v.ask(get("/client/index.js"), expecting=b"200"),
    "static file, not modified": lambda v: v.ask(
        get("/client/index.js", b"If-None-Match: *\r\n"), expecting=b""
    ),
    "static file, a range": lambda v: v.ask(
        get("/client/index.js", b"Range: bytes=0-9\r\n"), expecting=b"200"
    ),
    "missing static file": lambda v: v.ask(get("/client/nothing.js"), expecting=b"404"),
    "static file outside the folder": lambda v: v.ask(get("/client/..%2f..%2fapp.py"), expecting=b"404"),
    "static file, other method": lambda v: v.ask(
        get("/client/index.js").replace(b"GET", b"PUT"), expecting=b"405"
    ),
    "no such page": lambda v: v.ask(get("/nothing", BIG_HEAD), expecting=b"404"),
    "other method": lambda v: v.ask(get("/healthz").replace(b"GET", b"PUT"), expecting=b"405"),
    "not a request": lambda v: v.ask(b"hello\r\n\r\n", expecting=b"400"),
    "a TLS hello": lambda v: v.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", expecting=b"400"),
    "head too large": lambda v: v.ask(b"GET / HTTP/1.1\r\n" + BIG_HEAD + BIG_HEAD, expecting=b"431"),
    "body too large": lambda v: v.ask(post(b"x" * 200_000, v.bearer), expecting=b"413"),
    "config without a token": lambda v: v.ask(get("/config"), expecting=b"401"),
    "config": lambda v: v.ask(get("/config", v.bearer), expecting=b"200"),
    "preflight": lambda v: v.ask(
        get("/poll", FOREIGN, b"Access-Control-Request-Method: POST\r\n").replace(b"GET", b"OPTIONS"),
        expecting=b"400",
    ),
    "poll without a token": lambda v: v.ask(post(b"x" * 60_000, BIG_HEAD), expecting=b"401"),
    "poll with an expired token": lambda v: v.ask(post(DASHBOARD, v.expired), expecting=b"401"),
    "poll with an invalid token": lambda v: v.ask(
        post(DASHBOARD, b"Authorization: Bearer x\r\n"), expecting=b"401"
    ),
    "poll with two tokens": lambda v: v.ask(post(DASHBOARD, v.bearer, v.bearer), expecting=b"401"),
    "poll with a token in the query": lambda v: v.ask(
        post(DASHBOARD, v.bearer).replace(b"/poll", b"/poll?token=x"), expecting=b"401"
    ),
    "poll of another origin": lambda v: v.ask(post(DASHBOARD, v.bearer, FOREIGN), expecting=b"403"),
    "poll that is not JSON": lambda v: v.ask(post(b"{" * 60_000, v.bearer), expecting=b"400"),
    "poll that asks for nothing": lambda v: v.ask(post(b"{}", v.bearer), expecting=b"400"),
    "poll with a body that is too long": lambda v: v.ask(post(b"x" * 70_000, v.bearer), expecting=b"413"),
    "poll": lambda v: v.ask(post(DASHBOARD, v.bearer), expecting=b"200"),
    "poll of a task": lambda v: v.ask(post(TASK, v.bearer), expecting=b"200"),
    "poll without news": lambda v: v.ask(
        post(b'{"tasks":[{"taskId":"no such","forbidden":true}]}', v.bearer), expecting=b"200"
    ),
    "poll whose client leaves": leave_a_waiting_poll,
    "poll without a token, response not read": lambda v: leave_an_answer(v, post(b"x" * 60_000, BIG_HEAD)),
    "page, response not read": lambda v: leave_an_answer(v, get("/")),
    "static file, client leaves": lambda v: leave_at_once(v, get("/client/index.js")),
    "poll without a token, client leaves": lambda v: leave_at_once(v, post(b"x" * 60_000, BIG_HEAD)),
    "poll, client leaves": lambda v: leave_at_once(v, post(DASHBOARD, v.bearer)),
    "kept alive": lambda v: v.ask(
        *[get("/healthz", BIG_HEAD[:9_000] + b"\r\n")] * 3, expecting=b"200", answers=3
    ),
    "pipelined polls": lambda v: v.ask(*[post(b"x" * 1000)] * 5, expecting=b"401", answers=5),
    "too many pipelined": lambda v: v.ask(*[get("/healthz")] * 40, expecting=b""),
    "reset": lambda v: reset(v, get("/healthz")),
    "reset in a body": lambda v: reset(v, post(b"x" * 60_000, BIG_HEAD, length=61_000)),
    "no request": lambda v: cut_off(v, b""),
    "half a head": lambda v: cut_off(v, b"GET / HTTP/1.1\r\n" + BIG_HEAD),
    "half a body, no token": lambda v: cut_off(v, post(b"x" * 60_000, BIG_HEAD, length=61_000)),
    "half a body": lambda v: cut_off(v, post(b"x" * 60_000, v.bearer, length=61_000)),
    "half a body, expecting 100": lambda v: cut_off(
        v, post(b"", v.bearer, b"Expect: 100-continue\r\n", length=9)
    ),
    "another protocol": lambda v: v.ask(
        get("/healthz", b"Connection: upgrade\r\nUpgrade: h2c\r\n"), expecting=b"200"
    ),
    "socket of another origin": lambda v: v.ask(
        upgrade("/ws", FOREIGN, b"X-Padding: %s\r\n" % (b"x" * 8_000)), expecting=b"403"
    ),
    "socket at an unknown path": lambda v: v.ask(upgrade("/nothing"), expecting=b"404"),
    "socket without a key": lambda v: v.ask(
        upgrade().replace(b"Sec-WebSocket-Key", b"X-Key"), expecting=b"400"
    ),
    "socket of an old version": lambda v: v.ask(upgrade().replace(b"13", b"8"), expecting=b"4"),
    "socket": lambda v: converse(v),
    "socket whose client leaves": lambda v: converse(v, how="leave"),
    "socket that is reset": lambda v: converse(v, how="reset"),
    "socket with a list": lambda v: converse(v, path="/ws/dashboard"),
    "socket with a task": lambda v: converse(v, path="/ws/tasks/t1"),
    "socket that asks": lambda v: converse(
        v,
        frame(b'{"type":"ping"}'),
        frame(b'{"type":"dashboard:join"}'),
        frame(b'{"type":"task:join","data":{"tasks":[{"taskId":"t1"},{"taskId":"no such"}]}}'),
        frame(b'{"type":"resync_requested","data":{"taskIds":["t1"]}}'),
        frame(b'{"type":"task:leave","data":{"taskId":"t1"}}'),
    ),
    "socket with malformed requests": lambda v: converse(
        v, frame(b"{"), frame(b'{"type":"dance"}'), frame(b'{"type":"task:join","data":{"tasks":[1]}}')
    ),
    "socket that breaks the rules": lambda v: converse(v, b"\xff\xff"),
    "socket that sends binary": lambda v: converse(v, masked(0x2, b"x")),
    "socket with invalid UTF-8": lambda v: converse(v, frame(b"\xff")),
    "socket that sends too much": lambda v: converse(v, frame(b"x" * 70_000)),
    "socket that fragments": lambda v: converse(
        v, masked(TEXT, b'{"type":', fin=False), masked(0x0, b'"ping"}')
    ),
    "socket without a token": lambda v: converse(v, authorized=False, how="leave"),
    "socket with a bad first frame": lambda v: converse(v, frame(b"{}"), authorized=False),
    "socket with a bad token": lambda v: converse(
        v, frame(b'{"type":"auth","data":{"token":"x"}}'), authorized=False
    ),
    "socket with a token in the query": lambda v: converse(v, path="/ws?token=x"),
    "half a frame": lambda v: leave_at_once(
        v, upgrade("/ws", v.bearer), masked(TEXT, b"x" * 60_000)[:50_000]
    ),
    "poll outside the rollout": lambda v: v.ask(post(DASHBOARD, v.bearer), expecting=b"403", of=v.off),
    "socket outside the rollout": lambda v: converse(v, of=v.off),
    "poll over the rate": lambda v: v.ask(post(LONG_LIST, v.bearer), expecting=b"", of=v.slow),
    "socket over the rate": lambda v: too_fast(v, 9),
    "socket that goes on over the rate": lambda v: too_fast(v, 200),
    "socket of a user over the rate": lambda v: converse(v, of=v.slow),
    "poll while the database is unavailable": lambda v: v.ask(post(AWAY, v.bearer), expecting=b"503"),
    "poll that fails": lambda v: v.ask(post(BROKEN, v.bearer), expecting=b"500"),
}
NEED_OTHER_RELAYS = {  # these need a relay that is slow or off, or polls that fail
    "poll outside the rollout",
    "socket outside the rollout",
    "poll over the rate",
    "socket over the rate",
    "socket that goes on over the rate",
    "socket of a user over the rate",
    "poll while the database is unavailable",
    "poll that fails",
}
# Each of these takes until a timeout of the relay.
SLOW = {"no request", "half a head", "half a body, no token", "half a body", "half a body, expecting 100"}
