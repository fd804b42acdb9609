"""Relays that share a change stream through Redis: who writes it, what is kept there, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from bson import Timestamp
from pymongo import AsyncMongoClient, MongoClient
from support.stream_followers import (
    LIMIT_S,
    POLL_S,
    Commands,
    Follower,
    agree,
    in_background,
    tail_of,
    write,
)
from support.valkey import Valkey

from relay.source.shared.entry import Entry
from relay.source.shared.tail import SharedTail

redis = pytest.importorskip("redis")

from redis.asyncio import Redis  # noqa: E402
from redis.exceptions import OutOfMemoryError  # noqa: E402

from relay.source.shared import leader as leading  # noqa: E402
from relay.source.shared import redis_stream  # noqa: E402
from relay.source.shared.leader import Leader  # noqa: E402
from relay.source.shared.redis_feed import RedisFeed  # noqa: E402
from relay.source.shared.redis_stream import Answer, RedisStream  # noqa: E402
from relay.source.shared.seal import Seal  # noqa: E402

KEY = secrets.token_bytes(32)


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Any]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _long_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no lease expire while a busy machine stands still. It is only handed on or given up."""
    for module in (leading, redis_stream):
        monkeypatch.setattr(module, "LEASE_MS", 1000 * 3600)


class Sharing:
    """One relay's part in sharing: it follows the stream, and leads it if nobody else does."""

    def __init__(
        self,
        mongo: AsyncMongoClient[Any],
        url: str,
        database: str,
        *,
        key: bytes = KEY,
        kept_bytes: int = 10_000_000,
    ) -> None:
        def stream() -> RedisStream:
            seal = Seal([key], f"{database}.tasks")
            return RedisStream(
                Redis.from_url(url, protocol=2), f"{database}.tasks", seal, kept_bytes=kept_bytes
            )

        own = tail_of(mongo, database)
        self.leader = Leader(stream(), tail_of(mongo, database), own, jitter=random.random)
        self.shared = SharedTail(own, RedisFeed(stream()))
        self.follower = Follower(self.shared)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with in_background(self.leader.run()):
            await self.shared.open()
            async with in_background(self.follower.run()):
                yield


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not is_so():
            await asyncio.sleep(POLL_S)


async def sharing(stack: AsyncExitStack, *relays: Sharing) -> None:
    """Run these relays until the stack ends. Waits until one of them leads, and all follow."""
    for relay in relays:
        await stack.enter_async_context(relay.running())
    await until(lambda: sum(relay.leader.is_leading for relay in relays) == 1)
    await until(lambda: all(relay.shared.is_following for relay in relays))


async def test_relays_that_share_a_stream_open_one_and_read_what_the_database_wrote(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, valkey: Valkey
) -> None:
    commands = Commands()
    async with (
        AsyncMongoClient(mongo_url) as plain,
        AsyncMongoClient(mongo_url, event_listeners=[commands]) as watched,
        AsyncExitStack() as stack,
    ):
        first, *others = relays = [Sharing(watched, valkey.url, database_name) for _ in range(3)]
        await sharing(stack, first)
        opened = commands.names.count("aggregate")
        for relay in others:
            await stack.enter_async_context(relay.running())
        await until(lambda: all(relay.shared.is_following for relay in others))
        alone = Follower(tail_of(plain, database_name))
        await alone.stream.open()
        await stack.enter_async_context(in_background(alone.run()))

        await asyncio.to_thread(write, mongo, database_name, random.Random(3), 60)
        await agree(mongo, database_name, alone, *(relay.follower for relay in relays))

        # The leader opens a cursor twice: to see whether that works, and to read. It may need one more, to read before
        # it has shared anything. The others open none.
        assert opened <= 3
        assert commands.names.count("aggregate") == opened
        assert not any(relay.follower.reopened for relay in relays)


async def test_the_lead_is_handed_on_at_a_stop_and_no_change_is_read_twice(
    mongo: MongoClient[dict[str, Any]],
    mongo_url: str,
    database_name: str,
    valkey: Valkey,
) -> None:
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        other = Sharing(client, valkey.url, database_name)
        async with AsyncExitStack() as first:
            await sharing(first, Sharing(client, valkey.url, database_name))
            await stack.enter_async_context(other.running())
            await until(lambda: other.shared.is_following)
            await asyncio.to_thread(write, mongo, database_name, random.Random(4), 20)

        await until(lambda: other.leader.is_leading)

        await asyncio.to_thread(write, mongo, database_name, random.Random(5), 20)
        await agree(mongo, database_name, other.follower)
        assert other.shared.bridged == 0


async def test_only_so_many_bytes_are_kept(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, valkey: Valkey, client: Any
) -> None:
    changes = f"relay:v1:{{{database_name}.tasks}}:changes"

    def insert() -> None:
        mongo[database_name].tasks.insert_one({"noise": secrets.token_bytes(10_000)})

    async with AsyncMongoClient(mongo_url) as database, AsyncExitStack() as stack:
        relay = Sharing(database, valkey.url, database_name, kept_bytes=1_000_000)
        await sharing(stack, relay)
        for _ in range(150):
            # One entry each: many changes that are read at once may be too large together to be kept at all.
            [(top, _)] = client.xrevrange(changes, count=1)
            await asyncio.to_thread(insert)
            await until(lambda top=top: client.xrevrange(changes, count=1)[0][0] != top)
        await agree(mongo, database_name, relay.follower)

        sizes = [len(fields[b"entry"]) for _, fields in client.xrange(changes)]
        assert 600_000 < sum(sizes) <= 1_000_000


