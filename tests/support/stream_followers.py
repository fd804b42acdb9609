"""Readers of a change stream that keep what they read, and writers of every kind of change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient, MongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from relay.source.decoder import Decoder
from relay.source.shared.tail import SharedTail
from relay.source.stream import Batch, Reopened
from relay.source.tail import Tail

LIMIT_S = 60.0
POLL_S = 0.01
Told = tuple[Timestamp, bytes]  # the cluster time and the raw BSON of a change


class Commands(CommandListener):
    """The names of the commands that a client has sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


@asynccontextmanager
async def in_background(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def tail_of(client: AsyncMongoClient[Any], database: str) -> Tail:
    return Tail(client, database, "tasks", Decoder("events"), jitter=random.random)


class Follower:
    """Reads a stream to the end of the test, and keeps each change."""

    def __init__(self, stream: Tail | SharedTail) -> None:
        self.stream = stream
        self.changes: list[Told] = []
        self.reopened: list[Reopened] = []
        self.empty = 0  # batches without a change

    async def run(self) -> None:
        async for item in self.stream.batches():
            if isinstance(item, Batch):
                self.empty += not item.changes
                self.changes += [
                    (change.time, raw) for change, raw in zip(item.changes, item.raws, strict=True)
                ]
            else:
                self.reopened.append(item)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not is_so():
                await asyncio.sleep(POLL_S)


def write(mongo: MongoClient[dict[str, Any]], database: str, rng: random.Random, count: int) -> None:
    """Write in every way that gives changes with one cluster time or several: single, many, in transactions."""
    tasks = mongo[database].tasks
    for _ in range(count):
        match rng.randrange(5):
            case 0:
                tasks.insert_many([{"events": []} for _ in range(rng.randint(1, 4))])
            case 1:
                tasks.update_many({}, {"$push": {"events": {"type": "x", "n": rng.random()}}})
            case 2:
                with mongo.start_session() as session, session.start_transaction():
                    for _ in range(rng.randint(1, 3)):
                        tasks.insert_one({"events": []}, session=session)
            case 3:
                tasks.delete_one({})
            case _:
                tasks.update_one({}, {"$set": {"status": rng.random()}})


async def agree(mongo: MongoClient[dict[str, Any]], database: str, *followers: Follower) -> None:
    """Wait until all followers have read a last change, and see that they have read the same, once each."""
    last = mongo[database].tasks.insert_one({"last": True}).inserted_id

    def is_read(follower: Follower) -> bool:
        return bool(follower.changes) and last.binary in follower.changes[-1][1]

    for follower in followers:
        await follower.until(lambda follower=follower: is_read(follower))  # type: ignore[misc]
    first, *others = followers
    assert len(set(first.changes)) == len(first.changes)
    for other in others:
        assert other.changes == first.changes
