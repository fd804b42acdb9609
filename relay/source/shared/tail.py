"""Follow a change stream that another process passes on, and the database itself whenever that fails.

An entry is a part of the stream from one cluster time to another. Because each entry says where it begins, lost entries
are noticed: the missing part is then read from the database. So the process that passes the stream on, and the way to
it, may fail at any moment, and a client of the relay sees nothing of that.

Rule of this file: changes are given out in the database's order and once each, wherever they come from. All state that
this needs (the position, and the resume token there) is in the tail, which follows the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from bson import Timestamp
from pymongo.errors import PyMongoError

from relay.errors import StartupError, Unavailable
from relay.source.cancellation import raise_if_cancelled
from relay.source.cluster import IDLE_SHARD_S
from relay.source.decoder import Decoder
from relay.source.members import BEHIND_S as LAGGING_S
from relay.source.outage import Outage
from relay.source.shared.entry import Entry
from relay.source.shared.feed import Feed, FeedLost
from relay.source.stream import OTHER_DATABASE, Batch, Reopened
from relay.source.tail import Tail

log = logging.getLogger(__name__)

LOOK_S = 1.0  # seconds between two attempts to find the feed again
COMPARE_S = 2.0  # after this many seconds without a newer position, the database is asked for its own
BEHIND_S = 5  # seconds by which the feed may be behind the database
SPREAD_S = 3.0  # the longest pause of a process that waits for the feed, before it reads lost entries


class SharedTail:
    """Follows the change stream of one collection through a feed or, while there is none, through the tail itself.

    It has the same methods and attributes as the tail and can be used in its place. `pace` is awaited before the next
    entry is taken from the feed. `jitter` returns a number in [0, 1), `clock` seconds.

    With `waits`, no change stream is opened while there is no feed: the process is then out of date until the feed is
    back, and the database is spared the streams of a large number of processes. Lost entries are still read from the
    database, after a pause of random length.

    `bridged` counts how many times lost entries were read from the database instead, `skipped` the entries that were
    known already, and `is_following` says whether the changes come from the feed at present.
    """

    def __init__(
        self,
        tail: Tail,
        feed: Feed,
        *,
        pace: Callable[[], Awaitable[None]] | None = None,
        waits: bool = False,
        jitter: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tail = tail
        self._feed = feed
        self._pace = pace
        self._waits = waits
        self._jitter = jitter
        self._clock = clock
        instead = "waiting for it" if waits else "following the database directly"
        self._outage = Outage(log, f"the shared change stream is lost; {instead}")
        self.is_following = False
        self.bridged = 0
        self.skipped = 0

    @property
    def name(self) -> str:
        return self._tail.name

    @property
    def position(self) -> Timestamp:
        return self._tail.position

    @property
    def token(self) -> bytes:
        """The resume token (raw BSON) from which a stream sends every change after `position`."""
        return self._tail.token

    @property
    def current_at(self) -> float | None:
        return self._tail.current_at

    async def open(self) -> Timestamp:
        """Take over the position (a cluster time) of the feed, and return it. Opens no change stream.

        If there is no feed that is up to date, the tail is opened instead: its errors are raised. A process that waits
        for the feed raises Unavailable.
        """
        try:
            top = await self._find(None)
            if not top.is_current:
                raise FeedLost("it is behind the database")
        except FeedLost as lost:
            await self._feed.close()
            if self._waits:
                raise Unavailable(f"the shared change stream cannot be used: {lost}") from lost
            return await self._tail.open()
        self._tail.take_over(top.end, top.token)
        return top.end

    def use(self, decoder: Decoder) -> None:
        """Decode changes with this decoder from now on. To be called while no batch is asked for."""
        self._tail.use(decoder)

    def reopen(self, reason: str) -> None:
        """Give up the position, because of `reason` (a clause for the log): `batches` then yields a `Reopened`."""
        self._tail.reopen(reason)

    async def batches(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield every batch after the position that `open` set, and a `Reopened` whenever changes may have been missed.

        The iterator ends only by cancellation.
        """
        try:
            while True:
                try:
                    if not self._feed.is_open:
                        await self._find(self.position)
                    async with aclosing(self._following()) as items:
                        async for item in items:
                            yield item
                    continue
                except FeedLost as lost:
                    self._outage.failed(str(lost), reason=str(lost))
                finally:
                    self.is_following = False
                if self._waits:
                    await self._wait()
                else:
                    async with aclosing(self._alone()) as items:
                        async for item in items:
                            yield item
        finally:
            await self._feed.close()

    async def _find(self, after: Timestamp | None) -> Entry:
        """Open the feed, and return its position. Raises FeedLost also if that is not near the database's own."""
        top = await self._feed.open(after)
        try:
            now = await self._tail.now()
        except (PyMongoError, StartupError, Unavailable) as failure:
            await self._feed.close()
            raise FeedLost("the database cannot be asked for its time") from failure
        # A position in the future is that of another database, which was at the same address.
        if abs(now.time - top.end.time) > self._allowed(BEHIND_S):
            await self._feed.close()
            raise FeedLost("it is behind the database")
        return top

    async def _following(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield what the entries of the feed contain. Raises FeedLost if the feed ends or is behind the database.

        Ends after the stream was reopened: the position may then be an earlier one, which the feed has to know.
        """
        moved_at, suspicions = self._clock(), 0
        # The comparison runs beside the delivery: this process may be cut off from the database, and would wait.
        comparison: asyncio.Task[bool] | None = None
        try:
            async with aclosing(self._feed.entries()) as entries:
                async for entry in entries:
                    self.is_following = True
                    before = self.position
                    if entry is not None:
                        async with aclosing(self._applied(entry)) as items:
                            async for item in items:
                                yield item
                    if self._tail.is_lost:
                        async with aclosing(self._from_database(lambda: True)) as items:
                            async for item in items:
                                yield item
                        return
                    if self.position != before:
                        self._outage.over()
                        moved_at, suspicions = self._clock(), 0
                    elif comparison is None and self._clock() - moved_at >= COMPARE_S:
                        comparison = asyncio.ensure_future(self._is_behind())
                    if comparison is not None and comparison.done():
                        moved_at = self._clock()
                        suspicions = suspicions + 1 if comparison.result() else 0
                        comparison = None
                        # A quiet database moves its own clock in steps of seconds, and the feed follows a moment later.
                        # So a single comparison may come between the two.
                        if suspicions > 1:
                            raise FeedLost("it is behind the database")
                    if self._pace is not None:
                        await self._pace()
        finally:
            await _ended(comparison)

    async def _applied(self, entry: Entry) -> AsyncGenerator[Batch | Reopened]:
        """Yield what is new in an entry, after what is missing before it."""
        if entry.reopened is not None and entry.end >= self.position and not self._tail.is_lost:
            self._tail.take_over(entry.end, entry.token)
            yield Reopened(entry.end, entry.reopened, entry.token)
            return
        if entry.reopened is not None:
            # This process has read further from the database itself, and found nothing missing. Or the database is an
            # older copy. Or the stream has to be reopened later than this.
            if self._tail.witness is None:
                self._tail.reopen(entry.reopened)
            self._tail.doubt()
            async with aclosing(self._from_database(lambda: True)) as items:
                async for item in items:
                    yield item
            return
        if entry.start > self.position:
            log.info("entries of the shared change stream are missing; reading them from the database")
            self.bridged += 1
            if self._waits:
                await asyncio.sleep(self._jitter() * SPREAD_S)
            # Another database may be behind both the feed and the address by now.
            self._tail.doubt()
            async with aclosing(self._from_database(lambda: self.position >= entry.start)) as items:
                async for item in items:
                    yield item
        if entry.end > self.position:
            try:
                events = entry.split()
            except ValueError as failure:
                raise FeedLost(str(failure)) from failure
            yield self._tail.take(events, entry.end, entry.token, is_current=entry.is_current)
        elif entry.start < entry.end:
            self.skipped += 1
            self._tail.confirm(entry.is_current)
        else:
            # The feed repeats its position as a sign that it is up to date. That may be passed on to other processes.
            self._tail.confirm(entry.is_current)
            yield Batch((), (), self.position, self.position, self.token, entry.is_current)

    async def _wait(self) -> None:
        """Wait until the feed can be used again."""
        while True:
            await asyncio.sleep(LOOK_S * (0.5 + self._jitter()))
            with suppress(FeedLost):
                await self._find(self.position)
                return

    async def _alone(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield what the database's own change stream contains, until the feed can be used again."""
        self._tail.doubt()
        attempt: asyncio.Task[Entry] | None = None
        look_at = self._clock() + LOOK_S

        def is_found() -> bool:
            nonlocal attempt, look_at
            if attempt is None:
                if self._clock() >= look_at:
                    # The attempt runs beside the delivery: a process that is stopped accepts a connection and says
                    # nothing.
                    attempt = asyncio.ensure_future(self._find(self.position))
                return False
            if not attempt.done():
                return False
            found, attempt = not attempt.cancelled() and attempt.exception() is None, None
            look_at = self._clock() + LOOK_S
            return found

        try:
            async with aclosing(self._from_database(is_found)) as items:
                async for item in items:
                    yield item
        finally:
            await _ended(attempt)

    async def _from_database(self, is_enough: Callable[[], bool]) -> AsyncGenerator[Batch | Reopened]:
        """Yield what the database's own change stream contains, until `is_enough()` is true after a batch.

        A stream that has to be reopened is always reopened first.
        """
        async with aclosing(self._tail.batches()) as items:
            async for item in items:
                yield item
                if isinstance(item, Batch) and not self._tail.is_lost and is_enough():
                    return

    async def _is_behind(self) -> bool:
        """Return whether the database is ahead of the feed. Reopens the stream if the database is behind the position:
        then it is another one. Returns False if the position has moved meanwhile, which the database's time then says
        nothing about."""
        before = self.position
        try:
            now = await self._tail.now()
        except (PyMongoError, StartupError, Unavailable):
            return False  # the tail would not get further either
        if self.position != before:
            return False
        if now < self.position:
            self._tail.reopen(OTHER_DATABASE)
        return now.time - self.position.time > self._allowed(BEHIND_S)

    def _allowed(self, seconds: int) -> int:
        """Return by how many seconds a feed may be behind a database, if it may be by `seconds` behind a primary."""
        if self._tail.is_routed:
            return max(seconds, IDLE_SHARD_S)
        return max(seconds, LAGGING_S) if self._tail.may_lag else seconds


async def _ended(task: asyncio.Task[Any] | None) -> None:
    """Cancel this task if it is running, and wait until it has ended. What it would have said does not matter."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError, FeedLost):
            await task
        raise_if_cancelled()
