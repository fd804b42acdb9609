"""Decides when connections write: immediately while little happens, together and less often in a burst.

A write to a socket costs about as much for one message as for twenty, so in a burst the number of writes decides how
much the relay can send. In a *round*, all connections that have something to write are written to, one after the
other. While the event loop is idle, a round starts as soon as anything is to be written. Otherwise the next round
waits as long as the last one took, so that at most half of the time is spent on writing. In a burst, which is
recognised by several messages for one connection in one round, the next round waits eight times as long as the last
one took. No round waits longer than the limits below.

A round that takes long, because the pages of large states are written, is divided: between its parts everything else
runs that is ready.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from relay.metrics import Metrics

log = logging.getLogger(__name__)

MAX_PAUSE_S = 0.02  # the longest pause between two rounds: people would notice a longer delay
BURST_MESSAGES = 4  # a round that writes this many messages or more to one connection counts as a burst
BURST_FACTOR, BURST_MAX_PAUSE_S = 8, 0.03  # in a burst: the pause in rounds, and its limit
PART_S = 0.01  # for so long a part of a round may hold the event loop
FETCH_S = 0.004  # about how long it takes to fetch more changes from a nearby database and to translate them


class Flushable(Protocol):
    """A connection that can be told to write what it has queued."""

    def flush(self) -> int:
        """Write what is queued. Return the number of live messages (reports of changes) among it."""

    def fail(self) -> None:
        """End the connection soon: an error kept it from writing, so its client lacks messages."""


class WritePacer:
    """Decides when the connections of one event loop write to their sockets: together, in rounds, so that a burst of
    messages costs few writes.

    A connection adds the bytes that it writes to `bytes`. With `metrics`, these are counted there, and so is how long
    after a change its messages were written. `wall` returns seconds since 1970.
    """

    __slots__ = (
        "_committed_at",
        "_is_due",
        "_loop",
        "_most",
        "_next_round_at",
        "_took",
        "_waiting",
        "_wall",
        "bytes",
        "metrics",
    )

    def __init__(self, metrics: Metrics | None = None, *, wall: Callable[[], float] = time.time) -> None:
        self.metrics = metrics or Metrics()
        self.bytes = 0  # written since the last part of a round
        self._wall = wall
        # When the database committed a change whose messages are written by the end of the present or the next round,
        # in seconds since 1970. None while no such change is watched.
        self._committed_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Flushable] = []
        self._is_due = False  # whether the event loop will call `_round`
        self._next_round_at = 0.0  # the earliest time of the next round, by the loop's clock
        # Of the parts of the present round: how long they took, and the most live messages written to one connection.
        self._took, self._most = 0.0, 0

    def schedule(self, connection: Flushable) -> None:
        """Call `flush` of this connection in the next round of writing. The caller must not call this twice before
        that."""
        self._waiting.append(connection)
        if not self._is_due:
            self._is_due = True
            if self._loop.time() >= self._next_round_at:
                self._loop.call_soon(self._round)
            else:
                self._loop.call_at(self._next_round_at, self._round)

    def watch(self, committed_at: float) -> None:
        """Measure when everything is written that is scheduled now, unless that is being measured for an earlier change
        or nothing is scheduled. `committed_at` is when the database committed the change, in seconds since 1970."""
        if self._committed_at is None and self._waiting:
            self._committed_at = committed_at

    async def wait_for_room(self) -> None:
        """Wait until it is worth fetching more changes from the database: until shortly before the next round of
        writing may begin, or until it begins.

        Changes that were fetched earlier would only wait for that round. To fetch later makes larger batches, which
        are cheaper to fetch and to translate.
        """
        left = self._next_round_at - self._loop.time()
        if left > 0:
            await asyncio.sleep(left - FETCH_S if left > 2 * FETCH_S else left)

    def _round(self) -> None:
        began = ended = self._loop.time()
        waiting, self._waiting, self._is_due = self._waiting, [], False
        written = 0
        for connection in waiting:
            try:
                self._most = max(self._most, connection.flush())
            except Exception:  # one connection that fails must not keep the others from writing
                log.exception("a connection could not write")
                connection.fail()
            written += 1
            ended = self._loop.time()
            if ended - began >= PART_S:
                break
        self._took += ended - began
        if self.bytes:
            self.metrics.bytes.inc(self.bytes)
            self.bytes = 0
        if written < len(waiting):  # the next part of the same round
            self._waiting[:0] = waiting[written:]
            if not self._is_due:
                self._is_due = True
                self._loop.call_soon(self._round)
            return
        if self._committed_at is not None:
            # All parts of a round come after what is scheduled before them, so everything watched has been written.
            self.metrics.written.observe(max(0.0, self._wall() - self._committed_at))
            self._committed_at = None
        if self._most >= BURST_MESSAGES:
            pause = min(self._took * BURST_FACTOR, BURST_MAX_PAUSE_S)
        else:
            pause = min(self._took, MAX_PAUSE_S)
        self._next_round_at = ended + pause
        self._took, self._most = 0.0, 0
