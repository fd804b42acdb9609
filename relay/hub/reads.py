"""Reads of snapshots at position S: a bounded number of reads runs at once, and the users that wait are served in turn.

Position S is the cluster time up to which the relay has published every change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from bson import Timestamp

from relay.errors import PositionLost, Unavailable, Unwanted
from relay.hub.fair_semaphore import FairSlots
from relay.hub.position import StreamPosition
from relay.metrics import Metrics
from relay.source.cluster import IDLE_SHARD_S
from relay.source.outage import RETRY_S

CATCH_UP_S = 1.0  # how long a join may wait for the relay to see a task just written (PROTOCOL.md 6.8)
PARALLEL_READS = 8  # more would not be faster: decoding the documents of 8 reads keeps one core busy

_T = TypeVar("_T")


class Reader(Protocol):
    """Reads documents of the database as they were at a given cluster time."""

    @property
    def is_routed(self) -> bool:
        """Whether the database is a sharded cluster. An idle shard may hold its change stream back for IDLE_SHARD_S
        seconds."""

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Sequence[dict[str, Any]]:
        """Return the documents that match `filter`, as they were at the cluster time `position`.

        Raises PositionLost if that time can no longer be read, Unavailable if the database does not answer in time, and
        Unwanted if `wanted` has returned False: it is called before anything is decoded.
        """

    async def keys_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        sort: Mapping[str, int],
        limit: int,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Sequence[bytes]:
        """Return the keys (`source.change.key_of`) of the first `limit` documents that match `filter`, as they were at
        the cluster time `position`, in the order of `sort`. Raises what `read_at` raises."""

    async def now(self) -> Timestamp:
        """Return a cluster time that includes every change written before this call. Raises Unavailable if the database
        does not answer."""


class Reading(Protocol):
    """A read in flight, for which requests wait. It buffers the messages that are published after its position."""

    position: Timestamp

    def move_to(self, position: Timestamp) -> None:
        """Read at this later position instead. Forget the buffered messages: the new read will include their
        changes."""

    def is_wanted(self) -> bool:
        """Whether any request waits for this read."""

    def is_needed(self) -> bool:
        """Whether a request that the relay made by itself waits for this read. No client would repeat such a request,
        so the read is retried until it succeeds."""

    def note_failed(self) -> None:
        """Note that a try has failed, and that the read is retried because it is needed: refuse the requests of clients
        that wait for it, who can repeat them."""

    def users(self) -> Collection[str]:
        """Return the users that wait for this read."""


class FairReads:
    """Reads documents for readings (reads in flight), each at the position of its reading.

    That position is S, the cluster time up to which the relay had published every change when the reading began. The
    read finds exactly what was true at S, and the reading buffers what is published after S. So a snapshot and the live
    messages that follow it fit together without a gap and without a repetition.
    """

    def __init__(self, reader: Reader, position: StreamPosition, metrics: Metrics) -> None:
        self._reader = reader
        self._position = position
        self._metrics = metrics
        self._slots = FairSlots(PARALLEL_READS)
        self._asked: asyncio.Task[Timestamp] | None = None  # the newest question for the database's time
        self._next: asyncio.Task[Timestamp] | None = None  # the next question, while it waits for `_asked`

    def use(self, reader: Reader) -> None:
        """Read with this reader from now on. Reads that have begun end with the one before."""
        self._reader = reader

    @property
    def position(self) -> Timestamp:
        """Position S: the cluster time up to which every change has been published."""
        return self._position.value

    @property
    def is_routed(self) -> bool:
        """Whether the database is a sharded cluster. A transaction may then be visible to a read before its cluster
        time, so two reads at one position may find two states of a task."""
        return self._reader.is_routed

    async def read(
        self, reading: Reading, filter: Mapping[str, Any], *, once: bool = False, **options: Any
    ) -> Sequence[dict[str, Any]]:
        """Return the documents that match `filter`, as they were at the reading's position. `options` are passed to
        `Reader.read_at`. Moves the reading and raises as `_made` does."""
        return await self._made(reading, partial(self._reader.read_at, filter=filter, **options), once)

    async def keys(
        self, reading: Reading, filter: Mapping[str, Any], *, once: bool = False, **options: Any
    ) -> Sequence[bytes]:
        """Return the keys of the documents that match `filter`, as they were at the reading's position. `options` are
        passed to `Reader.keys_at`. Moves the reading and raises as `_made` does."""
        return await self._made(reading, partial(self._reader.keys_at, filter=filter, **options), once)

    async def _made(
        self, reading: Reading, read_at: Callable[..., Awaitable[Sequence[_T]]], once: bool
    ) -> Sequence[_T]:
        """Return what `read_at` returns at the reading's position.

        If the position can no longer be read, move the reading to a later one. Raises Unavailable if the database does
        not answer; but if the reading is needed (`Reading.is_needed`), retry at the current position until it does,
        unless `once` is True. Raises Unwanted if no request waits for the reading any more (`Reading.is_wanted`).
        """
        while True:
            position = reading.position
            try:
                if not position.time:
                    raise PositionLost("the stream is not open yet")
                async with self._slots.slot(reading):
                    if not reading.is_wanted():
                        raise Unwanted
                    found = await read_at(position, wanted=reading.is_wanted)
            except Unwanted:
                if not reading.is_wanted():
                    raise
                # A request came while the read was being ended: read again for it.
            except PositionLost:
                # The collection was created, or the server restarted, after the position. A later one can be read.
                await self._move_on(reading, position, once)
            except Unavailable:
                if once or not reading.is_needed():
                    raise
                await self.wait_to_retry(reading)
            else:
                self._metrics.reads.inc()
                if reading.position == position:
                    return found
                # The stream was reopened meanwhile, so the buffered messages are not complete: read again.

    async def wait_to_retry(self, reading: Reading) -> None:
        """Note that a try of this reading has failed, and wait until the next one may be made, at position S (the
        cluster time up to which everything was published) of then."""
        reading.note_failed()
        await asyncio.sleep(RETRY_S)
        if reading.position < self._position.value:
            # What was published meanwhile was buffered, and would fill the memory if every try failed.
            reading.move_to(self._position.value)

    async def _move_on(self, reading: Reading, position: Timestamp, once: bool) -> None:
        """Move the reading to position S (the cluster time up to which everything was published) once S is later than
        `position`.

        If S does not become later within CATCH_UP_S seconds, raises Unavailable; but if the reading is needed
        (`Reading.is_needed`), and unless `once` is True, move it to the current S.
        """
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._position.reached(Timestamp(position.time, position.inc + 1))
        except TimeoutError:
            if once or not reading.is_needed():
                raise Unavailable("no position can be read") from None
            reading.note_failed()
        reading.move_to(self._position.value)

    def share(self, reading: Reading, user: str) -> None:
        """Let one more user wait for this reading, so that the reading also stands in that user's queue for a slot."""
        self._slots.share(reading, user)

    async def catch_up(self, *, surely: bool = False) -> bool:
        """Wait until the relay has published everything that the database holds now, but at most CATCH_UP_S seconds.

        Return whether a task that is not found after that may be refused. In a replica set it may: a relay that is not
        up to date after CATCH_UP_S seconds is in trouble, and an answer must come at some time. In a sharded cluster an
        idle shard holds the change stream back for longer, although all is well. A task that was just written would
        be refused then, so the result is false if the relay has not caught up. If `surely` is true, wait for an idle
        shard as long as it may take, and raise Unavailable if that was not enough.

        Raises Unavailable also if the database does not tell its time.
        """
        is_routed = self.is_routed
        try:
            async with asyncio.timeout(IDLE_SHARD_S if surely and is_routed else CATCH_UP_S):
                await self._position.reached(await self._now())
        except TimeoutError:
            if surely and is_routed:
                raise Unavailable("the change stream is held back by a shard") from None
            return not is_routed
        return True

    async def _now(self) -> Timestamp:
        """Return the cluster time of the database. Callers that ask while a question is under way share the next
        question, because the answer to the one under way may be older than their call.

        Raises Unavailable if the database does not answer.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._ask())
            # If all who ask have given up by the time it fails, the event loop would log its traceback.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _ask(self) -> Timestamp:
        if self._asked is not None:
            await asyncio.wait((self._asked,))
        self._asked, self._next = self._next, None
        return await self._reader.now()

    def close(self) -> None:
        """Cancel the questions for the time that are under way."""
        for task in (self._asked, self._next):
            if task is not None:
                task.cancel()
