"""Receive a change stream from the process that leads it, through a Redis Stream. Does I/O."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

from bson import Timestamp

from relay.source.shared.entry import Entry, merged
from relay.source.shared.feed import FeedLost
from relay.source.shared.redis_stream import REDIS_ERRORS, RedisStream

WAIT_MS = 250  # how long Redis waits for an entry before it answers that there is none
ASK_S = 0.5  # seconds of silence after which the lease is asked for
# How long the stream may be without a leader. When one ends without giving the lease up, the next takes over within a
# second of its expiry; going to the database meanwhile would only cost.
GONE_S = 2.0
FIRST_S = 1.0  # how long `open` waits for a leader: the first one of all may be about to begin
LOOK_S = 0.05  # seconds between two looks while waiting


class RedisFeed:
    """A `Feed` that reads the entries of a stream in Redis. It needs a connection of its own: reading waits there."""

    def __init__(self, stream: RedisStream, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._top: Entry | None = (
            None  # the position up to which entries were read, as an entry without events
        )

    @property
    def is_open(self) -> bool:
        return self._top is not None

    async def open(self, after: Timestamp | None) -> Entry:
        await self.close()
        give_up_at = self._clock() + FIRST_S
        while True:
            try:
                lease, top = await self._stream.held(), await self._stream.top()
            except (*REDIS_ERRORS, ValueError) as failure:
                await self.close()
                raise FeedLost(_why(failure)) from failure
            if lease is not None and top is not None:
                end, token = top[0].end, top[0].token
                position = Entry(end, end, token, is_current=lease.is_current)
                self._top = position if after is None else position._replace(start=after, end=after)
                return position
            if self._clock() >= give_up_at:
                await self.close()
                raise FeedLost("no relay writes to it")
            await asyncio.sleep(LOOK_S)

    async def entries(self) -> AsyncGenerator[Entry | None]:
        assert self._top is not None
        asked_at = led_at = self._clock()
        try:
            while True:
                try:
                    entries = await self._stream.read(self._top.end, WAIT_MS)
                except (*REDIS_ERRORS, ValueError) as failure:
                    raise FeedLost(_why(failure)) from failure
                for entry in merged(entries):
                    self._top = entry._replace(start=entry.end, events=b"", reopened=None)
                    yield entry
                if entries:
                    asked_at = led_at = self._clock()
                elif self._clock() - asked_at < ASK_S:
                    yield None
                else:
                    asked_at = self._clock()
                    try:
                        lease = await self._stream.held()
                    except REDIS_ERRORS as failure:
                        raise FeedLost(_why(failure)) from failure
                    if lease is not None:
                        led_at = asked_at
                    elif asked_at - led_at >= GONE_S:
                        raise FeedLost("no relay writes to it any more")
                    # The leader is up to date and has written nothing more, so this process is up to date, too.
                    is_current = lease is not None and lease.is_current
                    yield self._top._replace(is_current=True) if is_current else None
        finally:
            await self.close()

    async def close(self) -> None:
        self._top = None
        await self._stream.close()


def _why(failure: Exception) -> str:
    """Return a clause for the log. The messages of Redis may contain the name of a user, so they are not used."""
    return (
        str(failure)
        if isinstance(failure, ValueError)
        else f"Redis cannot be used ({type(failure).__name__})"
    )
