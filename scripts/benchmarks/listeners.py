"""The load: many WebSocket connections in this one process, as cheap as they can be.

A frame is not decoded. What a connection receives is searched for the two bytes that begin a text frame of
126 to 33,000 bytes, 0x81 0x7e, which occur in no JSON that is pure ASCII. So counting costs next to nothing,
and a read that brings a hundred frames costs as much as one that brings a single one. The first connection
of a crowd keeps all it gets, to be checked for order and content afterwards.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

TCP_DATA_SEGS_IN = slice(152, 156)  # of struct tcp_info
READ_BYTES = 256 * 1024
AT_ONCE = 100  # connections that are being made
PER_ADDRESS = 20_000  # connections from one address: a port each
JOIN_S = 60.0
QUIET_S = 5.0  # no frame of any connection for so long: no more will come

_buffer = bytearray(READ_BYTES)  # of all connections: each looks at what it got before the next one reads
_view = memoryview(_buffer)
_MASK = b"\0\0\0\0"  # clients have to mask, and this one leaves the payload as it is
PONG = b"\x8a\x80" + _MASK


def text_frame(payload: bytes) -> bytes:
    """A client's text frame."""
    if len(payload) < 126:
        return bytes((0x81, 0x80 | len(payload))) + _MASK + payload
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + _MASK + payload


@dataclass(frozen=True, slots=True)
class Script:
    """How a connection comes to listen: the path, its headers, then what it waits for, each with what it
    answers."""

    path: str
    steps: Sequence[tuple[bytes, bytes | None]]
    headers: tuple[str, ...] = ()
    ping: bytes = b"\x89\x00"
    pong: bytes = PONG

    def request(self) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *self.headers,
        )
        return "\r\n".join((*lines, "", "")).encode()


class Ear(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        "_crowd",
        "_half",
        "_passed",
        "_script",
        "_step",
        "_transport",
        "count",
        "gone",
        "heard",
        "joined",
        "look",
    )

    def __init__(self, crowd: Crowd, script: Script) -> None:
        self._crowd = crowd
        self._script = script
        self._step = -1  # -1: before the answer to the handshake
        self._passed = 0  # of what it heard, what its steps have seen
        self._half = False  # the last read ended within a frame's first two bytes
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard = b""  # while it joins
        self.count = 0  # frames since
        self.look: Callable[[bytes, float], None] | None = None  # is shown all that comes, and when

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._script.request())

    def get_buffer(self, sizehint: int) -> memoryview:
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        buffer, script = _buffer, self._script
        if buffer.find(script.ping, 0, nbytes) >= 0:
            self._transport.write(script.pong)
        if self._step < len(script.steps):
            self._join(bytes(_view[:nbytes]))
            return
        count = buffer.count(b"\x81~", 0, nbytes)
        if self._half and buffer[0] == 0x7E:
            count += 1
        self._half = buffer[nbytes - 1] == 0x81
        now = time.perf_counter()
        if self.look is not None:
            self.look(bytes(_view[:nbytes]), now)
        before = self.count
        self.count = before + count
        self._crowd.arrived(before, count, now)

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.ears.discard(self)
        self.gone.set_result(None)
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"refused: {self.heard[-200:]!r}"))

    def _join(self, data: bytes) -> None:
        self.heard += data
        script = self._script
        if self._step < 0:
            if b"\r\n\r\n" not in self.heard:
                return
            if not self.heard.startswith(b"HTTP/1.1 101"):
                self._transport.abort()
                return
            self._step = 0
            self.heard = self.heard.partition(b"\r\n\r\n")[2]
        while self._step < len(script.steps):
            awaited, answer = script.steps[self._step]
            found = self.heard.find(awaited, self._passed)
            if found < 0:
                return
            self._passed = found + len(awaited)
            self._step += 1
            if answer is not None:
                self._transport.write(text_frame(answer))
        if not self.joined.done():
            self.joined.set_result(None)

    async def say(self, payload: bytes) -> None:
        """Send a message, and return once there is an answer to it."""
        answered = asyncio.get_running_loop().create_future()

        def look(data: bytes, now: float) -> None:
            if not answered.done():
                answered.set_result(None)

        before, self.look = self.look, look
        self._transport.write(text_frame(payload))
        await answered
        self.look = before

    def stop_reading(self) -> None:
        self._transport.pause_reading()

    def abort(self) -> None:
        self._transport.abort()

    def writes_received(self) -> int:
        """Segments with data that came so far. On loopback that is one for each write of up to 64 KB."""
        info = self._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int.from_bytes(info[TCP_DATA_SEGS_IN], "little")


class Crowd:
    """Connections to one server that count what they get together.

    `last_at[n]`: when the last of them so far got the frame that is its nth.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._made = 0
        self._total = self._wanted = 0
        self._reached: asyncio.Future[bool] | None = None
        self._newest_at = 0.0
        self._kept: list[bytes] = []
        self.ears: set[Ear] = set()
        self.last_at: list[float] = []

    async def join(
        self, scripts: Sequence[Script], *, at_once: int = AT_ONCE, narrow: bool = False
    ) -> list[Ear]:
        """Connect, and return once all listen. `narrow`: with the smallest receive buffer there is."""
        gate = asyncio.Semaphore(at_once)
        ears = [Ear(self, script) for script in scripts]

        async def one(ear: Ear) -> None:
            async with gate:
                await asyncio.get_running_loop().create_connection(
                    lambda: ear, sock=await self._socket(narrow)
                )
                self.ears.add(ear)
                await ear.joined

        async with asyncio.timeout(JOIN_S):
            await asyncio.gather(*map(one, ears))
        if ears and not self._kept:
            ears[0].look = lambda data, _: self._kept.append(data)
        return ears

    async def _socket(self, narrow: bool) -> socket.socket:
        made = socket.socket()
        try:
            made.setblocking(False)
            if narrow:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if self._made >= PER_ADDRESS:
                made.bind((f"127.0.0.{2 + self._made // PER_ADDRESS}", 0))
            self._made += 1
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self._port))
        except BaseException:
            made.close()
            raise
        return made

    def expect(self, frames: int, *, listeners: int | None = None) -> None:
        """From here on each of `listeners` (all) is to get so many."""
        for ear in self.ears:
            ear.count = 0
        self._kept.clear()
        self.last_at = [0.0] * frames
        self._total, self._wanted = 0, frames * (len(self.ears) if listeners is None else listeners)
        self._newest_at = time.perf_counter()

    def arrived(self, before: int, count: int, now: float) -> None:
        self.last_at[before : before + count] = [now] * count
        self._total += count
        self._newest_at = now
        if self._total >= self._wanted and self._reached is not None and not self._reached.done():
            self._reached.set_result(True)

    @property
    def received(self) -> int:
        return self._total

    @property
    def wanted(self) -> int:
        return self._wanted

    @property
    def first_ear(self) -> bytes:
        """All that the first connection got since `expect`."""
        return b"".join(self._kept)

    async def all_received(self) -> bool:
        """Return once everyone has everything; False when for some time nothing has come any more."""
        self._reached = asyncio.get_running_loop().create_future()
        while self._total < self._wanted:
            left = self._newest_at + QUIET_S - time.perf_counter()
            if left <= 0:
                return False
            await asyncio.wait((self._reached,), timeout=left)
        return True

    def writes_received(self) -> int:
        return sum(ear.writes_received() for ear in self.ears)

    async def leave(self) -> None:
        """Cut all connections."""
        ears = list(self.ears)
        for ear in ears:
            ear.abort()
        await asyncio.gather(*(ear.gone for ear in ears))
