"""When dashboards hear of a summary: at once, unless they did of this task a moment ago.

A chatty writer must not flood dashboards: of the list updates of one task that follow each other closely
the first goes at once, and the newest when the time for it has come (PROTOCOL.md section 5).
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from relay.hub.members import Group
from relay.hub.messages import StepFrames


@dataclass(slots=True)
class _Waiting:
    """A list update that waits, and who has been told as much already."""

    frames: StepFrames
    told: set[Group]


class ListThrottle:
    """`tell` sends one task's update to these groups; `seeing` are the groups that see the task after a
    step; `done` follows what was told out of turn."""

    def __init__(
        self,
        interval_s: float,
        *,
        seeing: Callable[[StepFrames], set[Group]],
        tell: Callable[[set[Group], StepFrames], None],
        done: Callable[[], None],
    ) -> None:
        self._interval = interval_s  # between two updates of one task
        self._seeing = seeing
        self._tell = tell
        self._done = done
        self._told_at: OrderedDict[bytes, float] = OrderedDict()  # the tasks told within it, oldest first
        self._waiting: dict[bytes, _Waiting] = {}
        self._due: list[tuple[float, bytes]] = []  # a heap of when the waiting ones may be told
        self._timer: asyncio.TimerHandle | None = None

    def waits_for(self, key: bytes) -> bool:
        """Does an update of this task wait for its time?"""
        return key in self._waiting

    def clear(self) -> None:
        """Forget what waits. After the stream lost its place, a waiting update may be of a task that no longer
        exists, and dashboards read their lists again anyway."""
        self._waiting.clear()
        self._due.clear()

    def offer(self, frames: StepFrames, sees: set[Group], shown: set[Group]) -> None:
        """A step of a task that the groups `sees` see now; `shown` have just been shown it."""
        key = frames.step.key
        waiting = self._waiting.get(key)
        if waiting is not None:
            if not sees:
                del self._waiting[key]
            else:
                waiting.frames = frames
                waiting.told = shown if frames.is_listed else waiting.told | shown
        elif frames.is_listed and (groups := sees - shown):
            due = self._told_at.get(key, -math.inf) + self._interval
            if due <= asyncio.get_running_loop().time():
                self._now(key, groups, frames)
            else:
                self._waiting[key] = _Waiting(frames, shown)
                heapq.heappush(self._due, (due, key))
                self._wake_at(self._due[0][0])

    def _now(self, key: bytes, groups: set[Group], frames: StepFrames) -> None:
        self._tell(groups, frames)
        if self._interval:
            now = asyncio.get_running_loop().time()
            self._told_at[key] = now
            self._told_at.move_to_end(key)
            while next(iter(self._told_at.values())) < now - self._interval:
                self._told_at.popitem(last=False)

    def _wake_at(self, moment: float) -> None:
        if self._timer is None or self._timer.when() > moment:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(moment, self._tell_due)

    def _tell_due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                self._now(key, self._seeing(waiting.frames) - waiting.told, waiting.frames)
        self._done()
        if self._due:
            self._wake_at(self._due[0][0])
