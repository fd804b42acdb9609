"""Receive a change stream from another process of this machine, through a Unix socket. Does I/O.

Both directions are described in `feeder.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bson import Timestamp

from relay.source.shared.entry import Entry, merged
from relay.source.shared.feed import FeedLost
from relay.source.shared.feeder import NOW, SIZE, position_sent

CONNECT_S = 1.0  # how long the other process may take to accept the connection and to send its position
TICK_S = 1.0  # `entries` yields None if nothing came for this time
SILENT_S = (
    3.0  # the other process sends something every second; after this time it is taken for dead or stopped
)
READ_AHEAD_BYTES = 1024 * 1024  # no more is read from the socket while entries of this size wait


class SocketFeed:
    """A `Feed` that connects to the Unix socket at `path`.

    Entries that arrive while the caller of `entries` is busy are given out as one, so that a caller which is slower
    than the other process gets fewer and larger entries.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._arrivals: _Arrivals | None = None

    @property
    def is_open(self) -> bool:
        return self._arrivals is not None

    async def open(self, after: Timestamp | None) -> Entry:
        await self.close()
        arrivals = _Arrivals()
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_unix_connection(lambda: arrivals, self._path)
                arrivals.send(position_sent(after or NOW))
                top = await arrivals.first()
        except (OSError, EOFError, ValueError) as failure:  # TimeoutError is an OSError
            arrivals.close()
            raise FeedLost(f"it cannot be opened ({type(failure).__name__})") from failure
        except BaseException:
            arrivals.close()
            raise
        self._arrivals = arrivals
        return top

    async def entries(self) -> AsyncGenerator[Entry | None]:
        assert self._arrivals is not None
        arrivals, silent_for = self._arrivals, 0.0
        try:
            while True:
                try:
                    async with asyncio.timeout(TICK_S):
                        await arrivals.wait()
                except TimeoutError:
                    silent_for += TICK_S
                    if silent_for >= SILENT_S:
                        raise FeedLost("it is silent") from None
                    yield None
                    continue
                silent_for = 0.0
                # The end is noticed only after the last entries were given out.
                failure = arrivals.failure
                for entry in merged(arrivals.take()):
                    yield entry
                if failure is not None:
                    raise FeedLost(f"it ended ({type(failure).__name__})") from failure
        finally:
            await self.close()

    async def close(self) -> None:
        arrivals, self._arrivals = self._arrivals, None
        if arrivals is not None:
            arrivals.close()


class _Arrivals(asyncio.Protocol):
    """Receives entries, and keeps them until they are taken.

    `failure` says why no more will come, None while the connection stands.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()  # the beginning of the next entry
        self._entries: list[Entry] = []
        self._size = 0  # bytes of `_entries`
        self._heard = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        try:
            with memoryview(self._buffer) as view:
                while len(view) - start >= SIZE.size:
                    end = start + SIZE.size + SIZE.unpack_from(view, start)[0]
                    if end > len(view):
                        break
                    self._entries.append(Entry.decode(bytes(view[start + SIZE.size : end])))
                    self._size += end - start
                    start = end
        except ValueError as failure:
            self.failure = self.failure or failure
            self.close()
        del self._buffer[:start]
        if self._size >= READ_AHEAD_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failure = self.failure or exc or EOFError()
        self._heard.set()

    def send(self, some: bytes) -> None:
        """Send these bytes."""
        assert self._transport is not None
        self._transport.write(some)

    async def first(self) -> Entry:
        """Wait for one entry and return it. Raises OSError, EOFError or ValueError if the connection ends before."""
        while not self._entries:
            if self.failure is not None:
                raise self.failure
            await self.wait()
        first, *self._entries = self._entries
        if self._entries or self.failure is not None:
            self._heard.set()
        return first

    async def wait(self) -> None:
        """Wait until something has been received since the last call, which may be a part of an entry, or the end."""
        await self._heard.wait()
        self._heard.clear()

    def take(self) -> list[Entry]:
        """Return the entries that wait, in order. More can then be received."""
        taken, self._entries, self._size = self._entries, [], 0
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return taken

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._transport is not None:
            self._transport.abort()
