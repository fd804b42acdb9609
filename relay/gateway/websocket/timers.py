"""One timer for all connections: pings, deadlines, heartbeats, the end of tokens.

Each connection says when it has to be visited next, so an idle one costs two or three visits a minute.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.gateway.session import Session
from relay.gateway.websocket.connection import Connection, Timeouts
from relay.gateway.websocket.outbox import ANSWERS_FACTOR
from relay.protocol.types import Close

TICK_S = 0.25  # how exact heartbeats and the end of tokens are
# The bytes that may wait for all connections of one user together, in outboxes of live messages. A single connection
# can reach twice `ANSWERS_FACTOR`: once in its outbox, and once in its transport.
USER_FACTOR = 4 * ANSWERS_FACTOR


@dataclass(eq=False, slots=True)
class OpenConnection:
    """An entry of the timers: a connection with its session, and the address it counts for."""

    connection: Connection | None  # None, like the session, once it is lost
    session: Session | None
    address: str | None
    due: int = 0  # the number of the tick at which it is visited

    @property
    def user(self) -> str | None:
        """The authenticated user; None before."""
        return self.session.user if self.session is not None else None

    def release(self) -> None:
        """Drop the connection, which is lost. The timers keep this entry until it is due, and nothing else of it."""
        self.connection = self.session = None


@dataclass(slots=True)
class Timers:
    """Calls `tick` of every connection in time. `max_bytes`: the live messages that may wait in one outbox."""

    timeouts: Timeouts
    max_bytes: int
    _woken: set[OpenConnection] = field(default_factory=set)
    _due: dict[int, list[OpenConnection]] = field(default_factory=dict)  # by the number of the tick
    _last: int = 0  # the number of the last tick

    def wake(self, entry: OpenConnection) -> None:
        """Visit this connection at the next tick, even if it asked for a later one."""
        self._woken.add(entry)

    async def run(self) -> None:
        """Run forever."""
        loop = asyncio.get_running_loop()
        self._last = _number(loop.time())
        while True:
            await asyncio.sleep(TICK_S)
            self.tick(loop.time())

    def tick(self, now: float) -> None:
        """Visit all connections that are due. Cut off the largest one of each user for whom too much waits."""
        waiting: Counter[str] = Counter()
        largest: dict[str, Connection] = {}
        for entry, connection in self._take_due(_number(now)):
            entry.due = max(_number(connection.tick(now, self.timeouts)) + 1, self._last + 1)
            self._due.setdefault(entry.due, []).append(entry)
            user, size = entry.user, connection.waiting_bytes
            if user is not None and size:
                waiting[user] += size
                if user not in largest or size > largest[user].waiting_bytes:
                    largest[user] = connection
        for user, size in waiting.items():
            if size > self.max_bytes * USER_FACTOR:
                largest[user].abort(Close.TIMEOUT)

    def _take_due(self, number: int) -> Iterator[tuple[OpenConnection, Connection]]:
        woken, self._woken = self._woken, set()
        for entry in woken:
            entry.due = 0  # its place in `_due` counts no more
            if entry.connection is not None:
                yield entry, entry.connection
        while self._last < number:
            self._last += 1
            for entry in self._due.pop(self._last, ()):
                if entry.due == self._last and entry.connection is not None:
                    yield entry, entry.connection


def _number(moment: float) -> int:
    return int(moment / TICK_S)
