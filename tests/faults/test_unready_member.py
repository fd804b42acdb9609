"""A connection to a member that was opened before the member could be read, and is used when it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from checker import until
from pymongo import AsyncMongoClient
from replicaset import Node

from relay.source.cursor import PLAIN, Cursor
from relay.source.decoder import Decoder
from relay.source.members import Members, only_wanted
from relay.source.reader import Reader

DECODER = Decoder("events")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A mongod that belongs to no replica set yet, like one that has just been started again."""
    node = Node(tmp_path / "0")
    node.start()
    yield node
    node.kill()


@pytest.fixture
async def client(node: Node) -> AsyncIterator[AsyncMongoClient[Any]]:
    """A client that has connected to it already, and connects no second time by itself."""
    async with AsyncMongoClient[Any](
        f"mongodb://{node.host}/?directConnection=true", maxPoolSize=1, server_selector=only_wanted
    ) as client:
        await client.admin.command("ping")
        member = {"_id": 0, "host": node.host}
        with node.client() as other:
            other.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        await until(lambda: node.is_primary(), "a primary")
        yield client


async def test_reads_succeed_once_the_member_is_the_primary(client: AsyncMongoClient[Any]) -> None:
    """The relay read in vain until it was restarted, because the driver took the member for one without sessions."""
    await client["unready"]["tasks"].insert_one({"_id": "t"})
    reader = Reader(client, "unready", "tasks", DECODER)

    now = await reader.now()
    found = await asyncio.gather(*(reader.read_at(now, {}) for _ in range(5)))

    assert found == [[{"_id": "t"}]] * 5


async def test_a_stream_opens_once_the_member_is_the_primary(client: AsyncMongoClient[Any]) -> None:
    collection = client["unready"]["tasks"]
    await collection.insert_one({"_id": "t"})
    route = await Members().follow(client)
    now = await Reader(client, "unready", "tasks", DECODER).now()
    cursor = Cursor(client["unready"], "tasks", DECODER, skip_until=now, route=route)

    await cursor.open({"startAtOperationTime": now}, PLAIN)
    await collection.update_one({"_id": "t"}, {"$set": {"title": "new"}})
    reply = await cursor.get_more(10_000)
    await cursor.close()

    assert [change.id for change in reply.changes] == ["t"]
