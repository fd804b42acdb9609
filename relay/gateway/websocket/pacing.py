"""When connections write: immediately while little happens, together and less often in a burst.

A write to a socket costs about as much for one message as for twenty, so in a burst the number of writes decides how
much the relay can send. All connections with something to write do so in one *round*. While the loop is idle a round
follows its cause immediately. Otherwise the next round waits as long as the last one took, so that at most half of the
time goes into writing. In a burst, which shows by several messages for one connection in one round, it waits eight
times as long, but never longer than the limits below.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

log = logging.getLogger(__name__)

MAX_PAUSE_S = 0.02  # between two rounds, however long a round takes: a longer delay would be noticed
BURST_MESSAGES = 4  # for one connection in one round: from here on it is a burst
BURST_FACTOR, BURST_MAX_PAUSE_S = 8, 0.03  # in a burst: the pause in rounds, and its limit
FETCH_S = 0.004  # about what it takes to fetch more changes from a nearby database and to translate them


class Flushable(Protocol):
    """A connection that has something to write."""

    def flush(self) -> int:
        """Write it. Return the number of live messages written."""


class WritePacer:
    """Decides when the connections of one event loop write."""

    __slots__ = ("_loop", "_next_round_at", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Flushable] = []
        self._next_round_at = 0.0  # by the loop's time; not earlier

    def schedule(self, connection: Flushable) -> None:
        """Flush this connection in the next round. To be called once until then."""
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            if self._loop.time() >= self._next_round_at:
                self._loop.call_soon(self._round)
            else:
                self._loop.call_at(self._next_round_at, self._round)

    async def wait_for_room(self) -> None:
        """Return when it is worth fetching more changes: shortly before the next round may begin, or with it.

        What is fetched earlier would only wait, while larger batches are cheaper to fetch and to translate.
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
        ended = self._loop.time()
        if most >= BURST_MESSAGES:
            pause = min((ended - began) * BURST_FACTOR, BURST_MAX_PAUSE_S)
        else:
            pause = min(ended - began, MAX_PAUSE_S)
        self._next_round_at = ended + pause
