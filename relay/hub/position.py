"""Position S, the cluster time up to which the relay has published every change, and waiting for it to reach a time."""

from __future__ import annotations

import asyncio

from bson import Timestamp


class StreamPosition:
    """Position S: every change up to the cluster time `value` has been published, and no later change."""

    def __init__(self) -> None:
        self.value = Timestamp(0, 0)
        self._waiting: list[tuple[Timestamp, asyncio.Future[None]]] = []

    def move_to(self, position: Timestamp) -> None:
        """Set position S, and wake the callers of `reached` that wait for this position or an earlier one."""
        self.value = position
        if self._waiting:
            for moment, reached in self._waiting:
                if moment <= position and not reached.done():
                    reached.set_result(None)
            self._waiting = [(moment, reached) for moment, reached in self._waiting if not reached.done()]

    async def reached(self, moment: Timestamp) -> None:
        """Wait until every change up to the cluster time `moment` has been published."""
        if self.value < moment:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((moment, future))
            await future
