"""`relay tail --direct` over a real MongoDB: what it prints of a change, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient
from support.recording_output import RecordingOutput
from support.relay_fixture import SOON_S, connected, running, settings_for

from relay.cli.tail import Selection, direct

SECRET_OF_A_WRITER = "ghp_" + "a1B2" * 9


class Direct:
    """A tail of the database that runs in the background, with its two outputs."""

    def __init__(self, settings: Any, claims: dict[str, Any] | None = None, **wanted: Any) -> None:
        self.out, self.err = RecordingOutput(), RecordingOutput()
        self.ending = asyncio.ensure_future(
            direct.run(settings, Selection(**wanted), claims, out=self.out, err=self.err)
        )

    @property
    def printed(self) -> list[str]:
        """Return its lines without their times."""
        return [
            " ".join(line[24:].split()) if line[:1].isdigit() else line.strip() for line in self.out.lines
        ]


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name, relay_jwt_secret=None)


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    database = mongo[database_name]
    database.create_collection("tasks")
    return database["tasks"]


@asynccontextmanager
async def following(settings: Any, **wanted: Any) -> AsyncIterator[Direct]:
    """Yield a tail that follows the database. It ends with the block at the latest."""
    async with asyncio.timeout(SOON_S):
        tail = Direct(settings, **wanted)
        await tail.err.has_lines(1)
        yield tail
        if not tail.ending.done():
            tail.ending.cancel()
            await asyncio.wait({tail.ending})


async def written(call: Any, *arguments: Any, **options: Any) -> None:
    await asyncio.to_thread(call, *arguments, **options)


async def test_a_change_is_printed_with_what_its_writer_did_and_its_messages(
    settings: Any, tasks: Any
) -> None:
    async with following(settings, count=2) as tail:
        await written(tasks.insert_one, {"_id": "t1", "title": "Fix", "status": "open", "events": []})
        event = {"type": "pr_opened", "prUrl": "https://git/1"}
        update = {"$push": {"events": event}, "$set": {"status": "pr_opened"}, "$unset": {"title": 1}}
        await written(tasks.update_one, {"_id": "t1"}, update)
        assert await tail.ending == 0
    printed = [line.rpartition("  at ")[0] or line for line in tail.printed]
    assert [" ".join(line.split(" at ")[0].split()) for line in printed] == [
        "insert t1 with title, status, events[0]",
        "→ task:created open “Fix”",
        "→ dashboard:task_list_updated open “Fix”",
        "update t1 set status, events[1] removed title events 0 → 1",
        "→ task:event_added #0 pr_opened https://git/1",
        "→ task:pr_opened pr_opened https://git/1",
        "→ task:updated pr_opened",
        "→ dashboard:task_list_updated pr_opened",
    ]
    assert "no user's rights are asked" in tail.err.lines[0]


async def test_types_select_changes_and_until_ends_after_the_first_with_its_message(
    settings: Any, tasks: Any
) -> None:
    async with following(settings, types=("task:created",), until="event:pr_opened") as tail:
        await written(tasks.insert_one, {"_id": "t1", "events": []})
        await written(tasks.update_one, {"_id": "t1"}, {"$set": {"title": "Fix"}})
        await written(tasks.update_one, {"_id": "t1"}, {"$push": {"events": {"type": "pr_opened"}}})
        assert await tail.ending == 0
    assert [line.split()[0] for line in tail.printed if "→" not in line[:1]] == ["insert", "update"]


async def test_with_a_user_only_what_they_are_sent_is_printed(settings: Any, tasks: Any) -> None:
    # Given a tail for bob, when tasks of others change, and one becomes and ceases to be his,
    async with following(settings, claims={"sub": "bob"}, count=3) as tail:
        await written(tasks.insert_one, {"_id": "ann's", "createdBy": "ann", "events": []})
        await written(tasks.update_one, {"_id": "ann's"}, {"$set": {"title": "Not seen"}})
        await written(tasks.update_one, {"_id": "ann's"}, {"$set": {"createdBy": "bob", "status": "failed"}})
        await written(tasks.update_one, {"_id": "ann's"}, {"$set": {"createdBy": "ann"}})
        await written(tasks.insert_one, {"_id": "bob's", "createdBy": "bob", "events": []})
        assert await tail.ending == 0
    # then each of these is what the relay sends him.
    sent = [line.split()[1] for line in tail.printed if line.startswith("→")]
    assert [one for one in sent if one != "(rights)"] == [
        "dashboard:task_list_updated",
        *("task:revoked", "dashboard:task_list_updated"),
        *("task:created", "dashboard:task_list_updated"),
    ]


async def test_names_are_printed_without_control_characters(settings: Any) -> None:
    odd = settings.model_copy(update={"relay_tasks_collection": "a\x1b[31m\nb"})
    async with following(odd) as tail:
        assert tail.err.lines[0].isprintable()
        assert "\\x1b[31m" in tail.err.lines[0] or "\\u001b[31m" in tail.err.lines[0]


async def test_numbers_that_writers_use_as_names_are_described_by_their_meaning(
    settings: Any, tasks: Any, tmp_path: Any
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text("[event_types]\npr_opened = [3]\n[statuses]\nfailed = [-1]\n")
    numbered = settings.model_copy(update={"relay_mapping": path})
    async with following(numbered, count=3, json=True) as tail:
        await written(tasks.insert_one, {"_id": "t", "status": 1.0, "events": []})
        event = {"type": Decimal128("3"), "prNumber": Decimal128("8"), "at": Decimal128("1700000000")}
        await written(tasks.update_one, {"_id": "t"}, {"$push": {"events": event}})
        await written(tasks.update_one, {"_id": "t"}, {"$set": {"status": -1.0}})
        assert await tail.ending == 0
    created, pushed, failed = (
        {one["type"]: one["data"] for one in json.loads(line)["messages"]} for line in tail.out.lines
    )
    assert created["task:created"]["status"] == "1"
    shown = pushed["task:event_added"]["event"]
    assert (shown["type"], shown["at"]) == ("3", "2023-11-14T22:13:20.000Z")
    assert pushed["task:pr_opened"]["prNumber"] == 8
    assert failed["task:failed"]["status"] == "-1"


@pytest.mark.parametrize(
    ("update", "says"),
    [
        ({"$set": {"unseen": 1}}, ["set unseen", "(nothing)"]),
        ({"$set": {"createdBy": "bob"}}, ["set createdBy", "(rights)", "task:updated"]),
        ({"$push": {"events": {"type": "b"}}}, ["set events.1", "events 1 → 2", "task:event_added"]),
        ({"$pop": {"events": 1}}, ["events 1 → 0", "task:state", "0 events"]),
        (
            {"$set": {f"f{number}": 1 for number in range(12)}},
            ["f0, f1, f10, f11, f2, f3, f4, f5 and 4 more"],
        ),
    ],
)
async def test_the_kinds_of_an_update_are_printed(
    settings: Any, tasks: Any, update: dict[str, Any], says: list[str]
) -> None:
    tasks.insert_one({"_id": "t1", "title": "Fix", "events": [{"type": "a"}]})
    async with following(settings, count=1) as tail:
        await written(tasks.update_one, {"_id": "t1"}, update)
        assert await tail.ending == 0
    for part in says:
        assert part in tail.out.getvalue()


async def test_a_change_of_rights_alone_is_printed_as_one(settings: Any, tasks: Any) -> None:
    tasks.insert_one({"_id": "t1", "title": "Fix"})
    async with following(settings, count=1) as tail:
        await written(tasks.update_one, {"_id": "t1"}, {"$set": {"members": ["bob"]}})
        assert await tail.ending == 0
    assert "(rights)" in tail.out.getvalue()
    assert "(nothing)" not in tail.out.getvalue()


async def test_a_truncated_array_a_transaction_and_a_deletion_are_printed(
    settings: Any, tasks: Any, mongo: MongoClient[dict[str, Any]]
) -> None:
    def cut_in_a_transaction() -> None:
        with mongo.start_session() as session, session.start_transaction():
            shorter = [{"$set": {"events": {"$slice": ["$events", 1]}}}]
            tasks.update_one({"_id": "t1"}, shorter, session=session)

    tasks.insert_one({"_id": "t1", "events": [{"type": str(number)} for number in range(9)]})
    async with following(settings, count=2) as tail:
        await written(cut_in_a_transaction)
        await written(tasks.delete_one, {"_id": "t1"})
        assert await tail.ending == 0
    assert "cut events to 1 events 9 → 1 in a transaction at " in tail.printed[0]
    assert tail.printed[-2:] == ["→ task:deleted", "→ dashboard:task_list_updated  deleted"]


async def test_no_name_of_a_writer_reaches_the_terminal_unprintable(settings: Any, tasks: Any) -> None:
    async with following(settings, count=2) as tail:
        await written(tasks.insert_one, {"_id": "t\x1b[2J", "\x1b]0;owned\x07": [1]})
        await written(tasks.update_one, {}, {"$set": {"a\nb\x9b": 1}, "$unset": {"\x1b]0;owned\x07": 1}})
        assert await tail.ending == 0
    assert all(line.isprintable() for line in tail.out.lines)
    assert r"with \x1b]0;owned\x07[1]" in tail.out.lines[0]


@pytest.mark.parametrize("as_json", [False, True])
async def test_no_secret_of_a_document_is_shown(settings: Any, tasks: Any, as_json: bool) -> None:
    async with following(settings, count=2, json=as_json) as tail:
        title = {"title": f"key {SECRET_OF_A_WRITER}", "password": "hunter2"}
        await written(tasks.insert_one, {"_id": "t1", **title})
        event = {"type": "log", "message": SECRET_OF_A_WRITER, "token": "hunter2"}
        await written(
            tasks.update_one, {"_id": "t1"}, {"$push": {"events": event}, "$set": {SECRET_OF_A_WRITER: 1}}
        )
        assert await tail.ending == 0
    assert "[redacted]" in tail.out.getvalue()
    assert SECRET_OF_A_WRITER not in tail.out.getvalue()
    assert "hunter2" not in tail.out.getvalue()


async def test_the_messages_are_those_of_the_relay(settings: Any, mongo_url: str, tasks: Any) -> None:
    tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})
    with_relay = settings_for(mongo_url, settings.relay_mongo_database)
    async with running(with_relay) as relay, connected(relay, "/ws/tasks/t1") as client:
        await client.until("task:state")
        await client.send("dashboard:join")
        await client.until("dashboard:state")
        async with following(settings, json=True, count=3) as tail:
            event = {"type": "issue_created", "issueUrl": "https://git/1"}
            both = {"$push": {"events": event}, "$set": {"status": "dispatched"}}
            await written(tasks.update_one, {"_id": "t1"}, both)
            await written(tasks.update_one, {"_id": "t1"}, {"$set": {"events": [event]}})
            await written(tasks.delete_one, {"_id": "t1"})
            assert await tail.ending == 0
        await client.until("dashboard:task_list_updated", change="deleted")
    sent = [frame for frame in client.frames if "at" in frame]
    for frame in sent:
        if frame["type"] == "task:event_added":
            del frame["data"]["head"]
    printed = [message for line in tail.out.lines for message in json.loads(line)["messages"]]
    assert printed == sent


async def test_a_named_task_is_printed_alone_and_from_its_state_on(settings: Any, tasks: Any) -> None:
    tasks.insert_one({"_id": "t1", "events": [{"type": "a"}, {"type": "b"}]})
    async with following(settings, tasks=("t1", "t2"), since=1, count=1) as tail:
        await tail.err.has_lines(2)
        await written(tasks.insert_one, {"_id": "other"})
        await written(tasks.update_one, {"_id": "t1"}, {"$push": {"events": {"type": "c"}}})
        assert await tail.ending == 0
    assert [line.split("  ")[0] for line in (tail.printed[0], tail.printed[-1])] == [
        "task:state t1 #1 b",
        "→ task:event_added",
    ]
    assert "other" not in tail.out.getvalue()
    assert tail.err.lines[1] == "there is no task t2 yet"


async def test_a_tail_of_the_list_prints_the_messages_of_the_list(settings: Any, tasks: Any) -> None:
    tasks.insert_one({"_id": "t1", "status": "open", "events": []})
    async with following(settings, dashboard=True, count=1) as tail:
        both = {"$push": {"events": {"type": "failed"}}, "$set": {"status": "failed"}}
        await written(tasks.update_one, {"_id": "t1"}, both)
        assert await tail.ending == 0
    assert [line.split("  ")[0] for line in tail.printed[1:]] == [
        "→ task:failed",
        "→ dashboard:task_list_updated",
    ]


async def test_a_lost_position_is_reported_and_the_tail_continues(settings: Any, tasks: Any) -> None:
    async with following(settings, count=1) as tail:
        await written(tasks.drop)
        await tail.err.has_lines(2)
        assert "place in the stream was lost" in tail.err.lines[1]
        await written(tasks.insert_one, {"_id": "t1"})
        assert await tail.ending == 0


async def test_an_interruption_that_is_over_is_reported(
    settings: Any, tasks: Any, mongo: MongoClient[dict[str, Any]]
) -> None:
    async with following(settings, count=2) as tail:
        await written(tasks.insert_one, {"_id": "t1"})
        await tail.out.has_lines(1)  # so a cursor is open, which the next command kills
        await written(mongo.admin.command, "killAllSessions", [])
        await tail.err.has_lines(2)
        assert tail.err.lines[1] == "resumed"
        await written(tasks.insert_one, {"_id": "t2"})
        assert await tail.ending == 0


async def test_wrong_arguments_are_code_2(settings: Any) -> None:
    assert await Direct(settings, since=1).ending == 2
