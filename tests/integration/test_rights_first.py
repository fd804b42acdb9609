"""What a user may not see is not read: MongoDB's profiler tells what each read brought to the relay."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from bson import ObjectId
from support.polling_client import post
from support.relay_fixture import SocketClient, connected, running, settings_for

from relay.hub import refusals

LARGE = 1_000_000  # bytes of events of a task
STEP_S = 1.0  # of refusals in the test of their time: a busy machine takes longer than usual to read a task
SMALL = 2_000  # more than a reply without documents has

Tasks = Any


@pytest.fixture
def tasks(profiled_tasks: Tasks) -> Tasks:
    return profiled_tasks


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name)


def large(creator: str, **more: Any) -> dict[str, Any]:
    events = [{"type": "log", "text": "x" * (LARGE // 10)}] * 10
    return {"_id": str(ObjectId()), "createdBy": creator, "title": "t", "events": events, **more}


def reads(tasks: Tasks) -> list[dict[str, Any]]:
    """Every read of the collection for somebody so far, in order; not the one that a relay begins with."""
    profile = tasks.database["system.profile"]
    return list(
        profile.find({"op": "query", "command.find": "tasks", "command.filter": {"$ne": {}}}).sort("ts", 1)
    )


def brought(tasks: Tasks) -> int:
    """The number of documents that all reads have brought."""
    return sum(one["nreturned"] for one in reads(tasks))


async def refused(client: SocketClient, *task_ids: str) -> None:
    await client.send("task:join", {"tasks": [{"taskId": one} for one in task_ids]})
    for _ in task_ids:
        assert (await client.until("error"))["data"]["code"] == "forbidden"


async def test_nothing_of_a_task_that_a_user_may_not_see_is_read_however_it_is_asked_for(
    tasks: Tasks, settings: Any
) -> None:
    theirs = [large("bob") for _ in range(3)]
    tasks.insert_many(theirs)
    names = [one["_id"] for one in theirs]
    async with running(settings) as relay:
        async with connected(relay, f"/ws/tasks/{names[0]}") as client:
            assert (await client.until("error"))["data"]["code"] == "forbidden"
            await refused(client, *names)
            await refused(client, names[0])
            await client.send("resync_requested", {"taskIds": names})
            assert (await client.until("resync:done"))["data"] == {"taskIds": [], "forbidden": names}
            await client.send("task:join", {"taskId": names[0], "since": 3, "head": "3.abc"})
            assert (await client.until("error"))["data"]["code"] == "forbidden"
            await client.send("dashboard:join")
            assert (await client.until("dashboard:state"))["data"]["tasks"] == []
        answer = await post(relay, {"tasks": [{"taskId": one} for one in names], "dashboard": {}})
        assert answer.types.count("error") == len(names)

    assert len(reads(tasks)) >= 6
    assert [one["nreturned"] for one in reads(tasks) if one["nreturned"]] == []
    assert max(one["responseLength"] for one in reads(tasks)) < SMALL


async def test_a_task_that_a_user_may_see_is_read_once_however_many_ask_for_it_at_once(
    tasks: Tasks, settings: Any
) -> None:
    mine = large("alice", members=["carol", "dave"])
    tasks.insert_one(mine)
    async with running(settings) as relay, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connected(relay, sub=sub))
            for sub in ("alice", "carol", "dave") * 5
        ]
        for client in clients:
            await client.send("task:join", {"taskId": mine["_id"]})
        for client in clients:
            assert (await client.until("task:state"))["data"]["task"]["title"] == "t"

    assert (
        1 <= brought(tasks) <= 3
    )  # once, unless this machine was so slow that a read ended before others asked


async def test_who_shares_the_read_of_one_task_opens_no_other_task_of_that_read(
    tasks: Tasks, settings: Any
) -> None:
    """An administrator may see everything. Reads of several tasks are made with one query."""
    theirs = [large("bob") for _ in range(8)]
    tasks.insert_many(theirs)
    names = [one["_id"] for one in theirs]
    async with (
        running(settings) as relay,
        connected(relay) as stranger,
        connected(relay, sub="root", roles=["admin"]) as root,
    ):
        for _ in range(5):
            await asyncio.gather(
                refused(stranger, *names), root.send("task:join", {"taskId": names[3]}, id="j")
            )
            await root.until("task:state")
            await root.send("task:leave", {"taskId": names[3]})
            await root.until("task:left")

    assert brought(tasks) <= 2 * 5  # the administrator's task; the first time it may be read for both


@pytest.mark.parametrize("most", [3, 10_000])
async def test_many_who_ask_for_the_same_tasks_at_once_are_shown_exactly_what_their_rights_open(
    tasks: Tasks, settings: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", most)
    chance = random.Random(most)
    people = [f"user{n}" for n in range(8)]
    teams = {one: chance.sample(["red", "blue", "green"], chance.randrange(3)) for one in people}
    documents = [
        {
            "_id": f"t{n}",
            "title": f"title {n}",
            "events": [{"n": n}],
            **({"createdBy": chance.choice(people)} if chance.random() < 0.7 else {}),
            **({"members": chance.sample(people, 2)} if chance.random() < 0.4 else {}),
            **({"teamId": chance.choice(["red", "blue"])} if chance.random() < 0.4 else {}),
        }
        for n in range(20)
    ]
    tasks.insert_many(documents)

    def may_see(one: str, document: dict[str, Any]) -> bool:
        return (
            document.get("createdBy") == one
            or one in document.get("members", ())
            or document.get("teamId") in teams[one]
        )

    async def joins(client: SocketClient, one: str) -> None:
        wanted = [document["_id"] for document in documents]
        chance.shuffle(wanted)
        await client.send("task:join", {"tasks": [{"taskId": name} for name in wanted]})
        answers = [await client.next() for _ in wanted]
        shown = {frame["data"]["taskId"] for frame in answers if frame["type"] == "task:state"}
        hidden = {frame["data"]["taskId"] for frame in answers if frame["type"] == "error"}
        assert shown == {document["_id"] for document in documents if may_see(one, document)}
        assert hidden == set(wanted) - shown

    async with running(settings) as relay, AsyncExitStack() as stack:
        clients = [
            (await stack.enter_async_context(connected(relay, sub=one, teams=teams[one])), one)
            for one in people
        ]
        await asyncio.gather(*(joins(client, one) for client, one in clients))

    # Each query finds its tasks by their `_id`s, whatever it looks for beside them.
    plans = {plan for one in reads(tasks) for plan in one["planSummary"].split(", ")}
    assert plans == {"IXSCAN { _id: 1 }"}


async def test_the_time_of_a_refusal_does_not_tell_whether_there_is_such_a_task(
    tasks: Tasks, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "STEP_S", STEP_S)
    theirs = [large("bob") for _ in range(2)]
    tasks.insert_many(theirs)
    for one in theirs:
        for n in range(4):  # the mongod of a test has a cache too small for all 14 MB at once
            tasks.update_one({"_id": one["_id"]}, {"$set": {f"more{n}": "y" * 3_250_000}})
    took: dict[str, list[float]] = {"forbidden": [], "missing": []}
    async with running(settings) as relay, connected(relay) as client:
        for turn in range(5):
            for kind, name in (("forbidden", theirs[turn % 2]["_id"]), ("missing", str(ObjectId()))):
                began = time.perf_counter()
                await refused(client, name)
                took[kind].append(time.perf_counter() - began)
    assert min(took["forbidden"] + took["missing"]) >= STEP_S * 0.99
    # On a busy machine both may take another step; but each is answered after the first one at times.
    assert max(min(took["forbidden"]), min(took["missing"])) < STEP_S * 1.9
    forbidden, missing = statistics.median(took["forbidden"]), statistics.median(took["missing"])
    assert abs(round(forbidden / STEP_S) - round(missing / STEP_S)) <= 1
