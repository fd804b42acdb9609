"""One timer for all WebSocket connections: it drives pings, deadlines, heartbeats and the expiry of tokens.

To *visit* a connection means to call its `tick`. The connection returns when it must be visited next, so an idle
connection costs two or three visits a minute. Time is counted in ticks of TICK_S seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from relay.gateway.websocket.connection import Connection, Timeouts
from relay.gateway.websocket.open_connection import OpenConnection
from relay.gateway.websocket.outbox import ANSWERS_FACTOR
from relay.protocol.types import Close

TICK_S = 0.25  # seconds: heartbeats, deadlines and the expiry of tokens may be late by about this much
# How many bytes may wait for all connections of one user together, as a multiple of the live messages that may wait
# for one connection. It is more than a single connection can reach, which is twice `ANSWERS_FACTOR`: once in its
# outbox, and once in its transport.
USER_FACTOR = 4 * ANSWERS_FACTOR


@dataclass(slots=True)
class Timers:
    """Calls `tick` of every connection when it is due, and bounds the memory that waiting data of one user takes.

    `timeouts` are passed on to each connection. `max_bytes` is the number of bytes of live messages that may wait for
    one connection. If more than USER_FACTOR times that many bytes wait for all connections of one user, the connection
    with the most waiting bytes is cut off with 4408.

    `waiting_bytes` is the number of bytes that waited for all connections at the last tick. `note_delay` is called once
    in each tick with how many seconds the event loop called it too late.
    """

    timeouts: Timeouts
    max_bytes: int
    note_delay: Callable[[float], None] = lambda _: None
    waiting_bytes: int = 0
    _woken: set[OpenConnection] = field(default_factory=set)
    _due: dict[int, list[OpenConnection]] = field(default_factory=dict)  # by the number of the tick
    _last: int = 0  # the number of the last tick

    def change(self, timeouts: Timeouts, max_bytes: int) -> None:
        """Use these values from now on, for all connections."""
        self.timeouts, self.max_bytes = timeouts, max_bytes

    def wake(self, entry: OpenConnection) -> None:
        """Call the `tick` of this connection at the next tick of the timers, even if it had asked for a later one."""
        self._woken.add(entry)

    async def run(self) -> None:
        """Call `tick` every TICK_S seconds. Returns never; ends by cancellation."""
        loop = asyncio.get_running_loop()
        self._last = _number(loop.time())
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            now = loop.time()
            self.note_delay(max(0.0, now - due))
            self.tick(now)

    def tick(self, now: float) -> None:
        """Call `tick` of all connections that are due. `now` is the time of the event loop's clock, in seconds.

        For each user for whom more than USER_FACTOR times `max_bytes` wait, cut off the connection with the most
        waiting bytes.
        """
        waiting: Counter[str] = Counter()
        largest: dict[str, Connection] = {}
        waiting_bytes = 0
        for entry, connection in self._take_due(_number(now)):
            entry.due = max(_number(connection.tick(now, self.timeouts)) + 1, self._last + 1)
            self._due.setdefault(entry.due, []).append(entry)
            user, size = entry.user, connection.waiting_bytes
            waiting_bytes += size
            if user is not None and size:
                waiting[user] += size
                if user not in largest or size > largest[user].waiting_bytes:
                    largest[user] = connection
        # A connection whose socket accepts no data asks to be visited at each tick, so this is the sum over all.
        self.waiting_bytes = waiting_bytes
        for user, size in waiting.items():
            if size > self.max_bytes * USER_FACTOR:
                largest[user].abort(Close.TIMEOUT, "user_overflow")

    def _take_due(self, number: int) -> Iterator[tuple[OpenConnection, Connection]]:
        woken, self._woken = self._woken, set()
        for entry in woken:
            entry.due = 0  # so that the place it still has in `_due` is ignored
            if entry.connection is not None:
                yield entry, entry.connection
        while self._last < number:
            self._last += 1
            for entry in self._due.pop(self._last, ()):
                if entry.due == self._last and entry.connection is not None:
                    yield entry, entry.connection


def _number(moment: float) -> int:
    return int(moment / TICK_S)
