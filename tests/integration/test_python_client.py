"""The Python client over a real relay: what its views hold is what the database holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import AsyncMongoClient
from simulation.determinism import refusing
from support.relay_fixture import SOON_S, running, settings_for, token

from relay.client import Client, TaskList, Timeline, connect


async def iterate(client: Client, until: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        async for _ in client:
            if until():
                return


def types(task: Timeline) -> list[str | None]:
    return [event["type"] if event is not None else None for event in task.events]


def ids(board: TaskList) -> list[str]:
    return [task["taskId"] for task in board.tasks]


@pytest.fixture
async def tasks(mongo_url: str, database_name: str) -> Any:
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
        yield client[database_name]["tasks"]


async def push(tasks: Any, *kinds: str) -> None:
    for kind in kinds:
        await tasks.update_one({"_id": "t1"}, {"$push": {"events": {"type": kind}}})


async def test_a_position_is_good_in_another_process_on_another_relay(
    mongo_url: str, database_name: str, tasks: Any
) -> None:
    await tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
    settings = settings_for(mongo_url, database_name)
    async with running(settings) as relay, connect(relay.url, token("alice")) as client:
        task = client.join_task("t1")
        await iterate(client, lambda: task.state == "ready")
        await push(tasks, "b")
        await iterate(client, lambda: task.next == 2)
        kept = task.position
    assert kept is not None
    await push(tasks, "c", "d")
    async with running(settings) as relay, connect(relay.url, token("alice")) as client:
        task = client.join_task("t1", kept.next, kept.head)
        await iterate(client, lambda: task.state == "ready")
        assert (task.start, types(task)) == (2, ["c", "d"])
        await tasks.update_one({"_id": "t1"}, {"$set": {"events": [{"type": "x"}, None]}})
        await iterate(client, lambda: task.start == 0)
        assert types(task) == ["x", None]


async def test_a_list_follows_what_its_user_may_see(mongo_url: str, database_name: str, tasks: Any) -> None:
    settings = settings_for(mongo_url, database_name)
    async with running(settings) as relay, connect(relay.url, token("alice")) as client:
        board = client.join_dashboard()
        await iterate(client, lambda: board.state == "ready")
        first = (await tasks.insert_one({"createdBy": "alice"})).inserted_id
        await tasks.insert_one({"createdBy": "bob"})
        second = (await tasks.insert_one({"createdBy": "bob", "members": ["alice"]})).inserted_id
        await iterate(client, lambda: len(board.tasks) == 2)
        assert ids(board) == [str(second), str(first)]
        await tasks.update_one({"_id": first}, {"$set": {"createdBy": "bob", "title": "Mine now"}})
        await iterate(client, lambda: len(board.tasks) == 1)
        await tasks.update_one({"_id": second}, {"$set": {"title": "Ours"}})
        await iterate(client, lambda: board.tasks[0].get("title") == "Ours")
        assert ids(board) == [str(second)]


async def test_a_view_goes_on_where_a_relay_that_stopped_left_it(
    mongo_url: str, database_name: str, tasks: Any
) -> None:
    await tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
    settings = settings_for(mongo_url, database_name)
    async with AsyncExitStack() as stack:
        async with running(settings) as relay:
            again = settings.model_copy(update={"relay_port": urlsplit(relay.url).port})
            client = Client(relay.url, token("alice"), random=lambda: 0.0)  # comes again at once
            await stack.enter_async_context(client)
            task = client.join_task("t1")
            await iterate(client, lambda: task.state == "ready")
        await push(tasks, "b")
        async with running(again):
            await iterate(client, lambda: task.next == 2)
            await push(tasks, "c")
            await iterate(client, lambda: task.next == 3)
            assert types(task) == ["a", "b", "c"]


async def test_what_the_relay_refuses_ends_alone(mongo_url: str, database_name: str, tasks: Any) -> None:
    """Faults 16 and 19: an id that is none and a cap, at the first join and at every later one."""
    await tasks.insert_many([{"_id": f"t{n}", "createdBy": "alice", "events": []} for n in range(6)])
    settings = settings_for(mongo_url, database_name, relay_max_tasks_per_connection=5)
    with refusing("none"):
        async with running(settings) as relay, connect(relay.url, token("alice")) as client:
            none = client.join_task("none")
            first = [client.join_task(f"t{n}") for n in range(5)]
            await iterate(client, lambda: none.has_ended and all(task.state == "ready" for task in first))
            sixth = client.join_task("t5")
            await iterate(client, lambda: sixth.has_ended)
            client.leave_task("t0")
            seventh = client.join_task("t5")
            await iterate(client, lambda: seventh.state == "ready")
            assert (none.state, sixth.state) == ("bad_request", "too_many_tasks")
            assert [task.state for task in first] == ["left"] + ["ready"] * 4