async def test_a_redis_without_memory_takes_no_entry_although_the_lease_is_held() -> None:
    with Valkey() as server, redis.Redis.from_url(server.url) as client:
        stream = RedisStream(
            Redis.from_url(server.url, protocol=2), "db.tasks", Seal([KEY], "db.tasks"), kept_bytes=10**6
        )
        try:
            one, two, three = (Timestamp(1, number) for number in (1, 2, 3))
            assert await stream.append(Entry(one, two, b""), None, begins=True) is Answer.HELD
            client.config_set("maxmemory", 1)

            with pytest.raises(OutOfMemoryError):
                await stream.append(Entry(two, three, b""), None, begins=False)

            # The lease stays until it expires or is given up, and the stream goes on when there is memory.
            client.config_set("maxmemory", 0)
            assert await stream.append(Entry(two, three, b""), None, begins=False) is Answer.HELD
        finally:
            await stream.close()


async def test_the_lease_of_a_stream_that_has_filled_redis_is_kept_by_removing_entries() -> None:
    with Valkey() as server, redis.Redis.from_url(server.url) as client:
        holder, other = (
            RedisStream(
                Redis.from_url(server.url, protocol=2), "db.tasks", Seal([KEY], "db.tasks"), kept_bytes=10**8
            )
            for _ in range(2)
        )
        try:
            times = [Timestamp(1, number) for number in range(1, 302)]
            for start, end in pairwise(times):
                entry = Entry(start, end, secrets.token_bytes(20_000))
                assert await holder.append(entry, None, begins=start == times[0]) is Answer.HELD
            for stream in (holder, other):
                entries = client.xlen(stream.changes)
                client.config_set("maxmemory", client.info("memory")["used_memory"] - 1)
                assert await stream.hold(is_current=True) is Answer.HELD
                assert 0 < client.xlen(stream.changes) < entries
                await stream.release()
        finally:
            await holder.close()
            await other.close()


async def test_a_change_that_is_too_large_to_be_kept_is_read_from_the_database(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, valkey: Valkey
) -> None:
    async with AsyncMongoClient(mongo_url) as database, AsyncExitStack() as stack:
        relays = [Sharing(database, valkey.url, database_name, kept_bytes=500_000) for _ in range(2)]
        await sharing(stack, *relays)
        mongo[database_name].tasks.insert_one({"noise": secrets.token_bytes(400_000)})

        await agree(mongo, database_name, *(relay.follower for relay in relays))

        assert [relay.shared.bridged for relay in relays] == [1, 1]
        assert not any(relay.follower.reopened for relay in relays)


async def test_a_relay_with_another_key_reads_the_database_itself_and_writes_once_nobody_else_does(
    mongo: MongoClient[dict[str, Any]],
    mongo_url: str,
    database_name: str,
    valkey: Valkey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        stranger = Sharing(client, valkey.url, database_name, key=bytes(32))
        async with AsyncExitStack() as first:
            usual = Sharing(client, valkey.url, database_name)
            await sharing(first, usual)
            await stack.enter_async_context(stranger.running())
            await asyncio.to_thread(write, mongo, database_name, random.Random(6), 20)
            await agree(mongo, database_name, stranger.follower)
            assert not stranger.shared.is_following
            [lost] = [one for one in caplog.records if "shared change stream is lost" in one.getMessage()]
            assert vars(lost)["reason"] == "an entry cannot be decrypted with RELAY_REDIS_KEY"

        await until(lambda: stranger.leader.is_leading and stranger.shared.is_following)
        await asyncio.to_thread(write, mongo, database_name, random.Random(7), 20)
        await agree(mongo, database_name, stranger.follower)


async def test_a_collection_that_is_dropped_is_reopened_once_for_every_relay(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str, valkey: Valkey
) -> None:
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        relays = [Sharing(client, valkey.url, database_name) for _ in range(3)]
        await sharing(stack, *relays)
        await asyncio.to_thread(write, mongo, database_name, random.Random(8), 10)

        mongo[database_name].tasks.drop()

        mongo[database_name].others.insert_one({})  # the position moves on
        await until(lambda: all(relay.follower.reopened for relay in relays))
        for relay in relays:
            relay.follower.changes.clear()
        await asyncio.to_thread(write, mongo, database_name, random.Random(9), 10)
        await agree(mongo, database_name, *(relay.follower for relay in relays))
        assert [len(relay.follower.reopened) for relay in relays] == [1, 1, 1]


async def test_a_database_that_stands_still_costs_the_lead(
    mongo_url: str, database_name: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    # The position of a primary without a majority stands still for ever, that of an idle one for up to 10 s.
    monkeypatch.setattr(leading, "STILL_S", 1.0)
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        relays = [Sharing(client, valkey.url, database_name) for _ in range(2)]
        await sharing(stack, *relays)

        await until(lambda: all(relay.leader.leads for relay in relays))

        assert "the database stands still" in {vars(one).get("reason") for one in caplog.records}
        assert not any(relay.follower.reopened for relay in relays)


async def test_a_relay_whose_stream_is_quiet_knows_that_it_is_up_to_date(
    mongo_url: str, database_name: str, valkey: Valkey
) -> None:
    async with AsyncMongoClient(mongo_url) as client, AsyncExitStack() as stack:
        await sharing(stack, Sharing(client, valkey.url, database_name))
        relay = Sharing(client, valkey.url, database_name)
        await stack.enter_async_context(relay.running())

        for _ in range(3):
            # A process that passes the stream on, as a tailer does, learns of it from an empty batch.
            current_at, batches = relay.shared.current_at, relay.follower.empty
            await until(lambda at=current_at: relay.shared.current_at != at)
            await until(lambda before=batches: relay.follower.empty > before)

        assert relay.shared.is_following
