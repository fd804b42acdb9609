"""A TCP proxy in the event loop of a test, with the faults of a network: delays, lost packets, resets, refusals."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65_536
UPGRADE = b"upgrade: websocket"


class Proxy:
    """Forwards connections to `port` to the target. Delays, blocks and refusals last until `heal`; `reset` and
    `half_close` affect only the connections that are open."""

    def __init__(self, target: int, *, host: str = "127.0.0.1") -> None:
        self._target = target
        self._host = host
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay_s = 0.0
        self.blocks_websockets = False
        self.connections = 0  # accepted so far

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.reset()  # also those whose task has not started

    def delay(self, seconds: float) -> None:
        """Delay every chunk by this time, in both directions."""
        self.delay_s = seconds

    def black_hole(self) -> None:
        """Forward nothing, like a firewall that drops packets. Data sent meanwhile arrives after `heal`, because TCP
        sends it again."""
        self._flows.clear()

    def block_websockets(self) -> None:
        """Abort all connections, and new ones that request a WebSocket, like a proxy without WebSocket support."""
        self.blocks_websockets = True
        self.reset()

    def reset(self) -> None:
        """Abort all open connections with a TCP reset."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def half_close(self) -> None:
        """Send a FIN to both sides of all open connections."""
        for writer in list(self._writers):
            with suppress(OSError, RuntimeError):
                writer.write_eof()

    def refuse(self) -> None:
        """Stop listening, and abort all open connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    async def accept(self) -> None:
        """Listen, on the earlier port if there was one."""
        if self._server is None:
            self._server = await asyncio.start_server(self._take, self._host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def heal(self) -> None:
        """End all faults and listen again."""
        self.delay_s = 0.0
        self.blocks_websockets = False
        self._flows.set()
        await self.accept()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._flows.wait()
            there, onward = await asyncio.open_connection(self._host, self._target)
            self._writers.add(onward)
            try:
                await asyncio.gather(self._forward(reader, onward), self._forward(there, writer))
            finally:
                self._writers.discard(onward)
                onward.transport.abort()
        except (OSError, RuntimeError, asyncio.CancelledError):
            pass  # one side disconnected or was half-closed, or the test is over
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._flows.wait()
            if self.blocks_websockets and UPGRADE in chunk.lower():
                raise ConnectionAbortedError
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()
