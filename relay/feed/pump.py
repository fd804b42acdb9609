"""The pump: takes batches of changes from the stream, translates them, and publishes the resulting steps.

A step is the result of translating one change: its messages, and the task after it. Position S is the cluster time up
to which everything was published.

Rules of this file:

- All steps of one cluster time are published in one call, which also moves position S. So a snapshot that is read at S,
  and the messages that are published after S, together never miss a change and never repeat one.
- A batch is worked off in slices (`slices.py`), and everything else runs in between. A batch whose changes touch many
  events is divided into parts, each of which is translated and published as if it were a batch of its own.
- The task before a change is always exact. A task that is not in the cache is read as it was just before the part; the
  task after each change of the part is computed here.
- If a task turns out to need the whole array of its events, it is read again with that array, and its changes of this
  part are translated again.
- A transaction of a sharded cluster may be visible to reads before the cluster time of its changes. So its changes are
  not applied: the tasks are read as they are after it (`stored_tasks.py`), and the subscribers are sent these, whatever
  they have already.
- An update whose paths can be read in two ways (the database did not say whether a dot separates names or is part of
  a name) is never applied. The document after the update is read and compared instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic, time
from typing import Protocol

from bson import Timestamp

from relay.errors import PositionLost
from relay.feed.cache import TaskCache
from relay.feed.slices import Slices, holds_much, is_heavy, is_heavy_to_make, parts
from relay.feed.stored_tasks import Reads, StoredTasks
from relay.metrics import Metrics
from relay.source.change import Change
from relay.source.stream import UNTRANSLATED, Batch, Reopened
from relay.tasks.step import Step
from relay.tasks.task import Task
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)


class Source(Protocol):
    """The change stream of the collection, in batches of changes."""

    def batches(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield every batch of changes, in order, and a `Reopened` where changes were lost."""

    def reopen(self, reason: str) -> None:
        """Give up the position in the stream, so that `batches` yields a `Reopened` after the current batch."""


