"""Decides when lists are sent an update: at once, unless an update of the same task was sent a moment ago. Pure.

A program that writes often must not flood the lists. Of the updates of one task that follow each other within the
interval, the first is sent at once, and the newest when the interval is over (PROTOCOL.md section 5).
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from dataclasses import dataclass

from relay.hub.messages import StepFrames
from relay.hub.registry import Group
from relay.tasks.task import Keys


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A list update of a task that waits for its time: `frames` are those of the newest step of the task.

    `sent_to` are the rights of the groups that need no update, because the task has just become visible to them and was
    sent to them then. Rights and not groups: a group that its last listener leaves is forgotten, and the next listener
    with the same rights makes a new one.
    """

    frames: StepFrames
    sent_to: set[Keys]


class ListThrottle:
    """Decides which groups (subscribers of the list with equal rights) are sent an update of a task, and when.

    All times are in seconds of the event loop's clock.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval = interval_s  # least time between two updates of one task
        self._sent_at: OrderedDict[bytes, float] = OrderedDict()  # by task, within the interval, oldest first
        self._waiting: dict[bytes, _Waiting] = {}
        self._due: list[tuple[float, bytes]] = []  # a heap of the times at which waiting updates may be sent

    def change_interval(self, interval_s: float) -> None:
        """Use this interval for updates from now on. Those that wait are sent when they would have been."""
        self._interval = interval_s
        if not interval_s:
            self._sent_at.clear()  # nothing removes from it any more

    def waits_for(self, key: bytes) -> bool:
        """Whether an update of the task with this key waits to be sent."""
        return key in self._waiting

    @property
    def next_due(self) -> float | None:
        """The time at which the caller has to call `take_due` next; None if no update waits."""
        return self._due[0][0] if self._due else None

    def clear(self) -> None:
        """Forget all updates that wait. The change stream was lost: a waiting update may be of a task that no longer
        exists, and every list is read again anyway."""
        self._waiting.clear()
        self._due.clear()

    def offer(self, frames: StepFrames, sees: set[Group], shown: set[Group], now: float) -> set[Group]:
        """Accept a step of a task, and return the groups that are to be sent the list update of this step now.

        `sees` are the groups that may see the task after the step. `shown` are those of them to which the step made the
        task visible: they have just been sent it, so they need no update. If an update of the same task was sent less
        than an interval ago, the update waits for `take_due`, and no group is returned.
        """
        key, rights = frames.step.key, {group.keys for group in shown}
        waiting = self._waiting.get(key)
        if waiting is not None:
            if not sees:
                del self._waiting[key]
            else:
                sent_to = rights if frames.is_listed else waiting.sent_to | rights
                self._waiting[key] = _Waiting(frames, sent_to)
        elif frames.is_listed and (groups := sees - shown):
            due = self._sent_at.get(key, -math.inf) + self._interval
            if due <= now:
                self._note_sent(key, now)
                return groups
            self._waiting[key] = _Waiting(frames, rights)
            heapq.heappush(self._due, (due, key))
        return _NO_GROUPS

    def take_due(self, now: float) -> list[tuple[StepFrames, set[Keys]]]:
        """Remove and return the updates that are due: for each, the frames of the step and the rights of the groups
        that need no update."""
        taken = []
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                if now < math.inf:
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
