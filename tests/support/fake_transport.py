"""A WebSocket connection without a socket: an event loop that runs when the test says so, and a transport whose peer
reads when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Any
from unittest.mock import patch

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from relay.gateway.websocket.connection import Connection, Timeouts
from relay.gateway.websocket.handshake import Handshake, websocket_protocol
from relay.gateway.websocket.owner import End
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame
from relay.protocol.types import Kind

REQUEST_HEADERS = [
    (b"host", b"x"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
]
HIGH_WATER = 1_000
TIMEOUTS = Timeouts(ping_every_s=20, pong_within_s=8, stall_s=30)


def frame(body: bytes) -> Frame:
    """A message of any content: a connection looks at nothing but the body."""
    return Frame(Kind.PONG, body, {})


def batch(*bodies: bytes) -> Batch:
    return Batch([frame(body) for body in bodies])


def masked(opcode: int, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A WebSocket frame as a client sends it, with a mask of zeros."""
    plain = WebSocketFrame(Opcode(opcode), data, fin).serialize(mask=False)
    header = len(plain) - len(data)
    return bytes((plain[0], plain[1] | 0x80)) + plain[2:header] + bytes(4) + data


def unframed(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that a server sent, as (opcode, payload). Fails if one is incomplete, masked or a fragment."""
    frames = []
    while data:
        assert data[0] & 0x70 == 0, "a reserved bit"
        assert data[0] & 0x80, "a fragment"
        length, start = data[1], 2
        assert length < 128, "a masked frame"
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        assert len(data) >= start + length, "half a frame"
        frames.append((data[0] & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return frames


class Loop:
    """An event loop that runs one turn when `turn` is called, and whose clock is `now`."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._ready: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        self._ready.append(lambda: call(*args))

    def turn(self) -> None:
        """Run the calls that are ready now, but not those that they schedule."""
        ready, self._ready = self._ready, []
        for call in ready:
            call()

    def settle(self) -> None:
        while self._ready:
            self.turn()


class Transport:
    """A transport that, unlike asyncio's, raises at every call that must not be made in its state."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.buffer = b""  # what the client has not read
        self.taking = True  # whether the client reads
        self.paused = False
        self.reading = True
        self.closing = self.aborted = self.lost = self.eof = False

    def sent(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        assert not self.closing, "a write to a transport that closes"
        assert not self.eof, "a write after the end"
        assert data, "an empty write"
        self.writes.append(data)
        if not self.taking:
            self.buffer += data
            if len(self.buffer) > HIGH_WATER and not self.paused:
                self.paused = True
                self.protocol.pause_writing()

    def read(self, count: int | None = None) -> None:
        """Let the client read `count` bytes of what waits; without a number all of it, and everything from then on."""
        self.taking = self.taking or count is None
        self.buffer = self.buffer[len(self.buffer) if count is None else count :]
        if self.paused and len(self.buffer) <= HIGH_WATER // 4:
            self.paused = False
            self.protocol.resume_writing()
        if self.closing and not self.buffer:
            self._lose()

    def feed(self, data: bytes) -> None:
        """Let the client send these bytes. Only valid while the protocol reads."""
        assert self.reading
        self.protocol.data_received(data)

    def end(self) -> None:
        """Let the client end its side of the connection."""
        assert not self.protocol.eof_received()
        self.close()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing, self.reading = True, False
        if not self.buffer:
            self._lose()

    def abort(self) -> None:
        self.closing, self.reading, self.aborted, self.buffer = True, False, True, b""
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self.protocol.connection_lost, None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return HIGH_WATER // 4, HIGH_WATER

    def get_extra_info(self, _: str) -> None:
        return None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


class RecordingConversation:
    """A conversation that records its calls, in one list with the messages that a test sends."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def receive(self, text: str) -> None:
        self.calls.append(text)

    def tick(self) -> float:
        return inf

    def paused(self) -> None:
        self.calls.append("paused")

    def lag(self, *, since_pause: bool) -> None:
        self.calls.append("lag since pause" if since_pause else "lag")

    def drained(self) -> None:
        self.calls.append("drained")

    def closed(self) -> None:
        self.calls.append("closed")


class Harness:
    """A connection whose handshake is done, unless `endpoint` or `settle` say otherwise. It is its own owner, and
    its own pacer: everything is written in the next turn of the loop."""

    metrics = Metrics()  # of all harnesses: a search makes thousands of them
    bytes = 0

    def __init__(
        self,
        conversation: Any = None,
        *,
        max_bytes: int = 1_000,
        endpoint: Callable[[Handshake], object] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = REQUEST_HEADERS,
        settle: bool = True,
    ) -> None:
        self.loop, self.conversation = Loop(), conversation or RecordingConversation()
        self.losses = self.wakes = self.admissions = 0
        self.ends: list[End] = []
        self.transport = Transport(self.loop)
        # In place of the protocol for HTTP, which ends with the handshake.
        self.transport.protocol = asyncio.Protocol()
        self.server_state = ServerState()

        self.connection: Connection

        def accept(handshake: Handshake) -> None:
            connection = handshake.accept(None, self)
            assert connection is not None
            connection.serve(self.conversation, max_bytes=max_bytes)
            self.connection = connection

        protocol = websocket_protocol(self, lambda handshake, _: (endpoint or accept)(handshake))  # type: ignore[arg-type, func-returns-value]
        config = Config("x:y", ws=protocol, ws_max_size=100_000, log_config=None)
        self.handshake = protocol(config, self.server_state)
        with patch("asyncio.get_running_loop", return_value=self.loop):
            self.handshake.begin(self.transport, "GET", b"/ws", "1.1", headers, None)  # type: ignore[arg-type]
        if settle:
            self.loop.settle()
            self.answer, self.transport.writes = self.transport.sent(), []

    def schedule(self, connection: Any) -> None:
        self.loop.call_soon(connection.flush)

    def admitted(self, _: Connection) -> None:
        self.admissions += 1

    def ending(self, _: Connection, end: End) -> None:
        self.ends.append(end)

    def lost(self, _: Connection) -> None:
        self.losses += 1

    def wake(self, _: Connection) -> None:
        self.wakes += 1

    def tick(self, *, after_s: float = 0.0) -> float:
        """Call `tick` after this time. Return when it wants the next call, in seconds from then."""
        self.loop.now += after_s
        due = self.connection.tick(self.loop.now, TIMEOUTS)
        self.loop.settle()
        return due - self.loop.now

    def client_sends(self, data: bytes) -> list[tuple[int, bytes]]:
        """Let the client send these bytes. Return the frames that it is answered at once."""
        before = len(self.transport.sent())
        self.transport.feed(data)
        self.loop.settle()
        return unframed(self.transport.sent()[before:])

    def stop_reading(self) -> None:
        """Let the client stop reading, and fill what the socket takes by itself."""
        self.transport.taking = False
        self.connection.answer(frame(b"x" * HIGH_WATER))
        self.loop.settle()
        assert self.transport.paused

    def frames(self) -> list[tuple[int, bytes]]:
        return unframed(self.transport.sent())
