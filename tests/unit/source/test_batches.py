"""Batches end between cluster times, wherever a server ends its replies. The tail reads from a played database."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import bson
import pytest
from bson import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import ReadPreference
from support.played_database import START, PlayedDatabase, event, token

from relay.source import cursor
from relay.source.decoder import Decoder
from relay.source.members import Members, Route
from relay.source.stream import Batch, Reopened
from relay.source.tail import Tail

GROUPS = st.lists(st.integers(1, 5), min_size=1, max_size=8)  # number of changes of each cluster time
CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=6)  # number of changes in each reply


async def delivered(database: PlayedDatabase) -> list[Batch | Reopened]:
    """Return what the tail yields up to the last change, or until it gives up its position."""
    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    await tail.open()
    results: list[Batch | Reopened] = []
    async with aclosing(tail.batches()) as batches:
        async for batch in batches:
            results.append(batch)
            if isinstance(batch, Reopened) or batch.position >= database.changes[-1][1]:
                return results
    raise AssertionError("the stream ended")


def check(results: list[Batch | Reopened], database: PlayedDatabase) -> None:
    """Check that each change occurs once, in order, that no cluster time is in two batches, and that a stream which
    is resumed at the token of a batch sends all changes after it.
    """
    batches = [batch for batch in results if isinstance(batch, Batch)]
    assert len(batches) == len(results)
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
    database = PlayedDatabase(groups, cuts, hello, past)
    check(asyncio.run(delivered(database)), database)


@settings(max_examples=300)
@given(GROUPS, st.integers(1, 4), st.booleans())
def test_a_full_reply_may_end_within_a_cluster_time(groups: list[int], size: int, past: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor, "BATCH_SIZE", size)
        database = PlayedDatabase(groups, [size], {"setName": "rs0"}, past)
        check(asyncio.run(delivered(database)), database)


@settings(max_examples=300)
@given(GROUPS, CUTS, st.booleans())
def test_an_unexpected_token_never_repeats_a_change_without_a_resync(
    groups: list[int], cuts: Any, past: bool
) -> None:
    database = PlayedDatabase([*groups, 1], cuts, {"setName": "rs0"}, past)
    results = asyncio.run(delivered(database))
    if not isinstance(results[-1], Reopened):
        check(results, database)


@settings(max_examples=100)
@given(GROUPS, CUTS, st.integers(0, 5))
def test_buffered_changes_are_received_again_after_an_interruption(
    groups: list[int], cuts: Any, at: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.source.tail.BACKOFF_MIN_S", 0.0)
        # Changes were published before: the tail gives up a position that it cannot find again after an interruption.
        broken = [1, 1, *(cuts * 6)[:at], None, *cuts]
        database = PlayedDatabase([1, 1, *groups], broken, {"msg": "isdbgrid"}, False)
        check(asyncio.run(delivered(database)), database)


def test_a_position_that_is_given_up_after_an_interruption_is_reopened_before_any_later_change() -> None:
    # The database was replaced before a change was published, so nothing shows that it is still the same one.
    database = PlayedDatabase([1, 1], [None, 1, 1], {"setName": "rs0"}, False)
    [first] = asyncio.run(delivered(database))
    assert isinstance(first, Reopened)


def test_a_single_change_is_delivered_without_waiting() -> None:
    database = PlayedDatabase([1, 1, 1], [1], {"setName": "rs0"}, False)
    results = asyncio.run(delivered(database))
    assert [len(batch.changes) for batch in results if isinstance(batch, Batch)] == [1, 1, 1]
    assert database.replies <= 4  # one of them is in flight when the last batch is yielded


class OneMember(Members):
    """The played database as the only member of its set."""

    async def follow(self, client: Any) -> Route:
        return Route(ReadPreference.PRIMARY)

    async def clock(self, client: Any) -> Any:
        return ReadPreference.PRIMARY


@pytest.mark.parametrize("preference", [ReadPreference.PRIMARY, ReadPreference.SECONDARY_PREFERRED])
async def test_a_stream_is_not_reopened_at_a_secondary_that_is_behind_the_position(
    preference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listeners would be shown an older state. With the primary, it is an older copy of the database."""
    monkeypatch.setattr("relay.source.tail.BACKOFF_MIN_S", 0.0)
    database = PlayedDatabase([1, 1, 1], [1], {"setName": "rs0"}, True)
    later, failures = Timestamp(99, 1), 0

    def failed() -> None:
        nonlocal failures
        failures += 1
        if failures == 2:
            database.now = later

    members = OneMember(preference)
    where: Any = database, "app", "tasks", Decoder("events")
    tail = Tail(*where, jitter=lambda: 0.0, members=members, on_interrupted=failed)
    await tail.open()
    async with aclosing(tail.batches()) as batches:
        async for batch in batches:
            if isinstance(batch, Reopened):
                break
            if batch.position >= database.changes[-1][1]:
                tail.reopen("lost")
    assert failures == (2 if members.may_lag else 0)
    assert batch.position == (later if members.may_lag else START)


