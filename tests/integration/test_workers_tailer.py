"""The process that follows the change stream for all workers: one stream for all, and what happens without it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from support.relay_fixture import SOON_S, SocketClient
from support.valkey import Valkey
from support.worker_clients import clients, is_connected, spread
from support.worker_processes import ANY, TAILER, Workers, runs, samples, until, workers


@pytest.fixture
def streams_of(mongo: MongoClient[dict[str, Any]]) -> Callable[..., Any]:
    """A function that counts the change streams on the tasks of a database that somebody reads, as the server sees
    them. (It keeps the stream of a process that was killed for ten minutes.)"""
    read = {
        "cursor.originatingCommand.pipeline.0.$changeStream": {"$exists": True},
        "$expr": {"$gt": ["$cursor.lastAccessDate", {"$subtract": ["$$NOW", 2_000]}]},
    }

    def count(database: str) -> int:
        of_database = {"$match": read | {"ns": f"{database}.tasks"}}
        operations = mongo.admin.aggregate(
            [{"$currentOp": {"allUsers": True, "idleCursors": True}}, of_database]
        )
        return len({operation["cursor"]["cursorId"] for operation in operations})

    return lambda database: partial(asyncio.to_thread, count, database)


@pytest.fixture
def streams(streams_of: Callable[..., Any], database_name: str) -> Callable[[], Any]:
    """A function that counts the change streams on the tasks of this test."""
    return streams_of(database_name)


@asynccontextmanager
async def dashboards(url: str, count: int) -> AsyncIterator[list[SocketClient]]:
    """Connect so many clients, and wait until each has the list."""
    async with clients(url, count, "/ws/dashboard") as members:
        for client in members:
            await client.until("dashboard:state")
        yield members


async def all_receive(members: list[SocketClient], tasks: Any, task: str) -> None:
    """Write a task, and see that each client receives it once."""
    tasks.insert_one({"_id": task, "createdBy": "alice", "events": []})
    for client in members:
        assert (await client.until("task:created"))["data"]["taskId"] == task


async def leads(relay: Workers) -> float:
    """Whether the tailer of this relay leads, as soon as it answers the parent in time."""
    role = 'relay_shared_role{role="leading"}'
    return (await until(lambda: samples(relay.url), lambda found: role in found))[role]


async def test_all_workers_share_one_change_stream(
    relay: Workers, relay_tasks: Any, streams_of: Callable[..., Any]
) -> None:
    streams = streams_of(relay_tasks.database.name)
    assert len(relay.children(TAILER)) == 1
    await until(streams, lambda count: count == 1)
    async with dashboards(relay.url, 20) as members:
        assert min(spread(await samples(relay.url))) > 0
        await all_receive(members, relay_tasks, "t")
        await until(streams, lambda count: count == 1)


async def test_without_the_tailer_each_worker_follows_the_stream_until_it_is_there_again(
    relay: Workers, relay_tasks: Any, streams_of: Callable[..., Any]
) -> None:
    streams = streams_of(relay_tasks.database.name)
    await until(streams, lambda count: count == 1)
    (tailer,) = relay.children(TAILER)
    async with dashboards(relay.url, 20) as members:
        # When the tailer is stopped, so that the parent does not notice,
        os.kill(tailer, signal.SIGSTOP)
        await all_receive(members, relay_tasks, "while it is stopped")
        # and then dies,
        os.kill(tailer, signal.SIGKILL)
        await relay.says("worker='tailer' ended='SIGKILL'")
        await all_receive(members, relay_tasks, "while it is dead")
        # then its successor follows the stream for all, and no client has noticed anything.
        await until(streams, lambda count: count == 1)
        await all_receive(members, relay_tasks, "afterwards")
        assert [await is_connected(client) for client in members] == [True] * 20
        said = await samples(relay.url)
        assert said["relay_stream_reopened_total"] == 0
        assert said['relay_worker_restarts_total{worker="tailer"}'] == 1


async def test_the_tailer_serves_until_the_last_worker_has_ended(
    two_workers: dict[str, str], tasks: Any, tmp_path: Path, streams: Callable[[], Any]
) -> None:
    """Some process managers send the signal to all processes of a service at once."""
    async with workers(tmp_path, **two_workers | {"RELAY_DRAIN_MS": "60000"}) as relay:
        await until(streams, lambda count: count == 1)
        (tailer,) = relay.children(TAILER)
        async with dashboards(relay.url, 10) as members:
            # Given a relay that says goodbye to its clients,
            for child in relay.children(ANY):
                os.kill(child, signal.SIGTERM)
            relay.process.send_signal(signal.SIGTERM)
            for client in members:
                await client.until("server:draining")
            # they are sent what happens meanwhile;
            await all_receive(members, tasks, "t")
            await until(streams, lambda count: count == 1)
            assert runs(tailer)
        # when all of them have left, all processes end.
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 0
        assert not runs(tailer)
        assert "will be started again" not in relay.said()


async def test_the_tailer_shares_the_stream_of_other_machines_for_all_workers(
    two_workers: dict[str, str], tasks: Any, tmp_path: Path, streams: Callable[[], Any]
) -> None:
    pytest.importorskip("redis")
    (tmp_path / "other").mkdir()
    with Valkey() as valkey:
        given = {**two_workers, "RELAY_REDIS_URL": valkey.url, "RELAY_REDIS_KEY": secrets.token_hex(32)}
        async with workers(tmp_path, **given) as relay, workers(tmp_path / "other", **given) as other:
            await until(streams, lambda count: count == 1)
            async with dashboards(relay.url, 5) as here, dashboards(other.url, 5) as there:
                await all_receive([*here, *there], tasks, "t")

                # The machine whose tailer leads stops, and the other one takes over.
                first, second = [await leads(one) for one in (relay, other)]
                assert [first, second] in ([1, 0], [0, 1])
                stopped, goes_on, kept = (relay, other, there) if first else (other, relay, here)
                assert await stopped.end() == 0
                await until(lambda: leads(goes_on), lambda answer: answer == 1)
                await all_receive(kept, tasks, "u")
                assert (await samples(goes_on.url))["relay_stream_reopened_total"] == 0
            assert await goes_on.end() == 0
    assert "Traceback" not in relay.said() + other.said()


async def test_a_redis_that_cannot_be_used_ends_the_start_with_one_sentence(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("redis")
    with Valkey(acl=["user default off"]) as valkey:
        url = valkey.url_as("relay", "hunter2")
        given = {**two_workers, "RELAY_REDIS_URL": url, "RELAY_REDIS_KEY": secrets.token_hex(32)}
        relay = Workers(tmp_path / "relay.log", **given)
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 3
    assert relay.said().count("Redis does not accept the user or the password") == 1
    assert "hunter2" not in relay.said()
