"""The tasks that moved lately: a bounded memory, pinned while someone listens.

Forgetting costs a read and nothing else: a task that is not known is read at the position before the
batch it changes in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from relay.tasks.translate import Task


class Known:
    """At most `limit` tasks, the least recently used forgotten first, save those that are pinned."""

    def __init__(self, limit: int, is_pinned: Callable[[bytes], bool]) -> None:
        self._limit = limit
        self._is_pinned = is_pinned
        self._tasks: OrderedDict[bytes, Task] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, key: bytes) -> Task | None:
        task = self._tasks.get(key)
        if task is not None:
            self._tasks.move_to_end(key)
        return task

    def remember(self, key: bytes, task: Task) -> None:
        """Keep the task, without its array: arrays live for a batch."""
        self._tasks[key] = replace(task, timeline=task.timeline.without_events())
        self._tasks.move_to_end(key)

    def forget(self, key: bytes) -> None:
        self._tasks.pop(key, None)

    def clear(self) -> None:
        self._tasks.clear()

    def shrink(self) -> None:
        """Down to the limit; pinned tasks stay and are looked at last."""
        excess = len(self._tasks) - self._limit
        for key in list(self._tasks) if excess > 0 else ():
            if not self._is_pinned(key):
                del self._tasks[key]
                excess -= 1
                if excess <= 0:
                    return
