"""A collection that comes into existence while the relay waits for it, as one that cannot be followed: the relay
says so, is not ready, and is well again when a plain one has taken its place."""

from __future__ import annotations

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient
from support.relay_fixture import SOON_S, connected, running, settings_for

from relay.feed import stored_tasks
from relay.source import opening

Database = Any
BATCH = "waiting for the database to read a batch's tasks"


def view(database: Database) -> None:
    database.create_collection("tasks", viewOn="others")


def time_series(database: Database) -> None:
    database.create_collection("tasks", timeseries={"timeField": "at"})


def capped(database: Database) -> None:
    database.create_collection("tasks", capped=True, size=4096)
    database.tasks.insert_one({"_id": "old"})


def converted(database: Database) -> None:
    database.tasks.insert_one({"_id": "old"})
    database.command("convertToCapped", "tasks", size=4096)


@pytest.mark.parametrize(
    ("comes", "says"),
    [
        (view, "is a view"),
        (time_series, "is a time series"),
        (capped, "is a capped collection"),
        (converted, "is a capped collection"),
    ],
)
async def test_one_that_cannot_be_followed_is_said_and_healed(
    comes: Callable[[Database], None],
    says: str,
    mongo_url: str,
    mongo: MongoClient[dict[str, Any]],
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(opening, "LOOK_S", 0.05)
    database = mongo[database_name]
    async with running(settings_for(mongo_url, database_name)) as relay:
        await until_ready(relay.url, True)
        async with connected(relay, roles=["admin"]) as client:
            await client.send("dashboard:join")
            await client.until("dashboard:state")
            await asyncio.to_thread(comes, database)
            await until_ready(relay.url, False)
            reasons = [vars(one)["reason"] for one in caplog.records if one.levelno == logging.ERROR]
            assert any(f"{database_name}.tasks {says}" in reason for reason in reasons)

            await asyncio.to_thread(database.tasks.drop)
            await asyncio.to_thread(database.tasks.insert_one, {"_id": "new", "title": "Plain"})
            await until_ready(relay.url, True)
            await asyncio.to_thread(database.tasks.insert_one, {"_id": "newer", "title": "Plain too"})
            seen: set[str] = set()
            while not {"new", "newer"} <= seen:
                frame = await client.next()
                data = frame["data"]
                if frame["type"] == "dashboard:state":
                    seen |= {task["taskId"] for task in data["tasks"]}
                elif frame["type"] == "dashboard:task_list_updated":
                    seen.add(data["taskId"])
            await client.send("task:join", {"taskId": "new"})
            await client.until("task:state", taskId="new")


async def test_while_it_cannot_be_read_each_kind_of_line_is_logged_once(
    mongo_url: str,
    mongo: MongoClient[dict[str, Any]],
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pump logged every try, twice a second, and so did every client that asked again."""
    caplog.set_level(logging.DEBUG, "relay")
    monkeypatch.setattr(stored_tasks, "RETRY_S", 0.01)
    database = mongo[database_name]
    database.tasks.insert_one({"_id": "old"})
    async with (
        running(settings_for(mongo_url, database_name)) as relay,
        connected(relay, roles=["admin"]) as client,
    ):
        database.command("convertToCapped", "tasks", size=4096)
        database.tasks.insert_one({"_id": "new"})
        # Given that the relay has met the change. Before that it still reads the collection as it was.
        await logged(caplog, BATCH, 1)
        for kind, data in (("task:join", {"taskId": "old"}), ("dashboard:join", {})) * 3:
            await client.send(kind, data)
            assert (await client.until("error"))["data"]["code"] == "unavailable"
        await logged(caplog, BATCH, 4)
    for event in (
        BATCH,
        "a join could not be read",
        "a dashboard could not be read",
    ):
        first, *others = levels(caplog, event)
        assert first == "WARNING"
        assert len(others) >= 2
        assert set(others) == {"DEBUG"}


async def logged(caplog: pytest.LogCaptureFixture, event: str, times: int) -> None:
    async with asyncio.timeout(SOON_S):
        while len(levels(caplog, event)) < times:
            await asyncio.sleep(0.01)


def levels(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [record.levelname for record in caplog.records if record.message == event]


async def until_ready(url: str, ready: bool) -> None:
    async with asyncio.timeout(SOON_S):
        while await asyncio.to_thread(_is_ready, url) is not ready:
            await asyncio.sleep(0.02)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=SOON_S) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        refused.close()
        return False
