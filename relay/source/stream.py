"""The tail: opens the change stream, resumes it, backs off, starts again.

Rules of this file: a batch ends only between two cluster times; a token is remembered only where a
batch ended; the position never goes back. aggregate and getMore are sent as commands, because the
driver's own iterator closes for good when it is cancelled and hides the token of an empty reply.
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
from relay.source.change import UNTOLD, Change, Invalidated, Unreadable, Updated
from relay.source.diagnosis import FOLLOW, STANDALONE, explain
from relay.source.errors import Meaning, code_of, meaning_of
from relay.source.events import read_changes, token_time
from relay.source.outage import Outage
from relay.source.raw_bson import Decoder, cut_out
from relay.source.reader import RAW
from relay.source.walk import field

log = logging.getLogger(__name__)

BATCH_SIZE = 1000  # changes; unbounded batches cost 119 MB when a backlog is read
AWAIT_MS = 100  # how long a getMore waits for news: S is at most this far behind on a quiet collection
CLOSING_MS = 1  # the same, while changes are held back of which more of their cluster time may follow
CUT_BYTES = 1024 * 1024  # of a reply, which may have ended because it was full: one ends below 16 MB
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 10.0
# Behind the database's own time: without a majority the stream stays open and says nothing (F14). On an
# idle shard its token may be 10 s old, because that is how often an idle server writes a no-op.
BEHIND_S = 15
WITNESS_MS = 1_000  # how long a database that does not hold the last change we know is asked for it
_BEFORE_ALL = Timestamp(0, 0)
_BATCH = (b"cursor", b"nextBatch")
# Options with which the stream tells names from paths (see shapes.py), the documented one first. Where it is
# refused the next is tried; without any, updates that may be read two ways are read from the documents.
WIRE_VERSION_6_1 = 18  # before it, `showExpandedEvents` brings other things, but not `disambiguatedPaths`
_EXPANDED, _RAW, _PLAIN = range(3)
_WAYS: dict[int, dict[str, Any]] = {
    _EXPANDED: {"showExpandedEvents": True},
    _RAW: {"showRawUpdateDescription": True},
    _PLAIN: {},
}
# BadValue, FailedToParse, Unauthorized, TypeMismatch, InvalidOptions, an unknown field.
_OPTION_REFUSED = frozenset({2, 9, 13, 14, 72, 40415})
CLOSE_S = 0.5  # for a word of farewell to a server that may not be there


@dataclass(frozen=True, slots=True)
class Batch:
    """All changes up to and including `position`; empty when only the position moved."""

    changes: Sequence[Change]
    position: Timestamp


@dataclass(frozen=True, slots=True)
class Reopened:
    """The stream's place was lost; it goes on at `position`, and what lay between is unknown:
    whoever listens has to be brought up to date from the documents."""

    position: Timestamp
    reason: str


class Tail:
    """The change stream of one collection, as an endless iterator of batches.

    `current_at` is the monotonic time of the last answer that moved the stream on or said that there is
    nothing, None before the first: a reader of health compares it with now. Neither a cursor that opens
    and then fails counts, nor one that answers and stays far behind the database. `pace` is awaited before more
    is fetched: where it would only wait to be delivered, fewer and larger batches cost less. `on_interrupted` is
    called each time a cursor fails, before the pause that precedes the next try.
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
        self._lost: str | None = None  # why the place in the stream was given up
        self._way = _EXPANDED
        self.position = Timestamp(0, 0)
        self.current_at: float | None = None

    async def open(self) -> Timestamp:
        """Fix the position the stream starts from, and check that it will work.

        Raises StartupError when this database cannot serve a change stream, Unavailable when it
        does not answer: then try again.
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
        """Every batch from the position of `open` on; the next one is fetched while the consumer
        works on this one. Ends only by cancellation."""
        failures = 0
        ended = False  # the last cursor did, with its collection
        while True:
            try:
                # Of a collection that went, the stream says no word of each of its documents.
                reason = self._lost or ("the collection was dropped or renamed" if ended else None)
                if failures and self._lost is None and not await self._continues():
                    self._lost = "the database may be another one, or an older copy"
                cursor = await self._open_cursor(None if self._lost is None else await self._now())
                start = self.position
                async with aclosing(self._follow(cursor)) as batches:
                    async for batch in batches:
                        # Only here does a try count as a success: a cursor can open and never answer.
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
        """Give up the place in the stream: after the batch in hand comes a `Reopened`."""
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
        """One cursor's life: until it fails, or ends with the collection."""
        pending: asyncio.Task[_Reply] | None = None
        held: list[Change] = []
        published: Timestamp | None = None  # of the last change
        try:
            while True:
                reply = await (pending or cursor.get_more(AWAIT_MS))
                pending = None
                # Python 3.11's wait_for, with which the driver sends, can swallow a cancellation.
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError
                if not held and reply.changes and reply.changes[0].time == published:
                    # A read at this time may have shown it already. `_may_go_on` makes this impossible, except for
                    # an error in it or in the server.
                    self.reopen("a cluster time went on after it was over")
                    return
                held += reply.changes
                # What is held back goes with the next reply; one that is empty closes its time. The token stays
                # where it is: resumed there, the stream repeats what was published, and that is skipped.
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
        """After an interruption: is this still the history that was followed?

        Another database may be at the address by now, or an older copy of this one, restored. Both take our
        token without a word and go on from there, and what was published meanwhile that they do not hold would
        stay on every page. So the last change that was published must be there, in its place. Where that cannot
        be seen (none was published yet, or it is older than the oplog) it is in doubt as well.
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
        """A cursor from the remembered token, or afresh from `start`, which becomes the position."""
        stage = {"startAtOperationTime": start} if start is not None else {"startAfter": self._token}
        # startAfter is resumeAfter that also goes on after an invalidate. Both ways of opening may repeat
        # what is at or before the position.
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
    """A change that was in the stream, the first one of its cluster time: its resume token, as BSON."""

    time: Timestamp
    token: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    changes: list[Change]
    position: Timestamp
    may_go_on: bool  # the last cluster time may have more changes than these
    behind_s: int


class _Cursor:
    """One server-side cursor, driven by commands in a session of its own."""

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
        self.unreadable = False  # it brought a change that could not be read
        # Although it should, it does not tell names from paths: before 8.0 a server did so only once
        # setFeatureCompatibilityVersion had followed its upgrade from 6.0.
        self.is_vague = False

    @property
    def is_open(self) -> bool:
        """Can there be more? Not after the collection was dropped or renamed."""
        return bool(self._id) and not self.invalidated

    async def open(self, stage: dict[str, Any], way: int) -> int:
        """Open it in this way, or in the next one that the server knows; which one it was."""
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
        """The server's answer; None where it does not know this way."""
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
            raise ValueError("a reply without a batch")
        rest, batch = RawBSONDocument(cut[0]), cut[1]
        self._id = rest["cursor"]["id"]
        self.token = rest["cursor"]["postBatchResumeToken"]
        changes: list[Change] = []
        brought: list[bytes] = []  # the same, as they came
        raws = batch.documents()
        for raw, change in zip(raws, read_changes(raws, self._decoder, split=False), strict=False):
            if change is None:
                continue
            if isinstance(change, Invalidated):
                self.invalidated = True
                self.token = change.token
                break
            if isinstance(change, Unreadable):
                # Only a new one: where the stream starts, it may be told what the listeners were healed of.
                self.unreadable |= change.time > self._skip_until
                continue
            # Where the stream starts, it may tell what came before; from then on its time never goes back.
            self._skips = self._skips and change.time <= self._skip_until
            if not self._skips:
                changes.append(change)
                brought.append(raw)
        if changes:
            self._remember(changes, brought)
        if self._way == _EXPANDED:
            update = next((one.operation for one in changes if isinstance(one.operation, Updated)), None)
            self.is_vague |= update is not None and update.paths is None and update != UNTOLD
        position = token_time(self.token)
        may_go_on = (
            bool(changes)
            and position <= changes[-1].time
            and self._may_go_on(changes, len(raws), len(batch.raw))
        )
        now = rest.get("$clusterTime", {}).get("clusterTime", position)
        return _Reply(changes, position, may_go_on, now.time - position.time)

    def _may_go_on(self, changes: Sequence[Change], count: int, size: int) -> bool:
        """May the next reply begin with the cluster time that this one ends with, whose token is not past it?
        This reply held `count` elements in `size` bytes.

        To ask costs a millisecond, so that it is only asked where it can be. A member of a replica set reads one
        oplog, in which a cluster time is one entry: a write, a transaction, or, not marked as one, a batch of
        deletes from 6.1 on and of other writes from 8.0 on. All changes of an entry are in its hands at once,
        so that a reply ends between them only where it is full, by number or by size, in which case much is
        being written, and a millisecond is nothing. A change that is alone in its reply is complete. A router
        merges the oplogs of shards, which may have the same cluster times: behind it, every reply may end
        between them.
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
        if self.witness is None or self.witness.time != time:  # else it began in an earlier reply
            self.witness = _Witness(time, field(raws[first], b"_id"))

    async def close(self) -> None:
        """Best effort: the server reaps what is left behind."""
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
    """How many come before those of the last cluster time."""
    end = len(changes)
    while end and changes[end - 1].time == changes[-1].time:
        end -= 1
    return end


def _wait(failures: int, jitter: float) -> float:
    """How long before the next try, after so many failures in a row."""
    # A float has no room for 2 ** failures once the database has been away for some hours.
    longest: float = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 10))
    return longest * (0.5 + jitter / 2)
