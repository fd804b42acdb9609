"""Hardening: a client receives nothing of tasks that it may not see, and no secrets of those that it may.

Each docstring begins with the rows of the security checklist (S1 to S38) that its test covers.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

import orjson
from bson import ObjectId
from pymongo import UpdateOne
from support.hostile_client import bearer, ending_of
from support.relay_fixture import connected, running, token
from support.relay_metrics import metric
from support.slow_client import reading_slowly

NO_IDS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    ["t"],
    None,
    5,
    True,
]


STRANGE_IDS = [
    '{"$ne":null}',
    '{"$gt":""}',
    '{"$regularExpression":{"pattern":".*","options":""}}',
    '{"$oid":"65f0c0ffee65f0c0ffee65f0"}',
    '{"$or":[{}]}',
    '{"$where":"1"}',
    '{"a":{"$gt":1}}',
    "65f0c0ffee65f0c0ffee65f0",
    "65F0C0FFEE65F0C0FFEE65F0",
    "true",
    "null",
    "t\0",
    "../t",
    "' || 1==1",
    "*",
    "\u202et",
    "",
    "x" * 10_240,
]


async def test_a_foreign_task_and_a_missing_one_get_the_same_answer(tasks: Any, with_: Any) -> None:
    """S15: the id of another user's task, and one that does not exist: the same answer after the same work and about
    the same time. Ids that look like queries: bad_request or forbidden."""
    tasks.insert_many([{"_id": "foreign", "createdBy": "bob"}, {"_id": ObjectId("65f0c0ffee" * 2 + "65f0")}])
    async with running(with_()) as relay, connected(relay) as client:
        answers: dict[str, Any] = {}
        took: dict[str, list[float]] = {"foreign": [], "nowhere": []}
        reads: dict[str, list[float]] = {"foreign": [], "nowhere": []}
        for _ in range(15):
            for name, times in took.items():
                before, began = await metric(relay, "relay_state_reads_total"), time.perf_counter()
                await client.send("task:join", {"taskId": name}, id="i")
                answers[name] = orjson.dumps(await client.next()).replace(name.encode(), b"NAME")
                times.append(time.perf_counter() - began)
                reads[name].append(await metric(relay, "relay_state_reads_total") - before)
        assert answers["foreign"] == answers["nowhere"]
        # Both wait for one answer of the database, and for nothing else, such as the second for which a join may wait
        # until the relay has caught up. The shortest times are compared, because a busy machine makes some longer.
        assert reads["foreign"] == reads["nowhere"]
        foreign, nowhere = (min(times) for times in took.values())
        assert abs(foreign - nowhere) < 0.5
        await client.send("resync_requested", {"taskIds": ["foreign", "nowhere"]})
        done = (await client.until("resync:done"))["data"]
        assert sorted(done["forbidden"]) == ["foreign", "nowhere"]

        for name in NO_IDS:
            for kind, data in (
                ("task:join", {"taskId": name}),
                ("task:join", {"tasks": [{"taskId": name}]}),
                ("task:leave", {"taskId": name}),
                ("resync_requested", {"taskIds": [name]}),
            ):
                await client.send(kind, data)
                assert (await client.next())["data"]["code"] == "bad_request", (kind, name)
        for name in STRANGE_IDS:
            await client.send("task:join", {"taskId": name})
        refused = [await client.next() for _ in STRANGE_IDS]
        assert {frame["data"]["code"] for frame in refused} == {"forbidden"}
        assert sorted(frame["data"]["taskId"] for frame in refused) == sorted(STRANGE_IDS)


async def test_a_resuming_client_is_authorized_again(tasks: Any, with_: Any) -> None:
    """S16: a valid position, but access was removed meanwhile: forbidden, and nothing of the timeline."""
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [{"n": 0}]})
    async with running(with_()) as relay, connected(relay, "/ws/dashboard", sub="bob") as bob:
        async with connected(relay, "/ws/tasks/t") as client:
            state = (await client.until("task:state"))["data"]
        await bob.until("dashboard:state")
        tasks.update_one({"_id": "t"}, {"$push": {"events": "hidden"}, "$set": {"createdBy": "bob"}})
        await bob.until("dashboard:task_list_updated")
        position = {"since": state["next"], "head": state["head"]}
        path = f"/ws/tasks/t?since={state['next']}&head={state['head']}"
        async with connected(relay, path) as client:
            await client.until("error", code="forbidden", taskId="t")
            await client.send("task:join", {"taskId": "t", **position})
            await client.until("error", code="forbidden", taskId="t")
            await client.send("resync_requested", {"taskIds": [{"taskId": "t", **position}]})
            assert (await client.until("resync:done"))["data"] == {"taskIds": [], "forbidden": ["t"]}
            assert "hidden" not in str(client.frames)


REVOKED = 200


FILLER = "x" * 60_000


async def test_a_client_that_loses_a_task_receives_nothing_of_that_change(tasks: Any, with_: Any) -> None:
    """S17: the change that adds an event removes the user from the task. Clients that joined the task, have it in their
    list, resume it, or read slowly receive no event of this change or of later ones (F26)."""
    ids = [f"t{number}" for number in range(REVOKED)]
    position = {"since": 1, "head": ""}
    own = {"createdBy": "alice", "events": [{"n": 0}]}
    tasks.insert_many([{"_id": name, **own} for name in ids] + [{"_id": "bulk", **own}])
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            running(
                with_(
                    relay_outbox_max_bytes=65_536,
                    relay_max_tasks_per_connection=500,
                    relay_messages_per_second=100_000,
                )
            )
        )
        in_room, on_list, resuming = [
            await stack.enter_async_context(connected(relay, path))
            for path in ("/ws", "/ws/dashboard", "/ws")
        ]
        slow = await stack.enter_async_context(reading_slowly(relay))
        owner = await stack.enter_async_context(connected(relay, "/ws/dashboard", sub="bob"))
        for client in (in_room, slow):
            for start in range(0, REVOKED, 100):
                await client.send(
                    "task:join", {"tasks": [{"taskId": name} for name in ids[start : start + 100]]}
                )
            for _ in ids:
                state = await client.until("task:state")
        position["head"] = state["data"]["head"]
        await on_list.until("dashboard:state")
        await owner.until("dashboard:state")
        # Given a slow client whose live messages were dropped,
        fill = [UpdateOne({"_id": "bulk"}, {"$push": {"events": FILLER}}) for _ in range(10)]
        await slow.send("task:join", {"taskId": "bulk"})
        count = 1
        while await metric(relay, "relay_lagging_total") < 1:
            await asyncio.to_thread(tasks.bulk_write, fill)
            # Without this, a relay that is late would let the document become larger than MongoDB permits.
            count += len(fill)
            await on_list.until("dashboard:task_list_updated", taskId="bulk", eventCount=count)

        async def resume(stop: asyncio.Event) -> None:
            """Join all tasks again and again from a position that was valid."""
            while not stop.is_set():
                for start in range(0, REVOKED, 100):
                    wanted = [{"taskId": name, **position} for name in ids[start : start + 100]]
                    await resuming.send("task:join", {"tasks": wanted}, id=str(start))
                    answered = 0
                    while answered < len(wanted):
                        answered += (await resuming.next()).get("replyTo") == str(start)
                for name in ids:
                    await resuming.send("task:leave", {"taskId": name})
                await resuming.quiet()

        over = asyncio.Event()
        resumed = asyncio.create_task(resume(over))

        # when each task is given to another user by the change that adds an event,
        def give_away() -> None:
            for name in ids:
                tasks.update_one({"_id": name}, {"$push": {"events": "leaked"}, "$set": {"createdBy": "bob"}})
                tasks.update_one({"_id": name}, {"$push": {"events": "leaked"}})

        await asyncio.to_thread(give_away)
        fence = {"_id": "fence", "createdBy": "alice", "members": ["bob"]}
        await asyncio.to_thread(tasks.insert_one, fence)
        for client in (on_list, owner, slow):
            while not any(
                one["type"].startswith("dashboard:") and "fence" in str(one["data"]) for one in client.frames
            ):
                await client.next()
        await in_room.quiet()
        over.set()
        await resumed
        await resuming.send("task:join", {"tasks": [{"taskId": name, **position} for name in ids[:100]]})
        await resuming.quiet()
        # then no client that lost the task received the event,
        for client in (in_room, on_list, resuming, slow):
            assert "leaked" not in str(client.frames)
        # clients that had the task received its revocation,
        assert sum(one["type"] == "task:revoked" for one in in_room.frames) == REVOKED
        assert sum(one["data"].get("change") == "revoked" for one in on_list.frames) == REVOKED
        # and the new owner sees it.
        await owner.send("task:join", {"taskId": ids[0]})
        assert "leaked" in str(await owner.until("task:state"))
        for client in (in_room, on_list, resuming, slow, owner):
            client.socket.transport.abort()  # a clean close would wait until everything is read


async def test_only_typed_fields_leave_the_relay_bounded_and_without_secrets(tasks: Any, with_: Any) -> None:
    """S35: _internal, __proto__, 5 MB, <script>: clients receive only the typed fields, shortened, without secrets."""
    strange = {"_internal": 1, "__proto__": {"admin": True}, "text": "<script>alert(1)</script>"}
    tasks.insert_one(
        {
            "_id": "t",
            "createdBy": "alice",
            "title": "<script>" + "x" * 5_000,
            "internal": "kept here",
            "_private": {"notes": "kept here"},
            "password": "kept here",
            "events": [
                {"type": "a", **strange},
                {"type": "b", "text": "x" * 5_000_000},
                {"type": "c", "password": "kept here", "text": "ghp_" + "a" * 36},
            ],
        }
    )
    async with running(with_()) as relay, connected(relay, "/ws/tasks/t") as client:
        text = (await client.until("task:state")) and orjson.dumps(client.frames[-1]).decode()
        state = client.frames[-1]["data"]
        assert "kept here" not in text
        assert "ghp_" not in text
        assert len(text) < 10_000
        assert set(state["task"]) == {"taskId", "title", "creator", "eventCount"}
        assert len(state["task"]["title"]) <= 1_001
        assert state["events"][0]["data"] == {"type": "a", **strange}
        assert state["events"][1]["data"]["truncated"] is True
        assert state["events"][2]["data"]["password"] == "[redacted]"


async def test_a_forged_position_gives_a_whole_state_or_an_error(tasks: Any, with_: Any) -> None:
    """S37: the position of another task, 2^64, a negative one, a flipped bit: a whole state or bad_request, and never
    the data of another task."""
    tasks.insert_many(
        [
            {"_id": "t", "createdBy": "alice", "events": ["t0", "t1"]},
            {"_id": "u", "createdBy": "alice", "events": ["u0", "u1"]},
            {"_id": "foreign", "createdBy": "bob", "events": ["f0", "f1"]},
        ]
    )
    async with running(with_()) as relay, connected(relay) as client:
        heads: dict[str, str] = {}
        for name in ("t", "u"):
            await client.send("resync_requested", {"taskIds": [name]})
            heads[name] = (await client.until("task:state"))["data"]["head"]
            await client.until("resync:done")
        good = heads["t"]

        async def resumed(since: Any, at: Any, name: str = "t") -> Any:
            data = {"taskIds": [{"taskId": name, "since": since, "head": at}]}
            await client.socket.send(json.dumps({"type": "resync_requested", "data": data}))
            answer = await client.next()
            if answer["type"] == "task:state":
                await client.until("resync:done")
                data = answer["data"]
                return data["taskId"], data["reset"], data["from"], [one["data"] for one in data["events"]]
            return answer["data"].get("code") or answer["data"]["forbidden"]

        assert await resumed(2, good) == ("t", False, 2, [])
        whole = ("t", True, 0, ["t0", "t1"])
        flipped = [good[:at] + chr(ord(good[at]) ^ 1) + good[at + 1 :] for at in range(len(good))]
        for since, at in (
            *((2, heads["u"]), (1, good), (3, good), (10**15, good), (2**63 - 1, good), (0, good)),
            *((2, good[:-1]), (2, good + "0"), (2, good.upper() + " "), (2, ""), (2, "\0"), (2, "x" * 128)),
            *((None, good), (2, None), *((2, one) for one in flipped)),
        ):
            assert await resumed(since, at) == whole, (since, at)
        for since, at in (
            *((2**64, good), (-1, good), (2.0, good), ("2", good), (True, good), ([2], good)),
            *((2, "x" * 129), (2, "x" * 60_000), (2, 5), (2, [good]), (2, {"$ne": 1})),
        ):
            assert await resumed(since, at) == "bad_request", (since, at)
        assert await resumed(2, good, "foreign") == ["foreign"]
        for query in (
            f"since={2**64}&head={good}",
            f"since=-1&head={good}",
            "since=2&head=" + "x" * 129,
            "since=%00",
        ):
            assert (await ending_of(relay.url, f"/ws/tasks/t?{query}", bearer(token("alice"))))[0] == 4500
