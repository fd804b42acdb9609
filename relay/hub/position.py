"""Position S, the cluster time up to which the relay has published every change, and waiting for it to reach a time."""

from __future__ import annotations

import asyncio

from bson import Timestamp


class StreamPosition:
    """Position S: every change up to the cluster time `value` has been published, and no later change."""

    def __init__(self) -> None:
        self.value = Timestamp(0, 0)
        self._waiting: dict[asyncio.Future[None], Timestamp] = {}

    def move_to(self, position: Timestamp) -> None:
        """Set position S, and wake the callers of `reached` that wait for this position or an earlier one."""
        self.value = position
        for reached, moment in self._waiting.items():
            if moment <= position and not reached.done():
                reached.set_result(None)

    async def reached(self, moment: Timestamp) -> None:
        """Wait until every change up to the cluster time `moment` has been published."""
        if self.value < moment:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[future] = moment
            try:
                await future
            finally:
                # Also if the caller gives up: while the stream is interrupted, S may not move for hours.
                del self._waiting[future]
