"""The tasks that moved lately: a bounded memory, pinned while someone listens.

Forgetting costs a read and nothing else: a task that is not known is read at the position before the
batch it changes in, and so is an array that a change has to be compared with.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from relay.tasks.translate import Task

ARRAY_BYTES = 32 * 1024 * 1024  # of arrays in memory, beyond which the least recently used are dropped


class TaskCache:
    """At most `limit` tasks, the least recently used forgotten first, save those that are pinned.

    Most tasks are only appended to and need no array. An array that was needed stays with its task, as
    long as all of them together take no more than `array_bytes`.
    """

    def __init__(
        self, limit: int, is_pinned: Callable[[bytes], bool], *, array_bytes: int = ARRAY_BYTES
    ) -> None:
        self._limit = limit
        self._is_pinned = is_pinned
        self._tasks: OrderedDict[bytes, Task] = OrderedDict()
        self._array_limit = array_bytes
        self._arrays: OrderedDict[bytes, int] = OrderedDict()  # how many bytes
        self._array_bytes = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, key: bytes) -> Task | None:
        task = self._tasks.get(key)
        if task is not None:
            self._tasks.move_to_end(key)
        return task

    def has_array(self, key: bytes) -> bool:
        return key in self._arrays

    def remember(self, key: bytes, task: Task, *, with_array: bool) -> None:
        """`with_array`: keep what is in memory of its array, for changes that have to be compared with it."""
        self._forget_array(key)
        if not with_array:
            task = task.without_elements()
        self._tasks[key] = task
        self._tasks.move_to_end(key)
        if task.timeline.held is not None:
            self._arrays[key] = task.timeline.held.size
            self._array_bytes += task.timeline.held.size

    def forget(self, key: bytes) -> None:
        self._forget_array(key)
        self._tasks.pop(key, None)

    def clear(self) -> None:
        self._tasks.clear()
        self._arrays.clear()
        self._array_bytes = 0

    def shrink(self) -> None:
        """Down to the limits; pinned tasks stay and are looked at last."""
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
