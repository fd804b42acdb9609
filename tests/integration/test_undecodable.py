"""Values that the driver cannot decode: only the value is missing, and all other documents are shown."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, MongoClient
from support import odd_values
from support.relay_fixture import connected, running, settings_for

from relay.source.decoder import Decoder
from relay.source.identity import RawId
from relay.source.raw_bson import Undecodable
from relay.source.reader import Reader
from relay.tasks.task_ids import wire_id

UNDECODABLE = odd_values.VALUES["undecodable"]
SHOWN = "[undecodable]"
ALICE = odd_values.in_value("alice")
NAMED = wire_id(RawId(UNDECODABLE))  # the taskId of the `_id` that is this value


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


def setting(operator: str, **fields: bytes) -> RawBSONDocument:
    return odd_values.document({operator: b"\x03" + odd_values.document(fields).raw})


@pytest.mark.parametrize("name", ["title", "status", "questions", "teamId", "members", "github", "other"])
async def test_an_undecodable_field_hides_no_task(
    tasks: Any, mongo_url: str, database_name: str, name: str
) -> None:
    tasks.insert_one(
        odd_values.document({"_id": odd_values.in_value("rotten"), "createdBy": ALICE, name: UNDECODABLE})
    )
    tasks.insert_one({"_id": "sound", "createdBy": "alice"})
    async with running(settings_for(mongo_url, database_name)) as relay, connected(relay) as client:
        await client.send("dashboard:join")
        listed = (await client.until("dashboard:state"))["data"]["tasks"]
        assert {task["taskId"] for task in listed} == {"rotten", "sound"}
        await client.send("task:join", {"tasks": [{"taskId": "rotten"}, {"taskId": "sound"}]})
        assert {(await client.until("task:state"))["data"]["taskId"] for _ in "12"} == {"rotten", "sound"}
        tasks.update_one(
            {"_id": "rotten"}, setting("$set", **{name: UNDECODABLE, "error": odd_values.in_value("why")})
        )
        updated = await client.until("task:updated", taskId="rotten")
        assert updated["data"]["task"]["error"] == "why"
        assert name not in updated["data"]["task"]
        tasks.update_one({"_id": "rotten"}, {"$set": {"title": "mended"}})
        await client.until("dashboard:task_list_updated", taskId="rotten", title="mended")
        assert not await reopened(relay)


async def test_only_the_undecodable_value_of_an_event_is_not_shown(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    event = odd_values.document({"type": odd_values.in_value("log"), "x": UNDECODABLE})
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [event]})
    async with running(settings_for(mongo_url, database_name)) as relay, connected(relay) as client:
        await client.send("task:join", {"taskId": "t"})
        state = (await client.until("task:state"))["data"]
        assert state["events"] == [{"type": "log", "at": None, "data": {"type": "log", "x": SHOWN}}]
        tasks.update_one({"_id": "t"}, {"$push": {"events": event}})
        added = (await client.until("task:event_added"))["data"]
        assert (added["index"], added["event"]) == (1, state["events"][0])
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": 1}}})
        head = (await client.until("task:event_added"))["data"]["head"]
        await client.send("task:join", {"taskId": "t", "since": 3, "head": head})
        assert (await client.until("task:state"))["data"]["reset"] is False


async def test_an_undecodable_field_gives_no_rights(tasks: Any, mongo_url: str, database_name: str) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "teamId": "red"})
    async with (
        running(settings_for(mongo_url, database_name)) as relay,
        connected(relay) as alice,
        connected(relay, sub=SHOWN, teams=["red"]) as other,
    ):
        for client in (alice, other):
            await client.send("task:join", {"taskId": "t"})
            await client.until("task:state")
        tasks.update_one({"_id": "t"}, setting("$set", createdBy=UNDECODABLE))
        await alice.until("task:revoked", taskId="t")
        await alice.send("task:join", {"taskId": "t"}, id="again")
        assert (await alice.until("error"))["data"]["code"] == "forbidden"
        tasks.update_one({"_id": "t"}, setting("$set", teamId=UNDECODABLE))
        await other.until("task:revoked", taskId="t")


async def test_a_document_whose_id_cannot_be_decoded_is_read_and_named_by_its_bytes(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    left_out: list[int] = []
    tasks.insert_one({"_id": 1, "events": [1]})
    tasks.insert_one(odd_values.document({"_id": UNDECODABLE, "title": odd_values.in_value("x")}))
    tasks.insert_one(odd_values.document({"_id": odd_values.in_value(2), "title": UNDECODABLE}))
    async with AsyncMongoClient[Any](mongo_url) as mongo:
        reader = Reader(mongo, database_name, "tasks", Decoder("events"), left_out=left_out.append)
        for projection in (None, {"title": 1, "events": 1}):
            found = await reader.read_at(await reader.now(), {}, projection=projection, sort={"title": 1})
            assert {wire_id(document["_id"]) for document in found} == {*map(wire_id, (1, 2)), NAMED}
            assert [type(one.get("title")) for one in found if one["_id"] == 2] == [Undecodable]
    assert not left_out


async def test_a_document_with_an_undecodable_id_is_shown_like_any_other(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(settings_for(mongo_url, database_name)) as relay, connected(relay) as client:
        await client.send("dashboard:join")
        await client.until("dashboard:state")
        tasks.insert_one(odd_values.document({"_id": UNDECODABLE, "createdBy": ALICE}))
        await client.until("dashboard:task_list_updated", taskId=NAMED)
        await client.send("task:join", {"taskId": NAMED})
        await client.until("task:state", taskId=NAMED)
        tasks.update_many({"createdBy": "alice"}, {"$set": {"title": "new"}})
        await client.until("task:updated", taskId=NAMED)
        tasks.delete_many({"_id": {"$ne": "t"}})
        await client.until("task:deleted", taskId=NAMED)
        assert not await reopened(relay)


async def reopened(relay: Any) -> bool:
    """Whether the relay gave up its position in the stream."""
    body = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{relay.url}/metrics").read().decode())
    return "relay_stream_reopened_total 0.0" not in body