class Publisher(Protocol):
    """Receives the steps (each is the messages about one change, and the task after it). No method waits."""

    def prepare(self, step: Step) -> Callable[[], None] | None:
        """Return a function that makes what `publish` will need of this step, as far as that is known now; None if it
        will need nothing.

        The function may be called in any thread, before the step is published.
        """

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Deliver the messages of these steps, and let every later read of the database be made at `position`."""

    def resync(self, position: Timestamp) -> None:
        """Bring every listener up to date with documents read at `position`, because changes before it were lost."""


class Pump:
    """Reads the batches of one change stream, translates their changes, and gives the results to one publisher."""

    def __init__(
        self,
        source: Source,
        reads: Reads,
        translator: Translator,
        cache: TaskCache,
        publisher: Publisher,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
        published: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`clock` returns seconds, by which the pump notices that it has held the event loop for long enough. `wall`
        returns seconds since 1970. `published` is called each time that steps have been published, with the time in
        seconds since 1970 at which the database committed the first of their changes."""
        self._slices = Slices(clock)
        self._source = source
        self._translator = translator
        self._cache = cache
        self._publisher = publisher
        self._metrics = metrics
        self._wall, self._published = wall, published
        self._stored = StoredTasks(reads, translator, self._slices, metrics)
        self._waiting: list[tuple[Callable[[], Awaitable[None]], asyncio.Future[None]]] = []
        # What listeners were sent first was read at this position or later. None before the first batch.
        self._floor: Timestamp | None = None

    @property
    def known_tasks(self) -> int:
        """The number of tasks in memory."""
        return len(self._cache)

    async def run(self) -> None:
        """Translate and publish every batch of the stream, forever; ends only if it is cancelled.

        If a batch cannot be translated, the stream is reopened, and every listener is then brought up to date.
        """
        async for item in self._source.batches():
            await self._handle(item)
            # A `Reopened` is followed by a batch that has been decoded already.
            while self._waiting and isinstance(item, Batch):
                await self._act(*self._waiting.pop(0))

    async def between_batches(self, act: Callable[[], Awaitable[None]], *, within_s: float) -> None:
        """Wait for the next moment at which no batch is being worked off, and call `act` then: nothing is published
        until it has returned. Raises what it raises, and TimeoutError if there is no such moment within `within_s`
        seconds, because the database sends nothing."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def begin() -> None:
            if not begun.done():
                begun.set_result(None)
                await act()

        self._waiting.append((begin, done))
        try:
            async with asyncio.timeout(within_s):
                await begun
        finally:
            begun.cancel()
        await done

    async def _act(self, act: Callable[[], Awaitable[None]], done: asyncio.Future[None]) -> None:
        try:
            await act()
        except Exception as failure:
            if not done.done():
                done.set_exception(failure)
        else:
            if not done.done():
                done.set_result(None)

    def use(self, reads: Reads, translator: Translator) -> None:
        """Read and translate with these from now on. To be called by an `act` of `between_batches`."""
        self._translator = translator
        self._stored = StoredTasks(reads, translator, self._slices, self._metrics)
        self._cache.clear()

    async def _handle(self, item: Batch | Reopened) -> None:
        if isinstance(item, Reopened):
            self._cache.clear()
            self._floor = item.position
            self._publisher.resync(item.position)
            self._metrics.reopened.inc()
            self._metrics.resyncs.labels(item.cause).inc()
            return
        self._floor = self._floor or item.start
        if not item.changes:
            self._publisher.publish((), item.position)
            return
        try:
            await self._work_off(item)
        except PositionLost as lost:
            # Reading at the same position again would fail forever.
            self._source.reopen(str(lost))
        except Exception:
            # One change that cannot be translated must not stop the delivery of all others.
            log.exception("a batch could not be translated")
            self._source.reopen(UNTRANSLATED)

    async def _work_off(self, batch: Batch) -> None:
        """Translate and publish the changes of a batch, in parts.

        Raises PositionLost as `_translated` does. The parts before that are published, and the position has moved.
        """
        self._slices.begin()
        done = 0
        for changes, weight in parts(batch.changes, self._translator.mapping.events):
            done += len(changes)
            steps = await self._translated(changes, is_light=weight == len(changes))
            position = batch.position if done == len(batch.changes) else changes[-1].time
            await self._publish(steps, position)
            self._cache.shrink_arrays()
            self._metrics.changes.inc(len(changes))
        self._cache.shrink()  # only now: a later part of the batch would have to read its tasks again

    async def _publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Publish the steps in slices, and move position S to the cluster time of the last step of each; at the end to
        `position`."""
        for step in steps:
            prepare = self._publisher.prepare(step)
            if prepare is None:
                continue
            if is_heavy_to_make(step):
                await self._slices.in_thread(prepare)
            else:
                prepare()
            if self._slices.is_over():
                await self._slices.breathe()
        published = 0
        for some in self._slices.of_steps(steps):
            published += len(some)
            is_last = published == len(steps)
            self._publisher.publish(some, position if is_last else some[-1].change.time)
            self._note_published(some)
            if self._slices.is_over():
                await self._slices.breathe()
        if not steps:
            self._publisher.publish((), position)

    def _note_published(self, steps: Sequence[Step]) -> None:
        """Measure how long ago the database committed the changes of these steps, which have been published."""
        now_ms, observe = self._wall() * 1000, self._metrics.queued.observe
        times = [step.change.wall_ms for step in steps if step.change.wall_ms is not None]
        for wall_ms in times:
            observe(max(0.0, now_ms - wall_ms) / 1000)
        if times:
            self._published(times[0] / 1000)

    async def _translated(self, changes: Sequence[Change], *, is_light: bool) -> list[Step]:
        """Translate the changes of one part of a batch into steps, reading the tasks that are not in the cache.

        `is_light`: none of the changes weighs more than one path.

        Raises PositionLost if the database can no longer read at the time just before the batch, or at the time of one
        of its changes.
        """
        ids = {change.key: change.id for change in changes}
        before = self._stored.before(changes, self._floor)
        after = await self._stored.after_transactions(changes)
        surely = {change.key for change in changes if self._translator.is_compared(change)}
        now = await self._stored.outlines(before, ids, self._cache.get, surely)
        steps, compared = await self._translate(changes, now, after, is_light=is_light)
        whole = {key: id for key, id in ids.items() if key not in now}
        if whole:
            now |= await self._stored.wholes(before, whole)
            compared |= {key for key in surely & whole.keys() if (task := now[key]) and task.timeline.length}
            corrections = self._corrections(whole, now)
            again = await self._stored.settled([change for change in changes if change.key in whole])
            retranslated = iter((await self._translate(again, now, after, is_light=False))[0])
            first, steps = steps, []
            for change, step in zip(changes, first, strict=True):
                if change.key in corrections:
                    published, stored = corrections.pop(change.key)
                    steps.append(self._translator.correct(published, stored, change))
                steps.append(next(retranslated) if change.key in whole else step)
        for key, task in now.items():
            if task is None:
                self._cache.forget(key)
            else:
                # An array that was needed once will be needed again; all others are only appended to.
                kept = key in compared or self._cache.has_array(key)
                self._cache.remember(key, task, with_array=kept)
        return [step for step in steps if step is not None and (step.before or step.after)]

    def _corrections(
        self, whole: Iterable[bytes], now: Mapping[bytes, Task | None]
    ) -> dict[bytes, tuple[Task, Task | None]]:
        """Return, by key, the tasks that were published in a form that differs from what the database stored.

        `whole` are the keys of the tasks that were read with the whole array, and `now` holds the tasks that were read
        (None: it does not exist). Each result is a pair: the task as published, and the task as stored.
        """
        found = {}
        for key in whole:
            published, stored = self._cache.get(key), now[key]
            if published is not None and (stored is None or not published.shows_the_same(stored)):
                log.error("a published task differs from the stored one; it is sent again")
                found[key] = published, stored
        return found

    async def _translate(
        self,
        changes: Sequence[Change],
        now: dict[bytes, Task | None],
        after: Mapping[tuple[bytes, Timestamp], Task | None],
        *,
        is_light: bool,
    ) -> tuple[list[Step | None], set[bytes]]:
        """Translate the changes of the tasks in `now`, and update `now` in place to the tasks after these changes.

        `after` has the tasks after transactions of a sharded cluster, by key and cluster time: the first change of each
        is translated for all of them, and the others are not. `is_light`: none of the changes weighs more than one
        path.

        Return a list with one step for each change (None if the change was not translated), and the keys of the tasks
        that need the whole array of their events. These tasks are removed from `now`.
        """
        steps: list[Step | None] = []
        needed: set[bytes] = set()
        restated: set[tuple[bytes, Timestamp]] = set()
        translate, path = self._translator.translate, self._translator.mapping.events
        for change in changes:
            if self._slices.is_over():
                await self._slices.breathe()
            key = change.key
            if after and (moment := (key, change.time)) in after and key in now:
                is_first = moment not in restated
                steps.append(self._translator.restate(now[key], after[moment], change) if is_first else None)
                now[key] = after[moment]
                restated.add(moment)
                continue
            step: Step | None = None
            if key in now:
                task = now[key]
                needs_look = not is_light or (task is not None and holds_much(task))
                if needs_look and is_heavy(task, change, path):
                    step = await self._slices.in_thread(translate, task, change)
                else:
                    step = translate(task, change)
            if step is not None:
                now[key] = step.after
            elif key in now:
                del now[key]
                needed.add(key)
            steps.append(step)
        return steps, needed
