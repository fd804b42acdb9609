"""Whatever entries a feed loses, repeats or reorders: what a `SharedTail` gives out is what the database wrote."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import bson
import pytest
from bson import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from support.played_database import START, PlayedDatabase, event, token

from relay.source.decoder import Decoder
from relay.source.shared.entry import Entry, joined
from relay.source.shared.feed import FeedLost
from relay.source.shared.tail import SharedTail
from relay.source.stream import Batch, Reopened
from relay.source.tail import Tail

LOST = "the feed is lost"
GROUPS = st.lists(st.integers(1, 5), min_size=1, max_size=8)  # number of changes of each cluster time
CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=6)  # number of changes in each reply of the database
# Where an entry begins, counted in places from the end of the one before (0: it follows that one, less: it overlaps or
# repeats it, more: some were lost between them), and how many places it has.
MOVES = st.tuples(st.sampled_from([0, 0, 0, 0, -1, 1]) | st.integers(-9, 9), st.integers(0, 5))
STEPS = st.lists(MOVES | st.sampled_from([None, LOST]), max_size=25)
Step = Entry | str | None


class PlayedFeed:
    """A feed that gives out these entries. LOST ends it until it is opened again; after the last one it stays lost."""

    def __init__(self, steps: Sequence[Step], top: Entry) -> None:
        self._steps = [*steps]
        self._top = top
        self.is_open = False

    async def open(self, after: Timestamp | None) -> Entry:
        await asyncio.sleep(0)
        if not self._steps:
            raise FeedLost("nothing is left")
        self.is_open = True
        return self._top

    async def entries(self) -> AsyncGenerator[Entry | None]:
        try:
            while self._steps:
                await asyncio.sleep(0)
                step = self._steps.pop(0)
                if isinstance(step, str):
                    break
                yield step
            raise FeedLost("the test says so")
        finally:
            self.is_open = False

    async def close(self) -> None:
        self.is_open = False


def entry(database: PlayedDatabase, start: Timestamp, end: Timestamp, reopened: str | None = None) -> Entry:
    """Return the part of the database's stream with `start` < cluster time <= `end`."""
    within = [event(number, time) for number, time in database.changes if start < time <= end]
    events = joined(map(bson.encode, within if reopened is None else ()))
    return Entry(start, end, bson.encode(token(end)), events, reopened=reopened)


def entries(database: PlayedDatabase, steps: Sequence[tuple[int, int] | str | None]) -> list[Step]:
    """Return the entries that the moves stand for. They begin and end at cluster times of changes, or between them."""
    times = {time.time for _, time in database.changes}
    places = [START, *(Timestamp(time, inc) for time in sorted(times) for inc in (0, 1, 9))]
    made: list[Step] = []
    at = 0
    for step in steps:
        if isinstance(step, tuple):
            start = min(max(0, at + step[0]), len(places) - 1)
            at = min(start + step[1], len(places) - 1)
            made.append(entry(database, places[start], places[at]))
        else:
            made.append(step)
    return made


async def given_out(
    database: PlayedDatabase, feed: PlayedFeed, tick_s: float = 0.0
) -> list[Batch | Reopened]:
    """Return what a `SharedTail` gives out up to the last change. Each look at its clock takes `tick_s` seconds."""
    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    tail.take_over(START, bson.encode(token(START)))
    shared = SharedTail(tail, feed, clock=itertools.count(0.0, tick_s).__next__)
    items: list[Batch | Reopened] = []
    async with aclosing(shared.batches()) as batches:
        async for item in batches:
            items.append(item)
            if item.position >= database.changes[-1][1]:
                return items
    raise AssertionError("the stream ended")


def check(items: Sequence[Batch | Reopened], database: PlayedDatabase) -> None:
    """Check that each item begins where the one before ended, and has all changes up to its own end, in order. A
    stream of one database is not reopened at a time before its position.
    """
    position = START
    for item in items:
        if isinstance(item, Batch):
            assert item.start == position
            within = [number for number, time in database.changes if position < time <= item.position]
            assert [change.id for change in item.changes] == within
            assert [bson.decode(raw)["documentKey"]["_id"] for raw in item.raws] == within
        assert item.position >= position
        position = item.position
        resumed = bson.decode(item.token)["_data"]
        assert all(time <= position or token(time)["_data"] > resumed for _, time in database.changes)


