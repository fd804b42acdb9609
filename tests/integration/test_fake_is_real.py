"""What holds of the fake relay holds of a real one: one suite of scenarios runs against both. Here against the real."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from support.relay_fixture import SOON_S, running, settings_for, token

WEB = Path(__file__).parents[1] / "web" / "scenarios"


class Writer:
    """Does what a scenario asks for, as writers do: one change of the collection for each request."""

    def __init__(self, tasks: Any) -> None:
        self._tasks = tasks

    async def __call__(self, request: dict[str, Any]) -> Any:
        fields = {
            "createdBy" if name == "creator" else name: value
            for name, value in request.get("fields", {}).items()
        }
        key = {"_id": request.get("taskId")}
        match request["action"]:
            case "tokens":
                user = request["user"]
                return {
                    "good": token(user),
                    "bad": token(user, secret="another secret, as long as the first"),
                }
            case "add":
                await self._tasks.insert_one(key | fields)
            case "remove":
                await self._tasks.delete_one(key)
            case "push" | "set":
                await self._tasks.update_one(key, self._update(request, fields))
        return None

    def _update(self, request: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        update: dict[str, Any] = {}
        if fields:
            update["$set"] = fields
        if request.get("unset"):
            update["$unset"] = dict.fromkeys(request["unset"], "")
        if request.get("event"):
            update["$push"] = {"events": request["event"]}
        return update


async def test_the_scenarios_of_the_fake_relay_hold_of_a_real_one(mongo_url: str, database_name: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    settings = settings_for(mongo_url, database_name)
    off = settings_for(mongo_url, database_name, feature_websocket_enabled=False)
    async with (
        AsyncMongoClient[dict[str, Any]](mongo_url) as client,
        running(settings) as relay,
        running(off) as relay_that_is_off,
    ):
        answer = Writer(client[database_name]["tasks"])
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
                process.stdin.write(json.dumps(await answer(request)).encode() + b"\n")
            await process.wait()
    failed = {name: error for name, error in request["done"].items() if error is not None}
    assert not failed, "\n\n".join(f"{name}\n{error}" for name, error in failed.items())
    assert len(request["done"]) > 15
