"""Follow a collection's change stream: open it, resume it after failures, yield its changes in batches. Does I/O.

A change is one entry of the change stream, with a cluster time (MongoDB's logical clock). The position is the cluster
time up to which every change has been given out. A resume token is MongoDB's name for a place in the stream. A cursor
is an open stream on the server: each getMore command asks the cursor for its next changes.

Rules of this file:
- Changes with the same cluster time are never split across batches. The relay reads documents as they were at the
  position, and such a read shows all changes of that cluster time.
- The resume token moves forward only when every change before the new token has been given out.
- The position never goes back while the stream is resumed; only a reopened stream sets a new one.
- The commands aggregate and getMore are sent directly. The driver's own iterator cannot be used after a cancellation,
  and hides the resume token of an empty reply.
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
AWAIT_MS = 100  # how long a getMore waits for changes: a quiet collection's position is at most this old
CLOSING_MS = (
    1  # how long a getMore waits while changes are held back: more with their cluster time may follow
)
CUT_BYTES = 1024 * 1024  # a reply of at least this size may have been cut because it was full (at 16 MB)
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 10.0
# How many seconds the stream may be behind the time of the database before it counts as stale. If the replica set has
# no majority, the stream stays open and sends nothing (F14). On an idle shard the resume token may be 10 s old, because
# an idle server writes a no-op only every 10 s.
BEHIND_S = 15
WITNESS_MS = 1_000  # how long to look for the last published change after a failure, see `_continues`
_BEFORE_ALL = Timestamp(0, 0)
_BATCH = (b"cursor", b"nextBatch")
# Ways to open the stream: options that make it say which dots of an updated path separate field names, the documented
# option first (events.py describes what each sends). If the server refuses one way, the next is tried. Without any
# option, an update with ambiguous paths is settled by reading the document.
WIRE_VERSION_6_1 = 18  # older servers accept `showExpandedEvents`, but send no `disambiguatedPaths`
_EXPANDED, _RAW, _PLAIN = range(3)
_WAYS: dict[int, dict[str, Any]] = {
    _EXPANDED: {"showExpandedEvents": True},
    _RAW: {"showRawUpdateDescription": True},
    _PLAIN: {},
}
# BadValue, FailedToParse, Unauthorized, TypeMismatch, InvalidOptions, an unknown field.
_OPTION_REFUSED = frozenset({2, 9, 13, 14, 72, 40415})
CLOSE_S = 0.5  # how long to wait for killCursors, because the server may not answer


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes after the previous batch's position, up to and including `position` (a cluster time).

    `changes` is empty if only the position moved forward.
    """

    changes: Sequence[Change]
    position: Timestamp


@dataclass(frozen=True, slots=True)
class Reopened:
    """An item of the stream: the stream could not be resumed, and was opened again at `position` (a cluster time).

    The changes between the previous batch and `position` are unknown, so every listener has to be brought up to date
    from the documents. `reason` is a clause for the log.
    """

    position: Timestamp
    reason: str


