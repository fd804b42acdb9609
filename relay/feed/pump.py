"""The pump: batch in -> read what is not known at the position before the batch -> translate -> publish.

Read this first. All changes of a batch are translated, then published in one step of the loop that
also moves the position S: a read at S can never miss or repeat a message. Every state a change meets
is exact: what is not known is read as it was just before the batch, and every later state of the
batch is computed here. A task whose array turns out to be needed begins the batch again with it. So does one
with an update that may be read two ways, where the database does not tell names from paths: the update is never
applied, but the document is read as it was after it, and compared.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.feed.cache import TaskCache
from relay.metrics import Metrics
from relay.source.change import Change, Replaced, Updated, key_of
from relay.source.identity import among
from relay.source.outage import Outage
from relay.source.raw_bson import Document
from relay.source.stream import Batch, Reopened
from relay.tasks.translate import Step, Task, Translator

log = logging.getLogger(__name__)

RETRY_S = 0.5  # between two tries to read what a batch needs
KEYS_PER_READ = 500


class Source(Protocol):
    """Where batches come from."""

    def batches(self) -> AsyncGenerator[Batch | Reopened]: ...

    def reopen(self, reason: str) -> None: ...


class Reads(Protocol):
    """Where states come from."""

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], /, *, projection: Mapping[str, Any] | None
    ) -> Sequence[dict[str, Any]]: ...


class Publisher(Protocol):
    """Where steps go. None of its methods waits."""

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Deliver these steps and make `position` the position of every read from now on."""

    def resync(self, position: Timestamp) -> None:
        """What happened up to `position` is unknown: bring every listener up to date from it."""


class Pump:
    """Runs one tail into one publisher."""

    def __init__(
        self,
        source: Source,
        reads: Reads,
        translator: Translator,
        cache: TaskCache,
        publisher: Publisher,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._reads = reads
        self._translator = translator
        self._cache = cache
        self._publisher = publisher
        self._metrics = metrics
        self._outage = Outage(log, "waiting for the database to read a batch's tasks")

    async def run(self) -> None:
        """Ends only by cancellation."""
        async for item in self._source.batches():
            if isinstance(item, Reopened):
                self._cache.clear()
                self._publisher.resync(item.position)
                self._metrics.reopened.inc()
                continue
            if not item.changes:
                self._publisher.publish((), item.position)
                continue
            try:
                steps = await self._translated(item.changes)
            except PositionLost as lost:
                # Reading the same moment again would fail for ever.
                self._source.reopen(str(lost))
                continue
            except Exception:
                # One change that we cannot read must not keep everyone from the others.
                log.exception("a batch could not be translated")
                self._source.reopen("a batch could not be translated")
                continue
            self._publisher.publish(steps, item.position)
            self._cache.shrink()
            self._metrics.changes.inc(len(item.changes))

    async def _translated(self, changes: Sequence[Change]) -> list[Step]:
        before = _just_before(changes[0].time)
        ids = {change.key: change.id for change in changes}
        now = await self._begin(before, ids)
        steps, compared = self._translate(changes, now)
        whole = {key: id for key, id in ids.items() if key not in now}
        if whole:
            now |= dict.fromkeys(whole)
            async for document in self._read(before, whole.values()):
                now[key_of(document["_id"])] = self._translator.read(document)
            self._metrics.loads.inc(len(whole))
            corrections = self._corrections(whole, now)
            again = await self._settled([change for change in changes if change.key in whole])
            told = iter(self._translate(again, now)[0])
            first, steps = steps, []
            for change, step in zip(changes, first, strict=True):
                if change.key in corrections:
                    published, stored = corrections.pop(change.key)
                    steps.append(self._translator.correct(published, stored, change))
                steps.append(next(told) if change.key in whole else step)
        for key, task in now.items():
            if task is None:
                self._cache.forget(key)
            else:
                # An array that was needed once will be again; the others are only appended to.
                kept = key in compared or self._cache.has_array(key)
                self._cache.remember(key, task, with_array=kept)
        return [step for step in steps if step is not None and (step.before or step.after)]

    def _corrections(
        self, whole: Iterable[bytes], now: Mapping[bytes, Task | None]
    ) -> dict[bytes, tuple[Task, Task | None]]:
        """Of the tasks that were read whole those of which something else was published: that, and what they are."""
        found = {}
        for key in whole:
            published, stored = self._cache.get(key), now[key]
            if published is not None and (stored is None or not published.shows_the_same(stored)):
                log.error("a task was published that is not what is stored; it is sent again")
                found[key] = published, stored
        return found

    async def _settled(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes with each that must be read replaced by the document it left behind. Of several of a task at
        one time, as in a transaction, only the last can be seen."""
        untold = {
            (change.key, change.time)
            for change in changes
            if isinstance(change.operation, Updated)
            and change.operation.paths is None
            and self._translator.must_be_read(change.operation)
        }
        if not untold:
            return changes
        last = {(change.key, change.time): index for index, change in enumerate(changes)}
        wanted: dict[Timestamp, dict[bytes, Any]] = {}
        for change in changes:
            if (change.key, change.time) in untold:
                wanted.setdefault(change.time, {})[change.key] = change.id
        left: dict[tuple[bytes, Timestamp], Document] = {}
        for time, ids in wanted.items():
            async for document in self._read(time, ids.values()):
                left[key_of(document["_id"]), time] = document
            self._metrics.loads.inc(len(ids))
        settled = list(changes)
        for index, change in enumerate(changes):
            place, update = (change.key, change.time), change.operation
            if place in untold and isinstance(update, Updated):
                after = left.get(place) if last[place] == index else None
                told = Updated({}) if after is None else Replaced(after, update)
                settled[index] = change._replace(operation=told)
        return settled

    async def _begin(self, before: Timestamp, ids: Mapping[bytes, Any]) -> dict[bytes, Task | None]:
        """The tasks as they were before the batch, of some only the outline; without those of which it
        tells too little."""
        now: dict[bytes, Task | None] = {
            key: task for key in ids if (task := self._cache.get(key)) is not None
        }
        unknown = {key: id for key, id in ids.items() if key not in now}
        projection = self._translator.outline_projection
        if unknown and projection is not None:
            self._metrics.loads.inc(len(unknown))
            now |= dict.fromkeys(unknown)
            async for document in self._read(before, unknown.values(), projection):
                key, task = key_of(document["_id"]), self._translator.outline(document)
                if task is not None:
                    now[key] = task
                else:
                    del now[key]
        return now

    def _translate(
        self, changes: Sequence[Change], now: dict[bytes, Task | None]
    ) -> tuple[list[Step | None], set[bytes]]:
        """The changes of the tasks in `now`, which is moved past them; and the tasks, gone from `now`, of
        which one could not be told without the whole array."""
        steps: list[Step | None] = []
        needed: set[bytes] = set()
        translate = self._translator.translate
        for change in changes:
            key = change.key
            step = translate(now[key], change) if key in now else None
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
        left = list(ids)
        while left:
            asked = among(left[:KEYS_PER_READ])
            try:
                documents = await self._reads.read_at(position, asked, projection=projection)
            except Unavailable as failure:
                self._outage.failed(str(failure), error=str(failure))
                await asyncio.sleep(RETRY_S)
                continue
            self._outage.over()
            del left[:KEYS_PER_READ]
            for document in documents:
                yield document


def _just_before(time: Timestamp) -> Timestamp:
    return Timestamp(time.time, time.inc - 1) if time.inc else Timestamp(time.time - 1, 2**32 - 1)
