"""A client that sends any bytes: HTTP requests and WebSocket frames, valid or not."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.relay_fixture import SOON_S, token

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def handshake(path: str = "/ws", *headers: str, host: str = "x") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        *([f"Host: {host}"] if host else []),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    length = len(payload)
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        size = bytes([bit | length])
    elif length < 65_536:
        size = bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([bit | 127]) + length.to_bytes(8, "big")
    if not masked:
        return first + size + payload
    key = os.urandom(4)
    mask = (key * (length // 4 + 1))[:length]
    covered = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
    return first + size + key + covered


@dataclass
class Peer:
    """One TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def answer(self) -> tuple[int, bytes]:
        """Read the status and the head of a response. (0, b"") if the connection ends without one."""
        async with asyncio.timeout(SOON_S):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""
        return int(head.split()[1]), head

    async def frame(self) -> tuple[int, bytes]:
        """Read the next frame: its opcode and payload. Raises IncompleteReadError when the connection ends."""
        async with asyncio.timeout(SOON_S):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(size)

    async def ending(self) -> int | None:
        """Read until the server closes, and return its close code. None if it ends without a close frame."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def drip(self, data: bytes, every_s: float) -> None:
        """Send the data byte by byte, until all is sent or the connection has ended."""
        try:
            for at in range(len(data)):
                self.writer.write(data[at : at + 1])
                await self.writer.drain()
                await asyncio.sleep(every_s)
        except ConnectionError:
            pass


@asynccontextmanager
async def tcp_connection(url: str, *, receive_buffer: int = 0) -> AsyncIterator[Peer]:
    """A new TCP connection to this address."""
    parts = urlsplit(url)
    bare = socket.socket()
    if receive_buffer:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        bare.connect((parts.hostname, parts.port))
    except OSError:
        bare.close()
        raise
    reader, writer = await asyncio.open_connection(sock=bare, limit=receive_buffer or 2**20)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def upgraded(
    url: str, path: str = "/ws", *headers: str, sub: str | None = "alice", receive_buffer: int = 0
) -> AsyncIterator[Peer]:
    """An open WebSocket of this user, or without a token if `sub` is None. The welcome is not read yet."""
    bearer = [f"Authorization: Bearer {token(sub)}"] if sub else []
    async with tcp_connection(url, receive_buffer=receive_buffer) as peer:
        peer.send(handshake(path, *bearer, *headers))
        status, _ = await peer.answer()
        assert status == 101
        yield peer
