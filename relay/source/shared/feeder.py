"""Pass a change stream on to other processes of this machine, through a Unix socket. Does I/O.

What is sent: a process that connects sends the position up to which it has all changes: seconds and increment, each as
32 bits, both 0 for "from now on". It then receives entries, each after its number of bytes as 32 bits. The first has no
events; its end is the position of this process. The next are those that come after the position which the other
process has sent, as far as they are still kept. Then comes each new entry.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from struct import Struct
from typing import Any

from bson import Timestamp

from relay.source.shared.entry import Entry, joined, merged
from relay.source.stream import Batch, Reopened

SIZE = Struct(">I")
_POSITION = Struct(">II")
NOW = Timestamp(0, 0)  # the position of a process that wants only what comes next

KEPT_BYTES = 16 * 1024 * 1024  # entries that are kept for processes which come back
ENTRY_BYTES = 500  # what an entry takes without its events
WAITING_BYTES = (
    128 * 1024 * 1024
)  # a process for which more waits is cut off; it then reads from the database
GREETING_S = 5.0  # how long a process that connects may take to send its position
IDLE_S = 1.0  # something is sent at least this often, as a sign of life
# From Python 3.13 on, closing a server removes the path of its socket, which belongs to the caller.
_KEEP_PATH: dict[str, Any] = {} if sys.version_info < (3, 13) else {"cleanup_socket": False}


def position_sent(position: Timestamp) -> bytes:
    """Return the bytes in which a process that connects sends its position."""
    return _POSITION.pack(position.time, position.inc)


class Feeder:
    """Sends the entries of one change stream to each process that connects to a listening Unix socket."""

    def __init__(self) -> None:
        self._top: Entry | None = None  # the position of the stream; None before it is open
        self._opened = asyncio.Event()
        self._kept: deque[Entry] = deque()  # the newest entries
        self._size = 0  # bytes of `_kept`
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def processes(self) -> int:
        """The number of processes that are connected."""
        return len(self._writers)

    def begin(self, position: Timestamp, token: bytes) -> None:
        """Set the position (a cluster time) at which the stream begins, and the resume token there (raw BSON)."""
        self._top = Entry(position, position, token)
        self._opened.set()

    def add(self, item: Batch | Reopened) -> None:
        """Send an item of the stream to all processes. Does not wait for them."""
        if isinstance(item, Batch) and not item.is_complete:
            # The `Reopened` that follows stands for it. If this process ended before that, processes that had received
            # the batch would go on after it, and would never hear what is missing.
            return
        if isinstance(item, Reopened):
            entry = Entry(item.position, item.position, item.token, reopened=item.reason)
            self._kept.clear()
            self._size = 0
        else:
            assert len(item.raws) >= len(item.changes), "the tail has to keep the raw changes"
            entry = Entry(item.start, item.position, item.token, joined(item.raws), item.is_current)
        self._top = entry._replace(start=entry.end, events=b"", reopened=None)
        framed = _framed(entry)
        if entry.start < entry.end or entry.reopened is not None:
            self._keep(entry)
        for writer in tuple(self._writers):
            self._send(writer, framed)

    def disconnect(self) -> None:
        """Cut off all processes. Each may connect again."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def serve(self, listening: socket.socket) -> None:
        """Accept processes on this listening Unix socket, and send each a sign of life every second. Ends only by
        cancellation, which closes all connections."""
        server = await asyncio.start_unix_server(self._accepted, sock=listening, **_KEEP_PATH)
        try:
            while True:
                await asyncio.sleep(IDLE_S)
                if self._top is not None:
                    alive = _framed(self._top._replace(is_current=False))
                    for writer in tuple(self._writers):
                        self._send(writer, alive)
        finally:
            server.close()
            self.disconnect()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a process that has connected what it lacks, and from then on each new entry, until it leaves."""
        try:
            async with asyncio.timeout(GREETING_S):
                numbers = _POSITION.unpack(await reader.readexactly(_POSITION.size))
                await self._opened.wait()
            assert self._top is not None
            self._send(writer, _framed(self._top))
            after = Timestamp(*numbers)
            # Nothing is awaited between here and the end of this block, so no entry is missed or sent twice.
            if after != NOW:
                self._send(writer, b"".join([_framed(entry) for entry in self._kept if entry.end > after]))
            self._writers.add(writer)
            await reader.read()  # until the process leaves: it sends nothing else
        except (OSError, EOFError, TimeoutError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _keep(self, entry: Entry) -> None:
        before = self._kept[-1] if self._kept else None
        if before is not None and not before.events and not entry.events:
            # In a quiet collection, the position moves ten times in a second, and nothing else happens for hours.
            together = merged((before, entry))
            if len(together) == 1:
                self._kept[-1] = together[0]
                return
        self._kept.append(entry)
        self._size += len(entry.events) + ENTRY_BYTES
        while self._size > KEPT_BYTES:
            self._size -= len(self._kept.popleft().events) + ENTRY_BYTES

    def _send(self, writer: asyncio.StreamWriter, framed: bytes) -> None:
        with suppress(OSError, RuntimeError):
            writer.write(framed)
        if writer.transport.get_write_buffer_size() > WAITING_BYTES:
            self._writers.discard(writer)
            writer.transport.abort()


async def feed(feeder: Feeder, items: AsyncIterator[Batch | Reopened]) -> None:
    """Pass every item of a stream on. Ends when the stream does."""
    async for item in items:
        feeder.add(item)


def _framed(entry: Entry) -> bytes:
    encoded = entry.encode()
    return SIZE.pack(len(encoded)) + encoded
