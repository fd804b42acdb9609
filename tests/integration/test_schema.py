"""Every message of a real relay is valid by the schema that it serves, and has no field that is not in the schema."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pymongo import AsyncMongoClient
from support.hostile_client import get
from support.polling_client import post
from support.relay_fixture import (
    COMMAND,
    SOON_S,
    SocketClient,
    connected,
    environment,
    running,
    settings_for,
    token,
)
from websockets.exceptions import ConnectionClosed

from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.protocol import schema
from relay.protocol.types import Kind, Request

pytestmark = pytest.mark.usefixtures("patient_reads")

# What a healthy database gives no occasion for.
NOT_CAUSED = {Kind.STREAM_STATUS}

STEPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "analysis_started"}, {"status": "analyzing"}),
    ({"type": "clarification_needed"}, {"status": "clarification_needed", "questions": ["why?", "when?"]}),
    ({"type": "issue_created", "at": 1_700_000_000}, {"issueUrl": "https://g/1", "issueNumber": 1}),
    ({"type": "pr_opened", "prUrl": "https://g/2", "prNumber": 2}, {"status": "pr_opened"}),
    ({"type": "pr_merged"}, {"status": "merged", "mergeCommitSha": "abc", "title": "Another"}),
    ({"type": "failed"}, {"status": "failed", "error": {"message": "no luck"}}),
]


def validator(side: str) -> Draft202012Validator:
    """Return a validator of one side of the wire for which an unknown field is an error."""
    closed = schema.json_schema(closed=True)
    return Draft202012Validator({"$ref": f"#/$defs/{side}", "$defs": closed["$defs"]})


async def ask(client: SocketClient, kind: Request, data: dict[str, Any] | None = None) -> None:
    validator("ClientMessage").validate({"type": kind, "id": kind, "data": data or {}})
    await client.send(kind, data, id=kind)


async def converse(client: SocketClient) -> None:
    """Send each request once, and one that is refused."""
    await client.until("auth:expiring")
    await ask(client, Request.AUTH, {"token": token("alice")})
    await client.until("auth:ok")
    await ask(client, Request.DASHBOARD_JOIN, {"limit": 10})
    await client.until("dashboard:state")
    await ask(client, Request.TASK_JOIN, {"taskId": "t1"})
    position = (await client.until("task:state"))["data"]
    wanted = {"taskId": "t1", "since": position["next"], "head": position["head"]}
    await ask(client, Request.TASK_JOIN, {"tasks": [wanted, {"taskId": "nobody's"}]})
    await client.until("error")
    await ask(client, Request.RESYNC, {"taskIds": ["t1", "nobody's", wanted]})
    await client.until("resync:done")
    await ask(client, Request.PING)
    await client.until("pong")


async def live(tasks: Any) -> None:
    """Lead one task through its life with every shape of event, then let two tasks go away."""
    for event, sets in STEPS:
        await tasks.update_one({"_id": "t1"}, {"$push": {"events": event}, "$set": sets})
    odd = [None, "text", {"no": "type"}, {"type": "x" * 500, "at": "no time"}, {"type": 5, "n": 2**60}]
    await tasks.update_one({"_id": "t1"}, {"$push": {"events": {"$each": odd}}})
    await tasks.update_one({"_id": "t1"}, {"$push": {"events": {"type": "log", "text": "x" * 70_000}}})
    await tasks.update_one({"_id": "t1"}, {"$pull": {"events": {"type": "log"}}})
    await tasks.insert_one({"_id": "t2", "createdBy": "alice", "title": "Gone soon", "status": "failed"})
    await tasks.update_one({"_id": "t1"}, {"$set": {"createdBy": "bob"}})
    await tasks.delete_one({"_id": "t2"})


async def test_every_message_of_a_real_relay_is_valid_by_the_schema(
    mongo_url: str, database_name: str
) -> None:
    settings = settings_for(mongo_url, database_name, relay_heartbeat_ms=100, relay_drain_ms=100)
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as mongo:
        tasks = mongo[database_name]["tasks"]
        await tasks.insert_one({"_id": "t1", "createdBy": "alice", "title": "One", "events": [{"type": "a"}]})
        async with running(settings) as relay, connected(relay, ttl_s=20) as client:
            await converse(client)
            await live(tasks)
            await client.until("dashboard:task_list_updated", change="deleted")
            await tasks.insert_one({"_id": "t3", "createdBy": "alice"})
            await ask(client, Request.TASK_JOIN, {"taskId": "t3"})
            await client.until("task:state", taskId="t3")
            await tasks.delete_one({"_id": "t3"})
            await client.until("task:deleted")
            await ask(client, Request.TASK_LEAVE, {"taskId": "t1"})
            await client.until("task:left")
            await ask(client, Request.DASHBOARD_LEAVE)
            await client.until("dashboard:left")
            await client.until("heartbeat")
            relay.stop()
            with pytest.raises(ConnectionClosed):
                await client.until("nothing more")
    server_message = validator("ServerMessage")
    for frame in client.frames:
        assert [error.message for error in server_message.iter_errors(frame)] == [], frame
    assert {frame["type"] for frame in client.frames} == set(Kind) - NOT_CAUSED


async def test_a_poll_and_its_answer_are_valid_by_the_schema(mongo_url: str, database_name: str) -> None:
    asked: dict[str, Any] = {"dashboard": {"limit": 5}, "tasks": [{"taskId": "t1"}, {"taskId": "nobody's"}]}
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as mongo:
        tasks = mongo[database_name]["tasks"]
        await tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
        async with running(settings_for(mongo_url, database_name, relay_poll_wait_ms=100)) as relay:
            for _ in range(2):  # from the start, and with what that answer gave
                validator("Poll").validate(asked)
                answer = await post(relay, asked)
                assert answer.status == 200
                validator("PollAnswer").validate(answer.body)
                state = next(
                    (one["data"] for one in answer.body["messages"] if one["type"] == "task:state"), {}
                )
                position = {"since": state.get("next", 0), "head": state.get("head", "")}
                asked = {
                    "dashboard": {"limit": 5, **answer.body.get("dashboard", {})},
                    "tasks": [
                        {"taskId": "t1", **position, **answer.body.get("tasks", {}).get("t1", {})},
                        {"taskId": "nobody's", "forbidden": True},
                    ],
                    "moment": answer.body["moment"],
                }
    assert answer.body["messages"] == []


async def test_the_answer_of_config_is_valid_by_the_schema(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[links]\ntask = "https://tracker.example/{taskId}"\n')
    for enabled, links in ((True, {"relay_mapping": str(mapping)}), (False, {})):
        given = settings_for(mongo_url, database_name, feature_websocket_enabled=enabled, **links)
        async with running(given) as relay:
            status, _, body = await get(f"{relay.url}/config", Authorization=f"Bearer {token('alice')}")
        answer = json.loads(body)
        assert (status, answer["enabled"], "links" in answer) == (200, enabled, bool(links))
        validator("ConfigAnswer").validate(answer)


def test_the_stream_status_of_a_lost_database_is_valid_by_the_schema() -> None:
    hub = Hub(None, None, Metrics(), list_interval_s=0)  # type: ignore[arg-type]
    validator("ServerMessage").validate(json.loads(hub.status_frame(5300).body))


async def test_the_schema_is_served_and_printed(mongo_url: str, database_name: str) -> None:
    async with running(settings_for(mongo_url, database_name)) as relay:
        answer = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"{relay.url}/schema.json", timeout=SOON_S)
        )
        with answer:
            served = answer.read()
            assert answer.headers["content-type"] == "application/schema+json"
    assert json.loads(served) == schema.json_schema()
    for arguments, made in (
        (["schema"], schema.json_schema()),
        (["schema", "--asyncapi"], schema.asyncapi()),
    ):
        printed = subprocess.run([*COMMAND, *arguments], capture_output=True, check=True, env=environment())
        assert json.loads(printed.stdout) == made