async def test_a_stream_that_is_given_up_again_while_it_is_reopened_is_reopened_once_more() -> None:
    class Watched(PlayedDatabase):
        """Lets somebody find, while the first reply after an opening is under way, that the stream is of no use."""

        async def command(self, command: Any, **options: Any) -> Any:
            if "getMore" in command and tail.is_lost:
                tail.reopen("later")
            return await super().command(command, **options)

    database = Watched([1, 1], [1], {"setName": "rs0"}, False)
    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    await tail.open()
    tail.reopen("first")
    reasons: list[str] = []
    async with aclosing(tail.batches()) as items:
        async for item in items:
            if isinstance(item, Reopened):
                reasons.append(item.reason)
            elif len(reasons) == 2:
                break

    assert reasons == ["first", "later"]


async def test_a_cancellation_while_a_stream_is_left_is_not_lost() -> None:
    class Slow(PlayedDatabase):
        """Takes a moment to end a getMore that is cancelled."""

        async def command(self, command: Any, **options: Any) -> Any:
            if "getMore" in command and self.replies:
                try:
                    await asyncio.Event().wait()
                finally:
                    leaves.set()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            return await super().command(command, **options)

    leaves = asyncio.Event()
    database = Slow([1], [1], {"setName": "rs0"}, False)
    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    await tail.open()

    async def leave() -> None:
        async with aclosing(tail.batches()) as items:
            async for _ in items:
                await asyncio.sleep(0)
                return

    leaving = asyncio.ensure_future(leave())
    await leaves.wait()
    leaving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_stream_whose_raw_changes_nobody_needs_is_the_same_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.source.tail.BACKOFF_MIN_S", 0.0)
    database = PlayedDatabase([1, 3, 2, 1], [2, 1, None, 2, 1], {"msg": "isdbgrid"}, False)
    where: Any = database, "app", "tasks", Decoder("events")
    tail, changes = Tail(*where, jitter=lambda: 0.0, keeps_raws=False), []
    await tail.open()
    async with aclosing(tail.batches()) as batches:
        async for batch in batches:
            assert isinstance(batch, Batch)
            assert not batch.raws
            changes += [(change.id, change.time) for change in batch.changes]
            if batch.position >= database.changes[-1][1]:
                break

    assert changes == database.changes


def test_a_part_of_the_stream_with_a_change_that_cannot_be_read_is_not_complete() -> None:
    where: Any = PlayedDatabase([1], [1], {}, False), "app", "tasks", Decoder("events")
    tail, time = Tail(*where, jitter=lambda: 0.0), Timestamp(10, 1)
    tail.take_over(START, bson.encode(token(START)))
    events = [event(0, time), {**event(1, time), "operationType": "insert"}]

    batch = tail.take([bson.encode(one) for one in events], time, bson.encode(token(time)), is_current=True)

    assert [change.id for change in batch.changes] == [0]
    assert not batch.is_complete
    assert tail.is_lost
