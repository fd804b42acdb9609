"""A fair semaphore: a bounded number of reads at once, round-robin over the users that wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

Waiter = asyncio.Future[None]
NOBODY = ("",)  # the queue of a read whose requesters all left before it waited: it needs a slot to end


class FairSemaphore:
    """At most `slots` holders at once. Each user has a queue, and free slots go to the queues in turn.

    So a user that asks for a thousand reads delays its own and not those of others. A read that several users
    wait for stands in the queue of each, and gets the first slot that one of these queues is given.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._queues: dict[str, deque[Waiter]] = {}  # by user; the first one is given the next slot

    @asynccontextmanager
    async def slot(self, waiter: Waiter, users: Collection[str]) -> AsyncGenerator[None]:
        """Hold a slot. `waiter` is a new future, which `enqueue` may add to more queues meanwhile."""
        if self._free:
            self._free -= 1
        else:
            for user in users or NOBODY:
                self.enqueue(waiter, user)
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():  # it was given a slot in the moment in which it was cancelled
                    self._release()
                raise
        try:
            yield
        finally:
            self._release()

    def enqueue(self, waiter: Waiter, user: str) -> None:
        """Let this user wait for the same read."""
        self._queues.setdefault(user, deque()).append(waiter)

    def _release(self) -> None:
        while self._queues:
            user = next(iter(self._queues))
            queue = self._queues.pop(user)
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    if queue:
                        self._queues[user] = queue  # at the end: every other user comes first
                    return
        self._free += 1
