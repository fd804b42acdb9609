"""The load: many WebSocket connections in one process, at the lowest possible cost.

Frames are not decoded. The received data is searched for the two bytes that begin a text frame of 126 to 33,000 bytes,
0x81 0x7e, which occur in no JSON that is pure ASCII. Counting is therefore almost free, and a read with a hundred
frames costs as much as a read with one. The first connection of a client keeps the data it receives, so that order and
content can be checked afterwards.
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

TCP_DATA_SEGS_IN = slice(152, 156)  # position in struct tcp_info
READ_BYTES = 256 * 1024
AT_ONCE = 100  # connections being opened at the same time
PER_ADDRESS = 20_000  # connections from one source address: each needs a port
JOIN_S = 60.0
QUIET_S = 5.0  # after this long without any frame no more are expected

_buffer = bytearray(READ_BYTES)  # shared: each connection processes its data before another one reads
_view = memoryview(_buffer)
_MASK = b"\0\0\0\0"  # clients must mask; this mask leaves the payload unchanged
PONG = b"\x8a\x80" + _MASK


NORMAL = (1000).to_bytes(2, "big")  # the close code
CLOSE = b"\x88\x82" + _MASK + NORMAL
CLOSED = b"\x88\x02" + NORMAL  # the server's answer


def text_frame(payload: bytes) -> bytes:
    """Return a text frame as a client sends it, masked."""
    if len(payload) < 126:
        return bytes((0x81, 0x80 | len(payload))) + _MASK + payload
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + _MASK + payload


@dataclass(frozen=True, slots=True)
class Script:
    """How a connection starts to listen: the path, headers, and steps.

    A step is the bytes to wait for and the payload to send then, or None to send nothing.
    """

    path: str
    steps: Sequence[tuple[bytes, bytes | None]]
    headers: tuple[str, ...] = ()
    ping: bytes = b"\x89\x00"
    pong: bytes = PONG

    def request(self) -> bytes:
        """Return the HTTP upgrade request."""
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


class Connection(asyncio.BufferedProtocol):
    """One WebSocket connection, which follows its script and then counts frames."""

    __slots__ = (
        "_load",
        "_script",
        "_searched",
        "_split_header",
        "_step",
        "_transport",
        "closed",
        "count",
        "joined",
        "on_data",
        "received_data",
    )

    def __init__(self, load: LoadClient, script: Script) -> None:
        self._load = load
        self._script = script
        self._step = -1  # index of the current step; -1: before the response to the upgrade
        self._searched = 0  # bytes of `received_data` that earlier steps matched
        self._split_header = False  # the last read ended between the two bytes of a frame header
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received_data = b""  # all data received while joining
        self.count = 0  # frames received since joining
        self.on_data: Callable[[bytes, float], None] | None = None  # called with received data and its time

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
        if self._split_header and buffer[0] == 0x7E:
            count += 1
        self._split_header = buffer[nbytes - 1] == 0x81
        now = time.perf_counter()
        if self.on_data is not None:
            self.on_data(bytes(_view[:nbytes]), now)
        before = self.count
        self.count = before + count
        self._load.arrived(before, count, now)

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.connections.discard(self)
        self.closed.set_result(None)
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"refused: {self.received_data[-200:]!r}"))

    def _join(self, data: bytes) -> None:
        self.received_data += data
        script = self._script
        if self._step < 0:
            if b"\r\n\r\n" not in self.received_data:
                return
            if not self.received_data.startswith(b"HTTP/1.1 101"):
                self._transport.abort()
                return
            self._step = 0
            self.received_data = self.received_data.partition(b"\r\n\r\n")[2]
        while self._step < len(script.steps):
            awaited, answer = script.steps[self._step]
            found = self.received_data.find(awaited, self._searched)
            if found < 0:
                return
            self._searched = found + len(awaited)
            self._step += 1
            if answer is not None:
                self._transport.write(text_frame(answer))
        if not self.joined.done():
            self.joined.set_result(None)

    async def say(self, payload: bytes) -> None:
        """Send a message and return once data has been received after it."""
        answered = asyncio.get_running_loop().create_future()

        def note_answer(data: bytes, now: float) -> None:
            if not answered.done():
                answered.set_result(None)

        before, self.on_data = self.on_data, note_answer
        self._transport.write(text_frame(payload))
        await answered
        self.on_data = before

    def write(self, payload: bytes) -> None:
        """Send a message, and wait for nothing."""
        self._transport.write(text_frame(payload))

    async def close(self) -> bool:
        """Close with 1000 and return once the connection has ended. Return whether the server answered with 1000."""
        answers: list[bytes] = []
        self.on_data = lambda data, _: answers.append(data)
        self._transport.write(CLOSE)
        await self.closed
        return b"".join(answers).endswith(CLOSED)

    def stop_reading(self) -> None:
        """Read nothing more, so the socket buffers fill up."""
        self._transport.pause_reading()

    def abort(self) -> None:
        self._transport.abort()

    def writes_received(self) -> int:
        """Return the number of TCP segments with data so far: on loopback one for each write of up to 64 KB."""
        info = self._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int.from_bytes(info[TCP_DATA_SEGS_IN], "little")


class LoadClient:
    """Connections to one server, which count their frames together.

    `last_at[n]`: when the last connection so far received its nth frame.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._made = 0
        self._total = self._wanted = 0
        self._reached: asyncio.Future[bool] | None = None
        self._newest_at = 0.0
        self._kept: list[bytes] = []
        self.connections: set[Connection] = set()
        self.last_at: list[float] = []

    async def join(
        self, scripts: Sequence[Script], *, at_once: int = AT_ONCE, narrow: bool = False
    ) -> list[Connection]:
        """Open connections and return once all have joined. `narrow`: with the smallest possible receive buffer."""
        gate = asyncio.Semaphore(at_once)
        connections = [Connection(self, script) for script in scripts]

        async def one(connection: Connection) -> None:
            async with gate:
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, sock=await self._socket(narrow)
                )
                self.connections.add(connection)
                await connection.joined

        async with asyncio.timeout(JOIN_S):
            await asyncio.gather(*map(one, connections))
        if connections and not self._kept:
            connections[0].on_data = lambda data, _: self._kept.append(data)
        return connections

    async def visit(self, scripts: Sequence[Script], *, at_once: int = AT_ONCE) -> int:
        """Open connections, close each with 1000 as soon as it has joined, and return once all have ended. Return how
        many of them the server has closed with the same code."""
        gate = asyncio.Semaphore(at_once)

        async def one(script: Script) -> bool:
            async with gate:
                (connection,) = await self.join([script])
                return await connection.close()

        async with asyncio.timeout(JOIN_S):
            return sum(await asyncio.gather(*map(one, scripts)))

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
        """Start to count: each of `listeners` (default: all) connections is to receive `frames` frames."""
        for connection in self.connections:
            connection.count = 0
        self._kept.clear()
        self.last_at = [0.0] * frames
        self._total, self._wanted = 0, frames * (len(self.connections) if listeners is None else listeners)
        self._newest_at = time.perf_counter()

    def arrived(self, before: int, count: int, now: float) -> None:
        """Note `count` frames of a connection that had `before` frames."""
        self.last_at[before : before + count] = [now] * count
        self._total += count
        self._newest_at = now
        if self._total >= self._wanted and self._reached is not None and not self._reached.done():
            self._reached.set_result(True)

    @property
    def received(self) -> int:
        """Frames received by all connections since `expect`."""
        return self._total

    @property
    def wanted(self) -> int:
        """Frames that all connections together are expected to receive."""
        return self._wanted

    @property
    def first_received(self) -> bytes:
        """All data that the first connection received since `expect`."""
        return b"".join(self._kept)

    async def wait_until_received(self) -> bool:
        """Wait for the expected frames. Return False if QUIET_S pass without any frame before that."""
        self._reached = asyncio.get_running_loop().create_future()
        while self._total < self._wanted:
            left = self._newest_at + QUIET_S - time.perf_counter()
            if left <= 0:
                return False
            await asyncio.wait((self._reached,), timeout=left)
        return True

    def writes_received(self) -> int:
        return sum(connection.writes_received() for connection in self.connections)

    async def leave(self) -> None:
        """Abort all connections and wait until they are closed."""
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in connections))
