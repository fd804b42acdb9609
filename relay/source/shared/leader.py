"""Lead a shared change stream: follow the database for all relays, and write what it sends to Redis. Does I/O.

Each relay has a `Leader`, and one of them holds the lease. It continues at the newest entry, so entries follow each
other without a gap, also after another relay has taken over; entries that Redis has forgotten are written again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing, suppress

from bson import Timestamp
from pymongo.errors import PyMongoError
from redis.exceptions import ResponseError

from relay.errors import SourceError, StartupError
from relay.source.outage import Outage
from relay.source.shared.entry import Entry, joined
from relay.source.shared.redis_stream import KEPT_S, LEASE_MS, REDIS_ERRORS, Answer, RedisStream
from relay.source.stream import Reopened
from relay.source.tail import Tail

log = logging.getLogger(__name__)

LOOK_S = 0.5  # seconds between two looks whether the lease is free
RENEW_S = 0.5  # seconds after which the lease is renewed if no entry was written
# The lease is not renewed if the position has not moved for this time. A primary without a majority still answers, and
# its position stands still; a healthy one writes a no-op every 10 s.
STILL_S = 30.0
PAUSE_MAX_S = 10.0  # the longest pause after Redis has refused an entry, as it does without memory
FAREWELL_S = 0.5  # how long the end may wait for Redis to take back the lease
_MONGO_ERRORS = (PyMongoError, StartupError, SourceError)


class Leader:
    """Competes for the lease of a stream in Redis, and writes to the stream while it holds it.

    `tail` is a tail of the leader's own. `own` is the tail by which this process follows the stream: if Redis has no
    entries, the stream begins at its position, which other relays have reached, too. `jitter` returns a number in
    [0, 1), `clock` seconds.

    `leads` counts how many times this process became the leader.
    """

    def __init__(
        self,
        stream: RedisStream,
        tail: Tail,
        own: Tail,
        *,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._tail = tail
        self._own = own
        self._jitter = jitter
        self._clock = clock
        self._outage = Outage(log, "this relay cannot lead the shared change stream")
        self._refusals = 0  # attempts in a row that Redis refused
        self._held_until = 0.0  # when our lease expires
        self._top = Timestamp(0, 0)  # the end of the newest entry
        self._moved_at = 0.0
        self.leads = 0

    @property
    def is_leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._clock() < self._held_until

    async def run(self) -> None:
        """Compete for the lease, and lead while it is held. Ends only by cancellation, and then gives the lease up."""
        try:
            while True:
                pause = LOOK_S
                try:
                    if await self._wins():
                        try:
                            await self._lead()
                        finally:
                            await self._leave()
                except (*REDIS_ERRORS, *_MONGO_ERRORS) as failure:
                    if isinstance(failure, ResponseError):
                        self._refusals += 1
                        pause = min(PAUSE_MAX_S, LOOK_S * 2 ** min(self._refusals, 10))
                    self._outage.failed(type(failure), reason=type(failure).__name__)
                    # The next attempt connects again: the name of the server may belong to another one by now.
                    await self._stream.close()
                await asyncio.sleep(pause * (0.5 + self._jitter() / 2))
        finally:
            await self._stream.close()

    async def _wins(self) -> bool:
        """Take the lease if nobody holds it, and return whether it is ours.

        Raises PyMongoError if the database does not answer: then the lease is left to a relay that reaches it.
        """
        lease = await self._stream.held()
        if lease is not None and not lease.is_ours:
            return False
        await self._tail.now()
        return self._noted(await self._stream.hold(is_current=False)) is not Answer.LOST

    async def _lead(self) -> None:
        """Write to the stream until the lease is lost, or the position stands still."""
        answer = Answer.BEHIND
        while answer is Answer.BEHIND:
            answer = await self._write(begins=await self._begin())

    async def _begin(self) -> bool:
        """Set the position of the tail to the end of the newest entry.

        If there is none that can be used, set it to the position of this process or, before there is one, to the
        present; then return True, because a new stream has to begin there.
        """
        now = await self._tail.now()
        try:
            top = await self._stream.top()
        except ValueError as failure:
            log.warning("the shared change stream begins again", extra={"reason": str(failure)})
            top = None
        self._moved_at = self._clock()
        if top is not None and now.time - top[0].end.time <= KEPT_S:
            entry, witness = top
            self._tail.take_over(entry.end, entry.token, witness)
            self._top = entry.end
        elif self._own.token and not self._own.is_lost and now.time - self._own.position.time <= KEPT_S:
            self._tail.take_over(self._own.position, self._own.token, self._own.witness)
            top = None
        else:
            self._top = await self._tail.open()
            return True
        # This process may have been elsewhere while another database took the address.
        self._tail.doubt()
        return top is None

    async def _write(self, *, begins: bool) -> Answer:
        """Write what the tail sends, as long as the answer is that this process leads; return the first other answer.

        `begins` says that a new stream begins at the position of the tail.
        """
        if begins:
            position = self._tail.position
            answer = await self._append(Entry(position, position, self._tail.token), begins=True)
            if answer is not Answer.HELD:
                return answer
        reopened, renewed_at = None, self._clock()
        async with aclosing(self._tail.batches()) as items:
            async for item in items:
                if isinstance(item, Reopened):
                    reopened = item.reason
                    continue
                entry = Entry(item.start, item.position, item.token, joined(item.raws), item.is_current)
                if reopened is not None:
                    entry = entry._replace(start=entry.end, events=b"", reopened=reopened)
                # An entry with the same id as the one before would not be noticed. And if the tail is about to be
                # reopened, a successor has to find out by itself, so it must not begin after this batch.
                if entry.end == self._top or not item.is_complete:
                    if self._clock() - renewed_at < RENEW_S:
                        continue
                    if self._clock() - self._moved_at >= STILL_S:
                        self._outage.failed("still", reason="the database stands still")
                        return Answer.LOST
                    answer = self._noted(await self._stream.hold(is_current=item.is_current))
                else:
                    answer = await self._append(entry, begins=reopened is not None)
                    reopened = None
                if answer is not Answer.HELD:
                    return answer
                renewed_at = self._clock()
        raise AssertionError("the stream ended")

    async def _append(self, entry: Entry, *, begins: bool) -> Answer:
        answer = self._noted(await self._stream.append(entry, self._tail.witness, begins=begins))
        if answer is Answer.HELD:
            self._top, self._moved_at = entry.end, self._clock()
            self._refusals = 0
            self._outage.over()
        return answer

    def _noted(self, answer: Answer) -> Answer:
        """Note until when the lease is ours."""
        was_leading = self.is_leading
        self._held_until = 0.0 if answer is Answer.LOST else self._clock() + LEASE_MS / 1000
        if self.is_leading and not was_leading:
            self.leads += 1
            log.info("this relay leads the shared change stream")
        return answer

    async def _leave(self) -> None:
        """Give the lease up, if Redis answers in time."""
        self._held_until = 0.0
        with suppress(*REDIS_ERRORS):
            async with asyncio.timeout(FAREWELL_S):
                await self._stream.release()