@settings(max_examples=500)
@given(GROUPS, CUTS, STEPS, st.booleans(), st.sampled_from([0.0, 0.1, 0.7, 3.0]))
def test_entries_that_are_lost_repeated_or_reordered_change_nothing(
    groups: list[int],
    cuts: list[int | None],
    steps: list[tuple[int, int] | str | None],
    past: bool,
    tick_s: float,
) -> None:
    database = PlayedDatabase(groups, cuts, {"msg": "isdbgrid"}, past)
    database.now = database.changes[-1][1]
    feed = PlayedFeed(entries(database, steps), entry(database, START, database.now))

    items = asyncio.run(given_out(database, feed, tick_s))

    assert not any(isinstance(item, Reopened) for item in items)
    check(items, database)


@settings(max_examples=200)
@given(GROUPS, CUTS, STEPS, st.integers(0, 8), st.integers(0, 20), st.sampled_from([0.0, 0.7, 3.0]))
def test_a_stream_that_is_reopened_or_interrupted_goes_on_from_there(
    groups: list[int],
    cuts: list[int],
    steps: list[tuple[int, int] | str | None],
    broken: int,
    reopened: int,
    tick_s: float,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.source.tail.BACKOFF_MIN_S", 0.0)
        database = PlayedDatabase(groups, [*(cuts * 8)[:broken], None, *cuts], {"msg": "isdbgrid"}, False)
        database.now = database.changes[-1][1]
        made = entries(database, steps)
        if reopened < len(made):
            at = Timestamp(10 + reopened % len(groups), 1)
            made[reopened] = entry(database, at, at, "the collection was dropped or renamed")
        feed = PlayedFeed(made, entry(database, START, database.now))

        items = asyncio.run(given_out(database, feed, tick_s))

    check(items, database)


def test_a_feed_that_was_reopened_before_the_position_reopens_nothing() -> None:
    database = PlayedDatabase([1] * 5, [1], {"setName": "rs0"}, False)
    database.now = database.changes[-1][1]
    middle, before = Timestamp(13, 1), Timestamp(11, 1)
    reopened = entry(database, before, before, "the process that feeds could not go on")
    feed = PlayedFeed([entry(database, START, middle), reopened], entry(database, START, database.now))

    items = asyncio.run(given_out(database, feed))

    assert not any(isinstance(item, Reopened) for item in items)
    check(items, database)


def test_a_stream_that_is_given_up_is_reopened_at_the_present_also_if_the_feed_was_reopened_before() -> None:
    database = PlayedDatabase([1] * 5, [1], {"setName": "rs0"}, False)
    database.now = Timestamp(20, 1)
    before = Timestamp(11, 1)

    class Watched(PlayedFeed):
        """Somebody finds that the stream is of no use while an older entry is on its way."""

        async def entries(self) -> AsyncGenerator[Entry | None]:
            shared.reopen("the collection was replaced")
            yield entry(database, before, before, "the collection was dropped")

    tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    tail.take_over(START, bson.encode(token(START)))
    shared = SharedTail(tail, Watched([None], entry(database, database.now, database.now)))

    async def first() -> Batch | Reopened:
        async with aclosing(shared.batches()) as batches:
            return await anext(batches)

    assert asyncio.run(first()).position == database.now


@pytest.mark.parametrize(
    ("hello", "follows"),
    [({"msg": "isdbgrid"}, True), ({"setName": "rs0"}, False)],
    ids=["a sharded cluster", "a replica set"],
)
def test_a_feed_may_be_behind_the_database_for_as_long_as_an_idle_shard_holds_it_back(
    hello: dict[str, Any], follows: bool
) -> None:
    database = PlayedDatabase([1] * 30, [1], hello, False)
    database.now = Timestamp(START.time + 20, 1)
    everything = entry(database, START, database.changes[-1][1])
    feed = PlayedFeed([*[None] * 20, everything], entry(database, START, START))

    async def opened() -> Timestamp:
        tail = Tail(database, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
        return await SharedTail(tail, feed).open()

    assert asyncio.run(opened()) == (START if follows else database.now)
    check(asyncio.run(given_out(database, feed, 3.0)), database)
    assert (database.replies == 0) is follows
