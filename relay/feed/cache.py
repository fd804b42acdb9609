"""A bounded LRU cache of the tasks that changed lately.

An entry that was dropped costs one read and nothing else: the pump reads a task that is not here at the position before
the batch in which it changes. An array that a change has to be compared with is read in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from relay.tasks.translate import Task

ARRAY_BYTES = 32 * 1024 * 1024  # of arrays in memory; beyond it, the least recently used ones are dropped


class TaskCache:
    """At most `limit` tasks, by their key. The least recently used are dropped first, but no task that is pinned.

    Most tasks only have events appended, for which their array is not needed. An array that was needed stays with its
    task while all arrays together take at most `array_bytes`.
    """

    def __init__(
        self, limit: int, is_pinned: Callable[[bytes], bool], *, array_bytes: int = ARRAY_BYTES
    ) -> None:
        self._limit = limit
        self._is_pinned = is_pinned
        self._tasks: OrderedDict[bytes, Task] = OrderedDict()
        self._array_limit = array_bytes
        self._arrays: OrderedDict[bytes, int] = OrderedDict()  # the size of each, in bytes
        self._array_bytes = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, key: bytes) -> Task | None:
        """Return the task and mark it as used; None if it is not here."""
        task = self._tasks.get(key)
        if task is not None:
            self._tasks.move_to_end(key)
        return task

    def has_array(self, key: bytes) -> bool:
        """Is the array of this task in memory?"""
        return key in self._arrays

    def remember(self, key: bytes, task: Task, *, with_array: bool) -> None:
        """Store the task as it is now. `with_array`: keep its array, for changes that have to be compared with it."""
        self._forget_array(key)
        if not with_array:
            task = task.without_elements()
        self._tasks[key] = task
        self._tasks.move_to_end(key)
        if task.timeline.held is not None:
            self._arrays[key] = task.timeline.held.size
            self._array_bytes += task.timeline.held.size

    def forget(self, key: bytes) -> None:
        """Drop this task, which no longer exists."""
        self._forget_array(key)
        self._tasks.pop(key, None)

    def clear(self) -> None:
        """Drop every task: what happened to them is unknown."""
        self._tasks.clear()
        self._arrays.clear()
        self._array_bytes = 0

    def shrink(self) -> None:
        """Drop arrays and tasks until both limits are met, or only pinned tasks are left."""
        while self._array_bytes > self._array_limit:
            key = next(iter(self._arrays))
            self._tasks[key] = self._tasks[key].without_elements()
            self._forget_array(key)
        excess = len(self._tasks) - self._limit
        for key in list(self._tasks) if excess > 0 else ():
            if not self._is_pinned(key):
                self.forget(key)
                excess -= 1
                if excess <= 0:
                    return

    def _forget_array(self, key: bytes) -> None:
        self._array_bytes -= self._arrays.pop(key, 0)
