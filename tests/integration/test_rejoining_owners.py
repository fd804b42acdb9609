"""A stranger asks for a large task again and again, while those who may see it join, leave, poll and resync it.

A read of the task is shared by everybody who asks meanwhile, and takes long to encode. Each request still gets exactly
one answer, and a stranger is never sent anything of the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from support.polling_client import Poller
from support.relay_fixture import SocketClient, connected
from support.worker_processes import Workers

MESSAGE = "." * 150_000
EVENTS = [{"type": "log", "n": n, "message": MESSAGE} for n in range(100)]  # 15 MB
TURNS = 30
FEW = 10  # turns of the tests that do more in each


@pytest.fixture(scope="module")
def task(mongo: MongoClient[dict[str, Any]], lasting_database: str) -> str:
    """The taskId of a task of 15 MB, which bob, carol and dave may see."""
    tasks = mongo[lasting_database]["tasks"]
    tasks.insert_one(document := owned())
    return fill(tasks, document["_id"])


@pytest.fixture(scope="module")
def lasting_settings(task: str) -> dict[str, str]:
    """The settings of one process, which is started when the task is there."""
    return {"RELAY_WORKERS": "1", "RELAY_LOG_LEVEL": "WARNING"}


@pytest.fixture
def relay(lasting_relay: Workers) -> Iterator[str]:
    """The address of the relay."""
    yield lasting_relay.url
    assert "Traceback" not in lasting_relay.said()


def owned(_id: Any = None) -> dict[str, Any]:
    return {"_id": _id or ObjectId(), "title": "t", "createdBy": "bob", "members": ["carol", "dave"]}


def fill(tasks: Any, _id: Any) -> str:
    """Append the events, in several updates: the mongod of a test has a cache too small for one of 15 MB."""
    for first in range(0, len(EVENTS), 20):
        tasks.update_one({"_id": _id}, {"$push": {"events": {"$each": EVENTS[first : first + 20]}}})
    return str(_id)


async def rejoin(client: SocketClient, task: str, turns: int = TURNS) -> None:
    """Join the task, receive all of it, and leave it, so many times."""
    for _ in range(turns):
        await client.send("task:join", {"taskId": task}, id="join")
        assert await received(client, task) == len(EVENTS)
        await client.send("task:leave", {"taskId": task}, id="leave")
        await client.until("task:left", taskId=task)


async def received(client: SocketClient, task: str) -> int:
    """Receive the pages of a state, and return the number of events after it."""
    held = 0
    while True:
        page = await client.until("task:state", taskId=task)
        client.frames.clear()
        assert page["data"]["from"] in (0, held)
        held = page["data"]["next"]
        if not page["data"]["more"]:
            return held


async def ask(client: SocketClient, task: str, turns: int = TURNS) -> None:
    """Ask for the task as a stranger, so many times; receive nothing but the refusals."""
    for turn in range(turns):
        await client.send("task:join", {"taskId": task}, id=f"{turn}")
        answer = await client.next()
        assert (answer["type"], answer.get("replyTo")) == ("error", f"{turn}"), answer
        assert answer["data"]["code"] == "forbidden"


async def until_over(again: Callable[[], Awaitable[None]], *others: Awaitable[None]) -> None:
    """Call this function again and again until all the others are over."""
    over = asyncio.gather(*others)
    while not over.done():
        await again()
    await over


async def test_a_stranger_is_refused_each_time_beside_an_owner_who_rejoins(relay: str, task: str) -> None:
    async with connected(relay, sub="bob") as bob, connected(relay, sub="eve") as eve:
        await asyncio.gather(rejoin(bob, task), ask(eve, task))
        assert await eve.quiet() == []


async def test_strangers_are_refused_beside_several_owners_who_rejoin(relay: str, task: str) -> None:
    async with (
        connected(relay, sub="bob") as bob,
        connected(relay, sub="carol") as carol,
        connected(relay, sub="dave") as dave,
        connected(relay, sub="eve") as eve,
        connected(relay, sub="eve") as too,
    ):
        owners = [rejoin(one, task, FEW) for one in (bob, carol, dave)]
        await asyncio.gather(*owners, ask(eve, task), ask(too, task))
        assert await eve.quiet() == await too.quiet() == []


async def test_a_stranger_is_refused_beside_owners_whose_connections_end_in_the_middle(
    relay: str, task: str
) -> None:
    async def come_and_go() -> None:
        async with connected(relay, sub="bob") as bob:
            await bob.send("task:join", {"taskId": task})
            for _ in range(2):  # so that the read is under way, and most pages are still to be sent
                await bob.send("ping")
                await bob.next()
            bob.socket.transport.abort()

    async with connected(relay, sub="eve") as eve, connected(relay, sub="carol") as carol:
        await until_over(come_and_go, ask(eve, task), rejoin(carol, task, FEW))
        assert await eve.quiet() == []


async def test_a_stranger_who_polls_is_refused_beside_owners_who_poll_and_rejoin(
    relay: str, task: str
) -> None:
    async def poll_as_owner() -> None:
        for _ in range(FEW):
            carol = Poller("carol", [task])
            await carol.poll(relay)
            assert len(carol.timelines[task]) == len(EVENTS)

    async def poll_as_stranger() -> None:
        for _ in range(TURNS):
            assert (await Poller("eve", [task]).poll(relay)).types == ["error"]

    async with connected(relay, sub="bob") as bob:
        await asyncio.gather(rejoin(bob, task, FEW), poll_as_owner(), poll_as_stranger())


async def test_a_stranger_who_resyncs_with_the_position_of_an_owner_is_refused_and_the_owner_resumes_from_it(
    relay: str, task: str
) -> None:
    async with connected(relay, sub="bob") as bob, connected(relay, sub="eve") as eve:
        await bob.send("task:join", {"taskId": task})
        while (page := (await bob.until("task:state"))["data"])["more"]:
            pass
        position = {"taskId": task, "since": page["next"], "head": page["head"]}

        async def resync(client: SocketClient, refused: list[str]) -> None:
            for turn in range(TURNS):
                await client.send("resync_requested", {"taskIds": [position]}, id=f"{turn}")
                done = await client.until("resync:done")
                assert done["replyTo"] == f"{turn}"
                assert done["data"]["forbidden"] == refused

        async with connected(relay, sub="carol") as carol:
            await asyncio.gather(resync(bob, []), resync(eve, [task]), rejoin(carol, task, FEW))
        states = [frame["data"] for frame in bob.frames if frame["type"] == "task:state"][-TURNS:]
        assert [state["from"] for state in states] == [len(EVENTS)] * TURNS
        assert {frame["type"] for frame in eve.frames} == {"welcome", "resync:done"}


async def test_a_stranger_is_refused_while_the_task_is_deleted_and_created_again_until_it_is_the_strangers(
    relay: str, mongo: MongoClient[dict[str, Any]], lasting_database: str
) -> None:
    tasks, _id = mongo[lasting_database]["tasks"], ObjectId()
    task = str(_id)

    def write() -> None:
        for _ in range(FEW):
            tasks.insert_one(owned(_id))
            fill(tasks, _id)
            tasks.delete_one({"_id": _id})

    async def join_for_ever() -> None:
        """Join as an owner who is refused while there is no task, and told when it is deleted."""
        await bob.send("task:join", {"taskId": task}, id="join")
        while True:
            frame = await bob.next()
            bob.frames.clear()
            if frame["type"] == "task:deleted" or (frame["type"] == "error" and "replyTo" in frame):
                return
            if frame["type"] == "task:state" and not frame["data"]["more"]:
                break
        await bob.send("task:leave", {"taskId": task}, id="leave")
        while (frame := await bob.next())["type"] != "task:left":
            pass

    async with connected(relay, sub="bob") as bob, connected(relay, sub="eve") as eve:
        await until_over(join_for_ever, ask(eve, task), asyncio.to_thread(write))
        assert await eve.quiet() == []
        tasks.insert_one({"_id": _id, "createdBy": "eve", "title": "hers", "events": []})
        await eve.send("task:join", {"taskId": task})
        assert (await eve.until("task:state"))["data"]["task"]["title"] == "hers"
