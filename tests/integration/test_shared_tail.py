"""Processes that share one change stream read exactly what the database wrote, whatever happens to the sharing."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from support.relay_fixture import SOON_S
from support.stream_followers import Commands, Follower, agree, in_background, tail_of, write

from relay.source.shared import feeder, socket_feed
from relay.source.shared import tail as shared_tail
from relay.source.shared.feeder import Feeder, feed
from relay.source.shared.socket_feed import SocketFeed
from relay.source.shared.tail import SharedTail


@asynccontextmanager
async def feeding(
    client: AsyncMongoClient[Any], database: str, listening: socket.socket
) -> AsyncIterator[Feeder]:
    """Follow the change stream and pass it on, as one process does for the others."""
    tail, feeder = tail_of(client, database), Feeder()
    feeder.begin(await tail.open(), tail.token)
    async with in_background(feed(feeder, tail.batches())), in_background(feeder.serve(listening.dup())):
        yield feeder


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "feed"))
        listening.listen()
        yield listening


@asynccontextmanager
async def following(
    client: AsyncMongoClient[Any], database: str, path: str, count: int
) -> AsyncIterator[list[Follower]]:
    """Run a follower that reads the database itself, and `count` that share a stream. The one by itself comes first."""
    async with AsyncExitStack() as stack:
        followers = [Follower(tail_of(client, database))]
        followers += [Follower(SharedTail(tail_of(client, database), SocketFeed(path))) for _ in range(count)]
        for follower in followers:
            await follower.stream.open()
            await stack.enter_async_context(in_background(follower.run()))
        yield followers


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a follower look for a lost feed, and compare a silent one with the database, sooner than usual."""
    monkeypatch.setattr(shared_tail, "LOOK_S", 0.05)
    monkeypatch.setattr(socket_feed, "CONNECT_S", SOON_S)  # a busy machine takes longer than usual
    monkeypatch.setattr(socket_feed, "TICK_S", 0.1)
    monkeypatch.setattr(socket_feed, "SILENT_S", 1.0)
    monkeypatch.setattr(feeder, "IDLE_S", 0.1)


async def test_processes_read_the_same_while_the_one_that_feeds_them_comes_and_goes(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, listening: socket.socket
) -> None:
    rng = random.Random(7)
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        async with feeding(client, database_name, listening):
            followers = await stack.enter_async_context(
                following(client, database_name, listening.getsockname(), 3)
            )
            _, *sharing = followers
            await asyncio.to_thread(write, mongo, database_name, rng, 40)
            for follower in sharing:
                await follower.until(lambda one=follower: one.stream.is_following)
        for _ in range(5):
            await asyncio.to_thread(write, mongo, database_name, rng, 20)
            for follower in sharing:
                await follower.until(lambda one=follower: not one.stream.is_following)
            async with feeding(client, database_name, listening):
                await asyncio.to_thread(write, mongo, database_name, rng, 20)
                for follower in sharing:
                    await follower.until(lambda one=follower: one.stream.is_following)
        await agree(mongo, database_name, *followers)

    assert not any(follower.reopened for follower in followers)


async def test_a_follower_that_shares_opens_no_change_stream(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, listening: socket.socket
) -> None:
    commands = Commands()
    async with (
        AsyncMongoClient(mongo_url) as client,
        AsyncMongoClient(mongo_url, event_listeners=[commands]) as watched,
        feeding(client, database_name, listening),
    ):
        path = listening.getsockname()
        follower = Follower(SharedTail(tail_of(watched, database_name), SocketFeed(path)))
        await follower.stream.open()
        async with in_background(follower.run()):
            await asyncio.to_thread(write, mongo, database_name, random.Random(1), 30)
            await agree(mongo, database_name, follower)

    assert not {"aggregate", "getMore"} & set(commands.names)


async def test_a_follower_whose_entries_are_gone_reads_them_from_the_database(
    mongo: MongoClient[dict[str, Any]],
    mongo_url: str,
    database_name: str,
    listening: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeder, "KEPT_BYTES", 0)
    async with (
        AsyncMongoClient(mongo_url) as client,
        feeding(client, database_name, listening) as feeds,
        following(client, database_name, listening.getsockname(), 1) as followers,
    ):
        plain, shared = followers
        for _ in range(5):
            await shared.until(lambda: shared.stream.is_following)
            feeds.disconnect()
            await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
        await agree(mongo, database_name, plain, shared)

    assert not shared.reopened


async def test_a_reopened_stream_is_reopened_for_every_follower(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, listening: socket.socket
) -> None:
    async with (
        AsyncMongoClient(mongo_url) as client,
        feeding(client, database_name, listening),
        following(client, database_name, listening.getsockname(), 2) as followers,
    ):
        await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
        await agree(mongo, database_name, *followers)

        mongo[database_name].tasks.drop()

        for follower in followers:
            await follower.until(lambda one=follower: bool(one.reopened))
            follower.changes.clear()
        await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
        await agree(mongo, database_name, *followers)
        assert [len(follower.reopened) for follower in followers] == [1, 1, 1]


async def test_one_follower_that_is_reopened_does_not_reopen_the_others(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, listening: socket.socket
) -> None:
    async with (
        AsyncMongoClient(mongo_url) as client,
        feeding(client, database_name, listening),
        following(client, database_name, listening.getsockname(), 2) as followers,
    ):
        followers[1].stream.reopen("a test asks for it")

        await followers[1].until(lambda: bool(followers[1].reopened))
        await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
        await agree(mongo, database_name, *followers)
        assert [len(follower.reopened) for follower in followers] == [0, 1, 0]


async def test_a_drop_that_only_the_process_which_feeds_has_seen_is_not_missed_when_that_process_ends(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, listening: socket.socket
) -> None:
    async with AsyncMongoClient(mongo_url) as client:
        tail, feeds = tail_of(client, database_name), Feeder()
        feeds.begin(await tail.open(), tail.token)

        async def feed_until_it_is_dropped() -> None:
            async with aclosing(tail.batches()) as items:
                async for item in items:
                    feeds.add(item)
                    if tail.is_lost:
                        return

        async with (
            in_background(feeds.serve(listening.dup())) as serving,
            in_background(feed_until_it_is_dropped()) as dropped,
            following(client, database_name, listening.getsockname(), 1) as followers,
        ):
            await followers[1].until(lambda: followers[1].stream.is_following)
            await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
            await agree(mongo, database_name, *followers)

            mongo[database_name].tasks.drop()
            await dropped
            serving.cancel()

            for follower in followers:
                await follower.until(lambda one=follower: bool(one.reopened))
                follower.changes.clear()
            await asyncio.to_thread(write, mongo, database_name, random.Random(1), 10)
            await agree(mongo, database_name, *followers)
            assert [len(follower.reopened) for follower in followers] == [1, 1]
