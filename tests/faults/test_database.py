"""Faults of the database. Clients receive every event all the same, once and in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from checker import (
    JOINED,
    LONG_S,
    caught_up,
    check_received,
    figure,
    lines,
    no_traceback,
    ready,
    until,
    watchers,
    watching,
    writing,
)
from proxy import Proxy
from pymongo import AsyncMongoClient, MongoClient, WriteConcern
from replicaset import ReplicaSet
from support.relay_fixture import SOON_S, running, settings_for

from relay import health
from relay.cli.demo import mongod as embedded
from relay.source.decoder import Decoder
from relay.source.tail import Tail

pytestmark = pytest.mark.timeout(3 * LONG_S)  # the steps have limits of their own
PHANTOM = 10**6
AWAY = "change stream interrupted", "waiting for the database to read a batch's tasks"


# Several nodes


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with ReplicaSet() as nodes:
        yield nodes


@pytest.fixture
def patient_with_a_new_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give it time to learn what is committed: it has to show the last change before the relay goes on."""
    monkeypatch.setattr("relay.source.tail.WITNESS_MS", 20_000)


async def test_elections_under_load_lose_no_event_and_reset_no_client(
    patient_with_a_new_primary: None, replica_set: ReplicaSet, database_name: str, caplog: Any
) -> None:
    url = replica_set.url
    async with (
        writing(url, database_name) as writer,
        running(settings_for(url, database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)  # the resume token is only kept once a change has been published
        async with writer.busy():
            # When the primary steps down, several times, amid writes and a change of rights,
            for number in range(3):
                await writer.acknowledge(20)
                await asyncio.to_thread(replica_set.step_down)
                if number == 1:
                    await writer.take("t0")
            # and is killed, and comes back,
            await writer.acknowledge(20)
            killed = await asyncio.to_thread(replica_set.primary)
            await asyncio.to_thread(killed.kill)
            await asyncio.to_thread(replica_set.primary)  # another one
            await writer.acknowledge(20)
            await asyncio.to_thread(killed.start)
            await writer.acknowledge(50)
        # then every client has every event, and the stream never lost its position.
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert lines(caplog, "change stream interrupted")
    no_traceback(caplog)


async def test_a_write_that_only_a_dying_primary_had_is_never_sent(
    patient_with_a_new_primary: None, replica_set: ReplicaSet, database_name: str, caplog: Any
) -> None:
    """F34: the write is rolled back later, so no client may have received it."""
    url = replica_set.url
    async with (
        writing(url, database_name) as writer,
        running(settings_for(url, database_name)) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)
        old = await asyncio.to_thread(replica_set.primary)
        others = [node for node in replica_set.members if node is not old]
        for node in others:
            node.kill()

        def write_alone() -> None:
            with old.client() as client:
                tasks = client[database_name].get_collection("tasks", write_concern=WriteConcern(1))
                tasks.update_one({"_id": "t1"}, {"$push": {"events": {"type": "log", "n": PHANTOM}}})

        # When the only running member writes and dies, and the others continue without it,
        await asyncio.to_thread(write_alone)
        old.kill()
        for node in others:
            node.start()
        await asyncio.to_thread(replica_set.primary)  # another one
        await writer.acknowledge(20)
        old.start()
        await writer.acknowledge(20)
        # then that write was never sent.
        await check_received(writer, *two)
        assert all(PHANTOM not in watcher.numbers("t1") for watcher in two)
        assert not [
            frame
            for frame in two[0].received("task:event_added")
            if frame["data"]["event"]["data"]["n"] == PHANTOM
        ]
        assert await figure(relay, "relay_stream_reopened_total") == 0
    no_traceback(caplog)


async def test_clients_are_sent_stale_while_the_replica_set_has_no_majority(
    database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F14: the stream stays open and answers, but reports no change."""
    monkeypatch.setattr("relay.source.tail.BEHIND_S", 1)
    monkeypatch.setattr(health, "STALE_AFTER_S", 1.0)
    with ReplicaSet(arbiter=True) as nodes:
        async with (
            writing(nodes.url, database_name) as writer,
            running(settings_for(nodes.url, database_name)) as relay,
            watching(relay, *(two := watchers())),
            AsyncMongoClient[dict[str, Any]](nodes.url) as client,
        ):
            await writer.acknowledge(10)
            await ready(relay, 200)
            nodes.members[1].pause()
            # When writes reach one node only, and the clock of the database goes on,
            over = False

            async def scribble() -> None:
                while not over:
                    await client[database_name]["notes"].insert_one({})
                    await asyncio.sleep(0.1)

            scribbling = asyncio.create_task(scribble())
            try:
                await ready(relay, 503)
                await until(lambda: two[0].received("stream:status", state="stale"), "the status stale")
            finally:
                nodes.members[1].go_on()
                over = True
                await scribbling
            # then clients are sent `stale`, and `live` when the majority is back.
            await ready(relay, 200)
            await until(lambda: two[0].received("stream:status", state="live"), "the status live")
            await writer.acknowledge(10)
            await check_received(writer, *two)
    no_traceback(caplog)


# One node, and its fail points


# Make an idle server write a no-op every second instead of every ten.
TEST_COMMANDS = ["--setParameter", "enableTestCommands=1", "--setParameter", "periodicNoopIntervalSecs=1"]


@pytest.fixture(scope="module")
def node() -> Iterator[embedded.Mongod]:
    with embedded.start(extra_args=[*TEST_COMMANDS]) as server:
        yield server


@pytest.fixture
def database_name() -> str:
    """A new database name for the test, on any server it starts."""
    return f"test_{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def failing(
    url: str, *commands: str, times: int, stays: bool = False, **how: Any
) -> AsyncIterator[None]:
    """Make `times` commands of the relay fail, and all later ones, too, if the fault `stays`. The context
    ends once `times` have failed."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        data = {"failCommands": list(commands), "appName": "relay", **how}
        mode = "alwaysOn" if stays else {"times": times}
        point = {"configureFailPoint": "failCommand", "mode": mode, "data": data}
        before = (await client.admin.command(point))["count"]
        try:
            yield
            entered = {"waitForFailPoint": "failCommand", "timesEntered": before + times}
            await client.admin.command(entered | {"maxTimeMS": int(LONG_S * 1000)})
        finally:
            await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


STREAM = ("getMore", "aggregate")
PASSING = [43, 91, 10107, 11600, 50, 6, 237, 99999]
LOST = [286, 280, 260, 10334]


# Which commands fail and how; then how often the stream is interrupted, and how many resyncs there may be.
ERRORS: list[tuple[tuple[str, ...], dict[str, Any], int, set[int]]] = [
    *((STREAM, {"errorCode": code}, 2, {0}) for code in PASSING),
    *((STREAM, {"errorCode": code}, 2, {1}) for code in LOST),
    (("getMore",), {"errorCode": 50, "errorLabels": ["NonResumableChangeStreamError"]}, 2, {1}),
    (STREAM, {"closeConnection": True}, 2, {0}),
    (("getMore",), {"blockConnection": True, "blockTimeMS": 200}, 0, {0}),
    (("find",), {"errorCode": 11600}, 0, {0}),
    (("find",), {"errorCode": 50}, 0, {0}),
    (("find",), {"closeConnection": True}, 0, {0}),
    (("find",), {"errorCode": 246}, 0, {1, 2}),
    (("find",), {"errorCode": 239}, 0, {1, 2}),  # the second failure may hit a read for a client
]


async def test_a_database_error_is_logged_in_one_line_and_loses_no_event(
    node: embedded.Mongod, database_name: str, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG, "relay")  # repeated failures are logged at this level
    wrong = []
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):
        for commands, how, interruptions, resets in ERRORS:
            print(commands, how)
            caplog.clear()
            before = await figure(relay, "relay_stream_reopened_total")
            async with writer.busy(), asyncio.timeout(LONG_S):
                # When some commands of the relay fail amid writes,
                await writer.acknowledge(20)
                hit = False
                while not hit:
                    async with failing(node.url, *commands, times=2, **how):
                        pass
                    await writer.acknowledge(20)
                    await caught_up(writer, *two)
                    resyncs = await figure(relay, "relay_stream_reopened_total") - before
                    interrupted, away = (len(lines(caplog, phrase)) for phrase in AWAY)
                    # The finds that failed may be those for the list of a client, which are repeated in silence.
                    hit = commands != ("find",) or resyncs > 0 or away > 0
            # then no client misses an event, each failure is logged in one line, and only a lost stream causes a
            # resync.
            await check_received(writer, *two)
            if interrupted != interruptions or resyncs not in resets:
                wrong.append((commands, how, interrupted, resyncs))
            if commands == ("find",) and away not in ({1, 2} if resets == {0} else {0}):
                wrong.append((commands, how, away))
            no_traceback(caplog)
    assert not wrong


async def test_a_stream_that_opens_but_never_answers_is_not_ready_and_is_retried_with_growing_delays(
    node: embedded.Mongod, database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: opening counted as a success, so the backoff was reset each time and /readyz stayed 200."""
    caplog.set_level(logging.DEBUG, "relay")  # repeated failures are logged at this level
    monkeypatch.setattr(health, "STALE_AFTER_S", 1.0)
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name)) as relay,
        watching(relay, *(two := watchers())),
    ):
        async with failing(node.url, "getMore", times=4, stays=True, errorCode=43):
            await ready(relay, 503)
        await ready(relay, 200)
        await writer.acknowledge(10)
        await check_received(writer, *two)
    first = lines(caplog, "change stream interrupted")[:4]
    assert [record.levelname for record in first] == ["WARNING", "DEBUG", "DEBUG", "DEBUG"]
    waits = [record.retry_in_s for record in first]
    assert waits == sorted(waits)


# One node that is killed


async def test_a_killed_database_is_followed_again_after_its_restart(
    database_name: str, tmp_path: Path, caplog: Any
) -> None:
    data = tmp_path / "db"
    server = await asyncio.to_thread(embedded.start, data=data)
    port = server.port
    try:
        async with (
            writing(server.url, database_name) as writer,
            running(settings_for(server.url, database_name, relay_known_tasks_max=1)) as relay,
            watching(relay, *(two := watchers())),
        ):
            async with writer.busy():
                await writer.acknowledge(50)
                os.kill(server.pid, signal.SIGKILL)
                await asyncio.to_thread(server.stop)
                server = await asyncio.to_thread(embedded.start, port=port, data=data)
                await writer.acknowledge(50)
            await check_received(writer, *two)
    finally:
        server.stop()
    no_traceback(caplog)


async def test_another_database_at_the_same_address_is_recognised(database_name: str, caplog: Any) -> None:
    """F18: after a restore, or when the address leads to another server, the old position is invalid."""
    server = await asyncio.to_thread(embedded.start)
    port, url = server.port, server.url
    try:
        async with (
            writing(url, database_name) as writer,
            running(settings_for(url, database_name)) as relay,
            watching(relay, *(two := watchers())),
        ):
            await writer.acknowledge(20)
            await asyncio.to_thread(server.stop)
            server = await asyncio.to_thread(embedded.start, port=port)
            await until(
                lambda: all(two[0].received("task:deleted", taskId=task) for task in JOINED), "the end"
            )
            await writer.begin_again()
            await writer.acknowledge(20)
            async with watching(relay, *(new := watchers())):
                await check_received(writer, *two, *new)
    finally:
        server.stop()
    no_traceback(caplog)


# The network between


@pytest.fixture
def url_through() -> Any:
    # A direct connection, or the driver would ask the server for its address and go around the proxy.
    return lambda proxy: f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"


async def test_a_silently_lost_connection_is_detected_and_replaced(
    node: embedded.Mongod,
    database_name: str,
    caplog: Any,
    url_through: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.source.client.SOCKET_MS", 600_000)  # the relay does not wait for this limit
    async with (
        Proxy(node.port) as proxy,
        writing(node.url, database_name) as writer,
        running(settings_for(url_through(proxy), database_name)) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)
        proxy.black_hole()
        async with writer.busy():
            # When the network drops every packet, /readyz and the clients report it,
            await ready(relay, 503)
            await until(lambda: two[0].received("stream:status", state="stale"), "the status stale")
            await proxy.heal()
            # and when packets arrive again, clients receive every event in order, and `live`.
            await ready(relay, 200)
            await until(lambda: two[0].received("stream:status", state="live"), "the status live")
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    no_traceback(caplog)


async def test_a_position_that_left_the_oplog_causes_one_resync(
    database_name: str, caplog: Any, url_through: Any
) -> None:
    """F1: the relay is disconnected for longer than the oplog reaches back."""
    server = await asyncio.to_thread(
        embedded.start, extra_args=("--syncdelay", "1")
    )  # the oplog is truncated at checkpoints
    try:
        async with (
            Proxy(server.port) as proxy,
            writing(server.url, database_name) as writer,
            running(settings_for(url_through(proxy), database_name)) as relay,
            watching(relay, *(two := watchers())),
        ):
            await writer.acknowledge(20)
            await caught_up(writer, *two)
            proxy.refuse()
            await writer.acknowledge(20)
            await asyncio.to_thread(overflow_the_oplog, server.url)
            await proxy.heal()
            await writer.acknowledge(20)
            await check_received(writer, *two)
            assert await figure(relay, "relay_stream_reopened_total") == 1
        assert len(lines(caplog, "change stream reopened")) == 1
    finally:
        server.stop()
    no_traceback(caplog)


def overflow_the_oplog(url: str) -> None:
    """Write until the oplog no longer contains its current entries."""
    with MongoClient[dict[str, Any]](url) as client:
        began = client.admin.command("ping")["operationTime"]
        oldest = client.local["oplog.rs"].find().sort("$natural", 1).limit(1)
        while next(oldest.clone())["ts"] <= began:
            client["another"]["noise"].insert_many([{"x": "y" * 100_000} for _ in range(50)])


async def test_a_network_that_delays_cuts_and_refuses_loses_no_event(
    node: embedded.Mongod, database_name: str, caplog: Any, url_through: Any
) -> None:
    async with (
        Proxy(node.port) as proxy,
        writing(node.url, database_name) as writer,
        running(settings_for(url_through(proxy), database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):

        def noticed(count: int, break_it: Callable[[], None]) -> bool:
            break_it()  # again, in case the stream was not connected the first time
            return len(lines(caplog, *AWAY)) > count

        async with writer.busy():
            proxy.delay(0.02)
            await writer.acknowledge(20)
            await caught_up(writer, *two)
            for break_it in (proxy.reset, proxy.half_close, proxy.refuse):
                await until(partial(noticed, len(lines(caplog, *AWAY)), break_it), break_it.__name__)
                await writer.acknowledge(20)
                await proxy.heal()
                await caught_up(writer, *two)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    no_traceback(caplog)


async def test_the_tail_ends_at_once_while_the_database_is_silent(
    node: embedded.Mongod, database_name: str, url_through: Any
) -> None:
    """Regression: the tail waited for the answer to killCursors."""
    async with Proxy(node.port) as proxy, AsyncMongoClient[dict[str, Any]](url_through(proxy)) as client:
        tail = Tail(client, database_name, "tasks", Decoder("events"), jitter=lambda: 0.0)
        opened = await tail.open()
        following = asyncio.create_task(follow(tail))
        await until(lambda: tail.position > opened, "the stream", [following])
        proxy.black_hole()
        following.cancel()
        async with asyncio.timeout(SOON_S / 3):  # the driver itself would wait for an answer for 30 s
            await asyncio.wait([following])
        await proxy.heal()


async def follow(tail: Tail) -> None:
    async for batch in tail.batches():
        assert not batch.changes


# The collection itself


async def drop(client: AsyncMongoClient[dict[str, Any]], database: str) -> None:
    await client[database]["tasks"].drop()


async def rename(client: AsyncMongoClient[dict[str, Any]], database: str) -> None:
    await client[database]["tasks"].rename(f"old_{uuid.uuid4().hex[:6]}")


async def drop_database(client: AsyncMongoClient[dict[str, Any]], database: str) -> None:
    await client.drop_database(database)


@pytest.mark.parametrize("end", [drop, rename, drop_database])
async def test_a_dropped_or_renamed_collection_is_reported_and_its_successor_followed(
    node: embedded.Mongod, database_name: str, caplog: Any, end: Any
) -> None:
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name)) as relay,
        watching(relay, *(two := watchers())),
        AsyncMongoClient[dict[str, Any]](node.url) as client,
    ):
        for _ in range(2):
            await writer.acknowledge(20)
            async with watching(relay, *(new := watchers())):
                await end(client, database_name)
                # Clients that had joined a task are sent `task:deleted`, and the lists become empty.
                await until(
                    lambda new=new: all(new[0].received("task:deleted", taskId=one) for one in JOINED), "end"
                )
                await until(lambda: two[1].dashboard == {}, "an empty list")
                # Then the new collection is followed like any other.
                await writer.begin_again()
                await writer.acknowledge(20)
                await check_received(writer, *two, *new)
        await ready(relay, 200)
    no_traceback(caplog)


async def test_a_collection_renamed_over_another_is_shown_as_it_is(
    node: embedded.Mongod, database_name: str, caplog: Any
) -> None:
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name)) as relay,
        watching(relay, *(two := watchers())),
        AsyncMongoClient[dict[str, Any]](node.url) as client,
    ):
        await writer.acknowledge(30)
        database = client[database_name]
        await database["tasks"].aggregate([{"$match": {"_id": {"$ne": "t0"}}}, {"$out": "restored"}])
        await database["restored"].update_many({}, {"$pop": {"events": 1}})
        for numbers in writer.acknowledged.values():
            numbers.pop()
        await database["restored"].insert_one({"_id": "t0", "createdBy": "nobody", "events": []})
        await database["restored"].rename("tasks", dropTarget=True)
        writer.acknowledged["t0"], writer.taken = [], {"t0"}
        await writer.acknowledge(30)
        await check_received(writer, *two)
    no_traceback(caplog)


async def test_the_relay_waits_for_a_revoked_privilege_to_be_granted_again(
    database_name: str, tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STALE_AFTER_S", 1.0)
    monkeypatch.setattr("relay.source.tail.BACKOFF_MAX_S", 1.0)
    # The check of the collection would find the privilege missing, too, and reopen the stream afterwards.
    monkeypatch.setattr("relay.source.opening.LOOK_S", 600)
    key = tmp_path / "key"
    key.write_text("c2VjcmV0" * 10)
    key.chmod(0o600)
    server = await asyncio.to_thread(embedded.start, extra_args=["--keyFile", str(key)])
    with server, MongoClient[dict[str, Any]](server.url, directConnection=True) as localhost:
        localhost.admin.command("createUser", "root", pwd="root", roles=["root"])
        secret = server.url.replace("//", "//{0}:{0}@")
        right = [
            {"resource": {"db": database_name, "collection": "tasks"}, "actions": ["find", "changeStream"]}
        ]
        with MongoClient[dict[str, Any]](secret.format("root")) as root:
            root.admin.command("createRole", "follower", privileges=right, roles=[])
            root.admin.command("createUser", "relay-user", pwd="relay-user", roles=["follower"])
            async with (
                writing(secret.format("root"), database_name) as writer,
                running(settings_for(secret.format("relay-user"), database_name)) as relay,
                watching(relay, *(two := watchers())),
            ):
                await writer.acknowledge(10)
                await caught_up(writer, *two)
                # When the relay loses its privilege, it names it, retries with delays and is not ready;
                root.admin.command("revokePrivilegesFromRole", "follower", privileges=right)
                await ready(relay, 503)
                await writer.acknowledge(10)
                await until(lambda: lines(caplog, "change stream interrupted"), "the reason")
                refused = lines(caplog, "change stream interrupted")
                assert {(record.levelname, record.code) for record in refused} == {("ERROR", 13)}
                assert all("find and changeStream" in record.reason for record in refused)
                assert 1 <= len(refused) <= 10
                # and when the privilege is granted again, it continues from its position.
                root.admin.command("grantPrivilegesToRole", "follower", privileges=right)
                await ready(relay, 200)
                await check_received(writer, *two)
                assert await figure(relay, "relay_stream_reopened_total") == 0
    assert "relay-user" not in caplog.text
    no_traceback(caplog)


# Changes that are too large, and no changes at all


async def test_a_change_too_large_for_the_stream_does_not_stop_the_others(
    node: embedded.Mongod, database_name: str, caplog: Any
) -> None:
    megabyte = "x" * 1_000_000
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name)) as relay,
        watching(relay, *(two := watchers())),
        AsyncMongoClient[dict[str, Any]](node.url) as client,
    ):
        tasks = client[database_name]["tasks"]
        # A rewritten document of 9 MB, and one of nearly 16 MB, fit into the stream.
        await tasks.insert_one({"_id": "large", "createdBy": "nobody", "blob": megabyte * 9})
        await tasks.update_one({"_id": "large"}, {"$set": {"blob": megabyte * 9 + "."}})
        await tasks.replace_one({"_id": "large"}, {"createdBy": "nobody", "blob": [megabyte] * 16})
        await tasks.update_one({"_id": "large"}, {"$set": {"blob": [megabyte + "."] * 16}})
        await writer.acknowledge(20)
        await check_received(writer, *two)
        assert not lines(caplog, "change stream interrupted")
        # A change with an _id of 6 MB does not fit, because it occurs several times; other changes do not wait for it,
        await tasks.insert_one({"_id": megabyte * 6, "createdBy": "nobody"})
        await until(lambda: lines(caplog, "change stream reopened"), "a way past it")
        await writer.acknowledge(20)
        # also when there are several such changes.
        async with writer.busy():
            await tasks.delete_one({"_id": megabyte * 6})
            await until(lambda: len(lines(caplog, "change stream reopened")) > 1, "a way past it, again")
            await writer.acknowledge(20)
        await check_received(writer, *two)
    no_traceback(caplog)


async def test_the_position_of_a_quiet_collection_advances_while_another_is_busy(
    node: embedded.Mongod, database_name: str
) -> None:
    async with AsyncMongoClient[dict[str, Any]](node.url, appname="relay") as client:
        tail = Tail(client, database_name, "tasks", Decoder("events"), jitter=lambda: 0.0)
        opened = await tail.open()
        following = asyncio.create_task(follow(tail))
        for _ in range(5):
            async with client.start_session() as session:
                await client[database_name]["others"].insert_one({}, session=session)
                written = session.operation_time
            assert written > opened
            await until(lambda written=written: tail.position >= written, "the position", [following])
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
