"""A TCP proxy in front of a server on this machine that delays each direction like a long line, and counts what goes
through: requests, and bytes."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 65_536
REQUEST = re.compile(rb"^(?:GET|HEAD|POST|OPTIONS) (\S+) HTTP/1\.1\r\n")


@dataclass
class Line:
    """One long line. `url` is the address in front of it. `requests` are the targets of all HTTP requests so far, also
    of those to open a WebSocket. `sent` and `received` count the bytes from and to the client."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    received: int = 0

    def reset(self) -> None:
        """Count from zero."""
        self.requests.clear()
        self.connections = self.sent = self.received = 0


@contextmanager
def long_line(url: str, *, one_way_s: float = 0.075, opening_s: float = 0.0) -> Iterator[Line]:
    """Serve what is served at `url` behind a line on which every byte takes `one_way_s`. As on a real line, bytes that
    follow one another do not wait for one another. `opening_s` is an additional time before the first byte of each
    connection: a proxy cannot delay the opening of a connection, which takes a round trip on a real line.
    """
    line, target = Line(), urlsplit(url)
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line.connections += 1
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            onward: asyncio.StreamWriter | None = None
            try:
                there, onward = await asyncio.open_connection(target.hostname, target.port)
                async with asyncio.TaskGroup() as both:
                    both.create_task(_carry(reader, onward, one_way_s, opening_s, line, is_request=True))
                    both.create_task(_carry(there, writer, one_way_s, 0.0, line, is_request=False))
            except* (OSError, RuntimeError, asyncio.CancelledError):
                pass  # one side has closed the connection, or the test is over
            finally:
                tasks.discard(task)
                for side in (writer, onward):
                    if side is not None:
                        side.transport.abort()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await asyncio.to_thread(over.wait)
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(30), "the line did not start"
    try:
        yield line
    finally:
        over.set()
        thread.join(30)


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay_s: float,
    opening_s: float,
    line: Line,
    *,
    is_request: bool,
) -> None:
    """Carry all bytes of one direction, each `delay_s` after it came."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                with suppress(OSError, RuntimeError):
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()

    arriving = asyncio.create_task(arrive())
    earliest = loop.time() + opening_s
    try:
        while True:
            chunk = await reader.read(CHUNK)
            if is_request:
                line.sent += len(chunk)
                line.requests.extend(match.decode() for match in REQUEST.findall(chunk))
            else:
                line.received += len(chunk)
            under_way.put_nowait((max(loop.time(), earliest) + delay_s, chunk))
            if not chunk:
                break
        await arriving
    finally:
        arriving.cancel()
