"""What a `SharedTail` makes of a feed that sends nothing for a while, by the time of the database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import bson
import pytest
from bson import Timestamp
from pymongo import ReadPreference
from support.played_database import START, PlayedDatabase, event, token

from relay.source.decoder import Decoder
from relay.source.members import Members
from relay.source.shared.entry import Entry
from relay.source.shared.tail import SharedTail
from relay.source.stream import Batch
from relay.source.tail import Tail

REPLICA_SET, ROUTER = {"setName": "rs0"}, {"msg": "isdbgrid"}
LAST = Timestamp(10, 1)


class QuietFeed:
    """A feed that sends nothing for some ticks, and then the only change. It `was_left` if that was too late."""

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self.was_left = True
        self.is_open = False

    async def open(self, after: Timestamp | None) -> Entry:
        self.is_open = True
        return Entry(START, START, bson.encode(token(START)))

    async def entries(self) -> AsyncGenerator[Entry | None]:
        try:
            for _ in range(self._ticks):
                await asyncio.sleep(0)
                yield None
            self.was_left = False
            yield Entry(START, LAST, bson.encode(token(LAST)), bson.encode(event(0, LAST)))
        finally:
            self.is_open = False

    async def close(self) -> None:
        self.is_open = False


class Database(PlayedDatabase):
    """A database that can stop answering the question for its time."""

    answers = True

    async def command(self, command: Any, **options: Any) -> Any:
        if command == "ping" and not self.answers:
            await asyncio.Event().wait()
        return await super().command(command, **options)


async def is_left(
    now: Timestamp | None, hello: dict[str, Any] = REPLICA_SET, members: Members | None = None
) -> bool:
    """Follow a feed whose position stays at START, up to the change. `now` is the time of the database meanwhile; None
    if the database does not answer.

    Return whether the feed was left, and the change was read from the database.
    """
    database, feed = Database([1], [1], hello, False), QuietFeed(30)
    where = (database, "app", "tasks", Decoder("events"))
    tail = Tail(*where, jitter=lambda: 0.0, members=members)  # type: ignore[arg-type]
    shared = SharedTail(tail, feed, clock=itertools.count(0.0, 3.0).__next__)
    await shared.open()
    database.now, database.answers = now or START, now is not None
    async with aclosing(shared.batches()) as batches:
        async for item in batches:
            assert isinstance(item, Batch)
            if item.changes:
                return feed.was_left
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("behind_s", "hello", "leaves"),
    [
        (0, REPLICA_SET, False),
        (5, REPLICA_SET, False),
        (6, REPLICA_SET, True),
        (20, ROUTER, False),  # an idle shard may hold a stream back for that long
        (60, ROUTER, True),
    ],
)
async def test_a_feed_is_left_that_stays_behind_the_database(
    behind_s: int, hello: dict[str, Any], leaves: bool
) -> None:
    assert await is_left(Timestamp(START.time + behind_s, 1), hello) == leaves


async def test_a_feed_is_not_left_because_a_secondary_is_behind_it() -> None:
    members = Members(ReadPreference.SECONDARY_PREFERRED)
    assert not await is_left(Timestamp(START.time - 1, 1), REPLICA_SET, members)


async def test_a_database_that_does_not_answer_does_not_hold_the_feed_up() -> None:
    assert not await is_left(None)
