"""What has been seen of a task's events, so that none is told twice. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import orjson


@dataclass(slots=True)
class Seen:
    """What has been seen of one task's events; digests of them only where every event is printed."""

    held: int = 0
    digests: list[bytes] = field(default_factory=list)
    replaced: Counter[bytes] = field(default_factory=Counter)
    unfinished: bool = False  # another page follows
    as_events: bool = False
    shown: int = 0  # lines printed for the pages so far

    def append(self, index: int, event: object) -> None:
        del self.digests[index:]
        self.digests.append(_digest(event))
        self.held = index + 1

    def replace(self, start: int, events: list[object], *, remember: bool) -> list[int]:
        """Keep the first `start` events, replace what follows (PROTOCOL.md 6.2); the indexes of those that
        were not there before, as a multiset."""
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
