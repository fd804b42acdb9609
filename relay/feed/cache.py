"""A bounded LRU cache of the tasks that changed lately.

Dropping an entry costs one later read and nothing else: when a task that is not in the cache changes, the pump reads
its document as it was just before that batch of changes. If a change has to be compared with an array of events that is
not in memory, the array is read in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from relay.tasks.task import Task

# Bytes of event arrays in memory; beyond this limit, the least recently stored arrays are dropped.
ARRAY_BYTES = 32 * 1024 * 1024


class TaskCache:
    """Keeps about `limit` tasks by their key, and drops the least recently used ones first.

    A task is pinned, and never dropped, while `is_pinned(key)` is true, as for tasks with subscribers; so pinned tasks
    may exceed the limit. Most tasks only get events appended, which does not need the array of their earlier events. An
    array that was needed stays with its task while all arrays together take at most `array_bytes`. The limits are
    enforced by `shrink`.
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
        """Return the task with this key and mark it as recently used; None if it is not in the cache."""
        task = self._tasks.get(key)
        if task is not None:
            self._tasks.move_to_end(key)
        return task

    def has_array(self, key: bytes) -> bool:
        """Whether the task with this key is in the cache together with the array of its events."""
        return key in self._arrays

    def remember(self, key: bytes, task: Task, *, with_array: bool) -> None:
        """Store the current task under its key, in place of an earlier one, and mark it as recently used.

        If `with_array` is true, keep the array of its events in memory too, for later changes that have to be compared
        with it.
        """
        self._forget_array(key)
        if not with_array:
            task = task.without_elements()
        self._tasks[key] = task
        self._tasks.move_to_end(key)
        if task.timeline.held is not None:
            self._arrays[key] = task.timeline.held.size
            self._array_bytes += task.timeline.held.size

    def forget(self, key: bytes) -> None:
        """Drop the task with this key, if it is in the cache."""
        self._forget_array(key)
        self._tasks.pop(key, None)

    def clear(self) -> None:
        """Drop every task, as after a loss of changes, when what happened to the tasks is unknown."""
        self._tasks.clear()
        self._arrays.clear()
        self._array_bytes = 0

    def shrink_arrays(self) -> None:
        """Drop arrays until their limit is met."""
        while self._array_bytes > self._array_limit:
            key = next(iter(self._arrays))
            self._tasks[key] = self._tasks[key].without_elements()
            self._forget_array(key)

    def shrink(self) -> None:
        """Drop arrays and tasks until both limits are met; tasks that are pinned stay even beyond the limit."""
        self.shrink_arrays()
        excess = len(self._tasks) - self._limit
        for key in list(self._tasks) if excess > 0 else ():
            if not self._is_pinned(key):
                self.forget(key)
                excess -= 1
                if excess <= 0:
                    return

    def _forget_array(self, key: bytes) -> None:
        self._array_bytes -= self._arrays.pop(key, 0)
