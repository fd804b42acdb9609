"""Tasks with fields of megabytes: MongoDB sends no more of them than is kept, and everybody sees what they may see."""

from __future__ import annotations

from typing import Any

import pytest
import support.bson_bytes as raw
from bson.raw_bson import RawBSONDocument
from support.relay_fixture import connected, running, settings_for

from relay.source.reader import UNCUT_AT_ONCE

LOG = 1_000_000
MEMBERS = [f"user-{n:06}" for n in range(20_000)]
# What a task has in place of a text, and how long the text of it is that a list shows.
HEAVY: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"error": "x" * LOG}, {"error": "x" * 999 + "…"}),
    ({"error": {"message": "broke", "stack": "x" * LOG}}, {"error": "broke"}),
    ({"errorMessage": "é" * LOG}, {"error": "é" * 999 + "…"}),
    (
        {"title": "t", "questions": ["x" * LOG, "why?"]},
        {"title": "t", "questions": ["x" * 999 + "…", "why?"]},
    ),
    ({"title": ["x" * LOG], "name": "n"}, {}),
    ({"title": {"x": "x" * LOG}, "name": "n"}, {}),
    ({"title": None, "name": "n", "createdBy": "alice"}, {"title": "n", "creator": "alice"}),
    ({"github": {"prUrl": "https://p", "log": "x" * LOG}}, {"prUrl": "https://p"}),
    ({"github": [{"prUrl": "x" * LOG}], "pullRequest": {"url": "https://q"}}, {"prUrl": "https://q"}),
    ({"status": b"x" * LOG}, {}),
    ({"members": MEMBERS}, {}),
]


@pytest.fixture
def tasks(profiled_tasks: Any) -> Any:
    return profiled_tasks


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name)


def sent(tasks: Any, filter: dict[str, Any]) -> list[int]:
    """The bytes of every reply to a query of the collection so far."""
    profile = tasks.database["system.profile"]
    return [one["responseLength"] for one in profile.find({"op": "query", "command.find": "tasks", **filter})]


async def test_a_list_is_read_without_what_it_does_not_show(tasks: Any, settings: Any) -> None:
    for number, (fields, _) in enumerate(HEAVY):
        tasks.insert_one({"_id": f"t{number:02}", "teamId": "red", "events": [], **fields})
    async with running(settings) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as client:
        shown = (await client.until("dashboard:state"))["data"]["tasks"]
    assert [one["taskId"] for one in shown] == [f"t{number:02}" for number in reversed(range(len(HEAVY)))]
    for one, (_, expected) in zip(reversed(shown), HEAVY, strict=True):
        assert {name: one[name] for name in one if name not in ("taskId", "eventCount")} == expected
    assert (
        max(sent(tasks, {"command.sort": {"$exists": True}, "command.filter.$or": {"$exists": True}}))
        < 60_000
    )


async def test_a_task_that_changes_is_read_without_what_is_not_kept_of_it(tasks: Any, settings: Any) -> None:
    kept = [fields for fields, _ in HEAVY if "members" not in fields]
    for number, fields in enumerate(kept):
        tasks.insert_one({"_id": f"t{number}", "teamId": "red", "events": [{"type": "log"}], **fields})
    async with running(settings) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as client:
        await client.until("dashboard:state")
        for number in range(len(kept)):
            tasks.update_one({"_id": f"t{number}"}, {"$push": {"events": {"type": "log"}}})
            await client.until("dashboard:task_list_updated", taskId=f"t{number}", eventCount=2)
    outlines = sent(tasks, {"command.projection.relay_last_events": {"$exists": True}})
    assert outlines
    assert max(outlines) < 60_000


