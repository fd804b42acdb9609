"""The time of the database, which a join after a write has to wait for. A played router answers a real driver."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Timestamp
from pymongo import AsyncMongoClient
from support.played_server import Command, name_of, played

from relay.errors import Unavailable
from relay.source.cluster import is_routed
from relay.source.decoder import Decoder
from relay.source.reader import Reader
from relay.source.tail import Tail

EARLY, LATE = Timestamp(10, 1), Timestamp(20, 7)


class Server:
    """A router that has not heard of the latest write, which went through another router to one of the shards."""

    def __init__(self, **hello: Any) -> None:
        self.hello = {"maxWireVersion": 21, "minWireVersion": 0, "isWritablePrimary": True, **hello}
        self.asked: list[Command] = []

    def answer(self, command: Command) -> Command:
        match name_of(command):
            case "hello":
                return self.hello
            case "find":
                self.asked.append(command)
                cursor = {"id": 0, "ns": "app.tasks", "firstBatch": [{"_id": 1}]}
                return {"cursor": cursor, "operationTime": LATE}
            case "ping":
                self.asked.append(command)
                return {"operationTime": EARLY}
            case _:
                return {}


def router(**hello: Any) -> Server:
    return Server(msg="isdbgrid", **hello)


@pytest.mark.parametrize("options", ["", "directConnection=true", "readPreference=secondary"])
async def test_a_write_through_another_router_is_at_or_before_the_time_of_the_database(options: str) -> None:
    server = router()
    async with played(server.answer) as host, AsyncMongoClient(f"mongodb://{host}/?{options}") as client:
        reader = Reader(client, "app", "tasks", Decoder("events"))

        assert [await reader.now() for _ in range(2)] == [LATE, LATE]

        assert reader.is_routed
        asked = server.asked[-1]
        assert (asked["find"], asked["$db"], asked["readConcern"]) == ("tasks", "app", {"level": "local"})
        assert not asked.keys() & {"filter", "allowPartialResults"}
        # The driver adds no read preference for a primary. A secondary may not have the write yet.
        assert asked.get("$readPreference", {"mode": "primary"})["mode"] in ("primary", "primaryPreferred")
        assert [name_of(one) for one in server.asked] == ["ping", "find", "find"]


async def test_the_tail_asks_the_shards_too() -> None:
    """A process that the stream is passed on to compares its position with this time. If it were an earlier one, the
    process would take the cluster for an older copy, and resync its clients."""
    server = router()
    async with played(server.answer) as host, AsyncMongoClient(f"mongodb://{host}/") as client:
        tail = Tail(client, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)

        assert await tail.now() == LATE
        assert tail.is_routed


async def test_a_replica_set_is_asked_with_ping() -> None:
    server = Server(setName="rs0", secondary=False)
    async with played(server.answer) as host:
        server.hello |= {"hosts": [host], "me": host}
        async with AsyncMongoClient(f"mongodb://{host}/?replicaSet=rs0") as client:
            reader = Reader(client, "app", "tasks", Decoder("events"))

            assert await reader.now() == EARLY

            assert not is_routed(client)
            assert [name_of(one) for one in server.asked] == ["ping"]


async def test_a_shard_that_does_not_answer_makes_the_time_unavailable() -> None:
    server = router()

    def answer(command: Command) -> Command:
        if name_of(command) == "find":
            return {"ok": 0, "code": 133, "errmsg": "Could not find host matching read preference"}
        return server.answer(command)

    async with played(answer) as host, AsyncMongoClient(f"mongodb://{host}/?retryReads=false") as client:
        with pytest.raises(Unavailable):
            await Reader(client, "app", "tasks", Decoder("events")).now()