class Tail:
    """Follows the change stream of one collection, and resumes it after failures.

    `position` is the cluster time up to which all changes have been given out. `current_at` is the monotonic time of
    the last reply that showed that the stream is up to date, and None before the first such reply; the health check
    compares `current_at` with the present time. A cursor that opens and then fails does not count as up to date, and
    neither does a cursor that replies but stays more than BEHIND_S seconds behind the database.

    `pace` is awaited before the tail asks for more changes, so that slow delivery slows down the tail: fewer and larger
    batches cost less than changes that wait in memory. `on_interrupted` is called each time a cursor fails, before the
    pause that precedes the next attempt. `jitter` returns a number in [0, 1), which varies the length of that pause.
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
        self._lost: str | None = None  # why the resume token was given up; None while it can be used
        self._way = _EXPANDED
        self.position = Timestamp(0, 0)
        self.current_at: float | None = None

    async def open(self) -> Timestamp:
        """Check that the change stream can be opened, and return the position (a cluster time) at which it starts.

        Raises StartupError if this database cannot serve a change stream. Raises Unavailable if the database does not
        answer; the caller may then try again.
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
        """Yield every batch after the position that `open` set, and a `Reopened` whenever changes may have been missed.

        The next batch is fetched while the consumer works on the current one. Failures of the database are logged and
        retried after a growing pause. The iterator ends only by cancellation.
        """
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
        """Give up the resume token, because of `reason` (a clause for the log).

        `batches` then opens a new stream at the present time: after the batch that is being handled, it yields a
        `Reopened`.
        """
        self._lost = reason

    def _interrupted(self, failure: Exception, wait: float) -> None:
        """Log a failure of the cursor, give up the resume token if it cannot be used again, and call `on_interrupted`.

        `wait` is the number of seconds until the next attempt.
        """
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
        """Yield the batches of one cursor, and close the cursor at the end.

        Ends when the collection was dropped or renamed, or when the stream has to be reopened because a cluster time
        continued after its batch. Raises PyMongoError or ValueError if the cursor fails.
        """
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
                    # The change belongs to a cluster time that was given out, so a snapshot of that time may have shown
                    # the change already. This happens only if `_may_go_on` or the server has a fault.
                    self.reopen("a cluster time continued after its batch had ended")
                    return
                held += reply.changes
                # The changes of the last cluster time are held back if more of them may follow, and given out after the
                # next reply; an empty reply proves that this cluster time is complete. Until then the resume token
                # stays. A stream that is resumed there repeats published changes, and the cursor skips those.
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
        """Send the next getMore, after `pace`.

        Does not await `pace` if changes are held back and none were given out: their cluster time has to be completed
        first.
        """
        if self._pace is not None and (paces or wait_ms == AWAIT_MS):
            await self._pace()
        return await cursor.get_more(wait_ms)

    async def _now(self) -> Timestamp:
        """Return the cluster time of the database's latest operation.

        Raises StartupError if the database is a standalone server, which has none.
        """
        reply = await self._client.admin.command("ping")
        moment = reply.get("operationTime")
        if not isinstance(moment, Timestamp):
            raise STANDALONE.error
        return moment

    async def _continues(self) -> bool:
        """Return whether the database still holds the history that was published. To be asked after an interruption.

        Another database may have taken the address, or an older copy of the database may have been restored. Either
        accepts the resume token and continues; what was published and is missing in it would stay on every user's page.
        So the last published change must still be in the stream, at its cluster time. Returns False also if that cannot
        be checked, because nothing was published yet or because the change is older than the oplog. Raises PyMongoError
        if the database does not answer.
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
        """Open a cursor that continues after the kept resume token or, if there is a `start`, begins at that time.

        `start` is a cluster time, which then becomes the position. Raises ValueError if the server's resume tokens do
        not carry the cluster time, and PyMongoError if the server refuses or does not answer.
        """
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
    """A published change, by which the database's history is recognized after an interruption.

    It is the first change of the cluster time `time`. `token` is the resume token of that change, as raw BSON.
    """

    time: Timestamp
    token: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    """The parsed reply to one getMore: its changes, and the cluster time up to which the stream has now been read.

    `behind_s` is the number of seconds between that cluster time and the time of the database.
    """

    changes: list[Change]
    position: Timestamp
    may_go_on: bool  # more changes with the last cluster time may follow
    behind_s: int


class _Cursor:
    """A change stream cursor on the server, read with getMore commands in a session of its own.

    A cursor may begin with changes from before its start. Those with a cluster time at or before `skip_until` are left
    out.
    """

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
        self.witness: _Witness | None = None  # the first change of the last cluster time that had a change
        self.invalidated = False
        self.unreadable = False  # the cursor returned a change that could not be read
        # The cursor returned an ambiguous update although it was opened with `showExpandedEvents`. A server before 8.0
        # sends `disambiguatedPaths` only after setFeatureCompatibilityVersion was run to complete its upgrade from 6.0.
        self.is_vague = False

    @property
    def is_open(self) -> bool:
        """Whether more changes can follow. None follow after the collection was dropped or renamed."""
        return bool(self._id) and not self.invalidated

    async def open(self, stage: dict[str, Any], way: int) -> int:
        """Open the cursor with the options of `way` in `_WAYS`, or of the next way that the server accepts.

        `stage` says where the stream begins. Returns the way that was accepted. Raises PyMongoError if the server
        refuses all ways or does not answer.
        """
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
        """Send the aggregate command that opens the stream where `stage` says, with the options of `way` in `_WAYS`.

        Returns the reply, or None if the server refuses these options.
        """
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
        """Ask for at most `batch_size` changes, wait at most `wait_ms` for the first of them, and parse the reply.

        Raises ValueError if the reply has an unknown layout, and PyMongoError if the server refuses or does not answer.
        """
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
                # Ignore an unreadable change from before the start: the listeners were resynced after it already.
                self.unreadable |= change.time > self._skip_until
                continue
            # A stream may begin with changes from before its start. After those, cluster times never go back.
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
        """Return whether the next reply may begin with more changes of the cluster time that this reply ends with.

        `changes` are the changes of this reply; `count` and `size` are the number of its elements and their bytes. If
        the answer is yes, the changes of that cluster time are held back for one more getMore, which costs a
        millisecond. So the answer is yes only if more changes are possible.

        A member of a replica set reads one oplog, in which each cluster time is one entry: a write, a transaction, or a
        batch of writes that is not marked as one (deletes since MongoDB 6.1, all writes since 8.0). The server has all
        changes of an entry at once, so a reply ends between them only if the reply is full, by number or by size; then
        much is being written, and a millisecond does not matter. A change that is alone in its reply is complete. A
        router merges the oplogs of several shards, which may have equal cluster times: there, every reply may end
        between two changes of one cluster time.
        """
        return (
            changes[-1].grouped
            or not self._one_oplog
            or size >= CUT_BYTES
            or count >= BATCH_SIZE
            or (len(changes) > 1 and changes[-2].time == changes[-1].time)
        )

    def _remember(self, changes: Sequence[Change], raws: Sequence[bytes]) -> None:
        """Keep the first change of the last cluster time as the witness. `raws` are the raw BSON of `changes`."""
        time, first = changes[-1].time, len(changes) - 1
        while first and changes[first - 1].time == time:
            first -= 1
        if (
            self.witness is None or self.witness.time != time
        ):  # otherwise an earlier reply had the first change
            self.witness = _Witness(time, field(raws[first], b"_id"))

    async def close(self) -> None:
        """Close the cursor on the server, and end its session.

        If the server does not answer within CLOSE_S seconds, the cursor is left behind: the server removes it after its
        own timeout.
        """
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
    """Return the number of changes that come before the first change with the last cluster time."""
    end = len(changes)
    while end and changes[end - 1].time == changes[-1].time:
        end -= 1
    return end


def _wait(failures: int, jitter: float) -> float:
    """Return how many seconds to wait before the next attempt, after `failures` failures in a row.

    `jitter`, a number in [0, 1), puts the wait between half of the longest pause and all of it.
    """
    # The exponent is bounded: after some hours of failures, 2 ** failures would not fit into a float.
    longest: float = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 10))
    return longest * (0.5 + jitter / 2)
