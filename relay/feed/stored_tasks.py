"""Reads the tasks of a part of a batch from the database, as they were before or after its changes.

Rules of this file:

- A transaction of a sharded cluster may be visible to reads before the cluster time of its changes. So tasks that it
  changes are read earlier.
- A read that fails because the database is unavailable is repeated until the database answers. Every coroutine raises
  PositionLost if the database cannot read at the time it has to read at any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Container, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from bson import Timestamp

from relay.errors import PositionLost, Unavailable
from relay.feed.slices import Slices
from relay.metrics import Metrics
from relay.source.change import Change, Replaced, Updated, just_before, key_of
from relay.source.identity import among
from relay.source.outage import RETRY_S, Outage
from relay.source.raw_bson import Document
from relay.tasks.task import Task
from relay.tasks.translate import Translator

_T = TypeVar("_T")

log = logging.getLogger(__name__)

KEYS_PER_READ = 500  # tasks that one query of the database asks for
WHOLE_PER_READ = 10  # the same for tasks with the array of their events: two replies may be in memory
# How many seconds a transaction of a sharded cluster may be visible before the cluster time of its changes. The time
# passes while the shards hear that it was committed, which takes milliseconds unless a shard has just lost its primary.
VISIBLE_EARLY_S = 10


class Before(NamedTuple):
    """The positions at which to read tasks as they were before a part: at `usual`, just before the part; but those in
    `early_keys` at `early`.

    These are the tasks which the part first changes in a transaction of a sharded cluster. The transaction may be
    visible already just before the part. Between the two positions the tasks did not change, or they would be in the
    cache.
    """

    usual: Timestamp
    early: Timestamp
    early_keys: frozenset[bytes]


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


class StoredTasks:
    """The tasks in the database, as a pump needs them. Between the slices of its work everything else runs."""

    def __init__(self, reads: Reads, translator: Translator, slices: Slices, metrics: Metrics) -> None:
        self._reads = reads
        self._translator = translator
        self._slices = slices
        self._metrics = metrics
        self._outage = Outage(log, "waiting for the database to read a batch's tasks")

    def before(self, changes: Sequence[Change], floor: Timestamp | None) -> Before:
        """Return the positions at which to read the tasks of these changes as they were before these.

        `floor` is the earliest position at which what listeners were sent was read.
        """
        usual, early, seen = just_before(changes[0].time), set(), set()
        if not self._reads.is_routed:
            return Before(usual, usual, frozenset())
        for change in changes:
            if self._is_early(change) and change.key not in seen:
                early.add(change.key)
            seen.add(change.key)
        earlier = max(Timestamp(usual.time - VISIBLE_EARLY_S, usual.inc), floor or usual)
        return Before(usual, min(usual, earlier), frozenset(early))

    def _is_early(self, change: Change) -> bool:
        """Whether the change may be visible to reads before its cluster time."""
        # A transaction that writes to several shards is visible from its commit timestamp on, and each of its changes
        # has the later time at which the shard has heard of that. Nothing in the change says that several shards wrote.
        return change.grouped and self._reads.is_routed

    async def outlines(
        self,
        before: Before,
        ids: Mapping[bytes, Any],
        known: Callable[[bytes], Task | None],
        whole: Container[bytes],
    ) -> dict[bytes, Task | None]:
        """Return the tasks with these ids as they were before the part, by key; None for a task that did not exist.

        `known` returns a task from memory. Tasks that are not there are read at the position in `before`, without the
        array of their events. A task that has to be read with this array is missing from the result, and so are those
        in `whole`, of which that is known before.
        """
        now: dict[bytes, Task | None] = {key: task for key in ids if (task := known(key)) is not None}
        unknown = {key: id for key, id in ids.items() if key not in now and key not in whole}
        projection = self._translator.outline_projection
        if unknown and projection is not None:
            self._metrics.loads.inc(len(unknown))
            now |= dict.fromkeys(unknown)
            async with aclosing(self._read_before(before, unknown, projection)) as documents:
                async for document in documents:
                    key, task = key_of(document["_id"]), self._translator.outline(document)
                    if task is not None:
                        now[key] = task
                    else:
                        del now[key]
        return now

    async def wholes(self, before: Before, ids: Mapping[bytes, Any]) -> dict[bytes, Task | None]:
        """Return the tasks with these ids as they were before the part, with the array of their events, by key.

        The value is None for a task that did not exist.
        """
        found: dict[bytes, Task | None] = dict.fromkeys(ids)
        async with aclosing(self._read_before(before, ids)) as documents:
            async for document in documents:
                found[key_of(document["_id"])] = await self._task_of(document)
        self._metrics.loads.inc(len(ids))
        return found

    async def after_transactions(
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
            async with aclosing(self._read(time, ids.values())) as documents:
                async for document in documents:
                    after[key_of(document["_id"]), time] = await self._task_of(document)
            self._metrics.loads.inc(len(ids))
        return after

    async def settled(self, changes: Sequence[Change]) -> Sequence[Change]:
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
            async with aclosing(self._read(time, ids.values())) as found:
                async for document in found:
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

    async def _task_of(self, document: dict[str, Any]) -> Task:
        """Return the task that a whole stored document describes."""
        if self._translator.reads_long(document):
            return await self._slices.in_thread(self._translator.read, document)
        return self._translator.read(document)

    async def _read_before(
        self, before: Before, ids: Mapping[bytes, Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the documents with these ids as they were before the part."""
        usual = [id for key, id in ids.items() if key not in before.early_keys]
        early = [id for key, id in ids.items() if key in before.early_keys]
        try:
            async with aclosing(self._read(before.early, early, projection)) as documents:
                async for document in documents:
                    yield document
        except PositionLost:  # the server does not keep the past for as long, or the collection is new
            usual += early
        async with aclosing(self._read(before.usual, usual, projection)) as documents:
            async for document in documents:
                yield document

    async def _read(
        self, position: Timestamp, ids: Iterable[Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the documents with these ids as they were at `position`, in no particular order.

        A read that fails because the database is unavailable is repeated until the database answers. Raises
        PositionLost if the database cannot read at this position any more.
        """
        every, count = list(ids), WHOLE_PER_READ if projection is None else KEYS_PER_READ
        reads = [
            partial(self._documents, position, every[first : first + count], projection)
            for first in range(0, len(every), count)
        ]
        async with aclosing(_one_ahead(reads)) as replies:
            async for documents in replies:
                self._slices.begin()
                for document in documents:
                    if self._slices.is_over():
                        await self._slices.breathe()
                    yield document

    async def _documents(
        self, position: Timestamp, ids: Sequence[Any], projection: Mapping[str, Any] | None
    ) -> Sequence[dict[str, Any]]:
        """Return the documents with these ids; do everything else that `_read` says."""
        while True:
            try:
                documents = await self._reads.read_at(position, among(ids), projection=projection)
            except Unavailable as failure:
                self._outage.failed(str(failure), error=str(failure))
                await asyncio.sleep(RETRY_S)
                continue
            self._outage.over()
            return documents


async def _one_ahead(reads: Sequence[Callable[[], Coroutine[Any, Any, _T]]]) -> AsyncGenerator[_T]:
    """Yield the results of these reads in order. The next one is made while the caller uses a result, so that relay and
    database work at the same time."""
    following: asyncio.Task[_T] | None = None
    try:
        for index, read in enumerate(reads):
            result = await (following or read())
            following = asyncio.ensure_future(reads[index + 1]()) if index + 1 < len(reads) else None
            yield result
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
