"""Follow a collection's change stream: open it, resume it after failures, yield its changes in batches. Does I/O.

A change is one entry of the change stream, with a cluster time (MongoDB's logical clock). The position is the cluster
time up to which every change has been given out. A resume token is MongoDB's name for a place in the stream. A cursor
is an open stream on the server (`relay/source/cursor.py`): each getMore command asks the cursor for its next changes.

Rules of this file:
- Changes with the same cluster time are never split across batches. The relay reads documents as they were at the
  position, and such a read shows all changes of that cluster time.
- The resume token moves forward only when every change before the new token has been given out.
- The position never goes back while the stream is resumed; only a reopened stream sets a new one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from relay.errors import StartupError, Unavailable
from relay.metrics import DatabaseError
from relay.source.cancellation import raise_if_cancelled
from relay.source.change import Change
from relay.source.cluster import IDLE_SHARD_S, is_routed, latest_time
from relay.source.cursor import EXPANDED, RAW_UPDATES, Cursor, Reply, Witness
from relay.source.decoder import Decoder
from relay.source.diagnosis import FOLLOW, STANDALONE, explain
from relay.source.errors import Meaning, code_of, kind_of, meaning_of
from relay.source.events import read_changes, token_time
from relay.source.members import BEHIND_S, Members
from relay.source.outage import Outage
from relay.source.stream import DROPPED, GONE, LATE, OTHER_DATABASE, UNREADABLE, Batch, Reopened

log = logging.getLogger(__name__)

AWAIT_MS = 100  # how long a getMore waits for changes: a quiet collection's position is at most this old
# How long a getMore waits while changes are held back, because more changes with their cluster time may follow.
CLOSING_MS = 1
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 10.0
LOOK_S = 5.0  # seconds between two checks that the stream may stay on its member
# How many seconds the stream of a sharded cluster, which an idle shard may hold back, may be behind the time of the
# database before it counts as stale. For a replica set, this is BEHIND_S.
MERGED_BEHIND_S = IDLE_SHARD_S
NOW_MS = 5_000  # limit of the question for the time of the database, on the server
WITNESS_MS = 1_000  # how long to look for the last published change after a failure, see `_continues`
MERGED_LOOKS = 5  # how many times more to look for it in the stream of a sharded cluster
_BEFORE_ALL = Timestamp(0, 0)
_NOT_THERE = "the member has not reached the position yet"


class Tail:
    """Follows the change stream of one collection, and resumes it after failures.

    `position` is the cluster time up to which all changes have been given out. `current_at` is the monotonic time of
    the last reply that showed that the stream is up to date, and None before the first such reply; the health check
    compares `current_at` with the present time. A cursor that opens and then fails does not count as up to date, and
    neither does a cursor that replies but stays more than BEHIND_S seconds behind the database.

    `members` chooses the member of a replica set that is followed, the primary unless it is given. The stream moves to
    another member when its own fails, lags or is no longer one that `members` allows, and continues there.

    `pace` is awaited before the tail asks for more changes, so that slow delivery slows down the tail: fewer and larger
    batches cost less than changes that wait in memory. `on_interrupted` is called each time a cursor fails, before the
    pause that precedes the next attempt, and `failed` with the kind of the failure. `jitter`
    returns a number in [0, 1), which varies the length of that pause.

    With `keeps_raws` False, the batches have no `raws`: those of large changes would take as much memory again while a
    batch is delivered.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        database: str,
        collection: str,
        decoder: Decoder,
        *,
        jitter: Callable[[], float],
        members: Members | None = None,
        clock: Callable[[], float] = time.monotonic,
        pace: Callable[[], Awaitable[None]] | None = None,
        on_interrupted: Callable[[], None] = lambda: None,
        failed: Callable[[DatabaseError], None] = lambda _: None,
        keeps_raws: bool = True,
    ) -> None:
        self.name = f"{database}.{collection}"
        self._client = client
        self._database = client[database]
        self._collection = collection
        self._decoder = decoder
        self._members = members or Members()
        self._jitter = jitter  # a number in [0, 1)
        self._clock = clock
        self._pace = pace
        self._on_interrupted = on_interrupted
        self._failed = failed
        self._keeps_raws = keeps_raws
        self._outage = Outage(log, "change stream interrupted")
        self._token = b""  # a resume token, as raw BSON; empty until the first cursor has been opened
        self._witness: Witness | None = None
        self._lost: str | None = None  # why the resume token was given up; None while it can be used
        self._gap: str | None = None  # why changes may be missing although the resume token can be used
        self._ends = False  # the batch that is being given out is the last of its cursor
        self._is_doubtful = (
            False  # before the next cursor is opened, see whether the database is still the same one
        )
        self._decodes_anew = False  # the next cursor is to be opened, because this one has another decoder
        self._way = EXPANDED
        self.position = Timestamp(0, 0)
        self.current_at: float | None = None

    async def open(self) -> Timestamp:
        """Check that the change stream can be opened, and return the position (a cluster time) at which it starts.

        Raises StartupError if this database cannot serve a change stream. Raises Unavailable if the database does not
        answer; the caller may then try again.
        """
        try:
            cursor = await self._open_cursor(await self.now())
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
        while True:
            try:
                if (failures or self._is_doubtful) and self._lost is None and not await self._continues():
                    self._lost = OTHER_DATABASE
                # While the new stream is opened, it may be given up for a reason that arises later than its start.
                lost, self._lost = self._lost, None
                self._gap = lost or self._gap
                try:
                    cursor = await self._open_cursor(None if lost is None else await self.now())
                except BaseException:
                    self._lost = self._lost or lost
                    raise
                start, token = self.position, self._token
                async with aclosing(self._follow(cursor)) as batches:
                    async for batch in batches:
                        # Count the attempt as a success only now: a cursor can open and never answer.
                        failures, self._is_doubtful = 0, False
                        self._outage.over()
                        if self._gap is not None:
                            reason, self._gap = self._gap, None
                            log.warning("change stream reopened", extra={"reason": reason})
                            yield Reopened(start, reason, token)
                        # The consumer may leave at the next `yield`, so what the next cursor needs is noted before.
                        if self._ends and cursor.invalidated:
                            # No deletes are sent for the documents of a dropped collection: listeners need a resync.
                            self._gap = DROPPED
                        if cursor.is_vague:
                            self._way = RAW_UPDATES
                        if cursor.unreadable:
                            self.reopen(UNREADABLE)
                        yield replace(batch, is_complete=False) if self.is_lost else batch
                        if cursor.is_vague:
                            self._way = RAW_UPDATES
                        if self._lost is not None or cursor.is_vague or self._decodes_anew:
                            break
            except (PyMongoError, StartupError, Unavailable, ValueError) as failure:
                failures += 1
                wait = _wait(failures, self._jitter())
                self._interrupted(failure, wait)
                await asyncio.sleep(wait)

    @property
    def token(self) -> bytes:
        """The resume token (raw BSON) from which a stream sends every change after `position`."""
        return self._token

    @property
    def witness(self) -> Witness | None:
        """The last change that was given out, by which the database's history is recognized; None before the first."""
        return self._witness

    @property
    def is_lost(self) -> bool:
        """Whether the next item of `batches` will be a `Reopened`, because changes may have been missed."""
        return self._lost is not None or self._gap is not None

    def take_over(self, position: Timestamp, token: bytes, witness: Witness | None = None) -> None:
        """Continue at a position (a cluster time) that another process has reached. `token` is the resume token there.

        No change before this position will be given out. `witness` is the last change before it, if that is known.
        """
        self.position, self._token = position, token
        self._lost = self._gap = None
        self._witness, self._is_doubtful = witness, False
        self.current_at = self._clock()

    def take(self, events: Sequence[bytes], position: Timestamp, token: bytes, *, is_current: bool) -> Batch:
        """Return what is new in a part of the stream that another process has read, and move the position to its end.

        `events` are all change events (raw BSON) from some time at or before the present position up to `position`.
        `token` is the resume token there; `is_current` says whether the stream was up to date with the database.
        """
        start, changes, raws = self.position, [], []
        for raw, change in zip(events, read_changes(events, self._decoder, split=False), strict=True):
            if isinstance(change, Change):
                if change.time > start:
                    changes.append(change)
                    raws.append(raw)
            elif change is not None:
                self.reopen(UNREADABLE)
        if changes:
            self._witness = Witness.of(changes, raws)
        self.position, self._token = position, token
        self.confirm(is_current)
        return Batch(changes, raws, start, position, token, is_current, is_complete=not self.is_lost)

    def use(self, decoder: Decoder) -> None:
        """Decode changes with this decoder from now on. To be called while no batch is asked for, so that what was read
        ahead is read again."""
        self._decoder = decoder
        self._decodes_anew = True

    @property
    def may_lag(self) -> bool:
        """Whether the stream may be that of a secondary, which may be behind the primary."""
        return self._members.may_lag

    @property
    def is_routed(self) -> bool:
        """Whether the database is a sharded cluster. False until the first server has answered."""
        return is_routed(self._client)

    def confirm(self, is_current: bool) -> None:
        """Note that the stream has been read, and whether it was up to date with the database."""
        if is_current:
            self.current_at = self._clock()

    def doubt(self) -> None:
        """See whether the database still holds the history that was published, before the next cursor is opened.

        To be called after changes came from another process: failures of the database in that time are unknown here.
        """
        self._is_doubtful = self._witness is not None

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
                self._lost = f"{GONE} ({code})"
            case Meaning.FATAL if isinstance(failure, OperationFailure):
                level = logging.ERROR
                said["reason"] = str(explain(failure, FOLLOW, self.name))
        self._outage.failed((type(failure), code), level, **said)
        self._failed(kind_of(failure))
        self._on_interrupted()

    async def _follow(self, cursor: Cursor) -> AsyncGenerator[Batch]:
        """Yield the batches of one cursor, and close the cursor at the end.

        Ends when the collection was dropped or renamed, when the stream has to be reopened because a change came after
        its cluster time had been given out, or when it has to move to another member. Raises PyMongoError or ValueError
        if the cursor fails.
        """
        pending: asyncio.Task[Reply] | None = None
        held: list[Change] = []
        held_raws: list[bytes] = []  # the raw BSON of `held`
        # A resume token, and the last cluster time that has to be given out before a stream may be resumed there.
        later: tuple[bytes, Timestamp] | None = None
        look_at = self._clock() + LOOK_S
        try:
            while True:
                reply = await (pending or cursor.get_more(AWAIT_MS))
                pending = None
                raise_if_cancelled()
                if reply.changes and reply.changes[0].time <= self.position:
                    # A snapshot that was read at the position may have shown the change already. This happens only if
                    # `Reply.position` or the server has a fault.
                    self.reopen(LATE)
                    return
                held += reply.changes
                held_raws += reply.raws
                # Changes after the reply's position are held back, because more of their cluster time may follow. Until
                # they are given out the resume token stays before them. A stream that is resumed there repeats
                # published changes, and the cursor skips those.
                ends = not cursor.is_open
                end = len(held) if ends else _count_until(held, reply.position)
                if not ends:
                    # A router may hold back for seconds what follows, and would be asked a thousand times until then.
                    wait_ms = AWAIT_MS if end == len(held) or cursor.is_merged else CLOSING_MS
                    pending = asyncio.ensure_future(self._more(cursor, wait_ms, paces=end > 0))
                batch, held = held[:end], held[end:]
                raws, held_raws = held_raws[:end], held_raws[end:]
                if held and not batch and not cursor.is_merged:
                    continue
                if batch:
                    self._witness = Witness.of(batch, raws)
                start = self.position
                self.position = max(start, reply.position, batch[-1].time if batch else start)
                if later is not None and later[1] <= self.position:
                    self._token, later = later[0], None
                if not held:
                    self._token, later = bytes(cursor.token.raw), None
                elif later is None:
                    later = bytes(cursor.token.raw), held[-1].time
                is_current = reply.behind_s <= (MERGED_BEHIND_S if cursor.is_merged else BEHIND_S)
                self.confirm(is_current)
                self._ends = ends
                if not self._keeps_raws:
                    del reply  # it has them, too
                    raws = []
                yield Batch(batch, raws, start, self.position, self._token, is_current)
                if ends:
                    return
                if self._clock() >= look_at:
                    look_at = self._clock() + LOOK_S
                    if not self._members.allows(self._client, cursor.route):
                        log.info("change stream moves to another member")
                        return
        finally:
            if pending is not None:
                pending.cancel()
                with suppress(asyncio.CancelledError, PyMongoError):
                    await pending
            await cursor.close()
            raise_if_cancelled()  # `pending` may have ended by the cancellation of this task, which was then suppressed

    async def _more(self, cursor: Cursor, wait_ms: int, *, paces: bool) -> Reply:
        """Send the next getMore, after `pace`.

        Does not await `pace` if changes are held back and none were given out: their cluster time has to be completed
        first.
        """
        if self._pace is not None and (paces or wait_ms == AWAIT_MS):
            await self._pace()
        return await cursor.get_more(wait_ms)

    async def now(self) -> Timestamp:
        """Return the cluster time of the database's latest operation.

        Raises StartupError if the database is a standalone server, which has none, and PyMongoError if it does not
        answer. Raises Unavailable if a secondary answers that is behind the position: a stream that is reopened there
        would show an older state.
        """
        where = self._client, self._database.name, self._collection
        clock = await self._members.clock(self._client)
        moment = await latest_time(*where, preference=clock, max_time_ms=NOW_MS)
        raise_if_cancelled()
        if moment is None:
            raise STANDALONE.error
        if self._members.may_lag and moment < self.position:
            raise Unavailable(_NOT_THERE)
        return moment

    async def _continues(self) -> bool:
        """Return whether the database still holds the history that was published. To be asked after an interruption.

        Another database may have taken the address, or an older copy of the database may have been restored. Either
        accepts the resume token and continues; what was published and is missing in it would stay on every user's page.
        So the last published change must still be in the stream, at its cluster time. Returns False also if that cannot
        be checked, because nothing was published yet or because the change is older than the oplog. Raises PyMongoError
        if the database does not answer, and Unavailable if its answer comes from a secondary that lags: that one may
        receive the change later.
        """
        witness = self._witness
        if witness is None:
            return False
        cursor = await self._cursor(_BEFORE_ALL)
        try:
            await cursor.open({"startAtOperationTime": witness.time}, self._way)
            try:
                reply = await cursor.get_more(WITNESS_MS, batch_size=1)
                for _ in range(MERGED_LOOKS if cursor.is_merged else 0):
                    if reply.changes or reply.position >= witness.time:
                        break
                    # Some shard has not answered yet: one without changes answers only after the whole wait.
                    reply = await cursor.get_more(WITNESS_MS, batch_size=1)
            finally:
                await cursor.close()
        except OperationFailure as failure:
            if meaning_of(failure) is Meaning.PLACE_LOST:
                return False
            raise
        if self._members.may_lag and not reply.changes and reply.position <= witness.time:
            raise Unavailable(_NOT_THERE)
        return bool(reply.changes) and Witness.of(reply.changes[:1], reply.raws[:1]) == witness

    async def _open_cursor(self, start: Timestamp | None) -> Cursor:
        """Open a cursor that continues after the kept resume token or, if there is a `start`, begins at that time.

        `start` is a cluster time, which then becomes the position. Raises ValueError if the server's resume tokens do
        not carry the cluster time, and PyMongoError if the server refuses or does not answer.
        """
        stage = (
            {"startAtOperationTime": start}
            if start is not None
            else {"startAfter": RawBSONDocument(self._token)}
        )
        # startAfter is like resumeAfter, but also continues after an invalidate event. Both ways of opening may repeat
        # changes at or before the position, so those are skipped.
        skip = self.position if start is None else start
        self._decodes_anew = False
        cursor = await self._cursor(skip)
        self._way = await cursor.open(stage, self._way)
        if start is not None:
            if token_time(cursor.token).time < start.time:
                await cursor.close()
                raise ValueError("its resume tokens do not carry the cluster time")
            self._token = bytes(cursor.token.raw)
            self.position = start
        return cursor

    async def _cursor(self, skip_until: Timestamp) -> Cursor:
        """Make a cursor on a member that may be followed. Raises PyMongoError if the driver finds none."""
        route = await self._members.follow(self._client)
        return Cursor(self._database, self._collection, self._decoder, skip_until=skip_until, route=route)


def _count_until(changes: Sequence[Change], time: Timestamp) -> int:
    """Return the number of changes at or before this cluster time. The changes are in the order of their times."""
    end = len(changes)
    while end and changes[end - 1].time > time:
        end -= 1
    return end


def _wait(failures: int, jitter: float) -> float:
    """Return how many seconds to wait before the next attempt, after `failures` failures in a row.

    `jitter`, a number in [0, 1), puts the wait between half of the longest pause and all of it.
    """
    # The exponent is bounded: after some hours of failures, 2 ** failures would not fit into a float.
    longest: float = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 10))
    return longest * (0.5 + jitter / 2)
