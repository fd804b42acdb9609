"""Divides the work of the pump into slices, so that the event loop is never held for long.

The loop serves every connection and every timer of the process. Work that may take longer than SLICE_S is divided: the
pump works for one slice, and then lets everything else run that is ready. What cannot be divided because it is one call
(the update of one large task) runs in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from relay.source.change import Change, Deleted, Inserted, Replaced, Updated
from relay.source.raw_bson import RawArray
from relay.tasks.paths import at_path
from relay.tasks.step import Step
from relay.tasks.task import Task
from relay.tasks.timeline import Appended, Rewritten, only_appends

_T = TypeVar("_T")

SLICE_S = 0.01  # for so long the pump may hold the event loop
# The weight of a change is the number of paths that it sets or removes, or, if it brings the array of events, about the
# number of its events. A thousand take about 5 ms to apply.
PART = 5_000  # weight of the changes that are translated and published together
HEAVY = 2_000  # a change of this weight is applied in a thread
BYTES, ELEMENTS = 512, 20  # of an array that count as one path
IDS = 50  # elements of another list, such as members, that count as one path
# Bytes of a rewritten timeline, before and after: more are compared and encoded in a thread.
HEAVY_BYTES = 192 * 1024
HEAVY_EVENTS = 500  # appended events: more are encoded in a thread
STEPS = 100  # steps of the first slice that is published; later slices have as many as fit into SLICE_S


class Slices:
    """Counts the time since the event loop last ran something else. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._steps = STEPS

    def begin(self) -> None:
        """Note that the event loop has just run something else, as after a wait."""
        self._began = self._clock()

    def is_over(self) -> bool:
        """Whether the event loop has been held for long enough: `breathe` has to be called then."""
        return self._clock() - self._began >= SLICE_S

    async def breathe(self) -> None:
        """Let everything else run that is ready, and begin the next slice."""
        await asyncio.sleep(0)
        self._began = self._clock()

    async def in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function that uses no state of the event loop in a thread, and begin the next slice."""
        result = await asyncio.to_thread(function, *arguments)
        self._began = self._clock()
        return result

    def of_steps(self, steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
        """Yield the steps in slices, which end between two cluster times.

        The caller publishes a slice before it asks for the next one. The time which that took decides how many steps
        the next slice has.
        """
        first = 0
        while first < len(steps):
            end = min(first + self._steps, len(steps))
            while end < len(steps) and steps[end].change.time == steps[end - 1].change.time:
                end += 1
            began = self._clock()
            yield steps[first:end]
            took = self._clock() - began
            fitting = (end - first) * SLICE_S / took if took > 0 else PART
            self._steps = max(1, min(PART, int(fitting)))
            first = end


def parts(changes: Sequence[Change], path: str) -> Iterator[tuple[Sequence[Change], int]]:
    """Yield the changes of a batch in parts, each with its weight, which is at most PART if possible. A part ends
    between two cluster times. `path` is the path of the array of events."""
    first = boundary = weight = 0
    lighter = 0  # the weight of the changes from `first` to `boundary`
    for index, change in enumerate(changes):
        more = weight_of(change, path)
        if index and change.time != changes[index - 1].time:
            boundary, lighter = index, weight
        if weight + more > PART and boundary > first:
            yield changes[first:boundary], lighter
            first, weight = boundary, weight - lighter
        weight += more
    yield changes[first:], weight


def weight_of(change: Change, path: str) -> int:
    """Return about how long a change takes to be applied, as a number of paths. `path` is that of the events."""
    match change.operation:
        case Updated(fields, removed, truncated):
            count = len(fields) + len(removed) + len(truncated)
            # A whole array comes with few other fields: looking at the values of many would only take time.
            return count + (sum(map(_weight_of_value, fields.values())) if count <= 10 else 0)
        case Inserted(document) | Replaced(document):
            lists = (_weight_of_value(value) for value in document.values() if isinstance(value, list))
            return 1 + _weight_of_value(at_path(document, path)) + sum(lists)
        case Deleted():
            return 1


def _weight_of_value(value: Any) -> int:
    if isinstance(value, RawArray):
        return len(value.raw) // BYTES
    return len(value) // IDS if isinstance(value, list) else 0


def is_heavy(before: Task | None, change: Change, path: str) -> bool:
    """Whether a change takes long enough to be applied in a thread; `before` is the task before it.

    One edited event of an array in memory weighs as much as the array, because all of it is copied and compared.
    """
    weight = weight_of(change, path)
    if (
        before is not None
        and holds_much(before)
        and not only_appends(before.timeline, change.operation, path)
    ):
        weight += _weight_held(before)
    return weight >= HEAVY


def holds_much(task: Task) -> bool:
    """Whether an edit of one event takes long, because the array that is in memory is large."""
    return _weight_held(task) >= HEAVY


def _weight_held(task: Task) -> int:
    held = task.timeline.held
    return 0 if held is None else max(held.size // BYTES, len(held.elements) // ELEMENTS)


def is_heavy_to_make(step: Step) -> bool:
    """Whether the messages of a step take long enough to be made in a thread."""
    match step.outcome:
        case Rewritten(elements, before, run):
            # What remains of a run is not encoded, and the first two elements tell that something was removed.
            gone, new = before[: len(before) - run], elements[run:]
            return sum(map(len, gone)) + sum(map(len, new)) >= HEAVY_BYTES
        case Appended(events):
            return len(events) >= HEAVY_EVENTS or _left(events, HEAVY_BYTES) <= 0
        case _:
            return False


def _left(value: Any, budget: int) -> int:
    """Return what is left of a number of bytes after subtracting about the size of a decoded value; stop looking once
    nothing is left."""
    stack = [value]
    while stack and budget > 0:
        one = stack.pop()
        if isinstance(one, dict):
            budget -= 16 * len(one)
            stack += one.values()
        elif isinstance(one, list | tuple):
            budget -= 16 * len(one)
            stack += one
        elif isinstance(one, str | bytes):
            budget -= len(one)
    return budget
