"""A read of the database that nobody waits for any more ends: nothing more of it is fetched or decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from relay.errors import Unwanted
from relay.source.decoder import Decoder
from relay.source.raw_bson import Document
from relay.source.reader import Reader


class Counting(Decoder):
    """Counts the documents that it decodes."""

    def __init__(self) -> None:
        super().__init__("events")
        self.decoded = 0

    def document(self, raw: bytes) -> Document:
        self.decoded += 1
        return super().document(raw)


def times(count: int) -> Callable[[], bool]:
    """Return a function that is true so many times."""
    left = iter(range(count))
    return lambda: next(left, None) is not None


@pytest.mark.parametrize(("asked", "decoded"), [(0, 0), (1, 1_000), (2, 2_000), (3, 2_500)])
async def test_a_read_ends_at_the_next_part_of_its_result(
    tasks: Any, mongo_url: str, database_name: str, asked: int, decoded: int
) -> None:
    tasks.insert_many([{"_id": number} for number in range(2_500)])
    decoder = Counting()
    async with AsyncMongoClient[Any](mongo_url) as client:
        reader = Reader(client, database_name, "tasks", decoder)
        opened = await cursors(client)
        wanted = times(asked)
        if decoded == 2_500:
            assert len(await reader.read_at(await reader.now(), {}, wanted=wanted)) == decoded
        else:
            with pytest.raises(Unwanted):
                await reader.read_at(await reader.now(), {}, wanted=wanted)
        assert decoder.decoded == decoded
        assert await cursors(client) == opened


async def cursors(client: AsyncMongoClient[Any]) -> int:
    """Return how many cursors on this database's server are open and not in use."""
    status = await client.admin.command("serverStatus")
    opened: int = status["metrics"]["cursor"]["open"]["total"]
    return opened
