"""The tail: open the change stream, resume it after failures, and give out its changes in batches. Does I/O.

Rules of this file: a batch ends only between two cluster times; a resume token is kept only if a batch ended with it;
the position never goes back. The commands aggregate and getMore are sent directly, because the driver's own iterator
cannot be used after a cancellation, and hides the resume token of an empty reply.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from relay.errors import StartupError, Unavailable
from relay.source.change import UNKNOWN_UPDATE, Change, Invalidated, Unreadable, Updated
from relay.source.diagnosis import FOLLOW, STANDALONE, explain
from relay.source.errors import Meaning, code_of, meaning_of
from relay.source.events import read_changes, token_time
from relay.source.outage import Outage
from relay.source.raw_bson import Decoder, cut_out
from relay.source.reader import RAW
from relay.source.walk import field

log = logging.getLogger(__name__)

BATCH_SIZE = 1000  # changes per getMore; without a limit, reading a backlog took 119 MB
AWAIT_MS = 100  # how long a getMore waits for changes: on a quiet collection, S is at most this old
CLOSING_MS = (
    1  # how long it waits while changes are held back because more with their cluster time may follow
)
CUT_BYTES = 1024 * 1024  # a reply of at least this size may have been cut because it was full (below 16 MB)
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 10.0
# How far the stream may be behind the time of the database before it counts as stale. Without a majority the stream
# stays open and sends nothing (F14). On an idle shard the token may be 10 s old: an idle server
# writes a no-op that often.
BEHIND_S = 15
WITNESS_MS = 1_000  # how long to look for the last published change after a failure, see `_continues`
_BEFORE_ALL = Timestamp(0, 0)
_BATCH = (b"cursor", b"nextBatch")
# Options that make the stream say which dots of a path separate names (see events.py), the documented one first. If the
# server refuses an option, the next is tried. Without any, ambiguous updates are settled by reading the document.
WIRE_VERSION_6_1 = 18  # older servers accept `showExpandedEvents`, but send no `disambiguatedPaths`
_EXPANDED, _RAW, _PLAIN = range(3)
_WAYS: dict[int, dict[str, Any]] = {
    _EXPANDED: {"showExpandedEvents": True},
    _RAW: {"showRawUpdateDescription": True},
    _PLAIN: {},
}
# BadValue, FailedToParse, Unauthorized, TypeMismatch, InvalidOptions, an unknown field.
_OPTION_REFUSED = frozenset({2, 9, 13, 14, 72, 40415})
CLOSE_S = 0.5  # for killCursors, sent to a server that may not answer


@dataclass(frozen=True, slots=True)
class Batch:
    """All changes after the last batch, up to and including `position`. Empty if only the position moved."""

    changes: Sequence[Change]
    position: Timestamp


@dataclass(frozen=True, slots=True)
class Reopened:
    """The stream could not be resumed and starts again at `position`. The changes in between are unknown, so every
    listener has to be resynced from the documents."""

    position: Timestamp
    reason: str


class Tail:
    """The change stream of one collection, as an endless iterator of batches.

    `current_at` is the monotonic time of the last reply that showed that the stream is up to date, None before the
    first: the health check compares it with now. A cursor that opens and then fails does not count, nor does one that
    replies and stays far behind the database. `pace` is awaited before the next getMore: it lets slow delivery
    throttle the tail, because fewer and larger batches cost less than changes that wait in memory. `on_interrupted`
    is called each time a cursor fails, before the pause that precedes the next attempt.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        database: str,
        collection: str,
        decoder: Decoder,
        *,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        pace: Callable[[], Awaitable[None]] | None = None,
        on_interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = f"{database}.{collection}"
        self._client = client
        self._database = client[database]
        self._collection = collection
        self._decoder = decoder
        self._jitter = jitter  # a number in [0, 1)
        self._clock = clock
        self._pace = pace
        self._on_interrupted = on_interrupted
        self._outage = Outage(log, "change stream interrupted")
        self._token: RawBSONDocument | None = None
        self._witness: _Witness | None = None
        self._lost: str | None = None  # why the resume token was given up; None while it is good
        self._way = _EXPANDED
        self.position = Timestamp(0, 0)
        self.current_at: float | None = None

    async def open(self) -> Timestamp:
        """Set the position at which the stream starts, and check that the stream will work.

        Raises StartupError if this database cannot serve a change stream. Raises Unavailable if it does not answer;
        the caller may then try again.
        """
        try:
            cursor = await self._open_cursor(await self._now())
            self.current_at = self._clock()
            await cursor.close()
        except OperationFailure as failure:
            raise explain(failure, FOLLOW, self.name).error from failure
        except PyMongoError as failure:
            raise Unavailable(type(failure).__name__) from failure
        except ValueError as failure:
            raise StartupError(f"This database is not one the relay can follow: {failure}.") from failure
        return self.position

    async def batches(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield every batch after the position that `open` set. The next batch is fetched while the consumer works on
        this one. Ends only by cancellation."""
        failures = 0
        ended = False  # the last cursor ended because its collection was dropped or renamed
        while True:
            try:
                # The stream sends no deletes for the documents of a dropped collection: listeners must be resynced.
                reason = self._lost or ("the collection was dropped or renamed" if ended else None)
                if failures and self._lost is None and not await self._continues():
                    self._lost = "the database may be another one, or an older copy"
                cursor = await self._open_cursor(None if self._lost is None else await self._now())
                start = self.position
                async with aclosing(self._follow(cursor)) as batches:
                    async for batch in batches:
                        # Count the attempt as a success only now: a cursor can open and never answer.
                        failures = 0
                        self._outage.over()
                        if reason is not None:
                            log.warning("change stream reopened", extra={"reason": reason})
                            self._lost, ended = None, False
                            yield Reopened(start, reason)
                            reason = None
                        yield batch
                        if self._lost is not None or cursor.unreadable or cursor.is_vague:
                            break
                ended = cursor.invalidated
                if cursor.is_vague:
                    self._way = _RAW
                if cursor.unreadable:
                    self.reopen("a change could not be read")
            except (PyMongoError, StartupError, ValueError) as failure:
                failures += 1
                wait = _wait(failures, self._jitter())
                self._interrupted(failure, wait)
                await asyncio.sleep(wait)

    def reopen(self, reason: str) -> None:
        """Give up the resume token: the next item after the batch being handled is a `Reopened`."""
        self._lost = reason

    def _interrupted(self, failure: Exception, wait: float) -> None:
        code, level = code_of(failure), logging.WARNING
        said = {"error": type(failure).__name__, "code": code, "retry_in_s": round(wait, 2)}
        match meaning_of(failure):
            case Meaning.PLACE_LOST | Meaning.MOMENT_LOST:
                self._lost = f"the position is gone ({code})"
            case Meaning.FATAL if isinstance(failure, OperationFailure):
                level = logging.ERROR
                said["reason"] = str(explain(failure, FOLLOW, self.name))
        self._outage.failed((type(failure), code), level, **said)
        self._on_interrupted()

    async def _follow(self, cursor: _Cursor) -> AsyncGenerator[Batch]:
        """Yield the batches of one cursor until it fails, or ends because the collection was dropped or renamed."""
        pending: asyncio.Task[_Reply] | None = None
        held: list[Change] = []
        published: Timestamp | None = None  # the cluster time of the last change that was given out
        try:
            while True:
                reply = await (pending or cursor.get_more(AWAIT_MS))
                pending = None
                # The driver sends with `wait_for`, which can swallow a cancellation on Python 3.11.
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError
                if not held and reply.changes and reply.changes[0].time == published:
                    # A snapshot at this time may have shown the change already. `_may_go_on` prevents this, unless it
                    # or the server has a fault.
                    self.reopen("a cluster time continued after its batch had ended")
                    return
                held += reply.changes
                # Changes that are held back go out with the next reply; an empty reply proves that their cluster time
                # is complete. Until then the token is not moved: a stream resumed there repeats published changes,
                # and those are skipped.
                end = _end_of_complete(held) if reply.may_go_on and cursor.is_open else len(held)
                if cursor.is_open:
                    pending = asyncio.ensure_future(
                        self._more(cursor, AWAIT_MS if end == len(held) else CLOSING_MS, paces=end > 0)
                    )
                batch, held = held[:end], held[end:]
                if held and not batch:
                    continue
                self._witness = cursor.witness or self._witness
                if not held:
                    self._token = cursor.token
                self.position = max(self.position, batch[-1].time if held else reply.position)
                if reply.behind_s <= BEHIND_S:
                    self.current_at = self._clock()
                published = batch[-1].time if batch else published
                yield Batch(batch, self.position)
                if not cursor.is_open:
                    return
        finally:
            if pending is not None:
                pending.cancel()
                with suppress(asyncio.CancelledError, PyMongoError):
                    await pending
            await cursor.close()

    async def _more(self, cursor: _Cursor, wait_ms: int, *, paces: bool) -> _Reply:
        if self._pace is not None and (paces or wait_ms == AWAIT_MS):
            await self._pace()
        return await cursor.get_more(wait_ms)

    async def _now(self) -> Timestamp:
        reply = await self._client.admin.command("ping")
        moment = reply.get("operationTime")
        if not isinstance(moment, Timestamp):
            raise STANDALONE.error
        return moment

    async def _continues(self) -> bool:
        """After an interruption: does the database still hold the history that was published?

        Another database may have taken its address, or an older copy of it may have been restored. Both accept the
        resume token and continue, and everything published that they do not hold would stay on every page. So the
        last published change must still be in the stream, at its position. Returns False also if that cannot be
        checked, because nothing was published yet or because the change is older than the oplog.
        """
        witness = self._witness
        if witness is None:
            return False
        cursor = _Cursor(self._database, self._collection, self._decoder, skip_until=_BEFORE_ALL)
        try:
            await cursor.open({"startAtOperationTime": witness.time}, self._way)
            try:
                await cursor.get_more(WITNESS_MS, batch_size=1)
            finally:
                await cursor.close()
        except OperationFailure as failure:
            if meaning_of(failure) is Meaning.PLACE_LOST:
                return False
            raise
        return cursor.witness == witness

    async def _open_cursor(self, start: Timestamp | None) -> _Cursor:
        """Open a cursor after the kept token, or at `start`, which then becomes the position."""
        stage = {"startAtOperationTime": start} if start is not None else {"startAfter": self._token}
        # startAfter is like resumeAfter, but also continues after an invalidate event. Both ways of opening may repeat
        # changes at or before the position, so those are skipped.
        skip = self.position if start is None else start
        cursor = _Cursor(self._database, self._collection, self._decoder, skip_until=skip)
        self._way = await cursor.open(stage, self._way)
        if start is not None:
            if token_time(cursor.token).time < start.time:
                await cursor.close()
                raise ValueError("its resume tokens do not carry the cluster time")
            self._token = cursor.token
            self.position = start
        return cursor


@dataclass(frozen=True, slots=True)
class _Witness:
    """A change that was published, the first one of its cluster time. `token` is its resume token as raw BSON."""

    time: Timestamp
    token: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    changes: list[Change]
    position: Timestamp
    may_go_on: bool  # more changes with the last cluster time may follow
    behind_s: int


class _Cursor:
    """One server-side cursor, read with commands in a session of its own."""

    def __init__(
        self,
        database: AsyncDatabase[Any],
        collection: str,
        decoder: Decoder,
        *,
        skip_until: Timestamp,
    ) -> None:
        self._database = database
        self._collection = collection
        self._decoder = decoder
        self._skip_until = skip_until
        self._skips = True
        self._session = database.client.start_session(causal_consistency=False)
        self._id = 0
        self._one_oplog = False
        self._way = _PLAIN
        self.token: RawBSONDocument
        self.witness: _Witness | None = None  # of the last cluster time that brought a change
        self.invalidated = False
        self.unreadable = False  # it returned a change that could not be read
        # It returned an ambiguous update although it was opened with `showExpandedEvents`: a server before 8.0 sends
        # `disambiguatedPaths` only after setFeatureCompatibilityVersion was run to complete its upgrade from 6.0.
        self.is_vague = False

    @property
    def is_open(self) -> bool:
        """Can more changes follow? None do after the collection was dropped or renamed."""
        return bool(self._id) and not self.invalidated

    async def open(self, stage: dict[str, Any], way: int) -> int:
        """Open the cursor with the options of `way`, or of the next way that the server accepts. Return that way."""
        try:
            server = await self._database.client.admin.command("hello", session=self._session)
            self._one_oplog = "setName" in server and server.get("msg") != "isdbgrid"
            if server["maxWireVersion"] < WIRE_VERSION_6_1:
                way = max(way, _RAW)
            reply = await self._opened(stage, way)
            while reply is None:
                way += 1
                reply = await self._opened(stage, way)
        except BaseException:
            await self._session.end_session()
            raise
        self._id = reply["cursor"]["id"]
        self.token = reply["cursor"]["postBatchResumeToken"]
        self._way = way
        return way

    async def _opened(self, stage: dict[str, Any], way: int) -> RawBSONDocument | None:
        """Send the aggregate command. Return None if the server refuses the options of this way."""
        command = {
            "aggregate": self._collection,
            "pipeline": [{"$changeStream": {**stage, **_WAYS[way]}}],
            "cursor": {"batchSize": 0},
        }
        try:
            return await self._command(command)
        except OperationFailure as failure:
            if way == _PLAIN or failure.code not in _OPTION_REFUSED:
                raise
            return None

    async def get_more(self, wait_ms: int, *, batch_size: int = BATCH_SIZE) -> _Reply:
        reply = await self._command(
            {
                "getMore": self._id,
                "collection": self._collection,
                "batchSize": batch_size,
                "maxTimeMS": wait_ms,
            }
        )
        cut = cut_out(bytes(reply.raw), _BATCH)
        if cut is None:
            raise ValueError("the reply has no batch")
        rest, batch = RawBSONDocument(cut[0]), cut[1]
        self._id = rest["cursor"]["id"]
        self.token = rest["cursor"]["postBatchResumeToken"]
        changes: list[Change] = []
        brought: list[bytes] = []  # the raw BSON of `changes`
        raws = batch.documents()
        for raw, change in zip(raws, read_changes(raws, self._decoder, split=False), strict=False):
            if change is None:
                continue
            if isinstance(change, Invalidated):
                self.invalidated = True
                self.token = change.token
                break
            if isinstance(change, Unreadable):
                # Ignore a repeated one at the start of the stream: the listeners were resynced after it already.
                self.unreadable |= change.time > self._skip_until
                continue
            # A stream may begin with changes from before its start. After those, its time never goes back.
            self._skips = self._skips and change.time <= self._skip_until
            if not self._skips:
                changes.append(change)
                brought.append(raw)
        if changes:
            self._remember(changes, brought)
        if self._way == _EXPANDED:
            update = next((one.operation for one in changes if isinstance(one.operation, Updated)), None)
            self.is_vague |= update is not None and update.paths is None and update != UNKNOWN_UPDATE
        position = token_time(self.token)
        may_go_on = (
            bool(changes)
            and position <= changes[-1].time
            and self._may_go_on(changes, len(raws), len(batch.raw))
        )
        now = rest.get("$clusterTime", {}).get("clusterTime", position)
        return _Reply(changes, position, may_go_on, now.time - position.time)

    def _may_go_on(self, changes: Sequence[Change], count: int, size: int) -> bool:
        """May the next reply begin with more changes of the cluster time that this reply ends with?

        `count` and `size` are the number of elements in this reply and their bytes. If the answer is yes, the changes
        of that time are held back for one more getMore, which costs a millisecond. So the answer is yes only if it is
        possible. A member of a replica set reads one oplog, in which a cluster time is one entry: a write, a
        transaction, or a batch of writes that is not marked as one (deletes since MongoDB 6.1, all writes since 8.0).
        The server has all changes of an entry at once, so a reply ends between them only if it is full, by number or
        by size; then much is being written, and a millisecond does not matter. A change that is alone in its reply is
        complete. A router merges the oplogs of several shards, which may have equal cluster times: there, every reply
        may end between two changes of one time.
        """
        return (
            changes[-1].grouped
            or not self._one_oplog
            or size >= CUT_BYTES
            or count >= BATCH_SIZE
            or (len(changes) > 1 and changes[-2].time == changes[-1].time)
        )

    def _remember(self, changes: Sequence[Change], raws: Sequence[bytes]) -> None:
        time, first = changes[-1].time, len(changes) - 1
        while first and changes[first - 1].time == time:
            first -= 1
        if (
            self.witness is None or self.witness.time != time
        ):  # otherwise an earlier reply had the first change
            self.witness = _Witness(time, field(raws[first], b"_id"))

    async def close(self) -> None:
        """Close the cursor on the server if it answers. If not, the server removes the cursor after its own timeout."""
        if self._id:
            with suppress(PyMongoError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._command({"killCursors": self._collection, "cursors": [self._id]})
        await self._session.end_session()

    async def _command(self, command: dict[str, Any]) -> RawBSONDocument:
        reply: RawBSONDocument = await self._database.command(
            command, codec_options=RAW, session=self._session
        )
        return reply


def _end_of_complete(changes: Sequence[Change]) -> int:
    """The number of changes before those with the last cluster time."""
    end = len(changes)
    while end and changes[end - 1].time == changes[-1].time:
        end -= 1
    return end


def _wait(failures: int, jitter: float) -> float:
    """Seconds to wait before the next attempt, after this number of failures in a row."""
    # The exponent is bounded: after some hours of failures, 2 ** failures would not fit into a float.
    longest: float = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 10))
    return longest * (0.5 + jitter / 2)
