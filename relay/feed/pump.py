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
  not applied: the tasks are read as they are after it, and the subscribers are sent these, whatever they have already.
- An update whose paths can be read in two ways (the database did not say whether a dot separates names or is part of
  a name) is never applied. The document after the update is read and compared instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.feed.cache import TaskCache
from relay.feed.slices import Slices, is_heavy, is_heavy_to_make, parts
from relay.metrics import Metrics
from relay.source.change import Change, Replaced, Updated, just_before, key_of
from relay.source.identity import among
from relay.source.outage import RETRY_S, Outage
from relay.source.raw_bson import Document, RawArray
from relay.source.stream import Batch, Reopened
from relay.tasks.paths import at_path
from relay.tasks.step import Needed, Step
from relay.tasks.task import Task
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

KEYS_PER_READ = 500  # tasks that one query of the database asks for
WHOLE_PER_READ = 20  # the same for tasks with the array of their events: a reply is decoded at once
# How many seconds a transaction of a sharded cluster may be visible before the cluster time of its changes. The time
# passes while the shards hear that it was committed, which takes milliseconds unless a shard has just lost its primary.
VISIBLE_EARLY_S = 10
HEAVY_ARRAY = 512 * 1024  # bytes of an array of events that is divided into its elements in a thread


class _Before(NamedTuple):
    """The positions at which to read tasks as they were before a batch: at `usual`, just before the batch; but those in
    `early_keys` at `early`.

    These are the tasks which the batch first changes in a transaction of a sharded cluster. The transaction may be
    visible already just before the batch. Between the two positions the tasks did not change, or they would be in the
    cache.
    """

    usual: Timestamp
    early: Timestamp
    early_keys: frozenset[bytes]


