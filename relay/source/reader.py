"""Read the collection as it was at a cluster time in the last minutes. Does I/O.

The relay makes every read at its own position, the cluster time up to which it has published every change. So a
snapshot holds exactly the changes up to that position, and the live messages after it neither repeat nor miss one
(PROTOCOL.md 6.7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from bson import Int64, Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from relay.errors import PositionLost, Unavailable, Unwanted
from relay.metrics import DatabaseError
from relay.source.cancellation import raise_if_cancelled
from relay.source.cluster import is_routed, latest_time
from relay.source.decoder import Decoder
from relay.source.errors import TIME_UNKNOWN, Meaning, kind_of, meaning_of
from relay.source.id_lists import keys_in
from relay.source.identity import RawId, among
from relay.source.members import Members
from relay.source.projection import Projection
from relay.source.raw_bson import Document, ignore
from relay.source.walk import field

log = logging.getLogger(__name__)

MAX_TIME_MS = 10_000  # limit of each read: without a majority, a snapshot read would wait forever
DECODED_BYTES = 256 * 1024  # of a reply: more are decoded in a thread, because that takes about 3 ms
# $substrCP: a string that is not valid UTF-8. The expression fails, and with it the read.
NOT_CUT = frozenset({34456, 34457, 34458, 34459})
UNCUT_AT_ONCE = 8  # documents that are read without cutting, because one of them cannot be cut
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
AT_ONCE = 1_000  # documents of one reply: they are decoded together
KEYS_AT_ONCE = 10_000  # keys of one reply: to read them takes less than 2 ms

_T = TypeVar("_T")
# Returns the id of a cursor, 0 if it has ended, and what a reply has in the batch of this name.
_Take = Callable[[RawBSONDocument, str], tuple[int, Iterable[_T]]]


def _at_once(take: _Take[_T], cursor: RawBSONDocument, batch: str) -> tuple[int, Iterable[_T]]:
    id, taken = take(cursor, batch)
    return id, list(taken)


def whole(document: Document) -> Document:
    """Return the whole document. The default of the callback that chooses what is kept of a document."""
    return document


class _CannotCut(Exception):
    """A read has failed because a projection cannot cut a string of one of its documents (`Projection`)."""


class Reader:
    """Reads one collection as it was at a cluster time.

    `members` chooses which member of a replica set is read, the primary unless it is given. A member that has not
    reached the cluster time waits until it has, at most `max_time_ms`; no member answers with an older state.

    `client` must be another client than the tail's: the tail's waiting getMore occupies a connection of its pool (F15).
    `max_time_ms` limits the time of each read on the server. `left_out` is called with the number of documents that are
    not BSON and therefore are missing from a result, and `failed` with the kind of each failure.
    `kept` takes a document and returns the part of it that a read returns: the rest is let go at once, so that a read
    of many large documents does not hold all of them.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        database: str,
        collection: str,
        decoder: Decoder,
        *,
        members: Members | None = None,
        max_time_ms: int = MAX_TIME_MS,
        left_out: Callable[[int], None] = ignore,
        failed: Callable[[DatabaseError], None] = lambda _: None,
        kept: Callable[[Document], Document] = whole,
    ) -> None:
        self._client = client
        self._database = client[database]
        self._collection = collection
        self._decoder = decoder
        self._members = members or Members()
        self._left_out = left_out
        self._failed = failed
        self._kept = kept
        self._max_time_ms = max_time_ms

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any]]:
        """Read the matching documents as they were at `position`, including documents that were deleted later.

        `position` is a cluster time. A value that cannot be decoded becomes an Undecodable, and a document that is not
        BSON at all is left out, so that one broken document never fails a read of other documents. Raises PositionLost
        if that cluster time can no longer be read. Raises Unavailable if the database refuses or does not answer before
        a timeout. Raises Unwanted if `wanted` has returned False: it is called before each part of the result is
        decoded, and the rest is neither decoded nor fetched then.
        """
        options = {"projection": projection, "sort": sort, "limit": limit or None, "batchSize": AT_ONCE}
        try:
            return await self._find(position, {"filter": filter, **options}, self._documents, wanted)
        except _CannotCut:
            return await self._divided(position, filter, options, wanted)

    async def _divided(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        options: Mapping[str, Any],
        wanted: Callable[[], bool],
    ) -> list[Document]:
        """Make a read of which the database cannot cut some documents, as several reads.

        Halve the documents until at most UNCUT_AT_ONCE are together with one that cannot be cut, and read only these
        without cutting. A page of 200 tasks with logs of 1 MB would otherwise bring 200 MB because of one broken
        string. `options` are those of the `find` without its filter, and the projection is a Projection. Raises what
        `read_at` raises.
        """
        found: list[Document] = []
        few = {"filter": filter, **options, "projection": {"_id": 1}}
        parts = [await self._find(position, few, self._keys, wanted)]
        while parts:
            part = parts.pop()
            # The filter again: in a sharded cluster, a document may not match any more at the same position.
            part_of = {**options, "filter": {"$and": [among(map(RawId, part)), filter]}}
            try:
                found += await self._find(position, part_of, self._documents, wanted)
            except _CannotCut:
                middle = len(part) // 2
                if len(part) > UNCUT_AT_ONCE:
                    parts += [part[middle:], part[:middle]]  # the first half is read next, to keep the order
                else:
                    part_of["projection"] = options["projection"].uncut
                    found += await self._find(position, part_of, self._documents, wanted)
        return found

    async def keys_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        sort: Mapping[str, int],
        limit: int,
        wanted: Callable[[], bool] = lambda: True,
    ) -> list[bytes]:
        """Return the keys (`source.change.key_of`) of the first `limit` matching documents, as they were at `position`,
        in the order of `sort`. A key can be used in place of the `_id`: as a `source.identity.RawId`.

        Raises what `read_at` raises, and calls `wanted` as it does.
        """
        options = {"projection": {"_id": 1}, "sort": sort, "limit": limit, "batchSize": KEYS_AT_ONCE}
        return await self._find(position, {"filter": filter, **options}, self._keys, wanted)

    async def _find(
        self, position: Timestamp, options: Mapping[str, Any], take: _Take[_T], wanted: Callable[[], bool]
    ) -> list[_T]:
        """Run a `find` with these options, without those that are None, and return what `take` takes from its replies.
        Raises what `read_at` raises, and _CannotCut if its projection is a Projection that fails."""
        command: dict[str, Any] = {
            "find": self._collection,
            **{name: value for name, value in options.items() if value is not None},
            "readConcern": {"level": "snapshot", "atClusterTime": position},
            "maxTimeMS": self._max_time_ms,
            # Rights are compared exactly: a collection's own collation may treat "A" and "a" as equal.
            "collation": {"locale": "simple"},
        }
        try:
            try:
                return await self._run(command, take, wanted)
            except OperationFailure as failure:
                if failure.code != TIME_UNKNOWN or not self._members.may_lag:
                    raise
                # That member lags and has not even heard of the position. The driver tells a member with each command
                # the latest time that it knows itself, and learns that now. Then the member waits until it has the
                # position.
                await self.now()
            return await self._run(command, take, wanted)
        except OperationFailure as failure:
            if failure.code in NOT_CUT and isinstance(command.get("projection"), Projection):
                raise _CannotCut from failure
            self._failed(kind_of(failure))
            if meaning_of(failure) is Meaning.MOMENT_LOST:
                raise PositionLost(f"read at {position}: code {failure.code}") from failure
            raise Unavailable(f"read failed with code {failure.code}") from failure
        except PyMongoError as failure:
            self._failed(kind_of(failure))
            raise Unavailable(f"read failed: {type(failure).__name__}") from failure
        finally:
            raise_if_cancelled()

    async def _run(self, command: dict[str, Any], take: _Take[_T], wanted: Callable[[], bool]) -> list[_T]:
        # Each read has its own session: the server refuses a getMore outside the session of its find, and a causally
        # consistent session would add a read concern of its own.
        route = await self._members.read(self._client)
        more = {"collection": self._collection, "batchSize": command["batchSize"]}
        async with self._client.start_session(causal_consistency=False) as session:
            reply, batch = (
                await route.command(self._database, command, codec_options=RAW, session=session),
                "firstBatch",
            )
            found: list[_T] = []
            while wanted():
                if len(reply.raw) > DECODED_BYTES:
                    cursor, taken = await asyncio.to_thread(_at_once, take, reply["cursor"], batch)
                else:
                    cursor, taken = take(reply["cursor"], batch)
                found += taken
                if not cursor:
                    return found
                again = {"getMore": Int64(cursor), **more}
                reply = await route.command(self._database, again, codec_options=RAW, session=session)
                batch = "nextBatch"
            if cursor := reply["cursor"]["id"]:
                kill = {"killCursors": self._collection, "cursors": [cursor]}
                with suppress(PyMongoError):  # the server ends an idle cursor by itself after some time
                    await route.command(self._database, kill, session=session)
            raise Unwanted

    def _documents(self, cursor: RawBSONDocument, batch: str) -> tuple[int, Iterable[Document]]:
        return cursor["id"], self._decoded(cursor[batch])

    def _keys(self, cursor: RawBSONDocument, batch: str) -> tuple[int, Sequence[bytes]]:
        # To take a field from the cursor itself would make an object of each document in the batch.
        raw = bytes(cursor.raw)
        id = int.from_bytes(field(raw, b"id"), "little", signed=True)
        return id, keys_in(field(raw, batch.encode()), self._note_left_out)

    def _decoded(self, batch: Iterable[RawBSONDocument]) -> Iterator[Document]:
        """Decode these documents, and yield what is kept of each, in order. Those that are not BSON are left out,
        counted and logged."""
        for raw in batch:
            try:
                document = self._kept(self._decoder.document(bytes(raw.raw)))
            except Exception as failure:  # any error is about this document alone; go on with the others
                self._note_left_out(1, type(failure).__name__)
            else:
                yield document

    def _note_left_out(self, count: int, error: str = "InvalidBSON") -> None:
        self._left_out(count)
        log.error("a document cannot be decoded and is left out", extra={"error": error})

    @property
    def is_routed(self) -> bool:
        """Whether the database is a sharded cluster. False until the first server has answered."""
        return is_routed(self._client)

    async def now(self) -> Timestamp:
        """Return the cluster time of the database's latest operation.

        Every write to the collection that was acknowledged before this call is at or before that time. While the set
        has no primary and the read preference allows others, it is the time of a secondary, which may be earlier.
        Raises Unavailable if the database does not answer or has no cluster time.
        """
        where = self._client, self._database.name, self._collection
        try:
            clock = await self._members.clock(self._client)
            moment = await latest_time(*where, preference=clock, max_time_ms=self._max_time_ms)
        except PyMongoError as failure:
            self._failed(kind_of(failure))
            raise Unavailable(f"the question for the time failed: {type(failure).__name__}") from failure
        finally:
            raise_if_cancelled()
        if moment is None:
            raise Unavailable("the database has no cluster time")  # an arbiter, or a standalone server
        return moment
