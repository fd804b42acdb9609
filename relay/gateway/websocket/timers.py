"""When time passes for which connection: pings, deadlines, heartbeats and ends of tokens, one timer for all.

A connection is visited when it said that it would need to be, or asked for it meanwhile; so one that idles
costs two or three visits a minute.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.gateway.session import Session
from relay.gateway.websocket.connection import ANSWERS_FACTOR, Pace, Wire
from relay.protocol.types import Close

SWEEP_S = 0.25  # how exact heartbeats and expiries are
# What may wait for all connections of one user: for a single one it can be twice the answers, in its outbox
# and in its transport.
USER_FACTOR = 4 * ANSWERS_FACTOR


@dataclass(eq=False, slots=True)
class Place:
    """An open connection: its conversation, and the address it counts for."""

    wire: Wire | None  # None, as the session, once it is gone
    session: Session | None
    address: str | None
    due: int = 0  # the sweep it is visited at

    @property
    def user(self) -> str | None:
        """Who is speaking, once that is known."""
        return self.session.user if self.session is not None else None

    def vacate(self) -> None:
        """The connection is gone. The sweep holds the place until it was due, and nothing more by it."""
        self.wire = self.session = None


@dataclass(slots=True)
class Sweep:
    """`max_bytes`: what may wait in one connection's outbox of live messages."""

    pace: Pace
    max_bytes: int
    _attended: set[Place] = field(default_factory=set)
    _due: dict[int, list[Place]] = field(default_factory=dict)  # by the number of the sweep
    _done: int = 0  # the number of the last sweep

    def attend(self, place: Place) -> None:
        """Visit it at the next sweep, whatever it said before."""
        self._attended.add(place)

    async def run(self) -> None:
        """Runs for the life of the relay."""
        loop = asyncio.get_running_loop()
        self._done = _number(loop.time())
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """Visit whoever is due."""
        waiting: Counter[str] = Counter()
        heaviest: dict[str, Wire] = {}
        for place, wire in self._now_due(_number(now)):
            place.due = max(_number(wire.tick(now, self.pace)) + 1, self._done + 1)
            self._due.setdefault(place.due, []).append(place)
            user, size = place.user, wire.waiting_bytes
            if user is not None and size:
                waiting[user] += size
                if user not in heaviest or size > heaviest[user].waiting_bytes:
                    heaviest[user] = wire
        for user, size in waiting.items():
            if size > self.max_bytes * USER_FACTOR:
                heaviest[user].abort(Close.TIMEOUT)

    def _now_due(self, number: int) -> Iterator[tuple[Place, Wire]]:
        attended, self._attended = self._attended, set()
        for place in attended:
            place.due = 0
            if place.wire is not None:
                yield place, place.wire
        while self._done < number:
            self._done += 1
            for place in self._due.pop(self._done, ()):
                if place.due == self._done and place.wire is not None:
                    yield place, place.wire


def _number(moment: float) -> int:
    return int(moment / SWEEP_S)
