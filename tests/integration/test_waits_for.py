"""Whom a task waits for, over the wire: summaries name them, and each user is told what it has of those claims."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from support.polling_client import post
from support.relay_fixture import SocketClient, connected, running, token
from websockets.exceptions import ConnectionClosed

from relay.client import connect
from relay.config import Settings

TEAMS = """
[needs]
pr_opened = [
    { field = "people.reviewers.id", claim = "sub" },
    { field = "teamId", claim = "teams" },
]
"""


def told(client: SocketClient) -> Any:
    """What the client was told of its user's claims in its welcome."""
    return client.frames[0]["data"].get("claims")


async def test_a_list_says_whom_each_task_waits_for_and_follows_every_change_of_it(
    with_: Callable[..., Settings], tasks: Any
) -> None:
    ann, bob = ObjectId(), ObjectId()
    tasks.insert_many(
        [
            {"_id": "review", "status": "pr_opened", "createdBy": "alice", "reviewers": [ann]},
            {"_id": "work", "status": "analyzing", "createdBy": "alice", "reviewers": [ann]},
            {"_id": "broken", "status": "failed", "createdBy": "alice", "error": "x"},
        ]
    )
    async with running(with_()) as relay, connected(relay, "/ws/dashboard", sub="alice") as alice:
        assert told(alice) == {"sub": ["alice"]}
        listed = (await alice.until("dashboard:state"))["data"]["tasks"]
        assert {one["taskId"]: one.get("waitsFor") for one in listed} == {
            "review": {"sub": [str(ann)]},
            "work": None,
            "broken": {"sub": ["alice"]},
        }
        await alice.send("task:join", {"taskId": "review"})
        await alice.until("task:state")
        # When only the reviewers change, then the list and the open task follow.
        tasks.update_one({"_id": "review"}, {"$push": {"reviewers": bob}})
        for kind in ("task:updated", "dashboard:task_list_updated"):
            data = (await alice.until(kind))["data"]
            assert data.get("task", data)["waitsFor"] == {"sub": [str(ann), str(bob)]}
        tasks.update_one({"_id": "review"}, {"$pull": {"reviewers": ann}})
        await alice.until("dashboard:task_list_updated", waitsFor={"sub": [str(bob)]})
        tasks.update_one({"_id": "review"}, {"$unset": {"reviewers": 1}})
        await alice.until("dashboard:task_list_updated", waitsFor={"sub": ["alice"]})
        tasks.update_one({"_id": "review"}, {"$set": {"status": "merged"}})
        merged = await alice.until("dashboard:task_list_updated", status="merged")
        assert "waitsFor" not in merged["data"]
        # What is read again is what was told live.
        async with connected(relay, "/ws/dashboard", sub="alice") as again:
            listed = (await again.until("dashboard:state"))["data"]["tasks"]
            assert "waitsFor" not in next(one for one in listed if one["taskId"] == "review")


async def test_a_fresh_token_and_a_poll_tell_the_claims_too(
    with_: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(TEAMS)
    async with (
        running(with_(relay_mapping=str(path))) as relay,
        connected(relay, sub="alice", teams=["red"], roles=["x"]) as alice,
    ):
        assert told(alice) == {"sub": ["alice"], "teams": ["red"]}
        await alice.send("auth", {"token": token("alice", teams=["red", "blue"])})
        renewed = await alice.until("auth:ok")
        assert renewed["data"]["claims"] == {"sub": ["alice"], "teams": ["red", "blue"]}
        polled = await post(relay, {"dashboard": {}}, sub="alice", teams="red")
        assert polled.body["claims"] == {"sub": ["alice"], "teams": ["red"]}


async def test_who_waits_is_named_through_arrays_and_in_claims_of_a_mapping(
    with_: Callable[..., Settings], tasks: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(TEAMS)
    people = {"reviewers": [{"id": "ann", "note": "x" * 100_000}, {"id": "bob"}]}
    tasks.insert_one(
        {"_id": "t", "status": "pr_opened", "createdBy": "alice", "people": people, "teamId": "red"}
    )
    async with (
        running(with_(relay_mapping=str(path))) as relay,
        connected(relay, "/ws/dashboard", sub="alice") as alice,
    ):
        expected = {"sub": ["ann", "bob"], "teams": ["red"]}
        assert (await alice.until("dashboard:state"))["data"]["tasks"][0]["waitsFor"] == expected
        tasks.update_one({"_id": "t"}, {"$set": {"people.reviewers.1.id": "cy"}})
        expected["sub"][1] = "cy"
        await alice.until("dashboard:task_list_updated", waitsFor=expected)


async def test_the_python_client_knows_what_its_user_has_of_the_claims_that_tasks_wait_for(
    with_: Callable[..., Settings], tasks: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(TEAMS)
    tasks.insert_one({"_id": "t", "status": "pr_opened", "createdBy": "alice", "teamId": "red"})
    async with (
        running(with_(relay_mapping=str(path))) as relay,
        connect(relay.url, token("alice", teams=["red"])) as client,
    ):
        assert client.me == {}
        board = client.join_dashboard()
        async for _ in client:
            if board.tasks:
                break
        assert client.me == {"sub": ["alice"], "teams": ["red"]}
        assert board.tasks[0]["waitsFor"] == {"teams": ["red"]}


async def test_a_reload_of_the_mapping_brings_the_lists_and_the_claims_up_to_date(
    with_: Callable[..., Settings], tasks: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text("")
    tasks.insert_one(
        {"_id": "t", "status": "pr_opened", "createdBy": "alice", "owner": "bob", "teamId": "red"}
    )
    read = lambda: with_(relay_mapping=str(path))  # noqa: E731
    async with (
        running(read(), read=read) as relay,
        connected(relay, "/ws/dashboard", sub="alice", teams=["red"]) as alice,
    ):
        await alice.until("dashboard:state")
        # Other fields of the same claims: the list is sent again.
        path.write_text('[needs]\npr_opened = { field = "owner", claim = "sub" }')
        await relay.reload()
        listed = await alice.until("dashboard:state")
        assert listed["data"]["tasks"][0]["waitsFor"] == {"sub": ["bob"]}
        # Other claims: the client has to come back to be told them.
        path.write_text(TEAMS)
        await relay.reload()
        with pytest.raises(ConnectionClosed) as closed:
            await alice.until("welcome")
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "restart")
        async with connected(relay, "/ws/dashboard", sub="alice", teams=["red"]) as back:
            assert told(back) == {"sub": ["alice"], "teams": ["red"]}
            listed = await back.until("dashboard:state")
            assert listed["data"]["tasks"][0]["waitsFor"] == {"teams": ["red"]}
        # Switched off, nothing is said of it any more.
        path.write_text("needs = false")
        await relay.reload()
        async with connected(relay, "/ws/dashboard", sub="alice", teams=["red"]) as back:
            assert told(back) is None
            assert "waitsFor" not in (await back.until("dashboard:state"))["data"]["tasks"][0]
