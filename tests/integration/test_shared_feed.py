"""What a process receives through the socket of the process that follows the change stream. No database is needed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import bson
import pytest
from bson import Timestamp
from support.played_database import START, event, token
from support.relay_fixture import SOON_S

from relay.source.shared import feeder as feeder_module
from relay.source.shared import socket_feed
from relay.source.shared.entry import Entry
from relay.source.shared.feed import FeedLost
from relay.source.shared.feeder import Feeder
from relay.source.shared.socket_feed import SocketFeed
from relay.source.stream import Batch, Reopened


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take longer than usual to connect."""
    monkeypatch.setattr(socket_feed, "CONNECT_S", SOON_S)


def time(number: int) -> Timestamp:
    return Timestamp(START.time + number, START.inc)


def encoded_token(number: int) -> bytes:
    return bson.encode(token(time(number)))


def change(number: int) -> bytes:
    return bson.encode(event(number, time(number)))


def batch(number: int) -> Batch:
    """Return a batch that has the change with this number."""
    return Batch((), [change(number)], time(number - 1), time(number), encoded_token(number))


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Feeder]:
    feeder = Feeder()
    feeder.begin(START, encoded_token(0))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        task = asyncio.ensure_future(feeder.serve(listening.dup()))
        try:
            yield feeder
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def connected(feeder: Feeder, path: Path, after: Timestamp | None) -> SocketFeed:
    feed, others = SocketFeed(str(path)), feeder.processes
    await feed.open(after)
    while feeder.processes == others:  # the position is sent just before the process counts
        await asyncio.sleep(0)
    return feed


async def received(feed: SocketFeed, until: Timestamp) -> list[Entry]:
    """Return the entries up to this position."""
    found: list[Entry] = []
    async with asyncio.timeout(60), aclosing(feed.entries()) as entries:
        async for entry in entries:
            if entry is not None and (entry.start < entry.end or entry.reopened is not None):
                found.append(entry)
                if entry.end >= until:
                    break
    return found


async def test_entries_that_wait_are_received_as_one(tmp_path: Path) -> None:
    async with serving(tmp_path / "feed") as feeder:
        feed = await connected(feeder, tmp_path / "feed", None)
        for number in range(1, 101):
            feeder.add(batch(number))

        entries = await received(feed, time(100))

        assert [(entry.start, entry.end) for entry in entries] == [(START, time(100))]
        assert entries[0].split() == [change(number) for number in range(1, 101)]
        assert entries[0].token == encoded_token(100)
        assert entries[0].is_current


async def test_more_than_is_read_ahead_is_received_in_order(tmp_path: Path) -> None:
    large = bson.encode({**event(0, time(0)), "more": b"x" * 400_000})
    async with serving(tmp_path / "feed") as feeder:
        feed = await connected(feeder, tmp_path / "feed", None)
        for number in range(1, 31):
            feeder.add(Batch((), [large], time(number - 1), time(number), encoded_token(number)))

        entries = await received(feed, time(30))

        assert [after.start for after in entries[1:]] == [before.end for before in entries[:-1]]
        assert [raw for entry in entries for raw in entry.split()] == [large] * 30


async def test_a_reopened_stream_is_received_apart_from_the_changes_around_it(tmp_path: Path) -> None:
    async with serving(tmp_path / "feed") as feeder:
        feed = await connected(feeder, tmp_path / "feed", None)
        feeder.add(batch(1))
        feeder.add(Reopened(time(5), "it was dropped", encoded_token(5)))
        feeder.add(batch(6))
        feeder.add(batch(7))

        entries = await received(feed, time(7))

        assert [(entry.start, entry.end, entry.reopened) for entry in entries] == [
            (START, time(1), None),
            (time(5), time(5), "it was dropped"),
            (time(5), time(7), None),
        ]


async def test_a_batch_that_lacks_changes_is_not_passed_on(tmp_path: Path) -> None:
    async with serving(tmp_path / "feed") as feeder:
        feed = await connected(feeder, tmp_path / "feed", None)
        feeder.add(batch(1))
        feeder.add(replace(batch(2), is_complete=False))
        other = SocketFeed(str(tmp_path / "feed"))

        assert (await other.open(START)).end == time(1)
        feeder.add(Reopened(time(2), "it was dropped", encoded_token(2)))
        for one in (feed, other):
            entries = await received(one, time(2))
            assert [(entry.start, entry.end) for entry in entries][-1] == (time(2), time(2))
            assert b"".join(entry.events for entry in entries) == change(1)


async def test_a_position_that_moves_without_changes_takes_no_room_from_the_changes_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "KEPT_BYTES", 2_000)
    async with serving(tmp_path / "feed") as feeder:
        feeder.add(batch(1))
        for number in range(2, 101):
            feeder.add(Batch((), (), time(number - 1), time(number), encoded_token(number)))
        feed = await connected(feeder, tmp_path / "feed", START)

        [entry] = await received(feed, time(100))

        assert (entry.start, entry.end, entry.split()) == (START, time(100), [change(1)])


async def test_what_came_before_the_end_is_received(tmp_path: Path) -> None:
    async with serving(tmp_path / "feed") as feeder:
        feed = await connected(feeder, tmp_path / "feed", None)
        feeder.add(batch(1))

    with pytest.raises(FeedLost, match="it ended"):
        await received(feed, time(2))
    assert not feed.is_open


async def test_a_process_that_sends_something_else_is_left(tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0\0\5hello" * 3)
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "feed"):
        with pytest.raises(FeedLost, match="ValueError"):
            await SocketFeed(str(tmp_path / "feed")).open(None)
