"""When lists are sent an update: at once, unless there was one of the same task a moment ago. Pure.

A program that writes often must not flood the lists. Of the updates of one task that follow each other within the
interval the first is sent at once, and the newest when the interval is over (PROTOCOL.md section 5).
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from dataclasses import dataclass

from relay.hub.messages import StepFrames
from relay.hub.registry import Group


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An update that waits, and the groups that have been sent one as new already."""

    frames: StepFrames
    sent_to: set[Group]


class ListThrottle:
    """Says which groups are sent an update of their list, and when. Times are those of the event loop's clock."""

    def __init__(self, interval_s: float) -> None:
        self._interval = interval_s  # between two updates of one task
        self._sent_at: OrderedDict[bytes, float] = OrderedDict()  # within the interval, oldest first
        self._waiting: dict[bytes, _Waiting] = {}
        self._due: list[tuple[float, bytes]] = []  # a heap of the times at which waiting updates may be sent

    def waits_for(self, key: bytes) -> bool:
        """Does an update of this task wait?"""
        return key in self._waiting

    @property
    def next_due(self) -> float | None:
        """When `take_due` has to be called next; None if nothing waits."""
        return self._due[0][0] if self._due else None

    def clear(self) -> None:
        """Forget what waits. After the stream was lost a waiting update may be of a task that no longer exists, and
        every list is read again anyway."""
        self._waiting.clear()
        self._due.clear()

    def offer(self, frames: StepFrames, sees: set[Group], shown: set[Group], now: float) -> set[Group]:
        """Take a step of a task that the groups `sees` may see now, of which `shown` were just sent it as new.
        Return the groups that are to be sent its update now."""
        key = frames.step.key
        waiting = self._waiting.get(key)
        if waiting is not None:
            if not sees:
                del self._waiting[key]
            else:
                sent_to = shown if frames.is_listed else waiting.sent_to | shown
                self._waiting[key] = _Waiting(frames, sent_to)
        elif frames.is_listed and (groups := sees - shown):
            due = self._sent_at.get(key, -math.inf) + self._interval
            if due <= now:
                self._note_sent(key, now)
                return groups
            self._waiting[key] = _Waiting(frames, shown)
            heapq.heappush(self._due, (due, key))
        return _NO_GROUPS

    def take_due(self, now: float) -> list[tuple[StepFrames, set[Group]]]:
        """The updates whose time has come, each with the groups that are not to be sent it."""
        taken = []
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                self._note_sent(key, now)
                taken.append((waiting.frames, waiting.sent_to))
        return taken

    def _note_sent(self, key: bytes, now: float) -> None:
        if self._interval:
            self._sent_at[key] = now
            self._sent_at.move_to_end(key)
            while next(iter(self._sent_at.values())) < now - self._interval:
                self._sent_at.popitem(last=False)


_NO_GROUPS: set[Group] = set()
