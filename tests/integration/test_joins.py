"""Joins, resumes and resyncs: the state, then exactly what comes after it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from urllib.parse import quote

import bson
import pytest
import support.bson_bytes as raw
from bson import DatetimeMS, Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, MongoClient, UpdateOne
from support.polling_client import post
from support.relay_fixture import SOON_S, SocketClient, connected, running, settings_for
from websockets import Close, ConnectionClosed

from relay.errors import Unavailable
from relay.hub.snapshot import TaskState
from relay.source.raw_bson import LENIENT
from relay.source.reader import Reader

JOINS = 300

Tasks = Any


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Tasks:
    """The collection, as a synchronous legacy writer has it."""
    return mongo[database_name]["tasks"]


def push(tasks: Tasks, task_id: Any, *events: Any, **sets: Any) -> None:
    update: dict[str, Any] = {"$push": {"events": {"$each": list(events)}}}
    tasks.update_one({"_id": task_id}, update | ({"$set": sets} if sets else {}))


def mine(events: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"_id": ObjectId(), "title": "t", "createdBy": "alice", "events": events or [], **more}


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name)


async def joined(client: SocketClient, task_id: Any, **position: Any) -> dict[str, Any]:
    await client.send("task:join", {"taskId": str(task_id), **position}, id="j")
    state = await client.until("task:state")
    assert state["replyTo"] == "j"
    return state["data"]


async def test_a_state_tells_where_it_stands_and_live_goes_on_from_there(tasks: Tasks, settings: Any) -> None:
    task = mine([{"type": "log", "n": 0}, {"type": "log", "n": 1}], status="analyzing")
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        state = await joined(client, task["_id"])
        assert (state["from"], state["next"], state["reset"], state["more"]) == (0, 2, True, False)
        assert [event["data"]["n"] for event in state["events"]] == [0, 1]
        assert state["task"]["status"] == "analyzing"
        push(tasks, task["_id"], {"type": "log", "n": 2})
        added = (await client.until("task:event_added"))["data"]
        assert (added["index"], added["next"], added["event"]["data"]["n"]) == (2, 3, 2)


async def test_a_position_resumes_after_a_restart_of_the_relay(tasks: Tasks, settings: Any) -> None:
    task = mine([{"n": 0}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        await joined(client, task["_id"])
        push(tasks, task["_id"], {"n": 1})
        position = (await client.until("task:event_added"))["data"]
    push(tasks, task["_id"], {"n": 2}, {"n": 3})
    async with running(settings) as relay, connected(relay) as client:
        state = await joined(client, task["_id"], since=position["next"], head=position["head"])
    assert (state["from"], state["next"], state["reset"]) == (2, 4, False)
    assert [event["data"]["n"] for event in state["events"]] == [2, 3]


@pytest.mark.parametrize(
    ("since", "head"), [(1, "1.beef"), (2, None), (9, "same"), (None, "same"), (0, "same")]
)
async def test_a_position_of_another_timeline_starts_anew(
    tasks: Tasks, settings: Any, since: int | None, head: str | None
) -> None:
    task = mine([{"n": 0}, {"n": 1}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        given = await joined(client, task["_id"])
        position = {"since": since, "head": given["head"] if head == "same" else head}
        state = await joined(client, task["_id"], **{k: v for k, v in position.items() if v is not None})
    assert (state["from"], state["next"], state["reset"]) == (0, 2, True)


async def test_a_rewritten_timeline_resets_the_room_and_voids_old_positions(
    tasks: Tasks, settings: Any
) -> None:
    task = mine([{"n": 0}, {"n": 1}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        before = await joined(client, task["_id"])
        tasks.update_one({"_id": task["_id"]}, {"$pull": {"events": {"n": 0}}})
        state = (await client.until("task:state"))["data"]
        assert (state["reset"], state["from"], state["next"]) == (True, 0, 1)
        assert (await joined(client, task["_id"], since=1, head=before["head"]))["reset"] is True
        assert (await joined(client, task["_id"], since=1, head=state["head"]))["reset"] is False


async def test_rewrites_that_follow_each_other_closely_are_shown_by_their_last(
    tasks: Tasks, settings: Any
) -> None:
    cap, pushes = 200, 300
    task = mine([{"n": -n} for n in range(cap)])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        await joined(client, task["_id"])
        client.frames.clear()
        began = time.monotonic()
        capped = [
            UpdateOne(
                {"_id": task["_id"]},
                {
                    "$push": {"events": {"$each": [{"type": "log", "n": n}], "$slice": -cap}},
                    "$set": {"title": str(n)},
                },
            )
            for n in range(1, pushes)
        ]
        # When an array that is full is pushed to as fast as it goes, and the last event is one that tells,
        last = {"$push": {"events": {"$each": [{"type": "merged", "n": pushes}], "$slice": -cap}}}
        await asyncio.to_thread(tasks.bulk_write, [*capped, UpdateOne({"_id": task["_id"]}, last)])
        while client.frames[-1:] == [] or not shows(client.frames[-1], pushes):
            await client.next()
        took = time.monotonic() - began
    # then the room is shown a few states and no event by itself, and hears of everything else.
    states = [frame for frame in client.frames if frame["type"] == "task:state"]
    assert 1 <= len(states) <= took / 0.25 + 2
    assert not any(frame["type"] == "task:event_added" for frame in client.frames)
    assert [event["data"]["n"] for event in states[-1]["data"]["events"]] == list(
        range(pushes - cap + 1, pushes + 1)
    )
    assert sum(frame["type"] == "task:pr_merged" for frame in client.frames) == 1
    titles = [frame["data"]["task"]["title"] for frame in client.frames if frame["type"] == "task:updated"]
    assert titles == sorted(titles, key=int)
    assert titles[-1] == str(pushes - 1)


def shows(frame: dict[str, Any], n: int) -> bool:
    return frame["type"] == "task:state" and frame["data"]["events"][-1]["data"]["n"] == n


async def test_a_long_timeline_comes_in_pages(tasks: Tasks, settings: Any) -> None:
    task = mine([{"n": n, "text": "x" * 10_000} for n in range(60)])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        pages = [await joined(client, task["_id"])]
        while pages[-1]["more"]:
            pages.append((await client.next())["data"])
        middle = pages[1]
        resumed = await joined(client, task["_id"], since=middle["next"], head=middle["head"])
    assert len(pages) > 2
    assert [page["reset"] for page in pages] == [True] + [False] * (len(pages) - 1)
    assert [page["from"] for page in pages] == [0, *(page["next"] for page in pages[:-1])]
    assert [event["data"]["n"] for page in pages for event in page["events"]] == list(range(60))
    assert resumed["from"] == middle["next"]


@pytest.mark.parametrize("known", [1, 1000])
async def test_joins_amid_a_burst_see_every_event_once(
    tasks: Tasks, mongo_url: str, database_name: str, known: int
) -> None:
    settings = settings_for(mongo_url, database_name, relay_known_tasks_max=known)
    chosen = [mine() for _ in range(3)]
    tasks.insert_many(chosen)
    async with running(settings) as relay, AsyncMongoClient[dict[str, Any]](mongo_url) as mongo:
        target = mongo[database_name]["tasks"]

        async def write() -> None:
            for n in range(300):
                await target.update_one({"_id": chosen[n % 3]["_id"]}, {"$push": {"events": {"n": n // 3}}})

        async def join_and_check(delay: int) -> None:
            for _ in range(delay):  # a moment of its own, counted in turns of the loop
                await asyncio.sleep(0)
            async with connected(relay) as client:
                task = chosen[delay % 3]
                seen = [event["data"]["n"] for event in (await joined(client, task["_id"]))["events"]]
                while len(seen) < 100:
                    added = (await client.until("task:event_added"))["data"]
                    assert added["index"] == len(seen)
                    seen.append(added["event"]["data"]["n"])
                assert seen == list(range(100))

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for delay in range(0, 1200, 40):
                group.create_task(join_and_check(delay))


async def test_hundreds_of_joins_while_a_writer_runs_at_full_speed(
    tasks: Tasks, mongo_url: str, settings: Any, capsys: Any
) -> None:
    chosen = [mine() for _ in range(100)]
    tasks.insert_many(chosen)
    over = threading.Event()

    def write() -> float:
        written, began = 0, time.perf_counter()
        with MongoClient[dict[str, Any]](mongo_url) as mongo:
            target = mongo[tasks.database.name]["tasks"]
            while not over.is_set():
                updates = [UpdateOne({"_id": one["_id"]}, {"$push": {"events": written}}) for one in chosen]
                written += target.bulk_write(updates, ordered=False).modified_count
        return written / (time.perf_counter() - began)

    async def join(number: int, room: asyncio.Semaphore) -> None:
        task_id = str(chosen[number % len(chosen)]["_id"])
        async with room, connected(relay) as client:
            await client.send("task:join", {"taskId": task_id}, id="j")
            held = 0
            for _ in range(1 + number % 10):  # each stays for a while of its own
                frame = await client.next()
                data = frame["data"]
                if frame["type"] == "task:state":
                    assert data["from"] == (0 if data["reset"] else held)
                    held = data["next"]
                elif frame["type"] == "task:event_added":
                    assert data["index"] == held
                    held = data["next"]

    async with running(settings) as relay:
        writing = asyncio.create_task(asyncio.to_thread(write))
        room = asyncio.Semaphore(100)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(JOINS):
                    group.create_task(join(number, room))
        finally:
            over.set()
        rate = await writing
    with capsys.disabled():
        print(f"\n  {JOINS} joins amid {rate:.0f} changes a second")


async def test_a_transaction_is_published_whole(tasks: Tasks, mongo: Any, settings: Any) -> None:
    one, other = mine(), mine()
    tasks.insert_many([one, other])
    async with running(settings) as relay, connected(relay) as client:
        await joined(client, one["_id"])
        await joined(client, other["_id"])

        def write(session: Any) -> None:
            for n in range(20):
                for task in (one, other):
                    tasks.update_one({"_id": task["_id"]}, {"$push": {"events": {"n": n}}}, session=session)

        with mongo.start_session() as session:
            session.with_transaction(write)
        added = [(await client.until("task:event_added"))["data"] for _ in range(40)]
    for task in (one, other):
        mine_only = [data for data in added if data["taskId"] == str(task["_id"])]
        assert [data["index"] for data in mine_only] == list(range(20))
        assert [data["event"]["data"]["n"] for data in mine_only] == list(range(20))


@pytest.mark.usefixtures("patient_reads")
async def test_a_task_just_written_is_found(mongo_url: str, database_name: str, settings: Any) -> None:
    async with (
        running(settings) as relay,
        connected(relay) as client,
        AsyncMongoClient[dict[str, Any]](mongo_url) as mongo,
    ):
        tasks = mongo[database_name].get_collection("tasks")
        for _ in range(10):
            task = mine()
            await tasks.insert_one(task)
            assert (await joined(client, task["_id"]))["taskId"] == str(task["_id"])


async def test_a_task_that_is_not_there_and_one_that_is_not_yours_are_not_told_apart(
    tasks: Tasks, settings: Any
) -> None:
    theirs = mine(createdBy="bob")
    tasks.insert_one(theirs)
    async with running(settings) as relay, connected(relay) as client:
        answers = []
        for task_id in (str(theirs["_id"]), str(ObjectId()), "no such", '{"$ne": null}'):
            await client.send("task:join", {"taskId": task_id}, id="j")
            answer = await client.until("error")
            assert answer["data"].pop("taskId") == task_id
            answers.append(answer)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["data"]["code"] == "forbidden"


IDS = [
    *(
        raw.text(one)
        for one in ("plain", "a/b c?", "", "a\0b", "\ufffd", "0" * 23, "x" * 10_000, b"\xff", b"\xfe")
    ),
    *(raw.int32(7), raw.int64(7_000_000_000), raw.double(1.5), raw.decimal("0.1"), raw.decimal("NaN")),
    *(raw.double(float("inf")), raw.decimal("1E6144"), raw.TRUE, raw.NULL, raw.MIN_KEY, raw.MAX_KEY),
    *(raw.date(0), raw.date(2**62), raw.date(-(2**63)), raw.timestamp(1, 2), raw.symbol("symbol")),
    *(
        raw.code("f()"),
        raw.code(b"\xff"),
        raw.scoped("f()", raw.document(("x", raw.date(2**62)))),
        raw.pointer("c"),
    ),
    *(raw.binary(subtype, b"a" * 16) for subtype in (0, 2, 3, 4, 6, 9, 0x80)),
    *(raw.document(), raw.document(("k", raw.double(1))), raw.document(*raw.REFERENCE)),
    raw.document(*raw.REFERENCE, ("more", raw.UNDEFINED)),
    raw.document(
        ("at", raw.date(2**62)), ("like", raw.pattern("a", "mi")), ("a.b", raw.array(raw.UNDEFINED))
    ),
    raw.document(("twice", raw.TRUE), ("twice", raw.FALSE), (b"\xff", raw.NULL)),
]


async def test_ids_of_every_kind_are_joined_and_followed_by_the_name_the_dashboard_gives(
    tasks: Tasks, settings: Any
) -> None:
    own = (("createdBy", raw.text("alice")), ("events", raw.array()))
    # The driver must not decode what it cannot decode: the title is what finds a task.
    tasks.insert_many(
        raw.stored(("_id", one), ("title", raw.text(str(number))), *own) for number, one in enumerate(IDS)
    )
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        listed = (await client.until("dashboard:state"))["data"]["tasks"]
        assert len({summary["taskId"] for summary in listed}) == len(IDS)
        for task_id, title in ((summary["taskId"], summary["title"]) for summary in listed):
            assert (await joined(client, task_id))["task"]["title"] == title
            tasks.update_one({"title": title}, {"$push": {"events": "pushed"}})
            await client.until("task:event_added", taskId=task_id)
            await client.until("dashboard:task_list_updated", taskId=task_id)
        asked = [{"taskId": summary["taskId"]} for summary in listed]
        polled = (await post(relay, {"tasks": asked})).body["messages"]
        assert {one["data"]["task"]["title"] for one in polled} == {one["title"] for one in listed}
        tasks.update_many({}, [{"$replaceWith": {"_id": "$_id", "createdBy": "alice", "title": "replaced"}}])
        for _ in IDS:
            await client.until("dashboard:task_list_updated", title="replaced")
        tasks.delete_many({})
        gone = {(await client.until("task:deleted"))["data"]["taskId"] for _ in IDS}
        assert gone == {summary["taskId"] for summary in listed}


async def test_an_id_that_becomes_an_equal_one_is_the_same_task(tasks: Tasks, settings: Any) -> None:
    tasks.insert_one(mine() | {"_id": 7})
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        (task,) = (await client.until("dashboard:state"))["data"]["tasks"]
        await joined(client, task["taskId"])
        # When applications in other languages write the same document,
        for number, equal in enumerate((Int64(7), 7.0, Decimal128("7.00"))):
            tasks.replace_one({"_id": 7}, mine(["event"] * (number + 1)) | {"_id": equal})
            # then its room and the list are sent that, under the one name.
            assert (await client.until("task:event_added"))["data"]["taskId"] == task["taskId"]
            shown = (await client.until("dashboard:task_list_updated"))["data"]
            assert (shown["taskId"], shown["eventCount"]) == (task["taskId"], number + 1)
        assert (await joined(client, task["taskId"]))["next"] == 3


async def test_a_resync_answers_each_task_and_joins_nothing(tasks: Tasks, settings: Any) -> None:
    task = mine([{"n": 0}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        await client.send("resync_requested", {"taskIds": [str(task["_id"]), "nowhere"]}, id="r")
        state = await client.until("task:state")
        done = await client.until("resync:done")
        assert (state["replyTo"], done["replyTo"]) == ("r", "r")
        assert done["data"] == {"taskIds": [str(task["_id"])], "forbidden": ["nowhere"]}
        push(tasks, task["_id"], {"n": 1})
        async with connected(relay) as other:
            await joined(other, task["_id"])  # the push has passed when this is answered
        assert await client.quiet() == []


async def test_requests_for_one_task_at_once_are_all_answered_and_nothing_comes_twice(
    tasks: Tasks, settings: Any
) -> None:
    task = mine([{"n": 0}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        for number in range(3):
            await client.send("task:join", {"taskId": str(task["_id"])}, id=f"j{number}")
            await client.send("resync_requested", {"taskIds": [str(task["_id"])]}, id=f"r{number}")
        answers = [await client.next() for _ in range(9)]
        assert {frame["replyTo"] for frame in answers} == {"j0", "j1", "j2", "r0", "r1", "r2"}
        push(tasks, task["_id"], {"n": 1})
        assert (await client.next())["data"]["index"] == 1
        assert await client.quiet() == []


async def test_a_client_whose_state_cannot_be_made_is_closed_and_others_get_theirs(
    tasks: Tasks, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = mine([{"n": 0}])
    tasks.insert_one(task)
    made = TaskState.pages

    def pages(self: TaskState, since: int | None = None, digest: str | None = None) -> Any:
        if since == 77:
            raise RuntimeError("a fault of the relay")
        return made(self, since, digest)

    monkeypatch.setattr(TaskState, "pages", pages)
    async with running(settings) as relay, connected(relay) as client, connected(relay) as other:
        await client.send("task:join", {"taskId": str(task["_id"]), "since": 77, "head": "1.x"})
        await joined(other, task["_id"])
        with pytest.raises(ConnectionClosed) as closed:
            await client.next()
        push(tasks, task["_id"], {"n": 1})
        await other.until("task:event_added")
    assert closed.value.rcvd == Close(1011, "internal error")


async def test_dashboards_asked_for_at_once_are_all_answered(tasks: Tasks, settings: Any) -> None:
    async with running(settings) as relay, connected(relay) as client:
        for number in range(3):
            await client.send("dashboard:join", {"limit": 5 + number % 2}, id=str(number))
        answers = [await client.until("dashboard:state") for _ in range(3)]
        assert {frame["replyTo"] for frame in answers} == {"0", "1", "2"}
        tasks.insert_one(mine())
        assert [(await client.next())["type"] for _ in range(2)] == [
            "task:created",
            "dashboard:task_list_updated",
        ]
        assert await client.quiet() == []


async def test_a_state_larger_than_the_outbox_is_delivered(
    tasks: Tasks, mongo_url: str, database_name: str
) -> None:
    settings = settings_for(mongo_url, database_name, relay_outbox_max_bytes=65_536)
    task = mine([{"n": n, "text": "x" * 100_000} for n in range(40)])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client:
        page = await joined(client, task["_id"])
        while page["more"]:
            page = (await client.next())["data"]
        assert page["next"] == 40
        assert await client.quiet() == []


async def test_what_was_left_says_nothing_more(tasks: Tasks, settings: Any) -> None:
    task = mine()
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay) as client, connected(relay) as other:
        await joined(client, task["_id"])
        await joined(other, task["_id"])
        await client.send("task:leave", {"taskId": str(task["_id"])}, id="l")
        assert (await client.until("task:left"))["data"] == {"taskId": str(task["_id"])}
        push(tasks, task["_id"], {"n": 0})
        await other.until("task:event_added")
        assert await client.quiet() == []


async def test_a_dashboard_lists_the_newest_first_up_to_its_limit(tasks: Tasks, settings: Any) -> None:
    tasks.insert_many([mine(title=str(n)) for n in range(5)] + [mine(createdBy="bob", title="not mine")])
    async with running(settings) as relay, connected(relay, "/ws/dashboard?limit=3") as client:
        state = (await client.until("dashboard:state"))["data"]
    assert [task["title"] for task in state["tasks"]] == ["4", "3", "2"]
    assert (state["reset"], state["more"]) == (True, False)


async def test_a_collection_that_comes_later_is_no_trouble(tasks: Tasks, settings: Any) -> None:
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        assert (await client.until("dashboard:state"))["data"]["tasks"] == []
        task = mine()
        tasks.insert_one(task)
        await client.until("task:created")
        assert (await joined(client, task["_id"]))["next"] == 0


async def test_dates_past_all_calendars_and_broken_text_are_somebodys_data(
    tasks: Tasks, settings: Any
) -> None:
    broken = bson.encode(mine(title="brXXken", when=DatetimeMS(253402300800001))).replace(b"XX", b"\xff\xfe")
    neighbour = mine(title="neighbour")
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        await client.until("dashboard:state")
        # When such a document comes, and an event like it,
        task_id = bson.decode(broken, LENIENT)["_id"]
        tasks.insert_one(RawBSONDocument(broken))
        push(tasks, task_id, {"at": DatetimeMS(-(2**50)), "n": 1})
        tasks.insert_one(neighbour)
        # then it is shown as well as can be, and its neighbours are not touched.
        await client.until("task:created", title="br\ufffd\ufffdken")
        await client.until("dashboard:task_list_updated", eventCount=1)
        await client.until("task:created", title="neighbour")
        state = await joined(client, task_id)
        assert state["events"] == [{"type": None, "at": None, "data": {"at": -(2**50), "n": 1}}]


async def test_nothing_is_read_again_and_again_for_who_is_gone(
    tasks: Tasks, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = mine()
    tasks.insert_one(task)
    monkeypatch.setattr("relay.source.opening.LOOK_S", 600)  # the watch reads, too
    tried = asyncio.Event()

    async def fails(*_: Any, **__: Any) -> Any:
        tried.set()
        raise Unavailable("away")

    async with running(settings) as relay:
        async with connected(relay) as client:
            await joined(client, task["_id"])
            monkeypatch.setattr(Reader, "read_at", fails)
            await asyncio.to_thread(tasks.drop)
            await tried.wait()  # to bring it up to date, which is tried until it works
            assert any("Driver._serve" in str(reading.get_coro()) for reading in asyncio.all_tasks())
        async with asyncio.timeout(SOON_S):
            while any("Driver._serve" in str(reading.get_coro()) for reading in asyncio.all_tasks()):
                await asyncio.sleep(0.01)


async def test_a_dropped_collection_heals_by_itself(tasks: Tasks, settings: Any) -> None:
    task = mine([{"n": 0}])
    tasks.insert_one(task)
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        await client.until("dashboard:state")
        await joined(client, task["_id"])
        tasks.drop()
        await client.until("task:deleted", taskId=str(task["_id"]))
        again = mine(title="after the drop")
        tasks.insert_one(again)
        await client.until("task:created", title="after the drop")


@pytest.mark.parametrize("task_id", ["a/b", "two\nlines", "\n", "ends\r\n", "a b?c#d%", "é"])
async def test_a_task_is_joined_by_its_path_whatever_text_its_id_is(
    tasks: Tasks, settings: Any, task_id: str
) -> None:
    tasks.insert_one({"_id": task_id, "createdBy": "alice"})
    path = f"/ws/tasks/{quote(task_id, safe='')}"
    async with running(settings) as relay, connected(relay, path) as client:
        assert (await client.next())["data"]["taskId"] == task_id
