"""WebSockets that misbehave: clients that are slow, stalled or gone, and a relay that is asked to stop."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pymongo import MongoClient, UpdateOne
from support.certificates import Authority
from support.raw_client import PING, PONG, frame, upgraded
from support.relay_fixture import SOON_S, SocketClient, connected, running, settings_for, token
from support.relay_metrics import becomes, metric
from support.slow_client import reading_slowly
from websockets.exceptions import ConnectionClosed

# 8 MB in all: the kernel alone buffers some megabytes of a connection that is not read. In few large events, because
# MongoDB writes the whole document for each.
BIG = 40_000  # bytes of one event
PUSHES = 200
CHUNK = 5  # that fit into the outbox of a client together
STAYS_MS = 3_600_000  # a client that reads nothing while a busy machine writes all of them is not cut off


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


@pytest.fixture
def settings_with(
    request: pytest.FixtureRequest,
    mongo_url: str,
    database_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """A function that makes the settings of a relay. It serves TLS if the test has that parameter."""
    given = {}
    if getattr(request, "param", "TCP") == "TLS":
        authority = Authority(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        given["relay_tls_cert"] = authority.issue("relay")
    return lambda **overrides: settings_for(mongo_url, database_name, **given | overrides)


on_each_wire = pytest.mark.parametrize("settings_with", ["TCP", "TLS"], indirect=True)


def pushes(first: int, count: int) -> list[UpdateOne]:
    return [
        UpdateOne({"_id": "t"}, {"$push": {"events": {"n": n, "text": "x" * BIG}}})
        for n in range(first, first + count)
    ]


async def follow(client: SocketClient, held: list[int], last: int) -> int:
    """Read until the event `last` has come, and check every message. Return how many events came one by one."""
    single = 0
    while not held or held[-1] != last:
        frame = await client.next()
        client.frames.clear()
        data = frame["data"]
        if frame["type"] == "task:state":
            held[data["from"] :] = [event["data"]["n"] for event in data["events"]]
        elif frame["type"] == "task:event_added":
            assert data["index"] == len(held), "a gap or a repeat"
            held.append(data["event"]["data"]["n"])
            single += 1
    return single


@on_each_wire
async def test_a_slow_client_is_sent_states_for_dropped_messages(tasks: Any, settings_with: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [{"n": -1}]})
    patient = settings_with(relay_outbox_max_bytes=262_144, relay_stall_timeout_ms=STAYS_MS)
    async with (
        running(patient) as relay,
        reading_slowly(relay) as slow,
        connected(relay, "/ws/tasks/t") as fast,
    ):
        await slow.send("task:join", {"taskId": "t"})
        await slow.until("task:state")
        # When one client does not read while megabytes are written, no faster than another one can read,
        received: list[int] = []
        single = 0
        for first in range(0, PUSHES, CHUNK):
            await asyncio.to_thread(tasks.bulk_write, pushes(first, CHUNK))
            single += await follow(fast, received, first + CHUNK - 1)
        # then the other one receives each event as a message of its own,
        assert single == PUSHES
        assert await metric(relay, "relay_lagging_total") >= 1
        # and the first one, when it reads again, receives a state that continues from its position.
        held = [-1]
        assert 0 < await follow(slow, held, PUSHES - 1) < PUSHES
        assert held == [-1, *range(PUSHES)]
        # Then it receives live messages again, for its task and for its list.
        await asyncio.to_thread(tasks.bulk_write, pushes(PUSHES, 1))
        assert await follow(slow, held, PUSHES) == 1
        listed = await slow.until("dashboard:task_list_updated", eventCount=PUSHES + 2)
        assert listed["data"]["change"] == "upserted"


@on_each_wire
async def test_a_timeline_above_every_limit_is_received_whole_and_ends_nothing_else(
    tasks: Any, settings_with: Any
) -> None:
    text = "\x01" * 10_000  # six times as many bytes in JSON
    many = [{"_id": n, "createdBy": "alice", "events": [{"n": n}]} for n in ("a", "b")]
    tasks.insert_many([*many, {"_id": "t", "createdBy": "alice", "events": [{"text": text}] * 150}])
    least = settings_with(
        relay_outbox_max_bytes=65_536
    )  # answers may take 64 times as much, 4 MiB, and the state has 9 MB
    async with running(least) as relay, connected(relay, "/ws/dashboard") as client:
        await client.until("dashboard:state")
        await client.send("task:join", {"tasks": [{"taskId": "t"}, {"taskId": "a"}, {"taskId": "b"}]}, id="j")
        held = 0
        while held < 150:
            state = (await client.until("task:state", taskId="t"))["data"]
            assert state["from"] == held
            held = state["next"]
        for task_id in "t", "a", "b":
            await asyncio.to_thread(tasks.update_one, {"_id": task_id}, {"$push": {"events": {"n": 1}}})
        await client.until("dashboard:task_list_updated", taskId="b", eventCount=2)
        answered = {frame["data"]["taskId"] for frame in client.frames if frame.get("replyTo") == "j"}
        assert answered == {"t", "a", "b"}


@on_each_wire
async def test_a_slow_client_receives_nothing_of_a_task_it_lost_meanwhile(
    tasks: Any, settings_with: Any
) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice", "events": []}, {"_id": "u", "createdBy": "alice"}])
    patient = settings_with(relay_outbox_max_bytes=262_144, relay_stall_timeout_ms=STAYS_MS)
    async with running(patient) as relay, reading_slowly(relay) as slow:
        await slow.send("task:join", {"tasks": [{"taskId": "t"}, {"taskId": "u"}]})
        await slow.until("task:state", taskId="u")
        await asyncio.to_thread(tasks.bulk_write, pushes(0, PUSHES))
        await becomes(relay, "relay_lagging_total", lambda count: count >= 1)
        # When a task changes its owner and is written to while its listener is behind,
        tasks.update_one({"_id": "t"}, {"$set": {"createdBy": "bob"}, "$push": {"events": {"secret": 1}}})
        tasks.update_one({"_id": "u"}, {"$push": {"events": {"n": 7}}})
        revoked, held, listed = False, [], {"t", "u"}
        while not (revoked and held == [7] and listed == {"u"}):
            frame = await slow.next()
            data = frame["data"]
            match frame["type"], data.get("taskId"):
                case "task:revoked", "t":
                    revoked = True
                case "task:state", "u":
                    held[data["from"] :] = [event["data"]["n"] for event in data["events"]]
                case "task:event_added", "u":
                    held.append(data["event"]["data"]["n"])
                case "dashboard:state", _:
                    listed = {task["taskId"] for task in data["tasks"]}
                case "dashboard:task_list_updated", name if data["change"] != "upserted":
                    listed.discard(name)
        # then the listener is sent that the task is revoked, and nothing of that change or of a later one.
        assert not any("secret" in orjson.dumps(frame).decode() for frame in slow.frames)


@on_each_wire
async def test_a_client_that_reads_nothing_is_cut_off_and_freed(tasks: Any, settings_with: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    async with (
        running(settings_with(relay_outbox_max_bytes=262_144, relay_stall_timeout_ms=300)) as relay,
        reading_slowly(relay, "/ws/tasks/t") as stalled,
    ):
        await stalled.until("task:state")
        await asyncio.to_thread(tasks.bulk_write, pushes(0, PUSHES))
        await becomes(relay, "relay_connections ", lambda count: count == 0)
        assert await metric(relay, 'relay_closed_total{code="4408"}') == 1
        with pytest.raises(ConnectionClosed):
            await stalled.until("never")


async def test_a_client_that_does_not_answer_pings_is_cut_off(settings_with: Any) -> None:
    settings = settings_with(relay_ping_interval_ms=100, relay_ping_timeout_ms=200)
    async with running(settings) as relay:
        reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Authorization: Bearer " + token("alice").encode() + b"\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        await becomes(relay, 'relay_closed_total{code="4408"}', lambda count: count == 1)
        assert await metric(relay, "relay_connections ") == 0
        writer.close()


async def test_a_client_that_answers_pings_stays(settings_with: Any) -> None:
    settings = settings_with(relay_ping_interval_ms=100, relay_ping_timeout_ms=3_000)
    async with running(settings) as relay, upgraded(relay.url) as peer:
        for _ in range(2):  # each comes after the time for which a client may be silent
            while (received := await peer.frame())[0] != PING:
                pass
            peer.send(frame(PONG, received[1]))
        assert await metric(relay, "relay_connections ") == 1


@on_each_wire
async def test_a_planned_stop_is_announced_and_reconnects_are_spread(settings_with: Any) -> None:
    async with (
        running(settings_with(relay_drain_ms=3_600_000)) as relay,
        connected(relay) as one,
        connected(relay) as other,
    ):
        relay.stop()
        waits = [
            (await client.until("server:draining"))["data"]["reconnectAfterMs"] for client in (one, other)
        ]
        assert all(0 <= wait <= 3_600_000 for wait in waits)
        # The session goes on, but the relay is not ready any more.
        assert await one.quiet() == []
        with pytest.raises(urllib.error.HTTPError, match="503"):
            await asyncio.to_thread(urllib.request.urlopen, f"{relay.url}/readyz")


@on_each_wire
async def test_a_client_that_stays_after_a_planned_stop_was_announced_is_closed(settings_with: Any) -> None:
    async with running(settings_with(relay_drain_ms=500)) as relay, connected(relay) as client:
        relay.stop()
        await client.until("server:draining")
        with pytest.raises(ConnectionClosed) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "restart")


@on_each_wire
async def test_a_stop_does_not_wait_for_clients_that_are_gone(settings_with: Any) -> None:
    async with asyncio.timeout(SOON_S):
        async with running(settings_with(relay_drain_ms=3_600_000)) as relay, connected(relay) as client:
            relay.stop()
            await client.until("server:draining")


async def test_list_updates_of_one_task_are_throttled(tasks: Any, settings_with: Any) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice"}, {"_id": "u", "createdBy": "alice"}])
    interval_s = 0.2
    async with (
        running(settings_with(relay_list_update_min_interval_ms=200)) as relay,
        connected(relay, "/ws/dashboard") as client,
    ):
        await client.until("dashboard:state")
        # When a writer changes one task again and again,
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(
            tasks.bulk_write, [UpdateOne({"_id": "t"}, {"$set": {"title": f"{n}"}}) for n in range(100)]
        )
        # then the first update is sent at once, the last one always, and few between;
        titles = []
        while titles[-1:] != ["99"]:
            titles.append((await client.until("dashboard:task_list_updated", taskId="t"))["data"]["title"])
        took = asyncio.get_running_loop().time() - began
        assert titles[0] == "0"
        assert len(titles) <= took / interval_s + 2


async def test_a_throttled_list_update_delays_no_other_message_and_does_not_outlive_the_right_to_it(
    tasks: Any, settings_with: Any
) -> None:
    tasks.insert_many([{"_id": name, "createdBy": "alice"} for name in ("t", "u", "fence")])

    async def write(name: str, title: str, **more: Any) -> None:
        await asyncio.to_thread(tasks.update_one, {"_id": name}, {"$set": {"title": title, **more}})

    async with (
        running(settings_with(relay_list_update_min_interval_ms=3_600_000)) as relay,
        connected(relay, "/ws/dashboard") as client,
        connected(relay, "/ws/dashboard", sub="bob") as bob,
    ):
        await client.until("dashboard:state")
        await bob.until("dashboard:state")
        await write("t", "at once")
        # When an update waits for an hour, then neither an update of another task nor a revocation does,
        await write("t", "waits")
        await write("u", "now")
        await write("t", "of bob", createdBy="bob")
        frames = [await client.until("dashboard:task_list_updated") for _ in range(3)]
        changes = [(frame["data"]["taskId"], frame["data"].get("title")) for frame in frames]
        assert changes == [("t", "at once"), ("u", "now"), ("t", None)]
        assert (await bob.until("dashboard:task_list_updated"))["data"]["title"] == "of bob"
        await asyncio.to_thread(tasks.delete_one, {"_id": "t"})
        await bob.until("dashboard:task_list_updated", change="deleted")
        # and the update that waited is never sent.
        await write("fence", "fence")
        await client.until("dashboard:task_list_updated", taskId="fence")
        assert "waits" not in [frame["data"].get("title") for frame in client.frames]
