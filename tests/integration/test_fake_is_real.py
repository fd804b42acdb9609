"""What holds of the fake relay holds of a real one: one suite of scenarios runs against both. Here against the real."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from support.relay_fixture import SOON_S, running, settings_for, token
from support.relay_scenarios import SCENARIOS, Scenario

from relay.app import Relay
from relay.client import Client

WEB = Path(__file__).parents[1] / "web" / "scenarios"


pytestmark = pytest.mark.usefixtures("patient_reads")  # a scenario adds a task and joins it at once


class Writer:
    """Does what a scenario asks for, as writers do: one change of the collection for each request. What is None, or
    named in `unset`, is removed."""

    def __init__(self, tasks: Any) -> None:
        self._tasks = tasks

    async def add(self, task_id: str, fields: Mapping[str, Any]) -> None:
        await self._tasks.insert_one({"_id": task_id} | _stored(fields))

    async def remove(self, task_id: str) -> None:
        await self._tasks.delete_one({"_id": task_id})

    async def change(
        self, task_id: str, fields: Mapping[str, Any], event: object = None, unset: Any = ()
    ) -> None:
        stored = _stored(fields)
        update: dict[str, Any] = {
            "$set": {name: value for name, value in stored.items() if value is not None}
        }
        update["$unset"] = dict.fromkeys([*unset, *(name for name in stored if stored[name] is None)], "")
        if event is not None:
            update["$push"] = {"events": event}
        await self._tasks.update_one({"_id": task_id}, {name: what for name, what in update.items() if what})

    async def answer(self, request: dict[str, Any]) -> Any:
        """Do what the scenarios in Node ask for."""
        match request["action"]:
            case "tokens":
                user = request["user"]
                return {
                    "good": token(user),
                    "bad": token(user, secret="another secret, as long as the first"),
                }
            case "add":
                await self.add(request["taskId"], request["fields"])
            case "remove":
                await self.remove(request["taskId"])
            case "push" | "set":
                await self.change(
                    request["taskId"], request["fields"], request.get("event"), request["unset"]
                )
        return None


def _stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"createdBy" if name == "creator" else name: value for name, value in fields.items()}


class RealDriver:
    """Does what a scenario in Python asks for, with a client of a user of its own."""

    def __init__(self, writer: Writer, relay: Relay, relay_that_is_off: Relay, user: str) -> None:
        self._writer, self._user, self._url, self._url_of_off = writer, user, relay.url, relay_that_is_off.url
        self._is_online = asyncio.Event()
        self._is_online.set()
        self.relay = self.another()

    def another(self) -> Client:
        return Client(self._url, token(self._user), sleep=self._sleep, random=lambda: 0.0)

    async def add(self, task: Mapping[str, Any]) -> None:
        fields = {name: value for name, value in task.items() if name != "taskId"}
        await self._writer.add(task["taskId"], fields | {"members": [self._user]})

    async def push(self, task_id: str, event: Mapping[str, Any], **fields: Any) -> None:
        await self._writer.change(task_id, fields, event)

    async def set(self, task_id: str, **fields: Any) -> None:
        await self._writer.change(task_id, fields)

    async def remove(self, task_id: str) -> None:
        await self._writer.remove(task_id)

    async def revoke(self, task_id: str) -> None:
        await self.set(task_id, members=[])

    async def grant(self, task_id: str) -> None:
        await self.set(task_id, members=[self._user])

    def offline(self) -> None:
        self._is_online.clear()
        self._cut()

    def online(self) -> None:
        self._is_online.set()

    def switch_off(self) -> None:
        self.relay._reconnector.url = self._url_of_off.replace("http", "ws", 1) + "/ws"
        self._cut()

    def _cut(self) -> None:
        connection = self.relay._reconnector.connection
        assert connection is not None
        connection.ws.transport.abort()

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._is_online.wait()


@asynccontextmanager
async def relays(mongo_url: str, database_name: str) -> AsyncIterator[tuple[Writer, Relay, Relay]]:
    """A writer, a relay, and a relay on which live delivery is switched off."""
    settings = settings_for(mongo_url, database_name)
    off = settings_for(mongo_url, database_name, feature_websocket_enabled=False)
    async with (
        AsyncMongoClient[dict[str, Any]](mongo_url) as client,
        running(settings) as relay,
        running(off) as relay_that_is_off,
    ):
        yield Writer(client[database_name]["tasks"]), relay, relay_that_is_off


async def test_the_scenarios_of_the_browser_client_hold_of_a_real_relay(
    mongo_url: str, database_name: str
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    async with relays(mongo_url, database_name) as (writer, relay, relay_that_is_off):
        process = await asyncio.create_subprocess_exec(
            *(node, "--experimental-websocket", "--no-warnings", str(WEB / "real.js")),
            *(f"{relay.url}/ws", f"{relay_that_is_off.url}/ws"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(2 * SOON_S):
            while "done" not in (request := json.loads(await process.stdout.readline())):
                process.stdin.write(json.dumps(await writer.answer(request)).encode() + b"\n")
            await process.wait()
    failed = {name: error for name, error in request["done"].items() if error is not None}
    assert not failed, "\n\n".join(f"{name}\n{error}" for name, error in failed.items())
    assert len(request["done"]) > 15


async def test_the_scenarios_of_the_python_client_hold_of_a_real_relay(
    mongo_url: str, database_name: str
) -> None:
    async with (
        relays(mongo_url, database_name) as (writer, relay, relay_that_is_off),
        asyncio.TaskGroup() as all_of_them,
    ):

        async def run(scenario: Scenario) -> None:
            driver = RealDriver(writer, relay, relay_that_is_off, user=scenario.__name__)
            async with driver.relay:
                await scenario(driver)

        for scenario in SCENARIOS:
            all_of_them.create_task(run(scenario), name=scenario.__name__)
