"""The browser client changes between WebSocket and polling as a real network permits."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from faults.proxy import Proxy
from pymongo import AsyncMongoClient, MongoClient
from support.relay_fixture import SOON_S, running, settings_for, token

FOLLOW = Path(__file__).parent.parent / "web" / "follow.js"
WRITERS = 4


class Follower:
    """The browser client in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.states: list[str] = []

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What the client shows as soon as `holds` is true for it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SOON_S):
            while line := await self._process.stdout.readline():
                shown: dict[str, Any] = json.loads(line)
                self.states.append(shown["state"])
                assert not shown["wrong"], "a gap, or a repeated event"
                if holds(shown):
                    return shown
        raise AssertionError("the client has ended")

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def following(proxy: Proxy, task_id: str) -> AsyncIterator[Follower]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    process = await asyncio.create_subprocess_exec(
        *(node, "--no-warnings", "--experimental-websocket", str(FOLLOW)),
        *(f"ws://127.0.0.1:{proxy.port}/ws", token("alice"), task_id),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Follower(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def writing(url: str, database: str) -> AsyncIterator[Callable[[], int]]:
    """Append to the task with four writers until the context ends. Gives a function for the number of writes so far."""
    written, is_over = 0, False

    async def write(client: AsyncMongoClient[dict[str, Any]]) -> None:
        nonlocal written
        while not is_over:
            written += 1
            event = {"n": written}
            await client[database]["tasks"].update_one({"_id": "t"}, {"$push": {"events": event}})
            await asyncio.sleep(0.05)

    async with AsyncMongoClient[dict[str, Any]](url) as client, asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(write(client))
        yield lambda: written
        is_over = True  # a write that is cancelled may still be made later


async def test_a_client_loses_and_repeats_no_event_between_websocket_and_polling(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str
) -> None:
    tasks = mongo[database_name]["tasks"]
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    async with running(settings_for(mongo_url, database_name)) as relay:
        port = urlsplit(relay.url).port
        assert port is not None
        async with Proxy(port) as proxy:
            proxy.block_websockets()
            async with following(proxy, "t") as follower:
                async with writing(mongo_url, database_name) as written:

                    async def catches_up() -> None:
                        now = written()
                        await follower.until(lambda shown: shown["count"] >= now)

                    # When WebSockets are blocked, everything arrives by polling;
                    await follower.until(lambda shown: shown["state"] == "polling")
                    assert "live" not in follower.states
                    await catches_up()
                    for _ in range(3):
                        # when they are possible again, by WebSocket;
                        await proxy.heal()
                        follower.tell("online")
                        await follower.until(lambda shown: shown["state"] == "live")
                        await catches_up()
                        # and when they are blocked again, by polling.
                        proxy.block_websockets()
                        await follower.until(lambda shown: shown["state"] == "polling")
                        await catches_up()
                document = tasks.find_one({"_id": "t"})
                assert document is not None
                events = [event["n"] for event in document["events"]]
                await follower.until(lambda shown: shown["count"] == shown["listed"] == len(events))
                follower.tell("show")
                shown = await follower.until(lambda shown: "events" in shown)
                assert shown["events"] == events
