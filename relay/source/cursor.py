"""A change stream cursor on the server: open it, ask it for changes, close it. Does I/O.

`Cursor` knows one cursor from its opening to its end; `relay/source/tail.py` decides when to open one and where.
A change is one entry of the change stream, with a cluster time (MongoDB's logical clock). A resume token is MongoDB's
name for a place in the stream.

The commands aggregate and getMore are sent directly. The driver's own iterator cannot be used after a cancellation, and
hides the resume token of an empty reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from relay.source.change import (
    UNKNOWN_UPDATE,
    Change,
    Invalidated,
    Unreadable,
    Updated,
    just_before,
)
from relay.source.decoder import Decoder, cut_out
from relay.source.events import read_changes, token_time
from relay.source.members import Route
from relay.source.reader import RAW
from relay.source.walk import field

BATCH_SIZE = 1000  # changes per getMore; without a limit, reading a backlog took 119 MB
CUT_BYTES = 1024 * 1024  # a reply of at least this size may have been cut because it was full (at 16 MB)
PARSED_BYTES = 384 * 1024  # change events that are parsed at once, which takes about 5 ms
PARSED_S = 0.005  # after so long everything else runs that is ready, before more of a reply is parsed
_BATCH = (b"cursor", b"nextBatch")
# Ways to open the stream: options that make it say which dots of an updated path separate field names, the documented
# option first (events.py describes what each sends). If the server refuses one way, the next is tried. Without any
# option, an update with ambiguous paths is settled by reading the document.
WIRE_VERSION_6_1 = 18  # older servers accept `showExpandedEvents`, but send no `disambiguatedPaths`
EXPANDED, RAW_UPDATES, PLAIN = range(3)
WAYS: dict[int, dict[str, Any]] = {
    EXPANDED: {"showExpandedEvents": True},
    RAW_UPDATES: {"showRawUpdateDescription": True},
    PLAIN: {},
}
# BadValue, FailedToParse, Unauthorized, TypeMismatch, InvalidOptions, an unknown field.
_OPTION_REFUSED = frozenset({2, 9, 13, 14, 72, 40415})
CLOSE_S = 0.5  # how long to wait for killCursors, because the server may not answer


@dataclass(frozen=True, slots=True)
class Witness:
    """A published change, by which the database's history is recognized after an interruption.

    It is the first change of the cluster time `time`. `token` is the resume token of that change, as raw BSON.
    """

    time: Timestamp
    token: bytes

    @classmethod
    def of(cls, changes: Sequence[Change], raws: Sequence[bytes]) -> Self:
        """Return the first change of the last cluster time in `changes`, of which `raws` are the raw BSON."""
        time, first = changes[-1].time, len(changes) - 1
        while first and changes[first - 1].time == time:
            first -= 1
        return cls(time, field(raws[first], b"_id"))


@dataclass(frozen=True, slots=True)
class Reply:
    """The parsed reply to one getMore: its changes, and the position, the cluster time up to which every change has now
    been received.

    The last of `changes` may be later than the position: more changes with the same cluster time may follow them.
    `raws` are the change events as raw BSON, one for each of `changes`, in the same order. `behind_s`
    is the number of seconds between the end of the reply and the time of the database.
    """

    changes: list[Change]
    raws: list[bytes]
    position: Timestamp
    behind_s: int


class Cursor:
    """A change stream cursor on the server, read with getMore commands in a session of its own.

    A cursor may begin with changes from before its start. Those with a cluster time at or before `skip_until` are left
    out. `route` leads to the member that has the cursor: all commands go there.
    """

    def __init__(
        self,
        database: AsyncDatabase[Any],
        collection: str,
        decoder: Decoder,
        *,
        skip_until: Timestamp,
        route: Route,
    ) -> None:
        self.route = route
        self._database = database
        self._collection = collection
        self._decoder = decoder
        self._skip_until = skip_until
        self._skips = True
        self._session = database.client.start_session(causal_consistency=False)
        self._id = 0
        self._way = PLAIN
        self.token: RawBSONDocument
        self.is_merged = True  # a router merges the stream from the oplogs of several shards
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
        """Open the cursor with the options of `way` in `WAYS`, or of the next way that the server accepts.

        `stage` says where the stream begins. Returns the way that was accepted. Raises PyMongoError if the server
        refuses all ways or does not answer.
        """
        try:
            server = await self.route.command(self._database.client.admin, "hello", session=self._session)
            self.is_merged = "setName" not in server or server.get("msg") == "isdbgrid"
            if server["maxWireVersion"] < WIRE_VERSION_6_1:
                way = max(way, RAW_UPDATES)
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
        """Send the aggregate command that opens the stream where `stage` says, with the options of `way` in `WAYS`.

        Returns the reply, or None if the server refuses these options.
        """
        command = {
            "aggregate": self._collection,
            "pipeline": [{"$changeStream": {**stage, **WAYS[way]}}],
            "cursor": {"batchSize": 0},
        }
        try:
            return await self._command(command)
        except OperationFailure as failure:
            if way == PLAIN or failure.code not in _OPTION_REFUSED:
                raise
            return None

    async def get_more(self, wait_ms: int, *, batch_size: int = BATCH_SIZE) -> Reply:
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
        raws, size = batch.documents(), len(batch.raw)
        del reply, cut, batch  # each has a copy of the reply, of 16 MB if it is full
        began = monotonic()
        for some in _divided(raws):
            for raw, change in zip(some, await self._parsed(some), strict=True):
                if isinstance(change, Invalidated):
                    self.invalidated = True
                    self.token = change.token
                    break
                if isinstance(change, Unreadable):
                    # Ignore an unreadable change from before the start: the listeners were resynced after it already.
                    self.unreadable |= change.time > self._skip_until
                elif change is not None:
                    # A stream may begin with changes from before its start. After those, cluster times never go back.
                    self._skips = self._skips and change.time <= self._skip_until
                    if not self._skips:
                        changes.append(change)
                        brought.append(raw)
            if self.invalidated:
                break
            if monotonic() - began >= PARSED_S:  # a full reply of 16 MB would hold the event loop for longer
                await asyncio.sleep(0)
                began = monotonic()
        if self._way == EXPANDED:
            update = next((one.operation for one in changes if isinstance(one.operation, Updated)), None)
            self.is_vague |= update is not None and update.paths is None and update != UNKNOWN_UPDATE
        end = token_time(self.token)
        now = rest.get("$clusterTime", {}).get("clusterTime", end)
        position = self._position(end, changes, len(raws), size)
        return Reply(changes, brought, position, now.time - end.time)

    async def _parsed(self, raws: Sequence[bytes]) -> Sequence[Change | Invalidated | Unreadable | None]:
        """Parse change events, in a thread if they are large, and return one result for each."""

        def parse() -> Sequence[Change | Invalidated | Unreadable | None]:
            return [*read_changes(raws, self._decoder, split=False)]

        return await asyncio.to_thread(parse) if sum(map(len, raws)) > PARSED_BYTES else parse()

    def _position(self, end: Timestamp, changes: Sequence[Change], count: int, size: int) -> Timestamp:
        """Return the cluster time up to which every change has been received, after a reply with these changes.

        `end` is the cluster time of the reply's resume token; `count` and `size` are the number of the reply's elements
        and their bytes.

        A member of a replica set reads one oplog, in which each cluster time is one entry. So all changes up to `end`
        have been received, except that a full reply may end within an entry.

        A router merges the streams of several shards, whose oplogs may have entries with equal cluster times. Its
        resume token promises that no change before the token will follow. But the token may lie between two changes
        with the cluster time `end`, or before the first of them, and replies without changes do not rule that out: the
        rest follows only after each shard has written something later. So only the changes before `end` are certain.
        """
        if self.is_merged:
            return just_before(end)
        if not changes or changes[-1].time < end:
            return end
        return just_before(changes[-1].time) if _may_go_on(changes, count, size) else changes[-1].time

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
        reply: RawBSONDocument = await self.route.command(
            self._database, command, codec_options=RAW, session=self._session
        )
        return reply


def _divided(raws: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the documents in groups of at most PARSED_BYTES. A larger document is a group of its own."""
    first = size = 0
    for index, raw in enumerate(raws):
        if size + len(raw) > PARSED_BYTES and index > first:
            yield raws[first:index]
            first, size = index, 0
        size += len(raw)
    if raws:
        yield raws[first:]


def _may_go_on(changes: Sequence[Change], count: int, size: int) -> bool:
    """Return whether the next reply of a replica set may begin with more changes of the cluster time that this reply
    ends with.

    `changes` are the changes of this reply; `count` and `size` are the number of its elements and their bytes. If the
    answer is yes, the changes of that cluster time are held back for one more getMore, which costs a millisecond. So
    the answer is yes only if more changes are possible.

    An entry of the oplog is a write, a transaction, or a batch of writes that is not marked as one (deletes since
    MongoDB 6.1, all writes since 8.0). The server has all changes of an entry at once, so a reply ends between them
    only if the reply is full, by number or by size; then much is being written, and a millisecond does not matter. A
    change that is alone in its reply is complete.
    """
    return (
        changes[-1].grouped
        or size >= CUT_BYTES
        or count >= BATCH_SIZE
        or (len(changes) > 1 and changes[-2].time == changes[-1].time)
    )
