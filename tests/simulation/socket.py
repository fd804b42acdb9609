"""A WebSocket as a browser has one, over the simulated network: frames in, frames out, without any rule of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from relay.protocol.types import ABNORMAL
from simulation.network import End, Network

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame; its mask is all zeros."""
    length = len(payload)
    first = bytes((0x80 | opcode,))
    if length < 126:
        return first + bytes((0x80 | length,)) + bytes(4) + payload
    if length < 65_536:
        return first + b"\xfe" + length.to_bytes(2, "big") + bytes(4) + payload
    return first + b"\xff" + length.to_bytes(8, "big") + bytes(4) + payload


class Frames:
    """The frames of one direction of a connection, from its bytes; before them may be a handshake.

    `feed` gives each text to `on_text`.
    """

    def __init__(self, on_text: Callable[[str], object]) -> None:
        self._on_text = on_text
        self._received = bytearray()
        self._is_open = False

    def feed(self, data: bytes) -> None:
        """Bytes of a connection from its beginning, handshake included."""
        if not self._is_open:
            self._received += data
            _head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            self._is_open, self._received, data = True, bytearray(), bytes(rest)
        for opcode, payload in self.taken_from(data):
            if opcode == TEXT:
                self._on_text(payload.decode())

    def taken_from(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each frame that is whole by now, as (opcode, payload)."""
        self._received += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[int, bytes] | None:
        received = self._received
        if len(received) < 2:
            return None
        assert received[0] & 0xF0 == 0x80, "a fragment, or a reserved bit"
        is_masked, size, start = received[1] & 0x80, received[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(received) < start:
                return None
            size = int.from_bytes(received[2:start], "big")
        key = b""
        if is_masked:
            key = bytes(received[start : start + 4])
            start += 4
        if len(received) < start + size:
            return None
        opcode, payload = received[0] & 0x0F, bytes(received[start : start + size])
        del received[: start + size]
        return opcode, _unmasked(payload, key) if any(key) else payload


class Socket(asyncio.Protocol):
    """`on_text` is called with each message, and `on_close` once with how the connection ended; nothing follows that.
    `on_open` is called when the relay has accepted the connection."""

    def __init__(
        self,
        token: str,
        *,
        on_text: Callable[[str], None],
        on_close: Callable[[int, str], None],
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._token = token
        self._on_text, self._on_close, self._on_open = on_text, on_close, on_open
        self._frames = Frames(lambda _: None)
        self._head = bytearray()
        self._is_open = self._is_over = False
        self.end: End | None = None

    async def open(self, network: Network, port: int) -> None:
        """Connect and shake hands. Raises OSError."""
        await network.connect(lambda: self, "127.0.0.1", port)

    @property
    def is_open(self) -> bool:
        return self._is_open and not self._is_over

    def send(self, text: str) -> None:
        if self.end is not None and not self._is_over:
            self.end.write(masked(TEXT, text.encode()))

    def close(self) -> None:
        """Go away in good order; nothing is received any more."""
        if not self._is_over:
            self._is_over = True
            if self.end is not None:
                self.end.write(masked(CLOSE, (1000).to_bytes(2, "big")))
                self.end.close()

    # As a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, End)
        self.end = transport
        transport.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: relay.v1, bearer." + self._token.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._over(ABNORMAL, "")
                return
            self._is_open, data = True, bytes(rest)
            self._on_open()
        for opcode, payload in self._frames.taken_from(data):
            if not self._is_over:
                self._take(opcode, payload)

    def eof_received(self) -> None:
        self._over(ABNORMAL, "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(ABNORMAL, "")

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._on_text(payload.decode())
        elif opcode == PING and self.end is not None:
            self.end.write(masked(PONG, payload))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            if self.end is not None:
                self.end.write(masked(CLOSE, payload))
                self.end.close()
            self._over(code, payload[2:].decode())

    def _over(self, code: int, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_close(code, reason)


def _unmasked(payload: bytes, key: bytes) -> bytes:
    length = len(payload)
    mask = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
