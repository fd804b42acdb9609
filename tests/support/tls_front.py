"""TLS in front of a server that has none: a thread that forwards to the server's Unix socket."""

from __future__ import annotations

import asyncio
import ssl
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

CHUNK = 65_536


class TlsFront:
    """Accepts TLS connections on a port of 127.0.0.1 between `start` and `stop`."""

    def __init__(self, port: int, target: Path, context: ssl.SSLContext) -> None:
        self._port = port
        self._target = target
        self._context = context
        self._running: tuple[threading.Thread, asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="tls", daemon=True)
        thread.start()
        self._running = (thread, *listening.result())

    def stop(self) -> None:
        """Close the port and abort all connections. Does nothing if it has not started."""
        if self._running is not None:
            thread, loop, stopping = self._running
            self._running = None
            loop.call_soon_threadsafe(stopping.set)
            thread.join()

    async def _serve(self, listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda *_: None)  # handshakes that fail are part of the tests
        try:
            server = await asyncio.start_server(self._take, "127.0.0.1", self._port, ssl=self._context)
        except OSError as failure:
            listening.set_exception(failure)
            return
        listening.set_result((loop, stopping))
        await stopping.wait()
        server.close()  # the end of asyncio.run cancels what serves the connections

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_unix_connection(self._target)
        except OSError:  # the server has just ended
            writer.transport.abort()
            return
        directions = [
            asyncio.create_task(_forward(reader, onward)),
            asyncio.create_task(_forward(there, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            writer.close()  # once what the server answered last has been sent
            with suppress(OSError):
                await writer.wait_closed()
        finally:
            for direction in directions:
                direction.cancel()
            for one in (writer, onward):
                one.transport.abort()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
