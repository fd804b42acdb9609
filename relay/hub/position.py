"""The relay's position S in the change stream, and waiting until it has come far enough."""

from __future__ import annotations

import asyncio

from bson import Timestamp


class StreamPosition:
    """Position S: every change up to `value` has been published, and none after it."""

    def __init__(self) -> None:
        self.value = Timestamp(0, 0)
        self._waiting: list[tuple[Timestamp, asyncio.Future[None]]] = []

    def move_to(self, position: Timestamp) -> None:
        """Set S, and wake the callers of `reached` that waited for it."""
        self.value = position
        if self._waiting:
            for moment, reached in self._waiting:
                if moment <= position and not reached.done():
                    reached.set_result(None)
            self._waiting = [(moment, reached) for moment, reached in self._waiting if not reached.done()]

    async def reached(self, moment: Timestamp) -> None:
        """Return once every change up to `moment` has been published."""
        if self.value < moment:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((moment, future))
            await future
