"""`readPreference` of `RELAY_MONGO_URL`: which members serve the relay, and what happens when these lag or fail."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from random import Random
from typing import Any

import pytest
from bson import Timestamp
from checker import (
    LONG_S,
    Writer,
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
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError
from replicaset import BRIEF_S, TEST_COMMANDS, Node, ReplicaSet
from support.command_findings import roomy
from support.relay_fixture import running, settings_for

from relay import health
from relay.errors import Unavailable
from relay.source import members
from relay.source.client import client_of
from relay.source.decoder import Decoder
from relay.source.diagnosis import Diagnosis
from relay.source.reach import reach
from relay.source.reader import Reader

pytestmark = pytest.mark.timeout(3 * LONG_S)  # the steps have limits of their own
MOVES = "change stream moves to another member"


@pytest.fixture(scope="module")
def started() -> Iterator[ReplicaSet]:
    with ReplicaSet(*TEST_COMMANDS) as nodes:
        yield nodes


@pytest.fixture
def nodes(started: ReplicaSet) -> Iterator[ReplicaSet]:
    """A replica set whose members all run and replicate, also after a test that failed."""
    started.secondaries()
    yield started
    for node in started.members:
        if not node.runs:
            node.start()
        node.go_on()
    started.primary()
    for node in started.secondaries():
        node.lag(lags=False)


@pytest.fixture
def database_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def url_of(nodes: ReplicaSet, preference: str) -> str:
    return f"{nodes.url}&readPreference={preference}"


def record(nodes: ReplicaSet, database: str) -> None:
    """Make each member record the operations of the relay in this database."""
    for node in nodes.members:
        with node.client() as client:
            client[database].command({"profile": 1, "filter": {"appName": "relay"}})


def recorded(node: Node, database: str) -> Counter[str]:
    """Return how many operations of each kind the relay sent to this member since `record`."""
    with node.client() as client:
        return Counter(entry["op"] for entry in client[database]["system.profile"].find())


def followed(nodes: ReplicaSet, database: str) -> Node | None:
    """Return the member that has the cursor of the relay's stream; None while there is none."""
    used: dict[Node, datetime] = {}
    for node in nodes.members:
        # A member that hangs does not answer. One that hung may still have a cursor that was given up.
        with suppress(PyMongoError), node.client(BRIEF_S) as client:
            every = {"$currentOp": {"allUsers": True, "idleCursors": True}}
            only = {"$match": {"ns": f"{database}.tasks", "cursor.awaitData": True}}
            for found in client.admin.aggregate([every, only]):
                used[node] = max(found["cursor"]["lastAccessDate"], used.get(node, datetime.min))
    return max(used, key=lambda node: used[node], default=None)


def majority_time(node: Node) -> Timestamp:
    """Return the time up to which this member has every write, and knows that a majority has it."""
    with node.client() as client:
        optimes = client.admin.command("replSetGetStatus")["optimes"]
    time: Timestamp = optimes["readConcernMajorityOpTime"]["ts"]
    return time


async def is_followed(nodes: ReplicaSet, database: str, *allowed: Node, within_s: float = LONG_S) -> Node:
    """Wait until the relay follows one of these members, and return it."""
    found: list[Node] = []

    async def look() -> None:
        while True:
            node = await asyncio.to_thread(followed, nodes, database)
            if node is not None and node in allowed:
                found.append(node)
                return
            await asyncio.sleep(0.1)  # each look costs the members as much as a few writes

    async with asyncio.timeout(within_s):
        await look()
    return found[0]


@asynccontextmanager
async def scribbling(url: str, database: str) -> AsyncIterator[None]:
    """Write to another collection until the context ends, so that the time of the database goes on."""
    over = False

    async def scribble() -> None:
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            while not over:
                await client[database]["notes"].insert_one({})
                await asyncio.sleep(0.1)

    task = asyncio.create_task(scribble())
    try:
        yield
    finally:
        over = True
        await task


