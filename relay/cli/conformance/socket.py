"""One WebSocket of the kit, whose end the kit chooses: a code, or nothing at all. Does I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from relay.protocol.types import SUBPROTOCOL

CLOSE_WITHIN_S = 1.0  # for the client's half of the closing handshake
MAX_FRAME_BYTES = 2**20


def _subprotocol(_server: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose `relay.v1`. A client that does not offer it gets none (PROTOCOL.md 2)."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


class Socket:
    """A WebSocket on a connection whose request was read already."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_pong: Callable[[], None]
    ) -> None:
        self._reader, self._writer, self._on_pong = reader, writer, on_pong
        self._protocol = ServerProtocol(select_subprotocol=_subprotocol, max_size=MAX_FRAME_BYTES)
        self.binary = False  # did the client send a binary frame?

    def accept(self, head: bytes) -> Request | None:
        """Answer the request for an upgrade. None if it is none, which the client was told."""
        self._protocol.receive_data(head)
        for found in self._protocol.events_received():
            if isinstance(found, Request):
                response = self._protocol.accept(found)
                self._protocol.send_response(response)
                self._flush()
                return found if response.status_code == 101 else None
        return None

    async def texts(self) -> AsyncIterator[str]:
        """Yield each text that the client sends, until the connection ends."""
        parts: list[bytes] = []
        while True:
            try:
                data = await self._reader.read(65_536)
            except ConnectionError:
                return
            if not data:
                return
            self._protocol.receive_data(data)
            self._flush()
            for found in self._protocol.events_received():
                if not isinstance(found, Frame):
                    continue
                match found.opcode:
                    case Opcode.PONG:
                        self._on_pong()
                    case Opcode.BINARY:
                        self.binary = True
                    case Opcode.TEXT | Opcode.CONT:
                        parts.append(bytes(found.data))
                        if found.fin:
                            yield b"".join(parts).decode()
                            parts.clear()

    def send(self, text: str) -> None:
        with suppress(ProtocolError, RuntimeError):  # it is closed already, which its reader notices
            self._protocol.send_text(text.encode())
            self._flush()

    def ping(self) -> None:
        self._protocol.send_ping(b"kit")
        self._flush()

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame, and end the connection when the client has answered it or after CLOSE_WITHIN_S."""
        with suppress(ProtocolError, RuntimeError):
            self._protocol.send_close(code, reason)
        self._flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._writer.wait_closed()
        self.abort()

    def abort(self) -> None:
        """End the connection without a close frame."""
        self._writer.transport.abort()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._writer.is_closing():
                return
            if data:
                self._writer.write(data)
            else:  # the closing handshake is complete
                self._writer.close()
