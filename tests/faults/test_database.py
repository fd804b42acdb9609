"""The database fails in every way it has; who listens is told everything all the same, once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from checker import Watcher, Writer, figure, lines, no_traceback, prove, ready, until, watching
from pymongo import AsyncMongoClient
from replicaset import ReplicaSet
from running import SOON_S, running, settings_for

from relay import app
from relay.demo import mongod as embedded
from relay.source import stream

TASKS = [f"t{number}" for number in range(6)]
HEARD = TASKS[:4]  # by the watchers; the others are read when they change, for the relay remembers one task


@asynccontextmanager
async def writing(url: str, database: str) -> AsyncIterator[Writer]:
    writer = Writer(url, database, TASKS)
    try:
        await writer.create()
        yield writer
    finally:
        await writer.close()


def watchers() -> tuple[Watcher, Watcher]:
    return Watcher(HEARD), Watcher(HEARD[:2], dashboard=True)


# Several nodes


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with ReplicaSet() as nodes:
        yield nodes


async def test_elections_under_load_lose_nothing_and_reset_nobody(
    replica_set: ReplicaSet, database_name: str, caplog: Any
) -> None:
    url = replica_set.url
    async with (
        writing(url, database_name) as writer,
        running(settings_for(url, database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):
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
            await writer.acknowledge(20)
            await asyncio.to_thread(killed.start)
            await writer.acknowledge(50)
        # then everybody has everything, and the stream never lost its place.
        await prove(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert lines(caplog, "change stream interrupted")
    no_traceback(caplog)


async def test_a_primary_that_stands_still_is_left_and_its_phantoms_never_told(
    replica_set: ReplicaSet, database_name: str, caplog: Any
) -> None:
    """F34: what only one node has will be rolled back, so nobody may have heard of it."""
    url = replica_set.url
    async with (
        writing(url, database_name) as writer,
        running(settings_for(url, database_name)) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        old = await asyncio.to_thread(replica_set.primary)
        others = [node for node in replica_set.members if node is not old]
        # When the primary writes what no other node gets, and then stands still itself,
        for node in others:
            node.pause()

        def write_alone() -> None:
            with old.client() as client:
                tasks = client[database_name].get_collection("tasks", write_concern=WriteConcern(1))
                tasks.update_one({"_id": "t1"}, {"$push": {"events": {"type": "log", "n": -1}}})

        await asyncio.to_thread(write_alone)
        old.pause()
        for node in others:
            node.go_on()
        # and the others go on without it,
        await until(lambda: any(node.is_primary() for node in others), "another primary")
        async with writer.busy():
            await writer.acknowledge(20)
            old.go_on()
            await writer.acknowledge(50)
        # then that write is gone, and was never told.
        await prove(writer, *two)
        assert -1 not in {n for watcher in two for task in HEARD for n in watcher.numbers(task)}
    no_traceback(caplog)


async def test_without_a_majority_the_listeners_are_told_that_it_is_stale(
    database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F14: the stream stays open, answers, and has nothing to say."""
    monkeypatch.setattr(stream, "BEHIND_S", 1)
    monkeypatch.setattr(app, "STALE_AFTER_S", 1.0)
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
            target = client[database_name].get_collection("notes")

            async def scribble() -> None:
                while True:
                    await target.insert_one({})
                    await asyncio.sleep(0.1)

            scribbling = asyncio.create_task(scribble())
            await ready(relay, 503)
            await until(lambda: two[0].heard("stream:status", state="stale"), "the notice")
            nodes.members[1].go_on()
            scribbling.cancel()
            # then it is said, and over when the majority is back.
            await ready(relay, 200)
            await until(lambda: two[0].heard("stream:status", state="live"), "the end of it")
            await writer.acknowledge(10)
            await prove(writer, *two)
    no_traceback(caplog)


# One node, and its fail points


@pytest.fixture(scope="module")
def node() -> Iterator[embedded.Mongod]:
    with embedded.start(extra_args=["--setParameter", "enableTestCommands=1"]) as server:
        yield server


@pytest.fixture
def database_name(request: pytest.FixtureRequest) -> str:
    """A database of this test's own, in whichever server it starts."""
    return f"test_{abs(hash(request.node.name)) % 10**12}"


@asynccontextmanager
async def failing(url: str, *commands: str, times: int, **how: Any) -> AsyncIterator[None]:
    """Makes so many of the relay's commands fail; at the end of the block they have."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        data = {"failCommands": list(commands), "appName": "relay", **how}
        point = {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data}
        before = (await client.admin.command(point))["count"]
        try:
            yield
            entered = {"waitForFailPoint": "failCommand", "timesEntered": before + times}
            await client.admin.command(entered | {"maxTimeMS": int(SOON_S * 1000)})
        finally:
            await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


STREAM = ("getMore", "aggregate")
PASSING = [43, 91, 10107, 11600, 50, 6, 237, 189, 175, 99999]
LOST = [286, 280, 260, 10334]


@pytest.mark.parametrize(
    ("commands", "how", "interruptions", "resets"),
    [
        *((STREAM, {"errorCode": code}, 2, 0) for code in PASSING),
        *((STREAM, {"errorCode": code}, 2, 1) for code in LOST),
        (("getMore",), {"errorCode": 50, "errorLabels": ["NonResumableChangeStreamError"]}, 2, 1),
        (STREAM, {"closeConnection": True}, 2, 0),
        (("getMore",), {"blockConnection": True, "blockTimeMS": 200}, 0, 0),
        (("find",), {"errorCode": 11600}, 0, 0),
        (("find",), {"errorCode": 50}, 0, 0),
        (("find",), {"closeConnection": True}, 0, 0),
        (("find",), {"errorCode": 246}, 0, 2),
        (("find",), {"errorCode": 239}, 0, 2),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_an_error_of_the_database_is_one_line_and_costs_no_event(
    node: embedded.Mongod,
    database_name: str,
    caplog: Any,
    commands: tuple[str, ...],
    how: dict[str, Any],
    interruptions: int,
    resets: int,
) -> None:
    async with (
        writing(node.url, database_name) as writer,
        running(settings_for(node.url, database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):
        caplog.clear()
        async with writer.busy():
            # When some commands of the relay fail amid writes,
            await writer.acknowledge(20)
            async with failing(node.url, *commands, times=2, **how):
                pass
            await writer.acknowledge(20)
        # then nobody misses anything, a line says each, and only what is lost is healed.
        await prove(writer, *two)
        healed = await figure(relay, "relay_stream_reopened_total")
    assert len(lines(caplog, "change stream interrupted")) == interruptions
    assert healed == resets if commands != ("find",) else healed <= resets
    no_traceback(caplog)