async def write_at_random(writer: Writer, count: int, random: Random) -> None:
    """Write `count` events to random tasks, with pauses of random lengths."""
    for _ in range(count):
        await writer.write(task=random.choice(writer.tasks))
        if random.random() < 0.2:
            await asyncio.sleep(random.uniform(0, 0.05))


# Who is asked


@pytest.mark.parametrize("preference", ["secondary", "secondaryPreferred", "primaryPreferred", "primary"])
async def test_the_stream_and_the_reads_of_a_relay_go_to_the_members_that_the_url_prefers(
    preference: str,
    nodes: ReplicaSet,
    database_name: str,
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The checks of the collection go to any member that is preferred, and would be counted.
    monkeypatch.setattr("relay.source.opening.LOOK_S", 600)
    primary = nodes.primary()
    async with writing(nodes.url, database_name) as writer:
        await asyncio.to_thread(record, nodes, database_name)
        async with (
            running(settings_for(url_of(nodes, preference), database_name, relay_known_tasks_max=1)) as relay,
            watching(relay, *(two := watchers())),
        ):
            for _ in range(12):  # as many batches at least, even if the relay is slow
                await writer.acknowledge(5)
                await caught_up(writer, *two)
            await check_received(writer, *two)
            assert await figure(relay, "relay_stream_reopened_total") == 0
    counts = {node: await asyncio.to_thread(recorded, node, database_name) for node in nodes.members}
    busy, *idle = sorted(counts, key=lambda node: counts[node].total(), reverse=True)
    assert (busy is primary) is preference.startswith("primary")
    assert counts[busy]["getmore"] > 10
    assert counts[busy]["query"] > 10
    for (
        node
    ) in idle:  # to begin with, the relay tries whether it can follow and read any member that is preferred
        assert counts[node].total() <= (3 if node in nodes.secondaries() and busy is not primary else 0)
        assert not counts[node]["getmore"]
    assert not lines(caplog, "change stream interrupted", MOVES)
    no_traceback(caplog)


async def test_any_member_may_be_the_nearest_but_only_one_is_asked(
    nodes: ReplicaSet, database_name: str, caplog: Any
) -> None:
    async with writing(nodes.url, database_name) as writer:
        await asyncio.to_thread(record, nodes, database_name)
        async with (
            running(settings_for(url_of(nodes, "nearest"), database_name, relay_known_tasks_max=1)) as relay,
            watching(relay, *(two := watchers())),
        ):
            await writer.acknowledge(60)
            await check_received(writer, *two)
    counts = [await asyncio.to_thread(recorded, node, database_name) for node in nodes.members]
    assert len([operations for operations in counts if operations["getmore"] or operations["query"] > 1]) == 1
    assert not lines(caplog, "change stream interrupted", MOVES)


async def test_tags_choose_the_member(nodes: ReplicaSet, database_name: str) -> None:
    secondaries = nodes.secondaries()
    for node in secondaries:
        number = nodes.members.index(node)
        url = url_of(nodes, f"secondary&readPreferenceTags=number:9&readPreferenceTags=number:{number}")
        async with running(settings_for(url, database_name)):
            assert await is_followed(nodes, database_name, *nodes.members) is node


async def test_tags_that_no_member_has_are_reported(nodes: ReplicaSet, database_name: str) -> None:
    settings = settings_for(url_of(nodes, "secondary&readPreferenceTags=number:9"), database_name)
    async with client_of(settings) as client:
        with roomy():
            found = await reach(settings, client, wait_ms=500)
    assert isinstance(found, Diagnosis)
    assert not found.lasting
    assert str(found) == (
        "No member of the replica set fits readPreference=secondary: see rs.status() on one of its members and "
        "compare its members with the tags in the URL."
    )


@pytest.mark.parametrize("preference", ["nearest", "secondary"])
async def test_a_read_of_several_batches_stays_on_one_member(
    preference: str, nodes: ReplicaSet, database_name: str
) -> None:
    """A cursor exists on one member only, and the driver could send each getMore to another."""
    async with AsyncMongoClient[dict[str, Any]](nodes.url) as writing:
        await writing[database_name]["tasks"].insert_many([{"_id": number} for number in range(2500)])
    async with client_of(settings_for(url_of(nodes, preference), database_name)) as client:
        chosen = members.Members(client.read_preference)
        reader = Reader(client, database_name, "tasks", Decoder("events"), members=chosen)
        now = await reader.now()
        reads = await asyncio.gather(*(reader.read_at(now, {}, projection={"_id": 1}) for _ in range(20)))
    assert {len(documents) for documents in reads} == {2500}


async def test_a_url_of_one_secondary_is_followed_as_before(nodes: ReplicaSet, database_name: str) -> None:
    node = nodes.secondaries()[0]
    for also in ("", "&readPreference=primary", "&readPreference=secondary"):
        url = f"mongodb://{node.host}/?directConnection=true{also}"
        async with (
            writing(nodes.url, name := f"{database_name}{len(also)}") as writer,
            running(settings_for(url, name)) as relay,
            watching(relay, *(two := watchers())),
        ):
            await writer.acknowledge(20)
            await check_received(writer, *two)
            assert await is_followed(nodes, name, node)


# A member that lags


async def test_a_read_at_a_time_that_a_secondary_has_not_reached_waits_and_is_never_older(
    nodes: ReplicaSet, database_name: str
) -> None:
    slow, *_ = nodes.secondaries()
    async with AsyncMongoClient[dict[str, Any]](nodes.url, w="majority") as writing:
        tasks = writing[database_name]["tasks"]
        await tasks.insert_one({"_id": "t", "n": 0})
        tag = nodes.members.index(slow)
        url = url_of(nodes, f"secondary&readPreferenceTags=number:{tag}")
        async with client_of(settings_for(url, database_name)) as client:
            where = (client, database_name, "tasks", Decoder("events"))
            chosen = members.Members(client.read_preference)
            reader = Reader(*where, members=chosen, max_time_ms=25_000)
            hasty = Reader(*where, members=chosen, max_time_ms=300)
            slow.lag()
            await tasks.update_one({"_id": "t"}, {"$set": {"n": 1}})
            now = await reader.now()
            # When the secondary does not receive the write, a read fails after its time limit,
            with pytest.raises(Unavailable, match="code 50"):
                await hasty.read_at(now, {})
            # and one with more time gets the new state once the secondary has it.
            waiting = asyncio.create_task(reader.read_at(now, {}))
            await asyncio.wait([waiting], timeout=0.5)
            assert not waiting.done()
            slow.lag(lags=False)
            assert await waiting == [{"_id": "t", "n": 1}]


async def test_a_read_at_a_time_that_a_secondary_has_not_heard_of_is_tried_again_at_once(
    nodes: ReplicaSet, database_name: str
) -> None:
    slow, *_ = nodes.secondaries()
    url = url_of(nodes, f"secondary&readPreferenceTags=number:{nodes.members.index(slow)}")
    async with client_of(settings_for(url, database_name)) as client:
        chosen = members.Members(client.read_preference)
        reader = Reader(client, database_name, "tasks", Decoder("events"), members=chosen)
        now = await reader.now()
        for times, fails in ((1, False), (2, True)):
            with slow.client() as direct:
                data = {"failCommands": ["find"], "appName": "relay", "errorCode": 72}
                direct.admin.command(
                    {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data}
                )
            if fails:
                with pytest.raises(Unavailable, match="code 72"):
                    await reader.read_at(now, {})
            else:
                assert await reader.read_at(now, {}) == []


async def test_clients_are_sent_stale_while_the_only_allowed_secondary_lags(
    nodes: ReplicaSet, database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.source.tail.BEHIND_S", 2)
    monkeypatch.setattr(members, "BEHIND_S", 2)
    monkeypatch.setattr(health, "STALE_AFTER_S", 1.0)
    slow, *_ = nodes.secondaries()
    url = url_of(nodes, f"secondary&readPreferenceTags=number:{nodes.members.index(slow)}")
    async with (
        writing(nodes.url, database_name) as writer,
        running(settings_for(url, database_name)) as relay,
        watching(relay, *(two := watchers())),
        scribbling(nodes.url, database_name),
    ):
        await writer.acknowledge(20)
        await ready(relay, 200)
        # When the followed member no longer receives writes,
        slow.lag()
        await writer.acknowledge(20)
        await ready(relay, 503)
        await until(lambda: two[0].received("stream:status", state="stale"), "the status stale")
        slow.lag(lags=False)
        # then clients are sent `stale`, and everything they missed once it has caught up.
        await ready(relay, 200)
        await until(lambda: two[0].received("stream:status", state="live"), "the status live")
        await writer.acknowledge(20)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert not lines(caplog, "change stream interrupted")
    no_traceback(caplog)


async def test_the_stream_leaves_a_secondary_that_lags_for_one_that_does_not(
    nodes: ReplicaSet, database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "BEHIND_S", 3)
    monkeypatch.setattr("relay.source.tail.LOOK_S", 1.0)
    caplog.set_level("INFO", "relay")
    async with (
        writing(nodes.url, database_name) as writer,
        running(
            settings_for(url_of(nodes, "secondaryPreferred"), database_name, relay_known_tasks_max=1)
        ) as relay,
        watching(relay, *(two := watchers())),
        scribbling(nodes.url, database_name),
    ):
        slow = await is_followed(nodes, database_name, *nodes.secondaries())
        other = next(node for node in nodes.secondaries() if node is not slow)
        # When the followed secondary no longer receives writes, the stream continues on the other one,
        slow.lag()
        async with writer.busy():
            assert await is_followed(nodes, database_name, other)
            await caught_up(writer, *two)
            # and on the primary while there is no secondary that is up to date,
            slow.lag(lags=False)
            other.lag()
            slow.lag()
            assert await is_followed(nodes, database_name, nodes.primary())
            await caught_up(writer, *two)
            slow.lag(lags=False)
            # which it leaves again.
            assert await is_followed(nodes, database_name, slow)
            other.lag(lags=False)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert len(lines(caplog, MOVES)) >= 3
    assert not lines(caplog, "change stream interrupted")
    no_traceback(caplog)


# A member that fails


async def test_a_secondary_that_is_killed_under_load_loses_no_event_and_resets_no_client(
    nodes: ReplicaSet, database_name: str, caplog: Any
) -> None:
    random = Random(database_name)
    settings = settings_for(url_of(nodes, "secondaryPreferred"), database_name, relay_known_tasks_max=1)
    async with (
        writing(nodes.url, database_name) as writer,
        running(settings) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)  # the resume token is only kept once a change has been published
        # When the followed secondary is killed again and again, amid random writes and a change of rights,
        for number in range(3):
            killed = await is_followed(nodes, database_name, *await asyncio.to_thread(nodes.secondaries))
            writes = asyncio.create_task(write_at_random(writer, 150, random))
            await asyncio.sleep(random.uniform(0, 0.3))
            await asyncio.to_thread(killed.kill)
            if number == 1:
                await writer.take("t0")
            await writes
            await asyncio.to_thread(killed.start)
        # then every client has every event, and the stream never lost its position.
        await check_received(writer, *two)
        assert writer.total > 400
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert lines(caplog, "change stream interrupted")
    no_traceback(caplog)


async def test_a_kill_while_the_other_secondary_lags_causes_no_resync(
    nodes: ReplicaSet, database_name: str, caplog: Any
) -> None:
    """The member that is left does not have the last published change yet, which does not mean that it was lost."""
    async with (
        writing(nodes.url, database_name) as writer,
        running(settings_for(url_of(nodes, "secondary"), database_name, relay_known_tasks_max=1)) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)
        killed = await is_followed(nodes, database_name, *nodes.secondaries())
        slow = next(node for node in nodes.secondaries() if node is not killed)
        slow.lag()
        await writer.acknowledge(20)
        await caught_up(writer, *two)
        await asyncio.to_thread(killed.kill)
        await until(lambda: len(lines(caplog, "change stream interrupted")) >= 2, "the lagging member")
        slow.lag(lags=False)
        await writer.acknowledge(20)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    no_traceback(caplog)


async def test_a_secondary_that_hangs_is_left_for_another(
    nodes: ReplicaSet, database_name: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STALE_AFTER_S", 1.0)  # before the driver drops the member
    async with (
        writing(nodes.url, database_name) as writer,
        running(
            settings_for(url_of(nodes, "secondaryPreferred"), database_name, relay_known_tasks_max=1)
        ) as relay,
        watching(relay, *(two := watchers())),
    ):
        await writer.acknowledge(20)
        await caught_up(writer, *two)
        hung = await is_followed(nodes, database_name, *nodes.secondaries())
        # When the followed member stops answering without closing its connections,
        hung.pause()
        await writer.acknowledge(20)
        await until(lambda: two[0].received("stream:status", state="stale"), "the status stale")
        # then clients are sent `stale`, and the rest from another member.
        await until(lambda: two[0].received("stream:status", state="live"), "the status live")
        await writer.acknowledge(20)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
        hung.go_on()
        await writer.acknowledge(20)
        await check_received(writer, *two)
    no_traceback(caplog)


async def test_the_stream_leaves_a_secondary_that_becomes_the_primary(
    nodes: ReplicaSet, database_name: str, caplog: Any
) -> None:
    caplog.set_level("INFO", "relay")
    async with (
        writing(nodes.url, database_name) as writer,
        running(
            settings_for(url_of(nodes, "secondaryPreferred"), database_name, relay_known_tasks_max=1)
        ) as relay,
        watching(relay, *(two := watchers())),
    ):
        chosen = await is_followed(nodes, database_name, *nodes.secondaries())
        async with writer.busy():
            await writer.acknowledge(20)
            with chosen.client() as client:
                while not chosen.is_primary():
                    try:
                        client.admin.command("replSetStepUp")
                    except OperationFailure:
                        await asyncio.sleep(0.1)
            await writer.acknowledge(20)
            assert await is_followed(nodes, database_name, *await asyncio.to_thread(nodes.secondaries))
            await writer.acknowledge(20)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    assert lines(caplog, MOVES)
    no_traceback(caplog)


async def test_the_stream_follows_the_primary_of_each_term_if_it_is_preferred(
    nodes: ReplicaSet, database_name: str, caplog: Any
) -> None:
    async with (
        writing(nodes.url, database_name) as writer,
        running(
            settings_for(url_of(nodes, "primaryPreferred"), database_name, relay_known_tasks_max=1)
        ) as relay,
        watching(relay, *(two := watchers())),
    ):
        assert await is_followed(nodes, database_name, await asyncio.to_thread(nodes.primary))
        async with writer.busy():
            await writer.acknowledge(20)
            new = await asyncio.to_thread(nodes.step_down)
            assert await is_followed(nodes, database_name, new)
            await writer.acknowledge(20)
        await check_received(writer, *two)
        assert await figure(relay, "relay_stream_reopened_total") == 0
    no_traceback(caplog)


async def test_the_relay_starts_and_reads_while_there_is_no_primary(
    nodes: ReplicaSet, database_name: str
) -> None:
    async with writing(nodes.url, database_name) as writer:
        await writer.acknowledge(24)
        alone, *_ = nodes.secondaries()
        written = majority_time(nodes.primary())
        await until(lambda: majority_time(alone) >= written, "a secondary with every event")
        others = [node for node in nodes.members if node is not alone]
        for node in others:
            await asyncio.to_thread(node.kill)
        async with (
            running(settings_for(url_of(nodes, "secondaryPreferred"), database_name)) as relay,
            watching(relay, *(two := watchers())),
        ):
            assert await is_followed(nodes, database_name, alone)
            assert len(two[0].numbers("t1")) == 4
            for node in others:
                await asyncio.to_thread(node.start)
            await asyncio.to_thread(nodes.primary)
            await writer.acknowledge(20)
            await check_received(writer, *two)
            assert await figure(relay, "relay_stream_reopened_total") == 0
