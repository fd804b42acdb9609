"""A fair semaphore: it bounds how many reads run at once, and serves the users that wait in turn (round-robin)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Protocol

Waiter = asyncio.Future[None]
NOBODY = ("",)  # the queue of a read whose requesters have all left: it still needs a slot to run to its end


class FairSemaphore:
    """A semaphore with `slots` slots. Each user has a queue, and free slots are given to the queues in turn.

    So a user that asks for a thousand reads delays only its own reads. A read that several users wait for stands in the
    queue of each of these users, and begins as soon as it is given a slot through any of these queues.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._queues: dict[str, deque[Waiter]] = {}  # by user; the first user is given the next slot

    @asynccontextmanager
    async def slot(self, waiter: Waiter, users: Collection[str]) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it during the `async with` block.

        `waiter` is a new future that represents the read in the queues of its `users`. While the read waits, `enqueue`
        may add `waiter` to the queues of more users.
        """
        if self._free:
            self._free -= 1
        else:
            for user in users or NOBODY:
                self.enqueue(waiter, user)
            try:
                await waiter
            except asyncio.CancelledError:
                # It was given a slot just before the cancellation: pass the slot on.
                if not waiter.cancelled():
                    self._release()
                raise
        try:
            yield
        finally:
            self._release()

    def enqueue(self, waiter: Waiter, user: str) -> None:
        """Add a waiting read to the queue of this user. `waiter` is the future of the read that was given to `slot`."""
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
                        self._queues[user] = queue  # at the end: every other user has its turn first
                    return
        self._free += 1


class Shared(Protocol):
    """Work that needs a slot, and for which several users wait."""

    def users(self) -> Collection[str]:
        """Return the users that wait for this work."""


class FairSlots:
    """Gives slots to work that users share: more users may join in while the work waits for its slot."""

    def __init__(self, slots: int) -> None:
        self._semaphore = FairSemaphore(slots)
        self._waiting: dict[Shared, Waiter] = {}

    @asynccontextmanager
    async def slot(self, work: Shared) -> AsyncGenerator[None]:
        """Wait for a slot in the queues of the users of this work, and hold it during the `async with` block."""
        waiter = self._waiting[work] = asyncio.get_running_loop().create_future()
        try:
            async with self._semaphore.slot(waiter, work.users()):
                del self._waiting[work]
                yield
        finally:
            self._waiting.pop(work, None)

    def share(self, work: Shared, user: str) -> None:
        """Let one more user wait for this work, so that it also stands in that user's queue for a slot."""
        if (waiter := self._waiting.get(work)) is not None:
            self._semaphore.enqueue(waiter, user)
