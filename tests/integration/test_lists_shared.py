"""Users with different rights open lists of a real database: each has exactly its own, and no task is read twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from support.relay_fixture import SOON_S, connected, running

from relay.hub.fragments import PAGE
from relay.source.reader import Reader
from relay.tasks.translate import ENDING_FIELD, LENGTH_FIELD

USERS = [f"user{number}" for number in range(12)]
COUNT = 2 * PAGE + 50


def reads_of(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """Count how often the summary of each task is read."""
    counted: Counter[Any] = Counter()
    read_at = Reader.read_at

    async def counting(self: Reader, *args: Any, **options: Any) -> Sequence[Mapping[str, Any]]:
        documents = await read_at(self, *args, **options)
        projection = options.get("projection") or {}
        if LENGTH_FIELD in projection and ENDING_FIELD not in projection:
            counted.update(str(document["_id"]) for document in documents)
        return documents

    monkeypatch.setattr(Reader, "read_at", counting)
    return counted


def listed(client: Any) -> Any:
    """Return all tasks of the list that this client was sent first."""

    async def read() -> dict[str, Any]:
        tasks: list[Any] = []
        while True:
            data = (await client.until("dashboard:state"))["data"]
            tasks += data["tasks"]
            if not data["more"]:
                return {task["taskId"]: task for task in tasks}

    return read()


async def test_lists_of_users_with_other_rights_are_their_own_and_no_task_is_read_twice(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(1)
    documents = [
        {"_id": ObjectId(), "title": f"Task {n}", "members": chance.sample(USERS, 6), "events": [{"n": 0}]}
        for n in range(COUNT)
    ]
    tasks.insert_many(documents)
    # A list would read by itself what another list takes longer to read.
    monkeypatch.setattr("relay.hub.fragment_reads.PATIENCE_S", SOON_S)
    counted = reads_of(monkeypatch)
    async with running(with_()) as relay, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connected(relay, "/ws/dashboard?limit=5000", sub=user))
            for user in USERS
        ]
        lists = await asyncio.gather(*map(listed, clients))

    for user, shown in zip(USERS, lists, strict=True):
        seen = [one for one in documents if user in one["members"]]
        assert list(shown) == [str(one["_id"]) for one in reversed(seen)]
        assert [one["title"] for one in shown.values()] == [one["title"] for one in reversed(seen)]
    assert set(counted.values()) == {1}
    assert len(counted) == COUNT


async def test_a_list_after_changes_has_them_and_reads_only_new_tasks(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_many({"_id": f"t{n}", "title": "old", "teamId": "red", "events": []} for n in range(20))
    async with running(with_()) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as first:
        assert len(await listed(first)) == 20
        counted = reads_of(monkeypatch)
        # When tasks change, go, come and change their rights,
        tasks.update_many({"_id": {"$in": ["t1", "t2"]}}, {"$set": {"title": "new"}})
        tasks.update_one({"_id": "t3"}, {"$push": {"events": {"n": 1}}})
        tasks.delete_one({"_id": "t4"})
        tasks.update_one({"_id": "t5"}, {"$set": {"teamId": "blue"}})
        tasks.insert_one({"_id": "last", "title": "new", "teamId": "red"})
        while (await first.until("dashboard:task_list_updated"))["data"]["taskId"] != "last":
            pass
        # then somebody who comes after that has the list as it is now,
        async with connected(relay, "/ws/dashboard", sub="bob", teams=["red"]) as second:
            shown = await listed(second)
    assert shown.keys() == {"last", *(f"t{n}" for n in range(20))} - {"t4", "t5"}
    assert {one for one in shown if shown[one]["title"] == "new"} == {"t1", "t2", "last"}
    assert shown["t3"]["eventCount"] == 1
    # and only the task that no list had shown was read for it.
    assert counted == {"last": 1}


@pytest.mark.parametrize("is_routed", [False, True])
async def test_tasks_with_ids_of_any_type_are_listed_in_their_order(
    tasks: Any, with_: Any, is_routed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a sharded cluster the documents of a list are read with the rights once more.
    monkeypatch.setattr(Reader, "is_routed", is_routed)
    ids = [7, Int64(8), 9.5, Decimal128("10.5"), "text", {"a": 1, "b": [1, 2]}, ObjectId(), True]
    tasks.insert_many({"_id": id, "title": str(n), "createdBy": "alice"} for n, id in enumerate(ids))
    async with running(with_()) as relay:
        for _ in "ab":  # the second list takes the summaries of the first
            async with connected(relay, "/ws/dashboard") as client:
                shown = await listed(client)
            stored = [one["title"] for one in tasks.find({}, sort=[("_id", -1)])]
            assert [task["title"] for task in shown.values()] == stored


async def test_lists_that_are_read_beside_many_writes_end_as_the_documents_are(
    tasks: Any, with_: Any
) -> None:
    chance = Random(2)
    tasks.insert_many({"_id": f"t{n}", "members": USERS[:6], "events": []} for n in range(30))

    def write() -> None:
        for number in range(400):
            one = {"_id": f"t{chance.randrange(40)}"}
            members = {"members": chance.sample(USERS, 6)}
            match chance.randrange(8):
                case 0:
                    tasks.delete_one(one)
                case 1:
                    tasks.update_one(one, {"$set": members})
                case 2:
                    tasks.update_one(one, {"$set": {"title": f"{number}"}})
                case 3:
                    tasks.update_one(one, {"$setOnInsert": members}, upsert=True)
                case _:
                    tasks.update_one(one, {"$push": {"events": {"n": number}}})

    async with running(with_(relay_list_update_min_interval_ms=0)) as relay, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(relay, sub=user)) for user in USERS]
        views: list[dict[str, Any]] = [{} for _ in USERS]
        writing = asyncio.ensure_future(asyncio.to_thread(write))
        while not writing.done():  # everybody asks for the list again and again
            await asyncio.gather(*(_join(client, view) for client, view in zip(clients, views, strict=True)))
        await writing
        tasks.insert_one({"_id": "last", "members": USERS})
        for client, view in zip(clients, views, strict=True):
            async with asyncio.timeout(SOON_S):
                while "last" not in view:
                    _apply(view, await client.next())
    for user, view in zip(USERS, views, strict=True):
        stored = {one["_id"]: one for one in tasks.find({"members": user})}
        assert view.keys() == stored.keys()
        for task, shown in view.items():
            assert shown["eventCount"] == len(stored[task].get("events", []))
            assert shown.get("title") == stored[task].get("title")


async def _join(client: Any, view: dict[str, Any]) -> None:
    await client.send("dashboard:join", {})
    while True:
        frame = await client.next()
        _apply(view, frame)
        if frame["type"] == "dashboard:state" and not frame["data"]["more"]:
            return


def _apply(view: dict[str, Any], frame: dict[str, Any]) -> None:
    """Apply a message to the list that a client shows."""
    data = frame["data"]
    match frame["type"]:
        case "dashboard:state":
            if data["reset"]:
                view.clear()
            view.update({task["taskId"]: task for task in data["tasks"]})
        case "dashboard:task_list_updated" if data["change"] == "upserted":
            view[data["taskId"]] = data
        case "dashboard:task_list_updated":
            view.pop(data["taskId"], None)
