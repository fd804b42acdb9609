"""Reads of states at position S: a bounded number at once, each user in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.hub.fair_semaphore import FairSemaphore, Waiter
from relay.hub.position import StreamPosition
from relay.metrics import Metrics

CATCH_UP_S = 1.0  # how long a join may wait for the relay to see a task just written (PROTOCOL.md 6.8)
PARALLEL_READS = 8  # more would not be faster: decoding their documents takes one core
RETRY_S = 0.5


class Reader(Protocol):
    """Reads the documents of the database."""

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> Sequence[dict[str, Any]]:
        """The documents that match, as they were at this position. Raises PositionLost and Unavailable."""

    async def now(self) -> Timestamp:
        """A position that no change written before this call is after. Raises Unavailable."""


class Reading(Protocol):
    """A read in flight: requests wait for it, and it buffers what is published after its position."""

    position: Timestamp

    def move_to(self, position: Timestamp) -> None:
        """Read at this later position instead: what is buffered by now is part of what will be read."""

    def is_needed(self) -> bool:
        """Does a subscription depend on it that nobody would ask for again? Then it is tried until it works."""

    def users(self) -> Collection[str]:
        """The users that wait for it."""


class FairReads:
    """Reads documents for readings, each at the reading's position S.

    Because a read at S answers exactly what was true at S, and the reading buffers what is published after S, a
    state and the live messages after it fit together without a gap and without a repetition.
    """

    def __init__(self, reader: Reader, position: StreamPosition, metrics: Metrics) -> None:
        self._reader = reader
        self._position = position
        self._metrics = metrics
        self._semaphore = FairSemaphore(PARALLEL_READS)
        self._waiting: dict[Reading, Waiter] = {}
        self._asked: asyncio.Task[Timestamp] | None = None  # the last question for the time
        self._next: asyncio.Task[Timestamp] | None = None  # the question after it, while it waits

    @property
    def position(self) -> Timestamp:
        """Position S: everything up to it has been published."""
        return self._position.value

    async def read(
        self, reading: Reading, filter: Mapping[str, Any], **options: Any
    ) -> Sequence[dict[str, Any]]:
        """The documents at the reading's position, which is moved on if it cannot be read any more.

        Raises Unavailable, unless the reading is needed.
        """
        while True:
            position = reading.position
            try:
                if not position.time:
                    raise PositionLost("the stream is not open yet")
                async with self._slot(reading):
                    documents = await self._reader.read_at(position, filter, **options)
            except PositionLost:
                # The collection or the server is younger than S. A later position can be read.
                await self._move_on(reading, position)
            except Unavailable:
                if not reading.is_needed():
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                self._metrics.reads.inc()
                if reading.position == position:
                    return documents
                # The stream was reopened meanwhile, and what was buffered is not complete: read again.

    async def _move_on(self, reading: Reading, position: Timestamp) -> None:
        """Move the reading to S once that is later. Raises Unavailable."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._position.reached(Timestamp(position.time, position.inc + 1))
        except TimeoutError:
            if not reading.is_needed():
                raise Unavailable("no position can be read") from None
        reading.move_to(self._position.value)

    def share(self, reading: Reading, user: str) -> None:
        """Let this user wait for the reading too."""
        if (waiter := self._waiting.get(reading)) is not None:
            self._semaphore.enqueue(waiter, user)

    async def catch_up(self) -> None:
        """Return when the relay has published everything that the database holds now, or after CATCH_UP_S.

        Raises Unavailable if the database does not tell its time.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._position.reached(await self._now())

    async def _now(self) -> Timestamp:
        """Ask for the time. All that ask while a question is under way share the next one.

        Raises Unavailable.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> Timestamp:
        if self._asked is not None:
            await asyncio.wait((self._asked,))
        self._asked, self._next = self._next, None
        return await self._reader.now()

    def close(self) -> None:
        """End the questions under way."""
        for task in (self._asked, self._next):
            if task is not None:
                task.cancel()

    @asynccontextmanager
    async def _slot(self, reading: Reading) -> AsyncGenerator[None]:
        waiter = self._waiting[reading] = asyncio.get_running_loop().create_future()
        try:
            async with self._semaphore.slot(waiter, reading.users()):
                del self._waiting[reading]
                yield
        finally:
            self._waiting.pop(reading, None)
