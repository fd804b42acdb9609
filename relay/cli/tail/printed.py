"""Which events of a task were printed, so that a reconnect prints none twice. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import orjson


@dataclass(slots=True)
class PrintedEvents:
    """The events of one task that were received. Their digests are kept only where every event is printed."""

    held: int = 0  # the number of events received
    digests: list[bytes] = field(default_factory=list)  # of those, by index
    replaced: Counter[bytes] = field(
        default_factory=Counter
    )  # of events that the pages of a new state replace
    unfinished: bool = False  # more pages of the state follow
    as_events: bool = False  # the state is printed event by event, not as one line
    shown: int = 0  # lines printed for the pages of the state so far

    def append(self, index: int, event: object) -> None:
        """Note an event that was sent by itself."""
        del self.digests[index:]
        self.digests.append(_digest(event))
        self.held = index + 1

    def replace(self, start: int, events: list[object], *, remember: bool) -> list[int]:
        """Keep the first `start` events and replace the rest by `events` (PROTOCOL.md 6.2).

        Return the indexes of the events that were not among the replaced ones, counting equal events.
        """
        self.held = start + len(events)
        if not remember:
            return list(range(start, self.held))
        self.replaced.update(self.digests[start:])
        del self.digests[start:]
        fresh = []
        for index, event in enumerate(events, start):
            digest = _digest(event)
            self.digests.append(digest)
            if self.replaced[digest] > 0:
                self.replaced[digest] -= 1
            else:
                fresh.append(index)
        if not self.unfinished:
            self.replaced.clear()
        return fresh


def _digest(event: object) -> bytes:
    return hashlib.blake2b(orjson.dumps(event, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
