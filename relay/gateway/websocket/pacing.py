"""Decides when connections write: immediately while little happens, together and less often in a burst.

A write to a socket costs about as much for one message as for twenty, so in a burst the number of writes decides how
much the relay can send. In a *round*, all connections that have something to write are written to, one after the
other. While the event loop is idle, a round starts as soon as anything is to be written. Otherwise the next round
waits as long as the last one took, so that at most half of the time is spent on writing. In a burst, which is
recognised by several messages for one connection in one round, the next round waits eight times as long as the last
one took. No round waits longer than the limits below.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

log = logging.getLogger(__name__)

MAX_PAUSE_S = 0.02  # the longest pause between two rounds: people would notice a longer delay
BURST_MESSAGES = 4  # a round that writes this many messages or more to one connection counts as a burst
BURST_FACTOR, BURST_MAX_PAUSE_S = 8, 0.03  # in a burst: the pause in rounds, and its limit
FETCH_S = 0.004  # about how long it takes to fetch more changes from a nearby database and to translate them


class Flushable(Protocol):
    """A connection that can be told to write what it has queued."""

    def flush(self) -> int:
        """Write what is queued. Return the number of live messages (reports of changes) among it."""

    def fail(self) -> None:
        """End the connection soon: an error kept it from writing, so its client lacks messages."""


class WritePacer:
    """Decides when the connections of one event loop write to their sockets: together, in rounds, so that a burst of
    messages costs few writes."""

    __slots__ = ("_loop", "_next_round_at", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Flushable] = []
        self._next_round_at = 0.0  # the earliest time of the next round, by the loop's clock

    def schedule(self, connection: Flushable) -> None:
        """Call `flush` of this connection in the next round of writing. The caller must not call this twice before
        that."""
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            if self._loop.time() >= self._next_round_at:
                self._loop.call_soon(self._round)
            else:
                self._loop.call_at(self._next_round_at, self._round)

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
        began = self._loop.time()
        waiting, self._waiting = self._waiting, []
        most = 0
        for connection in waiting:
            try:
                most = max(most, connection.flush())
            except Exception:  # one connection that fails must not keep the others from writing
                log.exception("a connection could not write")
                connection.fail()
        ended = self._loop.time()
        if most >= BURST_MESSAGES:
            pause = min((ended - began) * BURST_FACTOR, BURST_MAX_PAUSE_S)
        else:
            pause = min(ended - began, MAX_PAUSE_S)
        self._next_round_at = ended + pause
