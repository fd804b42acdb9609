"""Batches end between cluster times, wherever a server ends its replies. The tail reads from a small fake database."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import bson
import pytest
from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from relay.source import cursor, stream
from relay.source.raw_bson import Decoder
from relay.source.stream import Batch, Reopened, Tail

START = Timestamp(9, 1)
GROUPS = st.lists(st.integers(1, 5), min_size=1, max_size=8)  # number of changes of each cluster time
CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=6)  # number of changes in each reply


def token(time: Timestamp) -> dict[str, Any]:
    return {"_data": "82" + time.time.to_bytes(4).hex() + time.inc.to_bytes(4).hex()}


class Database:
    """A server whose replies contain these numbers of changes. A cut of None is a lost connection."""

    def __init__(self, groups: list[int], cuts: list[int | None], hello: dict[str, Any], past: bool) -> None:
        times = [Timestamp(10 + number, 1) for number, size in enumerate(groups) for _ in range(size)]
        self.changes = [*enumerate(times)]
        self._cuts = cuts * len(times)
        self._hello = {"maxWireVersion": 17, **hello}
        self._past = past  # whether the token points past the changes once their cluster time is over
        self._told = self._replies = 0
        self._looked_for: Timestamp | None = None

    @property
    def client(self) -> Any:
        return self

    admin = client

    def __getitem__(self, name: str) -> Any:
        return self

    def start_session(self, **options: Any) -> Any:
        return self

    async def end_session(self) -> None: ...

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def command(self, command: Any, **options: Any) -> Any:
        if command == "ping":
            return {"operationTime": START}
        if command == "hello":
            return self._hello
        if "find" in command or "killCursors" in command:
            return {}
        if "aggregate" in command:
            opening = command["pipeline"][0]["$changeStream"]
            after, start = opening.get("startAfter"), opening.get("startAtOperationTime", START)
            self._looked_for = start if start > START else None
            # Repeat the changes at the token, as a server may.
            self._told = sum(
                after is not None and token(time)["_data"] < after["_data"] for _, time in self.changes
            )
            return self._reply([], START if after is None else None, after)
        await asyncio.sleep(0)
        if (
            self._looked_for is not None
        ):  # the tail checks whether the last change it knows is still in the oplog
            return self._reply([one for one in self.changes if one[1] >= self._looked_for][:1], None)
        self._replies += 1
        cut = self._cuts[self._replies - 1] if self._replies <= len(self._cuts) else len(self.changes)
        if cut is None:
            raise AutoReconnect("gone")
        taken = self.changes[self._told : self._told + cut]
        self._told += len(taken)
        left = self.changes[self._told :]
        time = taken[-1][1] if taken else self.changes[self._told - 1][1] if self._told else START
        if not taken or (self._past and (not left or left[0][1] > time)):
            time = Timestamp(time.time, 9)
        return self._reply(taken, time)

    def _reply(self, taken: Any, time: Timestamp | None, after: Any = None) -> RawBSONDocument:
        batch = [
            {
                "_id": token(time),
                "operationType": "delete",
                "clusterTime": time,
                "documentKey": {"_id": number},
            }
            for number, time in taken
        ]
        cursor = {"id": 1, "nextBatch": batch, "postBatchResumeToken": after or token(time or START)}
        return RawBSONDocument(bson.encode({"cursor": cursor, "ok": 1}))


async def told(database: Database) -> list[Batch | Reopened]:
    """Return what the tail yields up to the last change, or until it gives up its position."""
    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    await tail.open()
    heard: list[Batch | Reopened] = []
    async with aclosing(tail.batches()) as batches:
        async for batch in batches:
            heard.append(batch)
            if isinstance(batch, Reopened) or batch.position >= database.changes[-1][1]:
                return heard
    raise AssertionError("the stream ended")


def check(heard: list[Batch | Reopened], database: Database) -> None:
    """Check that each change occurs once, in order, that no cluster time is in two batches, and that a stream which
    is resumed at the token of a batch sends all changes after it.
    """
    batches = [batch for batch in heard if isinstance(batch, Batch)]
    assert len(batches) == len(heard)
    assert [change.id for batch in batches for change in batch.changes] == [
        number for number, _ in database.changes
    ]
    before = START
    for batch in batches:
        assert batch.start == before
        assert all(before < change.time <= batch.position for change in batch.changes)
        assert [bson.decode(raw)["documentKey"]["_id"] for raw in batch.raws] == [
            change.id for change in batch.changes
        ]
        before = batch.position
        resumed = bson.decode(batch.token)["_data"]
        assert all(time <= before or token(time)["_data"] > resumed for _, time in database.changes)


@settings(max_examples=300)
@given(GROUPS, CUTS, st.sampled_from([{"msg": "isdbgrid"}, {}]), st.booleans())
def test_a_batch_from_a_router_ends_between_cluster_times(
    groups: list[int], cuts: list[Any], hello: dict[str, Any], past: bool
) -> None:
    database = Database(groups, cuts, hello, past)
    check(asyncio.run(told(database)), database)


@settings(max_examples=300)
@given(GROUPS, st.integers(1, 4), st.booleans())
def test_a_full_reply_may_end_within_a_cluster_time(groups: list[int], size: int, past: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor, "BATCH_SIZE", size)
        database = Database(groups, [size], {"setName": "rs0"}, past)
        check(asyncio.run(told(database)), database)


@settings(max_examples=300)
@given(GROUPS, CUTS, st.booleans())
def test_an_unexpected_token_never_repeats_a_change_without_a_resync(
    groups: list[int], cuts: Any, past: bool
) -> None:
    database = Database([*groups, 1], cuts, {"setName": "rs0"}, past)
    heard = asyncio.run(told(database))
    if not isinstance(heard[-1], Reopened):
        check(heard, database)


@settings(max_examples=100)
@given(GROUPS, CUTS, st.integers(0, 5))
def test_buffered_changes_are_received_again_after_an_interruption(
    groups: list[int], cuts: Any, at: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BACKOFF_MIN_S", 0.0)
        # Changes were published before: the tail gives up a position that it cannot find again after an interruption.
        broken = [1, 1, *(cuts * 6)[:at], None, *cuts]
        database = Database([1, 1, *groups], broken, {"msg": "isdbgrid"}, False)
        check(asyncio.run(told(database)), database)


def test_a_single_change_is_delivered_without_waiting() -> None:
    database = Database([1, 1, 1], [1], {"setName": "rs0"}, False)
    heard = asyncio.run(told(database))
    assert [len(batch.changes) for batch in heard if isinstance(batch, Batch)] == [1, 1, 1]
    assert database._replies <= 4  # one of them is in flight when the last batch is yielded
