"""Long polling: the states and positions of a WebSocket, by requests of which the relay remembers nothing."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from pymongo import AsyncMongoClient, MongoClient
from support.polling_client import Answer, Poller, post, request
from support.raw_client import tcp_connection
from support.relay_fixture import SOON_S, connected, running, settings_for, token
from support.relay_metrics import becomes, metric

from relay import health
from relay.app import Relay
from relay.auth.keys import FixedKeys
from relay.errors import Unavailable
from relay.gateway.expiry import NOTICE_S
from relay.gateway.polling import endpoint, poll
from relay.gateway.polling.poll import (
    MAX_ANSWER_BYTES,
    REJOIN_BURST,
    REJOINS_PER_SECOND,
    Poll,
)
from relay.gateway.polling.subscribers import Subscriber, TaskSubscriber
from relay.hub.list_reads import ListReading
from relay.hub.listener import Listener
from relay.hub.reads import FairReads
from relay.hub.snapshot import TaskState
from relay.hub.task_reads import BATCH, TaskBatch
from relay.protocol.types import PAGE_BYTES
from relay.source.reader import Reader
from relay.tasks.event_view import EventView, event_json

pytestmark = pytest.mark.usefixtures("patient_reads")

DRAIN_MS = 60_000  # a relay that nobody is connected to any more ends sooner
BRIEF_MS = 200  # how long a poll waits for which nothing happens


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


@pytest.fixture
def with_(mongo_url: str, database_name: str) -> Callable[..., Any]:
    return lambda **given: settings_for(mongo_url, database_name, **given)


@asynccontextmanager
async def waiting(relay: Relay, poller: Poller, *, rooms: int = 0, reads: int = 0) -> AsyncIterator[Any]:
    """A poll that found nothing newer and waits: it has joined this many rooms, or has read this many times."""
    read_before = await metric(relay, "relay_state_reads_total")
    polling = asyncio.create_task(poller.poll(relay))
    await becomes(relay, "relay_rooms", lambda number: number >= rooms)
    await becomes(relay, "relay_state_reads_total", lambda number: number >= read_before + reads)
    assert await metric(relay, "relay_polls") == 1
    assert not polling.done()
    try:
        yield polling
    finally:
        polling.cancel()


async def in_time(polling: asyncio.Task[Answer]) -> Answer:
    async with asyncio.timeout(SOON_S / 2):  # a poll waits for up to 25 s: this one must be answered earlier
        return await polling


def brings(task_id: str, reading: Any) -> bool:
    return isinstance(reading, TaskBatch) and any(one.task_id == task_id for one in reading.readings)


async def write(call: Callable[..., Any], *args: Any) -> None:
    await asyncio.to_thread(call, *args)


# What is answered, and when.


async def test_a_client_that_is_behind_is_answered_at_once_from_its_position(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "A", "events": [{"n": 0}, {"n": 1}]})
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        first = (await alice.poll(relay)).body
        assert [message["type"] for message in first["messages"]] == ["task:state"]
        assert (first["messages"][0]["data"]["reset"], first["messages"][0]["data"]["next"]) == (True, 2)
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": 2}}})
        (state,) = (await alice.poll(relay)).body["messages"]
        assert (state["data"]["reset"], state["data"]["from"]) == (False, 2)
        assert [event["data"] for event in alice.timelines["t"]] == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_a_client_that_is_current_waits_for_the_change(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [{"n": 0}]})
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        await alice.poll(relay)
        for change, held in (
            ({"$push": {"events": {"n": 1}}}, [{"n": 0}, {"n": 1}]),
            ({"$set": {"status": "analyzing"}}, [{"n": 0}, {"n": 1}]),
            ({"$set": {"events": [{"n": 9}]}}, [{"n": 9}]),
        ):
            async with waiting(relay, alice, rooms=1) as polling:
                await write(tasks.update_one, {"_id": "t"}, change)
                assert (await in_time(polling)).types == ["task:state"]
            assert [event["data"] for event in alice.timelines["t"]] == held
        assert alice.summaries["t"]["status"] == "analyzing"


async def test_a_change_of_a_task_of_others_does_not_end_the_wait(tasks: Any, with_: Any) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice"}, {"_id": "u", "createdBy": "bob"}])
    async with running(with_()) as relay, connected(relay, sub="bob") as bob:
        await bob.send("task:join", {"taskId": "u"})
        await bob.until("task:state")
        alice = Poller("alice", ["t"], dashboard={})
        await alice.poll(relay)
        async with waiting(relay, alice, rooms=2, reads=2) as polling:
            await write(tasks.update_one, {"_id": "u"}, {"$push": {"events": 1}})
            await bob.until("task:event_added")
            assert not polling.done()
            # A change of its own task ends it.
            await write(tasks.update_one, {"_id": "t"}, {"$push": {"events": 1}})
            assert (await in_time(polling)).types == ["task:state", "dashboard:state"]


async def test_a_wait_without_changes_ends_without_messages(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_(relay_poll_wait_ms=BRIEF_MS)) as relay:
        alice = Poller("alice", ["t"], dashboard={"limit": 5})
        assert (await alice.poll(relay)).types == ["task:state", "dashboard:state"]
        before = asyncio.get_running_loop().time()
        assert (await alice.poll(relay)).types == []
        assert asyncio.get_running_loop().time() - before >= BRIEF_MS / 1000
        # It has left its rooms.
        assert await metric(relay, "relay_rooms") == await metric(relay, "relay_polls") == 0


async def test_a_poll_may_last_longer_than_a_request_may_take_to_arrive(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    brief = with_(relay_handshake_timeout_ms=1_000, relay_stall_timeout_ms=1_000, relay_poll_wait_ms=3_000)
    async with running(brief) as relay:
        alice = Poller("alice", ["t"])
        await alice.poll(relay)
        assert (await alice.poll(relay)).types == []


async def test_the_whole_list_is_sent_when_anything_in_it_changed(tasks: Any, with_: Any) -> None:
    tasks.insert_many({"_id": str(n), "createdBy": "alice", "title": f"T{n}"} for n in range(3))
    async with running(with_()) as relay:
        alice = Poller("alice", dashboard={"limit": 2})
        await alice.poll(relay)
        assert [*alice.listed] == ["2", "1"]
        for change in (
            lambda: tasks.update_one({"_id": "1"}, {"$set": {"title": "new"}}),
            lambda: tasks.insert_one({"_id": "3", "createdBy": "alice"}),
            lambda: tasks.delete_one({"_id": "3"}),
            lambda: tasks.update_one({"_id": "2"}, {"$set": {"createdBy": "bob"}}),
        ):
            async with waiting(relay, alice, reads=1) as polling:
                await write(change)
                assert (await in_time(polling)).types == ["dashboard:state"]
        assert [(task["taskId"], task.get("title")) for task in alice.listed.values()] == [
            ("1", "new"),
            ("0", "T0"),
        ]


async def test_changes_past_the_end_of_the_list_do_not_end_the_wait_and_are_read_at_a_limited_rate(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the test soon reads more often than is permitted at once.
    burst, per_second = 1, 1.0
    monkeypatch.setattr(poll, "REJOIN_BURST", burst)
    monkeypatch.setattr(poll, "REJOINS_PER_SECOND", per_second)
    tasks.insert_many({"_id": str(n), "createdBy": "alice"} for n in range(2))
    async with running(with_()) as relay:
        alice = Poller("alice", dashboard={"limit": 1})
        await alice.poll(relay)
        before, began = await metric(relay, "relay_state_reads_total"), asyncio.get_running_loop().time()
        async with waiting(relay, alice, reads=1) as polling:
            for n in range(20):
                await write(tasks.update_one, {"_id": "0"}, {"$set": {"title": str(n)}})
            assert not polling.done()
            # A change of what the list shows ends the wait.
            await write(tasks.insert_one, {"_id": "2", "createdBy": "alice"})
            assert (await in_time(polling)).types == ["dashboard:state"]
        permitted = burst + (asyncio.get_running_loop().time() - began) * per_second
        assert await metric(relay, "relay_state_reads_total") - before <= permitted + 2


async def test_a_new_order_of_the_list_ends_the_wait_though_no_summary_changed(
    tasks: Any, with_: Any, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('list_order = "meta.priority"')
    tasks.insert_many({"_id": str(n), "createdBy": "alice", "meta": {"priority": n}} for n in range(3))
    async with running(with_(relay_mapping=mapping)) as relay:
        alice = Poller("alice", dashboard={"limit": 2})
        await alice.poll(relay)
        assert [*alice.listed] == ["2", "1"]
        for change, listed in (
            ({"$set": {"meta.priority": 9}}, ["0", "2"]),
            ({"$set": {"meta": {"priority": 1.5}}}, ["2", "0"]),
            ({"$unset": {"meta": 1}}, ["2", "1"]),
        ):
            async with waiting(relay, alice, reads=1) as polling:
                await write(tasks.update_one, {"_id": "0"}, change)
                assert (await in_time(polling)).types == ["dashboard:state"]
            assert [*alice.listed] == listed


async def test_a_list_may_be_ordered_by_a_field_next_to_the_events(
    tasks: Any, with_: Any, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('events = "history.items"\nlist_order = "history.priority"')
    history = ({"priority": n, "items": [n]} for n in range(3))
    tasks.insert_many({"_id": str(n), "createdBy": "alice", "history": one} for n, one in enumerate(history))
    async with running(with_(relay_mapping=mapping)) as relay:
        alice = Poller("alice", dashboard={"limit": 2})
        await alice.poll(relay)
        assert [*alice.listed] == ["2", "1"]
        async with waiting(relay, alice, reads=1) as polling:
            await write(tasks.update_one, {"_id": "0"}, {"$set": {"history.priority": 9}})
            assert (await in_time(polling)).types == ["dashboard:state"]
        assert [*alice.listed] == ["0", "2"]


async def test_etags_are_equal_on_another_instance_and_after_a_restart(tasks: Any, with_: Any) -> None:
    tasks.insert_many({"_id": str(n), "createdBy": "alice", "title": "T", "events": [n]} for n in range(3))
    alice = Poller("alice", ["0", "1"], dashboard={})
    async with running(with_(relay_poll_wait_ms=0)) as relay:
        await alice.poll(relay)
        assert (await alice.poll(relay)).types == []
    # The other instance has seen the tasks change, so it did not read them as documents.
    tasks.update_many({}, {"$set": {"title": "Other"}})
    async with running(with_(relay_poll_wait_ms=0)) as relay:
        async with connected(relay, "/ws/tasks/2") as client:
            await client.until("task:state")
            await write(tasks.update_many, {}, {"$set": {"title": "T"}})
            await client.until("task:updated")
        assert (await alice.poll(relay)).types == []


async def test_messages_that_do_not_fit_come_with_the_next_polls(tasks: Any, with_: Any) -> None:
    text = "x" * 60_000
    events = [[{"n": n, "text": text} for n in range(count)] for count in (50, 40, 1)]
    tasks.insert_many({"_id": f"t{n}", "createdBy": "alice", "events": one} for n, one in enumerate(events))
    async with running(with_(relay_poll_wait_ms=0)) as relay:
        alice = Poller("alice", ["t0", "t1", "t2"], dashboard={})
        answers = []
        while not answers or answers[-1].body.get("more"):
            answer = await alice.poll(relay)
            assert len(orjson.dumps(answer.body)) <= MAX_ANSWER_BYTES + 1024
            answers.append(answer)
        assert len(answers) == 2
        assert [[event["data"] for event in alice.timelines[f"t{n}"]] for n in range(3)] == events
        assert len(alice.listed) == 3
        assert (await alice.poll(relay)).types == []


async def test_a_poll_of_many_long_timelines_keeps_no_more_than_one_answer(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [{"n": n, "text": "x" * 60_000} for n in range(12)]
    tasks.insert_many({"_id": f"t{n}", "createdBy": "alice", "events": events} for n in range(3))
    kept: list[int] = []
    made = Poll._body

    def body(self: Any, news: Any) -> bytes:
        kept.append(sum(len(part) for one in news for part in one.parts))
        return made(self, news)

    async with running(with_(relay_poll_wait_ms=0)) as relay:
        monkeypatch.setattr(poll, "MAX_ANSWER_BYTES", 2 * PAGE_BYTES)
        monkeypatch.setattr(Poll, "_body", body)
        alice = Poller("alice", [f"t{n}" for n in range(3)])
        while (await alice.poll(relay)).body.get("more"):
            pass
        assert max(kept) <= (2 + 3) * PAGE_BYTES
        assert [[event["data"] for event in one] for one in alice.timelines.values()] == [events] * 3
        assert (await alice.poll(relay)).types == []


async def test_an_ended_poll_is_freed_without_the_garbage_collector(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_()) as relay:
        gc.collect()
        gc.disable()
        try:
            alice = Poller("alice", ["t", "none"], dashboard={})
            await alice.poll(relay)
            async with waiting(relay, alice, rooms=1) as polling:
                await write(tasks.update_one, {"_id": "t"}, {"$set": {"title": "new"}})
                await in_time(polling)
            async with tcp_connection(relay.url) as peer:
                peer.send(request({"tasks": alice.body()["tasks"][:1]}))
                await becomes(relay, "relay_rooms", lambda number: number == 1)
            await becomes(relay, "relay_rooms", lambda number: number == 0)
            kinds = {type(one) for one in gc.get_objects()}
            assert not [kind for kind in kinds if issubclass(kind, Subscriber | Listener)]
        finally:
            gc.enable()


async def test_a_poll_does_not_share_a_list_read_that_began_before_a_change(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "old"})
    alice = Poller("alice", dashboard={})
    was_read, go_on = asyncio.Event(), asyncio.Event()
    read = FairReads.read

    async def reading(self: Any, *args: Any, **kwargs: Any) -> Any:
        documents = await read(self, *args, **kwargs)
        if not was_read.is_set():
            was_read.set()
            await go_on.wait()
        return documents

    async with running(with_(relay_poll_wait_ms=0)) as here, running(with_()) as elsewhere:
        with monkeypatch.context() as patched:
            patched.setattr(FairReads, "read", reading)
            other = asyncio.create_task(post(here, {"dashboard": {}}))
            await was_read.wait()
        at_task = "/ws/tasks/t"
        async with connected(here, at_task) as client, connected(elsewhere, at_task) as other_client:
            for one in (client, other_client):
                await one.until("task:state")
            await write(tasks.update_one, {"_id": "t"}, {"$set": {"title": "new"}})
            for one in (client, other_client):
                await one.until("task:updated")
        await alice.poll(elsewhere)
        assert (await in_time(asyncio.create_task(alice.poll(here)))).types == []
        assert alice.listed["t"]["title"] == "new"
        go_on.set()
        await other


# Rights.


async def test_a_revoked_task_is_refused_once_and_returns_by_itself(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [{"n": 0}]})
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        await alice.poll(relay)
        async with waiting(relay, alice, rooms=1) as polling:
            await write(tasks.update_one, {"_id": "t"}, {"$set": {"createdBy": "bob", "title": "hidden"}})
            (refused,) = (await in_time(polling)).body["messages"]
        assert refused["data"].items() >= {"code": "forbidden", "taskId": "t"}.items()
        # Then it waits: changes of the task that the user may not see bring no answer,
        async with waiting(relay, alice, reads=2) as polling:
            reads = await metric(relay, "relay_state_reads_total")
            await write(tasks.update_one, {"_id": "t"}, {"$push": {"events": {"n": 1}}})
            await write(tasks.insert_one, {"_id": "other", "createdBy": "alice"})
            async with connected(relay, "/ws/tasks/other") as client:
                await client.until("task:state")
            assert await metric(relay, "relay_state_reads_total") <= reads + 3
            assert not polling.done()
            # until the user may see it again.
            await write(tasks.update_one, {"_id": "t"}, {"$set": {"members": ["alice"]}})
            assert (await in_time(polling)).types == ["task:state"]
        assert [event["data"] for event in alice.timelines["t"]] == [{"n": 0}, {"n": 1}]


async def test_an_unknown_task_is_refused_once_and_sent_when_it_is_created(tasks: Any, with_: Any) -> None:
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        assert (await alice.poll(relay)).types == ["error"]
        async with waiting(relay, alice, reads=2) as polling:
            await write(tasks.insert_one, {"_id": "t", "createdBy": "alice"})
            assert (await in_time(polling)).types == ["task:state"]


@pytest.mark.parametrize("last", ["a task", "the list"])
async def test_a_task_revoked_while_a_poll_collects_is_not_sent(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    ids = [
        "t",
        *(f"other {n}" for n in range(BATCH - 1)),
        "slow",
    ]  # the last one does not fit into the batch of the others
    tasks.insert_many({"_id": task_id, "createdBy": "alice"} for task_id in ids)
    was_read, go_on = asyncio.Event(), asyncio.Event()
    read = FairReads.read

    async def reading(self: Any, reading: Any, *args: Any, **kwargs: Any) -> Any:
        documents = await read(self, reading, *args, **kwargs)
        slow = isinstance(reading, ListReading) if last == "the list" else brings("slow", reading)
        if slow and not was_read.is_set():
            was_read.set()
            await go_on.wait()
        return documents

    async with running(with_()) as relay:
        monkeypatch.setattr(poll, "GATHER_S", 2 * SOON_S)
        monkeypatch.setattr(FairReads, "read", reading)
        polling = asyncio.create_task(
            post(relay, {"tasks": [{"taskId": task_id} for task_id in ids], "dashboard": {}})
        )
        # When everything has been read, but one item is not answered yet,
        await was_read.wait()
        await becomes(relay, "relay_rooms", lambda number: number == BATCH + (last == "the list"))
        await becomes(relay, "relay_state_reads_total", lambda number: number >= 3)
        async with connected(relay, "/ws/tasks/t") as client:
            await client.until("task:state")
            await write(tasks.update_one, {"_id": "t"}, {"$set": {"createdBy": "bob"}})
            await client.until("task:revoked")
        go_on.set()
        # then the answer does not show the task that was revoked meanwhile.
        answer = await polling
        assert answer.types == ["error", *["task:state"] * BATCH, "dashboard:state"]
        assert len(answer.body["messages"][-1]["data"]["tasks"]) == BATCH


async def test_a_task_revoked_again_and_again_is_read_at_a_limited_rate(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [str(n) for n in range(15)]
    tasks.insert_many({"_id": task_id, "createdBy": "alice"} for task_id in [*left, "last"])
    keys, times = FairReads.keys, []

    async def reading(self: Any, reading: Any, *args: Any, **kwargs: Any) -> Any:
        found = await keys(self, reading, *args, **kwargs)
        times.append(asyncio.get_running_loop().time())
        if len(times) <= REJOIN_BURST + 2:
            task_id = left.pop()
            await write(tasks.update_one, {"_id": task_id}, {"$set": {"createdBy": "bob"}})
            async with connected(relay, f"/ws/tasks/{task_id}", sub="bob") as bob:
                await bob.until("task:state")  # so the change has been published
        return found

    async with running(with_()) as relay:
        monkeypatch.setattr(poll, "GATHER_S", 2 * SOON_S)
        monkeypatch.setattr(FairReads, "keys", reading)
        (state,) = (await post(relay, {"dashboard": {}})).body["messages"]
        assert {task["taskId"] for task in state["data"]["tasks"]} == {*left, "last"}
        assert times[-1] - times[0] > 1 / REJOINS_PER_SECOND


# Refusals.


async def test_a_refused_poll_says_what_was_wrong(with_: Any) -> None:
    body = {"tasks": [{"taskId": "t"}]}
    limits = {"relay_max_message_bytes": 1024, "relay_max_tasks_per_connection": 2}
    async with running(
        with_(feature_websocket_percent=0, feature_websocket_users="alice", **limits)
    ) as relay:
        for status, code, how in (
            (401, "forbidden", {"sub": None}),
            (401, "forbidden", {"ttl_s": -100}),
            (401, "forbidden", {"path": f"/poll?token={token('alice')}"}),
            (403, "feature_disabled", {"sub": "bob"}),
        ):
            answer = await post(relay, body, **how)
            assert (answer.status, answer.body["data"]["code"]) == (status, code), how
            assert ("www-authenticate" in answer.headers) == (status == 401)
        for status, code, sent in (
            (413, "bad_message", b" " * 1025),
            (413, "bad_message", b" " * 200_000),
            (400, "bad_message", b"{"),
            (400, "bad_request", {"tasks": [{"taskId": None}]}),
            (400, "too_many_tasks", {"tasks": [{"taskId": str(n)} for n in range(3)]}),
        ):
            answer = await post(relay, sent)
            assert answer.status == status
            if answer.body is not None:  # the HTTP protocol sends no body
                assert answer.body["data"]["code"] == code
        for header in ("Authorization: Basic YTpi", f"Authorization: Bearer {token('alice')}"):
            assert (await post(relay, body, header)).status == 401  # a second header next to the valid one


async def test_a_poll_of_an_unlisted_origin_is_refused_and_of_a_listed_one_answered(
    tasks: Any, with_: Any
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    body = {"tasks": [{"taskId": "t"}]}
    async with running(with_(relay_allowed_origins="https://app.example.com")) as relay:
        for origin in ("https://evil.test", "null", f"{relay.url}.evil.test"):
            refused = await post(relay, body, f"Origin: {origin}")
            assert (refused.status, refused.body["data"]["code"]) == (403, "forbidden")
            assert "access-control-allow-origin" not in refused.headers
        for origin in ("https://app.example.com", relay.url):
            answer = await post(relay, body, f"Origin: {origin}")
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
            assert "origin" in answer.headers["vary"].lower()
        async with tcp_connection(relay.url) as peer:
            asked = (
                b"Access-Control-Request-Method: POST\r\n"
                b"Access-Control-Request-Headers: authorization, content-type\r\n"
            )
            peer.send(
                b"OPTIONS /poll HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.com\r\n" + asked + b"\r\n"
            )
            assert (await peer.answer())[0] == 200


@pytest.mark.usefixtures("standing_clock")
async def test_the_rate_limit_of_a_user_counts_all_polls(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    body = {"tasks": [{"taskId": "t"}]}
    async with running(with_(relay_messages_per_second=1)) as relay:
        assert [(await post(relay, body)).status for _ in range(5)] == [200] * 5
        refused = await post(relay, body)
        assert (refused.status, refused.body["data"]["code"]) == (429, "rate_limited")
        assert refused.body["data"]["retryAfterMs"] == 1000
        assert refused.headers["retry-after"] == "1"
        assert (await post(relay, body, sub="bob")).status == 200
        # A poll for many tasks costs more than a poll for one.
        many = {"tasks": [{"taskId": str(n)} for n in range(60)]}
        assert (await post(relay, many, sub="carol")).status == 200
        assert (await post(relay, body, sub="carol")).body["data"]["retryAfterMs"] > 1000


@pytest.mark.parametrize(
    "cap", ["relay_max_connections", "relay_max_connections_per_user", "relay_max_connections_per_address"]
)
async def test_a_waiting_poll_counts_as_a_connection_until_the_client_is_gone(
    tasks: Any, with_: Any, cap: str
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    alice = Poller("alice", ["t"])
    # The HTTP protocol counts connections separately until they become WebSockets. That is not the subject here.
    async with running(with_(**{cap: 5})) as relay, AsyncExitStack() as stack:
        await alice.poll(relay)
        for _ in range(4):
            await stack.enter_async_context(connected(relay))
        async with tcp_connection(relay.url) as peer:
            peer.send(request(alice.body()))
            await becomes(relay, "relay_rooms", lambda number: number == 1)
            refused = await post(relay, alice.body())
            assert (refused.status, refused.body["data"]["code"]) == (429, "rate_limited")
        # A poll whose client drops the connection ends at once.
        await becomes(relay, "relay_rooms", lambda number: number == 0)
        await becomes(relay, "relay_polls", lambda number: number == 0)
        tasks.update_one({"_id": "t"}, {"$set": {"title": "new"}})
        assert (await alice.poll(relay)).types == ["task:state"]


async def test_the_end_of_a_token_ends_the_wait(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        await alice.poll(relay)
        ended = await post(relay, alice.body(), ttl_s=1.5)
        assert (ended.status, ended.body["data"]["message"]) == (401, "token_expired")


async def test_the_answers_of_the_last_half_minute_say_that_the_token_ends(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        fresh = alice.body()
        assert (await alice.poll(relay)).types == ["task:state"]
        assert (await post(relay, fresh, ttl_s=20)).types == ["task:state", "auth:expiring"]
        assert (await post(relay, fresh, ttl_s=NOTICE_S + 60)).types == ["task:state"]
        # Without news, a wait ends when the notice is due.
        monkeypatch.setattr(endpoint, "seconds_to_notice", lambda left_s: left_s / 1000)
        waited = await post(relay, alice.body(), ttl_s=20)
        assert waited.types == ["auth:expiring"]
        assert waited.body["messages"][0]["data"].keys() == {"expiresAt"}


async def test_a_poll_gets_503_while_the_database_cannot_be_read(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    async with running(with_()) as relay:
        for read in ("read_at", "keys_at"):
            monkeypatch.setattr(Reader, read, fails)
        for body in ({"tasks": [{"taskId": "t"}]}, {"dashboard": {}}):
            answer = await post(relay, body)
            assert (answer.status, answer.body["data"]["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0


async def test_a_poll_whose_state_cannot_be_made_gets_503_and_others_are_answered(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    made = TaskState.pages

    def pages(self: TaskState, since: int | None = None, digest: str | None = None) -> Any:
        if since == 77:
            raise RuntimeError("a fault of the relay")
        return made(self, since, digest)

    monkeypatch.setattr(TaskState, "pages", pages)
    async with running(with_()) as relay:
        bodies = ({"tasks": [{"taskId": "t", **more}]} for more in ({"since": 77, "head": "1.x"}, {}))
        refused, other = await asyncio.gather(*(post(relay, body) for body in bodies))

        assert (refused.status, refused.body["data"]["code"]) == (503, "unavailable")
        assert other.types == ["task:state"]


async def test_a_waiting_poll_that_cannot_be_given_a_change_reads_it(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})

    def fails(*_: Any) -> None:
        raise RuntimeError("a fault of the relay")

    async with running(with_()) as relay:
        alice = Poller("alice", ["t"])
        await alice.poll(relay)
        monkeypatch.setattr(TaskSubscriber, "send", fails)
        async with waiting(relay, alice, rooms=1) as polling:
            await write(tasks.update_one, {"_id": "t"}, {"$push": {"events": {"n": 0}}})
            assert (await in_time(polling)).types == ["task:state"]
        assert [event["data"] for event in alice.timelines["t"]] == [{"n": 0}]


async def test_a_poll_gives_up_on_a_read_that_does_not_end(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    async with running(with_()) as relay:
        for read in ("read_at", "keys_at"):
            monkeypatch.setattr(Reader, read, never)
        monkeypatch.setattr(poll, "GATHER_S", BRIEF_MS / 1000)
        for body in ({"tasks": [{"taskId": "t"}]}, {"dashboard": {}}):
            answer = await in_time(asyncio.create_task(post(relay, body)))
            assert (answer.status, answer.body["data"]["code"]) == (503, "unavailable")


async def test_a_token_that_cannot_be_verified_yet_gets_503(
    with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(with_()) as relay:
        monkeypatch.setattr(FixedKeys, "current", lambda _: None)
        answer = await post(relay, {"dashboard": {}})
        assert (answer.status, answer.body["data"]["message"]) == (503, "keys_unavailable")
        assert answer.body["data"]["retryAfterMs"] > 0


async def test_a_relay_that_stops_answers_every_waiting_poll_at_once(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    alice = Poller("alice", ["t"])
    async with running(with_(relay_drain_ms=DRAIN_MS)) as relay:
        await alice.poll(relay)
        polling = asyncio.create_task(post(relay, alice.body()))
        async with connected(
            relay
        ) as client:  # it is sent the notice of the stop, and keeps the relay running meanwhile
            await becomes(relay, "relay_rooms", lambda number: number == 1)
            relay.stop()
            await client.until("server:draining")
            for answer in (await in_time(polling), await post(relay, alice.body())):
                assert (answer.status, answer.body["data"]["code"]) == (503, "unavailable")
                assert 0 <= answer.body["data"]["retryAfterMs"] <= DRAIN_MS
                assert answer.headers["connection"] == "close"


async def test_config_names_the_address_for_polls(with_: Any) -> None:
    async with running(with_()) as relay, tcp_connection(relay.url) as peer:
        peer.send(
            f"GET /config HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('alice')}\r\n\r\n".encode()
        )
        status, head = await peer.answer()
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        config = orjson.loads(await peer.reader.readexactly(length))
        assert (status, config["enabled"], config["pollUrl"]) == (200, True, f"{relay.url}/poll")


async def test_a_stale_relay_says_so_in_every_answer(
    tasks: Any, with_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    monkeypatch.setattr(health, "STALE_AFTER_S", -1)  # so that no reply of the database is recent enough
    async with running(with_(relay_poll_wait_ms=0)) as relay:
        async with connected(relay) as client:
            await client.until("stream:status")
        alice = Poller("alice", ["t"])
        assert (await alice.poll(relay)).types == ["task:state", "stream:status"]
        assert (await alice.poll(relay)).types == ["stream:status"]


# Exactness.


async def test_polls_of_alternating_instances_miss_and_repeat_nothing(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    async with running(with_()) as one, running(with_()) as other:
        alice = Poller("alice", ["t"], dashboard={})
        await alice.poll(one)
        for n in range(30):
            await write(tasks.update_one, {"_id": "t"}, {"$push": {"events": {"n": n}}})
            while len(alice.timelines["t"]) <= n:
                answer = await alice.poll((one, other)[n % 2])
                states = [m["data"] for m in answer.body["messages"] if m["type"] == "task:state"]
                assert not any(state["reset"] for state in states)
        assert [event["data"]["n"] for event in alice.timelines["t"]] == [*range(30)]


async def test_a_polling_client_ends_up_with_the_documents(
    tasks: Any, with_: Any, mongo_url: str, database_name: str
) -> None:
    """Four writers append, rewrite and hide at random, while the client polls two relays alternately."""
    chance = random.Random(7)
    tasks.insert_many({"_id": f"t{n}", "createdBy": "alice", "events": []} for n in range(4))
    done = asyncio.Event()

    async def writer(number: int, mongo: AsyncMongoClient[dict[str, Any]]) -> None:
        collection = mongo[database_name]["tasks"]
        for n in range(60):
            change: dict[str, Any] = {"$push": {"events": {"writer": number, "n": n}}}
            if chance.random() < 0.05:
                change = {"$pull": {"events": {"n": chance.randrange(60)}}}
            elif chance.random() < 0.05:
                change = {"$set": {"createdBy": chance.choice(["alice", "bob"])}}
            await collection.update_one({"_id": f"t{chance.randrange(4)}"}, change)
        await collection.update_many({}, {"$set": {"createdBy": "alice"}})

    async def reader(alice: Poller, relays: list[Relay]) -> None:
        while not (done.is_set() and await asyncio.to_thread(holds, alice)):
            await alice.poll(chance.choice(relays))

    def holds(alice: Poller) -> bool:
        return all(
            [orjson.loads(event_json(event, EventView())) for event in task["events"]]
            == alice.timelines.get(task["_id"])
            and alice.listed.get(task["_id"], {}).get("eventCount") == len(task["events"])
            for task in tasks.find()
        )

    settings = with_(relay_poll_wait_ms=1_000)
    async with (
        running(settings) as one,
        running(settings) as other,
        AsyncMongoClient[dict[str, Any]](mongo_url) as mongo,
    ):
        alice = Poller("alice", [f"t{n}" for n in range(4)], dashboard={})
        reading = asyncio.create_task(reader(alice, [one, other]))
        await asyncio.gather(*(writer(number, mongo) for number in range(4)))
        done.set()
        async with asyncio.timeout(SOON_S):
            await reading
        assert sum(map(len, alice.timelines.values())) > 50
