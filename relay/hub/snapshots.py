"""Reads for states: at the position a reading began with, or where that cannot be read, a later one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.hub.hub import Hub
from relay.hub.members import DashboardReading, TaskReading
from relay.metrics import Metrics

CATCH_UP_S = 1.0  # how long a join may wait for the relay to see a task just written (PROTOCOL.md 6.8)
PARALLEL_READS = 32
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


class Snapshots:
    """Reads what readings ask for, so many at once."""

    def __init__(self, hub: Hub, reads: Reads, metrics: Metrics) -> None:
        self._hub = hub
        self._reads = reads
        self._metrics = metrics
        self._parallel = asyncio.Semaphore(PARALLEL_READS)

    async def read(
        self,
        reading: TaskReading | DashboardReading,
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
                async with self._parallel:
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