class Source(Protocol):
    """The change stream of the collection, in batches of changes."""

    def batches(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield every batch of changes, in order, and a `Reopened` where changes were lost."""

    def reopen(self, reason: str) -> None:
        """Give up the position in the stream, so that `batches` yields a `Reopened` after the current batch."""


class Reads(Protocol):
    """Reads the collection as it was at a position (a cluster time of the database)."""

    @property
    def is_routed(self) -> bool:
        """Whether the database is a sharded cluster."""

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], /, *, projection: Mapping[str, Any] | None
    ) -> Sequence[dict[str, Any]]:
        """Return the documents that matched `filter` at this position.

        Raises PositionLost if the database cannot read at this position any more, and Unavailable if the database does
        not answer.
        """


class Publisher(Protocol):
    """Receives the steps (each is the messages about one change, and the task after it). No method waits."""

    def needs(self, step: Step) -> Needed:
        """Return which messages of this step `publish` will need, as far as that is known now."""

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
    ) -> None:
        """`clock` returns seconds, by which the pump notices that it has held the event loop for long enough."""
        self._slices = Slices(clock)
        self._source = source
        self._reads = reads
        self._translator = translator
        self._cache = cache
        self._publisher = publisher
        self._metrics = metrics
        self._outage = Outage(log, "waiting for the database to read a batch's tasks")
        # What listeners were sent first was read at this position or later. None before the first batch.
        self._floor: Timestamp | None = None

    async def run(self) -> None:
        """Translate and publish every batch of the stream, forever; ends only if it is cancelled.

        If a batch cannot be translated, the stream is reopened, and every listener is then brought up to date.
        """
        async for item in self._source.batches():
            if isinstance(item, Reopened):
                self._cache.clear()
                self._floor = item.position
                self._publisher.resync(item.position)
                self._metrics.reopened.inc()
                continue
            self._floor = self._floor or item.start
            if not item.changes:
                self._publisher.publish((), item.position)
                continue
            try:
                await self._work_off(item)
            except PositionLost as lost:
                # Reading at the same position again would fail forever.
                self._source.reopen(str(lost))
                continue
            except Exception:
                # One change that cannot be translated must not stop the delivery of all others.
                log.exception("a batch could not be translated")
                self._source.reopen("a batch could not be translated")
                continue

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
            self._cache.shrink()
            self._metrics.changes.inc(len(changes))

    async def _publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Publish the steps in slices, and move position S to the cluster time of the last step of each; at the end to
        `position`."""
        for step in steps:
            needed = self._publisher.needs(step)
            if needed is Needed.NOTHING:
                continue
            make = step.make if needed is Needed.ALL else step.make_beside_timeline
            if is_heavy_to_make(step):
                await self._slices.in_thread(make)
            else:
                make()
            if self._slices.is_over():
                await self._slices.breathe()
        published = 0
        for some in self._slices.of_steps(steps):
            published += len(some)
            is_last = published == len(steps)
            self._publisher.publish(some, position if is_last else some[-1].change.time)
            if self._slices.is_over():
                await self._slices.breathe()
        if not steps:
            self._publisher.publish((), position)

    async def _translated(self, changes: Sequence[Change], *, is_light: bool) -> list[Step]:
        """Translate the changes of one part of a batch into steps, reading the tasks that are not in the cache.

        `is_light`: none of the changes weighs more than one path.

        Raises PositionLost if the database can no longer read at the time just before the batch, or at the time of one
        of its changes.
        """
        ids = {change.key: change.id for change in changes}
        before = self._before(changes)
        after = await self._after_transactions(changes)
        now = await self._begin(before, ids)
        steps, compared = await self._translate(changes, now, after, is_light=is_light)
        whole = {key: id for key, id in ids.items() if key not in now}
        if whole:
            now |= dict.fromkeys(whole)
            async for document in self._read_before(before, whole):
                now[key_of(document["_id"])] = await self._task_of(document)
            self._metrics.loads.inc(len(whole))
            corrections = self._corrections(whole, now)
            again = await self._settled([change for change in changes if change.key in whole])
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

    async def _task_of(self, document: dict[str, Any]) -> Task:
        """Return the task that a whole stored document describes."""
        array = at_path(document, self._translator.mapping.events)
        if isinstance(array, RawArray) and len(array.raw) >= HEAVY_ARRAY:
            return await self._slices.in_thread(self._translator.read, document)
        return self._translator.read(document)

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

    async def _settled(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return the changes; an update that cannot be applied becomes a replacement by the document after it.

        An update cannot be applied if its paths can be read in two ways. If one task has several changes at the same
        cluster time, as in a transaction, only the document after the last of them can be read; an earlier update that
        cannot be applied becomes an update that changes nothing.
        """
        unclear = {
            (change.key, change.time)
            for change in changes
            if isinstance(change.operation, Updated)
            and change.operation.paths is None
            and self._translator.must_be_read(change.operation)
        }
        if not unclear:
            return changes
        last = {(change.key, change.time): index for index, change in enumerate(changes)}
        wanted: dict[Timestamp, dict[bytes, Any]] = {}
        for change in changes:
            if (change.key, change.time) in unclear:
                wanted.setdefault(change.time, {})[change.key] = change.id
        documents: dict[tuple[bytes, Timestamp], Document] = {}
        for time, ids in wanted.items():
            async for document in self._read(time, ids.values()):
                documents[key_of(document["_id"]), time] = document
            self._metrics.loads.inc(len(ids))
        settled = list(changes)
        for index, change in enumerate(changes):
            moment, update = (change.key, change.time), change.operation
            if moment in unclear and isinstance(update, Updated):
                after = documents.get(moment) if last[moment] == index else None
                settled[index] = change._replace(
                    operation=Updated({}) if after is None else Replaced(after, update)
                )
        return settled

    def _before(self, changes: Sequence[Change]) -> _Before:
        """Return the positions at which to read the tasks of these changes as they were before the batch."""
        usual, early, seen = just_before(changes[0].time), set(), set()
        if not self._reads.is_routed:
            return _Before(usual, usual, frozenset())
        for change in changes:
            if self._is_early(change) and change.key not in seen:
                early.add(change.key)
            seen.add(change.key)
        earlier = max(Timestamp(usual.time - VISIBLE_EARLY_S, usual.inc), self._floor or usual)
        return _Before(usual, min(usual, earlier), frozenset(early))

    def _is_early(self, change: Change) -> bool:
        """Whether the change may be visible to reads before its cluster time."""
        # A transaction that writes to several shards is visible from its commit timestamp on, and each of its changes
        # has the later time at which the shard has heard of that. Nothing in the change says that several shards wrote.
        return change.grouped and self._reads.is_routed

    async def _after_transactions(
        self, changes: Sequence[Change]
    ) -> dict[tuple[bytes, Timestamp], Task | None]:
        """Return the tasks that were changed in transactions of a sharded cluster as they were after these, by key and
        cluster time; None for a task that did not exist.
        """
        if not self._reads.is_routed:
            return {}
        wanted: dict[Timestamp, dict[bytes, Any]] = {}
        for change in changes:
            if self._is_early(change):
                wanted.setdefault(change.time, {})[change.key] = change.id
        after: dict[tuple[bytes, Timestamp], Task | None] = {}
        for time, ids in wanted.items():
            after |= dict.fromkeys((key, time) for key in ids)
            async for document in self._read(time, ids.values()):
                after[key_of(document["_id"]), time] = await self._task_of(document)
            self._metrics.loads.inc(len(ids))
        return after

    async def _read_before(
        self, before: _Before, ids: Mapping[bytes, Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the documents with these ids as they were before the batch."""
        usual = [id for key, id in ids.items() if key not in before.early_keys]
        early = [id for key, id in ids.items() if key in before.early_keys]
        try:
            async for document in self._read(before.early, early, projection):
                yield document
        except PositionLost:  # the server does not keep the past for as long, or the collection is new
            usual += early
        async for document in self._read(before.usual, usual, projection):
            yield document

    async def _begin(self, before: _Before, ids: Mapping[bytes, Any]) -> dict[bytes, Task | None]:
        """Return the tasks with these ids as they were before the batch, by key; None for a task that did not exist.

        Tasks that are not in the cache are read at the position in `before`, without the array of their events. A
        task that has to be read with this array is missing from the result.
        """
        now: dict[bytes, Task | None] = {
            key: task for key in ids if (task := self._cache.get(key)) is not None
        }
        unknown = {key: id for key, id in ids.items() if key not in now}
        projection = self._translator.outline_projection
        if unknown and projection is not None:
            self._metrics.loads.inc(len(unknown))
            now |= dict.fromkeys(unknown)
            async for document in self._read_before(before, unknown, projection):
                key, task = key_of(document["_id"]), self._translator.outline(document)
                if task is not None:
                    now[key] = task
                else:
                    del now[key]
        return now

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
                if not is_light and is_heavy(task, change, path):
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

    async def _read(
        self, position: Timestamp, ids: Iterable[Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the documents with these ids as they were at `position`, in no particular order.

        A read that fails because the database is unavailable is repeated until the database answers. Raises
        PositionLost if the database cannot read at this position any more.
        """
        remaining = list(ids)
        count = WHOLE_PER_READ if projection is None else KEYS_PER_READ
        while remaining:
            asked = among(remaining[:count])
            try:
                documents = await self._reads.read_at(position, asked, projection=projection)
            except Unavailable as failure:
                self._outage.failed(str(failure), error=str(failure))
                await asyncio.sleep(RETRY_S)
                continue
            self._outage.over()
            del remaining[:count]
            self._slices.begin()
            for document in documents:
                if self._slices.is_over():
                    await self._slices.breathe()
                yield document
