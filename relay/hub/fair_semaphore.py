"""Whose turn it is to read: so many at once, and of those who wait one user after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

Waiter = asyncio.Future[None]
NOBODY = ("",)  # the line of what everyone left before it waited: its owner waits all the same


class FairSemaphore:
    """At most `parallel` at once. Who asks for a thousand reads waits for their own: another user has a turn
    before they have a second one. A read that several users wait for comes with the first of their turns."""

    def __init__(self, parallel: int) -> None:
        self._free = parallel
        self._lines: dict[str, deque[Waiter]] = {}  # by user; whose turn is next comes first

    @asynccontextmanager
    async def wait(self, turn: Waiter, users: Collection[str]) -> AsyncGenerator[None]:
        """Hold one of the places. `turn` is a fresh future, which `line_up` may be told of meanwhile."""
        if self._free:
            self._free -= 1
        else:
            for user in users or NOBODY:
                self.line_up(turn, user)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def line_up(self, turn: Waiter, user: str) -> None:
        """This user waits for the same."""
        self._lines.setdefault(user, deque()).append(turn)

    def _leave(self) -> None:
        while self._lines:
            user = next(iter(self._lines))
            line = self._lines.pop(user)
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    if line:
                        self._lines[user] = line
                    return
        self._free += 1
