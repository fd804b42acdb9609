"""When connections write: at once where it is quiet, together and less often where it is not.

Writing costs the same for one frame as for twenty, so in a burst the number of writes is what counts. A
round of writes follows its cause at once, but not sooner after the round before than that one took: what
comes meanwhile gathers, and at most half of the time goes into writing. In a burst, which is when a round
finds several messages for one connection, it is a ninth, or more where that would keep them too long.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

log = logging.getLogger(__name__)

MAX_PAUSE_S = 0.02  # between two rounds, however long one takes: what is waited for is not worth more
BURST_MESSAGES = 4  # for one connection in one round
BURST_FACTOR, BURST_MAX_PAUSE_S = 8, 0.03  # how much longer than its round the pause is then
FETCH_S = 0.004  # about what it takes to fetch more from a database nearby and translate it


class Writer(Protocol):
    """A connection with something to write."""

    def flush(self) -> int:
        """Write it; how many messages it was."""


class Flusher:
    """Gives every connection of one loop its turn to write."""

    __slots__ = ("_loop", "_not_before", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Writer] = []
        self._not_before = 0.0

    def add(self, writer: Writer) -> None:
        """Let it write in the next round; once is enough until then."""
        self._waiting.append(writer)
        if len(self._waiting) == 1:
            if self._loop.time() >= self._not_before:
                self._loop.call_soon(self._round)
            else:
                self._loop.call_at(self._not_before, self._round)

    async def pace(self) -> None:
        """Return when it is worth fetching more to write: shortly before a round may begin, or with it."""
        left = self._not_before - self._loop.time()
        if left > 0:
            await asyncio.sleep(left - FETCH_S if left > 2 * FETCH_S else left)

    def _round(self) -> None:
        began = self._loop.time()
        waiting, self._waiting = self._waiting, []
        most = 0
        for writer in waiting:
            try:
                most = max(most, writer.flush())
            except Exception:  # it must not keep the others from theirs
                log.exception("a connection could not write")
        ended = self._loop.time()
        if most >= BURST_MESSAGES:
            pause = min((ended - began) * BURST_FACTOR, BURST_MAX_PAUSE_S)
        else:
            pause = min(ended - began, MAX_PAUSE_S)
        self._not_before = ended + pause
