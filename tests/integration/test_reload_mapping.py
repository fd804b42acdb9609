"""Another mapping without a restart: who loses a task is told first, and nobody else notices more than has to be."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.hostile_client import get
from support.polling_client import post
from support.relay_fixture import SOON_S, SocketClient, connected, running, token
from websockets.exceptions import ConnectionClosed

from relay.app import Relay
from relay.config import Settings
from relay.errors import StartupError

pytestmark = pytest.mark.usefixtures("patient_reads")

RULES = {
    "creator": '[[visibility.rules]]\nname = "creator"\nfield = "createdBy"\nclaim = "sub"\n',
    "team": '[[visibility.rules]]\nname = "team"\nfield = "teamId"\nclaim = "teams"\n',
    "group": '[[visibility.rules]]\nname = "group"\nfield = "teamId"\nclaim = "groups"\n',
}


class Switchable:
    """A relay whose mapping file a test writes."""

    def __init__(self, path: Path, with_: Callable[..., Settings]) -> None:
        self._path = path
        self._with = with_
        self.relay: Relay = None  # type: ignore[assignment]

    def read(self) -> Settings:
        return self._with(relay_mapping=str(self._path))

    def write(self, *rules: str, more: str = "") -> None:
        self._path.write_text(more + "".join(RULES[name] for name in rules))

    async def switch(self, *rules: str, more: str = "") -> tuple[str, ...]:
        self.write(*rules, more=more)
        return (await self.relay.reload()).changed


@pytest.fixture
async def switchable(tmp_path: Path, with_: Callable[..., Settings]) -> AsyncIterator[Switchable]:
    """A relay with the rules `creator` and `team`."""
    one = Switchable(tmp_path / "mapping.toml", with_)
    one.write("creator", "team")
    async with running(one.read(), read=one.read) as one.relay:
        yield one


@asynccontextmanager
async def looking(relay: Relay, *tasks: str, sub: str, **claims: Any) -> AsyncIterator[SocketClient]:
    """Connect as this user, with the list and these tasks open."""
    async with connected(relay, "/ws/dashboard", sub=sub, **claims) as client:
        await client.until("dashboard:state")
        for task in tasks:
            await client.send("task:join", {"taskId": task})
            await client.until("task:state", taskId=task)
        client.frames.clear()
        yield client


async def test_a_team_that_loses_its_rights_is_told_at_once_and_nobody_else_is_told_anything(
    switchable: Switchable, tasks: Any
) -> None:
    relay = switchable.relay
    tasks.insert_many(
        [
            {"_id": "mine", "title": "Mine", "createdBy": "alice", "teamId": "red"},
            {"_id": "theirs", "title": "Theirs", "createdBy": "bob", "teamId": "red"},
        ]
    )
    async with (
        looking(relay, "mine", "theirs", sub="alice", teams=["red"]) as alice,
        looking(relay, "theirs", sub="bob") as bob,
        looking(relay, "mine", "theirs", sub="root", roles=["admin"]) as root,
    ):
        held = (await post(relay, {"dashboard": {}}, sub="alice", teams=["red"])).body
        # Given a member of a team, the creator of a task and somebody who sees all, when the team loses its rights,
        assert await switchable.switch("creator") == ("RELAY_MAPPING",)
        # then the member is told first that it lost the task of the other, and is sent its list again,
        first = await alice.next()
        assert (first["type"], first["data"]) == ("task:revoked", {"taskId": "theirs"})
        listed = await alice.until("dashboard:state")
        assert [one["taskId"] for one in listed["data"]["tasks"]] == ["mine"]
        # a list that was polled before is not taken for one of the new mapping,
        body = {"moment": held["moment"], "dashboard": {"etag": held["dashboard"]["etag"], "updates": True}}
        polled = await post(relay, body, sub="alice", teams=["red"])
        assert [one["type"] for one in polled.body["messages"]] == ["dashboard:state"]
        # and the others are sent nothing,
        assert [await one.quiet() for one in (bob, root)] == [[], []]
        # until something happens.
        tasks.update_one({"_id": "theirs"}, {"$push": {"events": {"type": "note"}}})
        tasks.update_one({"_id": "mine"}, {"$push": {"events": {"type": "note"}}})
        assert (await bob.until("task:event_added"))["data"]["taskId"] == "theirs"
        await root.until("task:event_added", taskId="mine")
        assert (await alice.until("task:event_added"))["data"]["taskId"] == "mine"
        assert "theirs" not in str(alice.frames[1:])
        # When the team has its rights again, its member is sent the list with both.
        await switchable.switch("creator", "team")
        listed = await alice.until("dashboard:state")
        assert {one["taskId"] for one in listed["data"]["tasks"]} == {"mine", "theirs"}
        assert [one for one in await bob.quiet() if one["type"] != "dashboard:task_list_updated"] == []


async def test_a_mapping_that_shows_tasks_in_another_way_sends_them_anew(
    switchable: Switchable, tasks: Any
) -> None:
    tasks.insert_one(
        {
            "_id": "t",
            "title": "Old",
            "subject": "New",
            "createdBy": "alice",
            "events": [{"type": "a", "text": "secret"}],
            "log": [{"type": "b"}, {"type": "c"}],
        }
    )
    async with looking(switchable.relay, "t", sub="alice") as alice:
        await switchable.switch(
            "creator", more='events = "log"\n[fields]\ntitle = "subject"\n'
        )  # the keys of the table `fields` come last
        state = await alice.until("task:state")
        assert (state["data"]["task"]["title"], len(state["data"]["events"])) == ("New", 2)
        assert (await alice.until("dashboard:state"))["data"]["tasks"][0]["title"] == "New"
        tasks.update_one({"_id": "t"}, {"$push": {"log": {"type": "d"}}})
        assert (await alice.until("task:event_added"))["data"]["index"] == 2
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"type": "z"}}})
        # A mapping that changes nothing of what is seen sends the end of the timeline, and the list.
        await switchable.switch("creator", more='events = "log"\n[fields]\ntitle = "subject"\nerror = "x"\n')
        state = await alice.until("task:state")
        assert (state["data"]["from"], state["data"]["events"]) == (3, [])


async def test_a_rule_for_a_claim_that_was_not_kept_lets_clients_come_back(
    switchable: Switchable, tasks: Any
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "bob", "teamId": "red"})
    async with looking(switchable.relay, sub="alice", groups=["red"]) as alice:
        await switchable.switch("creator", "group")
        with suppress(ConnectionClosed):
            while True:
                await alice.next()
        assert alice.socket.close_code == 1001
    async with looking(switchable.relay, "t", sub="alice", groups=["red"]) as alice:
        # A rule that goes away needs no further claim.
        await switchable.switch("creator")
        assert (await alice.next())["type"] == "task:revoked"


async def test_a_poll_that_waits_is_asked_to_poll_again(switchable: Switchable, tasks: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "bob", "teamId": "red"})
    relay, polled = switchable.relay, {"dashboard": {"updates": True}, "tasks": [{"taskId": "t"}]}
    held = (await post(relay, polled, teams=["red"])).body
    body = {
        "moment": held["moment"],
        "dashboard": {"etag": held["dashboard"]["etag"], "updates": True},
        "tasks": [{"taskId": "t", "etag": held["tasks"]["t"]["etag"], "since": 0, "head": "1."}],
    }
    waiting = asyncio.create_task(post(relay, body, teams=["red"]))
    async with asyncio.timeout(SOON_S):
        while not relay.metrics.polls._value.get():  # nothing tells that a poll waits
            await asyncio.sleep(0.01)
    await switchable.switch("creator")
    answer = await waiting
    assert (answer.status, answer.body["data"]["code"]) == (503, "unavailable")
    again = (await post(relay, body, teams=["red"])).body
    assert {one["type"] for one in again["messages"]} >= {"dashboard:state"}
    assert "red" not in str(again)


async def test_a_list_that_was_polled_is_read_again_also_by_an_instance_that_has_the_mapping_already(
    tmp_path: Path, with_: Callable[..., Settings], tasks: Any
) -> None:
    tasks.insert_many(
        [
            {"_id": "mine", "title": "Mine", "createdBy": "alice"},
            {"_id": "theirs", "title": "Theirs", "createdBy": "bob", "teamId": "red"},
        ]
    )
    early, late = Switchable(tmp_path / "early.toml", with_), Switchable(tmp_path / "late.toml", with_)

    async def switch(one: Switchable) -> None:
        one._path.write_text(RULES["creator"] + RULES["team"].replace("teamId", "squadId"))
        await one.relay.reload()

    async def polled(one: Switchable, **held: Any) -> Any:
        body = {"dashboard": {"updates": True, **({"etag": held["dashboard"]["etag"]} if held else {})}}
        return (await post(one.relay, body, sub="alice", teams=["red"])).body

    for one in (early, late):
        one.write("creator", "team")
    async with (
        running(early.read(), read=early.read) as early.relay,
        running(late.read(), read=late.read) as late.relay,
    ):
        # Given two instances, one of which has a new mapping already, in which a rule has kept its name,
        await switch(early)
        assert "theirs" not in str(await polled(early))
        # when a client polls the other one, after a change that both have published, and then the first one,
        tasks.update_one({"_id": "mine"}, {"$set": {"title": "Mine again"}})
        held = await polled(late)
        assert "Mine again" in str(held)
        assert "theirs" in str(held)
        answer = await polled(early, **held)
        # then it is sent the list as the new mapping shows it.
        assert [one["type"] for one in answer["messages"]] == ["dashboard:state"]
        assert "theirs" not in str(answer)


async def test_a_mapping_in_a_pipe_holds_up_no_client(
    switchable: Switchable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.file_content.PIPE_WITHIN_S", SOON_S)
    async with looking(switchable.relay, sub="alice") as alice:
        switchable._path.unlink()
        os.mkfifo(switchable._path)
        reloading = asyncio.create_task(switchable.relay.reload())
        assert await alice.quiet() == []
        assert not reloading.done()
        # A pipe that is written is read like a file,
        await asyncio.to_thread(switchable._path.write_text, RULES["creator"])
        assert (await reloading).changed == ("RELAY_MAPPING",)
        # and one that is not is given up.
        monkeypatch.setattr("relay.file_content.PIPE_WITHIN_S", 0.1)
        with pytest.raises(StartupError, match="it is a pipe that was not written"):
            await switchable.relay.reload()


@pytest.mark.parametrize("bad", ["[fields]\ntitle = 7\n", "no toml"])
async def test_a_mapping_that_cannot_be_used_changes_nothing(
    switchable: Switchable, tasks: Any, bad: str
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with looking(switchable.relay, "t", sub="alice") as alice:
        with pytest.raises(StartupError):
            await switchable.switch(more=bad)
        assert await alice.quiet() == []
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"type": "note"}}})
        await alice.until("task:event_added")


async def test_a_list_update_that_waits_for_its_time_is_sent_before_the_switch(
    tmp_path: Path, with_: Callable[..., Settings], tasks: Any
) -> None:
    one = Switchable(
        tmp_path / "mapping.toml", lambda **given: with_(relay_list_update_min_interval_ms=60_000, **given)
    )
    one.write("creator", "team")
    tasks.insert_one({"_id": "t", "title": "1", "createdBy": "alice", "teamId": "red"})
    async with (
        running(one.read(), read=one.read) as one.relay,
        looking(one.relay, sub="alice") as alice,
        looking(one.relay, sub="bob", teams=["red"]) as bob,
    ):
        for title in ("2", "3"):
            tasks.update_one({"_id": "t"}, {"$set": {"title": title}})
        await alice.until("dashboard:task_list_updated", title="2")
        await bob.until("dashboard:task_list_updated", title="2")
        tasks.insert_one({"_id": "fence", "createdBy": "alice"})
        await alice.until("dashboard:task_list_updated", taskId="fence")
        await one.switch("creator")
        await alice.until("dashboard:task_list_updated", title="3")
        assert (await bob.until("dashboard:state"))["data"]["tasks"] == []
        assert await alice.quiet() == []


async def test_other_links_are_sent_to_who_asks_and_nobody_is_sent_tasks_anew(
    switchable: Switchable, tasks: Any
) -> None:
    async def links() -> Any:
        _, _, body = await get(f"{switchable.relay.url}/config", Authorization=f"Bearer {token('alice')}")
        return json.loads(body).get("links")

    tasks.insert_one({"_id": "t", "createdBy": "alice", "teamId": "red"})
    async with looking(switchable.relay, "t", sub="alice") as alice:
        assert await links() is None
        template = "https://tracker.example/{taskId}"
        assert await switchable.switch("creator", "team", more=f"[links]\ntask = '{template}'\n") == (
            "RELAY_MAPPING",
        )
        assert await links() == {"task": template}
        assert await alice.quiet() == []
        with pytest.raises(StartupError, match=r"links\.task must be an address"):
            await switchable.switch("creator", "team", more="[links]\ntask = 'javascript:alert(1)'\n")
        assert await links() == {"task": template}
