"""Receive a change stream from another process of this machine, through a Unix socket. Does I/O.

Both directions are described in `feeder.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from bson import Timestamp

from relay.source.shared.entry import Entry
from relay.source.shared.feed import FeedLost
from relay.source.shared.feeder import NOW, SIZE, position_sent

CONNECT_S = 1.0  # how long the other process may take to accept the connection and to send its position
TICK_S = 1.0  # `entries` yields None if nothing came for this time
SILENT_S = (
    3.0  # the other process sends something every second; after this time it is taken for dead or stopped
)


class SocketFeed:
    """A `Feed` that connects to the Unix socket at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        return self._streams is not None

    async def open(self, after: Timestamp | None) -> Entry:
        await self.close()
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    writer.write(position_sent(after or NOW))
                    top = await _entry(reader)
                except BaseException:
                    writer.close()
                    raise
        except (OSError, EOFError, ValueError) as failure:  # TimeoutError is an OSError
            raise FeedLost(f"it cannot be opened ({type(failure).__name__})") from failure
        self._streams = reader, writer
        return top

    async def entries(self) -> AsyncGenerator[Entry | None]:
        assert self._streams is not None
        reader, _ = self._streams
        silent_for = 0.0
        pending: asyncio.Task[Entry] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(_entry(reader))
                await asyncio.wait({pending}, timeout=TICK_S)
                if not pending.done():
                    silent_for += TICK_S
                    if silent_for >= SILENT_S:
                        raise FeedLost("it is silent")
                    yield None
                    continue
                silent_for = 0.0
                done, pending = pending, None
                try:
                    entry = done.result()
                except (OSError, EOFError, ValueError) as failure:
                    raise FeedLost(f"it ended ({type(failure).__name__})") from failure
                yield entry
        finally:
            if pending is not None:
                pending.cancel()
                with suppress(asyncio.CancelledError, OSError, EOFError, ValueError):
                    await pending
            await self.close()

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


async def _entry(reader: asyncio.StreamReader) -> Entry:
    """Receive one entry. Raises EOFError or OSError if the connection ends, ValueError if it is not an entry."""
    size = SIZE.unpack(await reader.readexactly(SIZE.size))[0]
    return Entry.decode(await reader.readexactly(size))
