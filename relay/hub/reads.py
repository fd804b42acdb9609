"""Reads for states: at the position a reading began with, or where that cannot be read, a later one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.hub.fair_semaphore import FairSemaphore, Waiter
from relay.hub.hub import Hub
from relay.hub.members import DashboardReading, TaskBatch
from relay.metrics import Metrics
from relay.protocol.frames import Frame, error
from relay.protocol.types import ErrorCode

CATCH_UP_S = 1.0  # how long a join may wait for the relay to see a task just written (PROTOCOL.md 6.8)
PARALLEL_READS = 8  # more would not be faster: decoding what they bring takes one core
RETRY_S = 0.5


class Reads(Protocol):
    """Where states come from."""

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> Sequence[dict[str, Any]]: ...

    async def now(self) -> Timestamp: ...


Reading = TaskBatch | DashboardReading


class Snapshots:
    """Reads what readings ask for, so many at once, and each user in turn."""

    def __init__(self, hub: Hub, reads: Reads, metrics: Metrics) -> None:
        self._hub = hub
        self._reads = reads
        self._metrics = metrics
        self._turns = FairSemaphore(PARALLEL_READS)
        self._waiting: dict[Reading, Waiter] = {}
        self._asked: asyncio.Task[Timestamp] | None = None  # the last question for the time
        self._next: asyncio.Task[Timestamp] | None = None  # the one after it, while that waits

    async def read(
        self,
        reading: Reading,
        filter: Mapping[str, Any],
        *,
        patient: Callable[[], bool],
        **options: Any,
    ) -> Sequence[dict[str, Any]]:
        """What is there at the reading's position, which moves on where it can no longer be read.

        `patient`: somebody depends on this read without having asked, so it is tried until it works.
        Raises Unavailable.
        """
        while True:
            position = reading.position
            try:
                if not position.time:
                    raise PositionLost("the stream is not open yet")
                async with self._turn(reading):
                    documents = await self._reads.read_at(position, filter, **options)
            except PositionLost:
                # The collection or the server is younger than S: a later position will do.
                try:
                    async with asyncio.timeout(CATCH_UP_S):
                        await self._hub.reached(Timestamp(position.time, position.inc + 1))
                except TimeoutError:
                    if not patient():
                        raise Unavailable("no position can be read") from None
                reading.move(self._hub.position)
            except Unavailable:
                if not patient():
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                self._metrics.reads.inc()
                if reading.position == position:
                    return documents
                # The stream was reopened meanwhile, and what was held is not complete any more.

    def share(self, reading: Reading, user: str) -> None:
        """This user waits for the reading as well."""
        if (turn := self._waiting.get(reading)) is not None:
            self._turns.line_up(turn, user)

    async def catch_up(self) -> None:
        """Return when the relay has published all that the database holds now, or after CATCH_UP_S.

        Raises Unavailable where the database does not say how far it is.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._hub.reached(await self.now())

    async def now(self) -> Timestamp:
        """As `Reads.now`. Who asks while an earlier question is under way shares the next one.

        Raises Unavailable.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> Timestamp:
        if self._asked is not None:
            await asyncio.wait((self._asked,))
        self._asked, self._next = self._next, None
        return await self._reads.now()

    def close(self) -> None:
        """End the questions under way."""
        for task in (self._asked, self._next):
            if task is not None:
                task.cancel()

    @asynccontextmanager
    async def _turn(self, reading: Reading) -> AsyncGenerator[None]:
        turn = self._waiting[reading] = asyncio.get_running_loop().create_future()
        try:
            async with self._turns.wait(turn, {joiner.listener.user for joiner in reading.joiners}):
                del self._waiting[reading]
                yield
        finally:
            self._waiting.pop(reading, None)


def unavailable(reply_to: str | None, task_id: str | None = None) -> Frame:
    message = "The database is away; try again."
    return error(ErrorCode.UNAVAILABLE, message, task_id=task_id, retry_after_ms=1000, reply_to=reply_to)