@pytest.mark.parametrize("broken", [b"\x80" * LOG, b"\xff" * LOG, b"a" * 20_000 + b"\xc3" * LOG])
async def test_a_text_that_mongodb_cannot_cut_is_shown_with_all_others(
    tasks: Any, settings: Any, broken: bytes
) -> None:
    tasks.insert_one({"_id": "a", "teamId": "red", "title": "good"})
    error = b"\x02" + (len(broken) + 1).to_bytes(4, "little") + broken + b"\0"
    fields = {"_id": raw.text("b"), "teamId": raw.text("red"), "title": raw.text("bad"), "error": error}
    tasks.insert_one(RawBSONDocument(raw.document(*fields.items())[1:]))
    async with running(settings) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as client:
        bad, good = (await client.until("dashboard:state"))["data"]["tasks"]
        assert (good["title"], bad["title"]) == ("good", "bad")
        assert bad["error"] == broken.decode("utf-8", "replace")[:999] + "…"
        tasks.update_one({"_id": "b"}, {"$push": {"events": {"type": "log"}}})
        assert (await client.until("dashboard:task_list_updated", eventCount=1))["data"]["error"] == bad[
            "error"
        ]


async def test_a_text_that_mongodb_cannot_cut_lets_only_a_few_tasks_be_read_whole(
    tasks: Any, settings: Any
) -> None:
    broken = raw.text(b"\xff" * LOG)
    for number in range(100):
        fields = {"teamId": raw.text("red"), "error": raw.text("x" * LOG)}
        fields |= {"error": broken} if number in (7, 60) else {}
        one = raw.document(("_id", raw.text(f"t{number:02}")), *fields.items())
        tasks.insert_one(RawBSONDocument(one[1:]))
    async with running(settings) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as client:
        shown = (await client.until("dashboard:state"))["data"]["tasks"]
    assert [one["taskId"] for one in shown] == [f"t{number:02}" for number in reversed(range(100))]
    texts = {one["taskId"]: one["error"] for one in shown}
    assert {id for id in texts if texts[id] == "\ufffd" * 999 + "…"} == {"t07", "t60"}
    replies = sent(tasks, {"command.readConcern.level": "snapshot"})
    assert max(replies) < (UNCUT_AT_ONCE + 1) * LOG
    assert sum(replies) < (2 * UNCUT_AT_ONCE + 1) * LOG


async def test_those_in_a_long_list_of_members_see_the_task_and_nobody_else_does(
    tasks: Any, settings: Any
) -> None:
    tasks.insert_one({"_id": "t", "members": MEMBERS, "events": []})
    async with (
        running(settings) as relay,
        connected(relay, "/ws/dashboard", sub=MEMBERS[0]) as first,
        connected(relay, "/ws/dashboard", sub=MEMBERS[-1]) as last,
        connected(relay, "/ws/dashboard", sub=MEMBERS[0][:-1]) as stranger,
    ):
        for client, expected in ((first, ["t"]), (last, ["t"]), (stranger, [])):
            shown = (await client.until("dashboard:state"))["data"]["tasks"]
            assert [one["taskId"] for one in shown] == expected
        await first.send("task:join", {"taskId": "t"})
        await first.until("task:state")

        tasks.update_one({"_id": "t"}, {"$push": {"events": {"type": "log"}}})
        await first.until("task:event_added", index=0)
        for client in (first, last):
            await client.until("dashboard:task_list_updated", eventCount=1)
        # When the stranger becomes a member, and one of the members none,
        tasks.update_one({"_id": "t"}, {"$push": {"members": MEMBERS[0][:-1]}})
        assert (await stranger.until("dashboard:task_list_updated"))["data"]["change"] == "upserted"
        tasks.update_one({"_id": "t"}, {"$pull": {"members": MEMBERS[0]}})
        # then everybody is sent what that means for them, and somebody who comes later sees the same.
        await first.until("task:revoked", taskId="t")
        await first.until("dashboard:task_list_updated", change="revoked")
        async with connected(relay, "/ws/dashboard", sub=MEMBERS[1]) as late:
            await late.until("dashboard:state")
            tasks.update_one({"_id": "t"}, {"$push": {"events": {"type": "log"}}, "$set": {"title": "x"}})
            for client in (late, last, stranger):
                await client.until("dashboard:task_list_updated", eventCount=2, title="x")
        tasks.update_one({"_id": "t"}, {"$set": {"members": MEMBERS[1:5]}})
        await last.until("dashboard:task_list_updated", change="revoked")
        assert await first.quiet() == []
