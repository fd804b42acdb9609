"""The pump: batch in -> load what is not known at the position before the batch -> translate -> publish.

Read this first. All changes of a batch are translated, then published in one step of the loop that
also moves the position S: a read at S can never miss or repeat a message. Every state a change meets
is exact: what is not known is read as it was just before the batch, and every later state of the
batch is computed here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Container, Iterable, Mapping, Sequence
from typing import Any, Protocol

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.feed.known import Known
from relay.metrics import Metrics
from relay.source.changes import Change, key_of
from relay.source.stream import Batch, Reopened
from relay.tasks.timeline import Timeline
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

    def heal(self, position: Timestamp) -> None:
        """What happened up to `position` is unknown: bring every listener up to date from it."""


class Pump:
    """Runs one tail into one publisher."""

    def __init__(
        self,
        source: Source,
        reads: Reads,
        translator: Translator,
        known: Known,
        publisher: Publisher,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._reads = reads
        self._translator = translator
        self._known = known
        self._publisher = publisher
        self._metrics = metrics

    async def run(self) -> None:
        """Ends only by cancellation."""
        async for item in self._source.batches():
            if isinstance(item, Reopened):
                self._known.clear()
                self._publisher.heal(item.position)
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
            self._known.shrink()
            self._metrics.changes.inc(len(item.changes))

    async def _translated(self, changes: Sequence[Change]) -> list[Step]:
        now, compared = await self._load(changes)
        steps: list[Step] = []
        for change in changes:
            before = now[change.key] if change.key in now else self._known.get(change.key)
            step = self._translator.translate(before, change)
            now[change.key] = step.after
            if step.before is not None or step.after is not None:
                steps.append(step)
        for key, task in now.items():
            if task is None:
                self._known.forget(key)
            else:
                # An array that was needed once will be again; the others are only appended to.
                kept = key in compared or self._known.has_array(key)
                self._known.remember(key, task, with_array=kept)
        return steps

    async def _load(self, changes: Sequence[Change]) -> tuple[dict[bytes, Task | None], Container[bytes]]:
        """The tasks of this batch that are not known, or whose array is needed, as they were before it; and
        the latter's keys."""
        before = _just_before(changes[0].time)
        loaded: dict[bytes, Task | None] = {}
        whole: dict[bytes, Any] = {}  # of these, everything
        unknown = {change.key: change.id for change in changes if self._known.get(change.key) is None}
        projection = self._translator.outline_projection
        if projection is None:
            whole = unknown
        elif unknown:
            loaded = dict.fromkeys(unknown)
            async for document in self._read(before, unknown.values(), projection):
                key = key_of(document["_id"])
                loaded[key] = self._translator.outline(document)
                if loaded[key] is None:
                    whole[key] = document["_id"]
        needed = self._in_need(changes, loaded, whole)
        whole |= needed
        loaded |= dict.fromkeys(whole)
        async for document in self._read(before, whole.values()):
            loaded[key_of(document["_id"])] = self._translator.read(document)
        self._metrics.loads.inc(len(unknown | whole))
        return loaded, needed

    def _in_need(
        self, changes: Sequence[Change], loaded: Mapping[bytes, Task | None], whole: Container[bytes]
    ) -> dict[bytes, Any]:
        """The tasks of this batch whose array has to be in memory and is not."""
        needed: dict[bytes, Any] = {}
        planned: dict[bytes, Timeline] = {}
        for change in changes:
            key = change.key
            if key in needed or key in whole:
                continue
            timeline = planned.get(key)
            if timeline is None:
                task = loaded.get(key) or self._known.get(key)
                if task is None:
                    continue  # where there is nothing, no change needs more
                timeline = task.timeline
            if timeline.held is not None:
                continue  # nor where there is all of it
            after = self._translator.plan(timeline, change.operation)
            if after is None:
                needed[key] = change.id
            else:
                planned[key] = after
        return needed

    async def _read(
        self, position: Timestamp, ids: Iterable[Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        left = list(ids)
        while left:
            asked = {"_id": {"$in": left[:KEYS_PER_READ]}}
            try:
                documents = await self._reads.read_at(position, asked, projection=projection)
            except Unavailable as failure:
                log.warning("waiting for the database to read a batch's tasks", extra={"error": str(failure)})
                await asyncio.sleep(RETRY_S)
                continue
            del left[:KEYS_PER_READ]
            for document in documents:
                yield document


def _just_before(time: Timestamp) -> Timestamp:
    return Timestamp(time.time, time.inc - 1) if time.inc else Timestamp(time.time - 1, 2**32 - 1)
