"""Relays that share one change stream through Redis: clients see nothing of what happens to Redis and to the relays.

RELAY_TEST_SEED repeats the moves of an earlier run.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import secrets
import signal
import time
from pathlib import Path

import pytest
from checker import LONG_S, POLL_S, caught_up, check_received, ready, until
from fleet import PATIENT_WITH_REDIS
from support.worker_processes import TAILER, WORKER

redis = pytest.importorskip("redis")

from sharing import (  # noqa: E402
    KEY,
    LEADER,
    LEASE,
    PASSWORD,
    STREAM,
    Fault,
    Row,
    Scene,
    restorable,
    sharing,
    three_members,
    with_tls_and_a_user,
)

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
NEW_KEY = secrets.token_hex(32)
KEPT = 50  # entries, where the row patches how many are kept


# What happens to the relays


async def leader_is_killed(scene: Scene) -> None:
    for _ in range(2):
        leader = await scene.fleet.leader()
        leader.kill()
        killed_at = time.monotonic()
        await scene.writer.acknowledge(10)  # some of each task
        others = [watcher for one in scene.fleet if one is not leader for watcher in scene.staying_at(one)]
        await caught_up(scene.writer, *others)
        print(f"received {time.monotonic() - killed_at:.1f} s after the end of the leader")
        leader.start()
        await scene.fleet.settled()


async def leader_is_paused(scene: Scene) -> None:
    old = await scene.fleet.leader()
    old.pause()
    await scene.takes("leading", *(one for one in scene.fleet if one is not old))
    await scene.writer.acknowledge(50)
    old.resume()


async def leader_is_cut_off_from_mongodb(scene: Scene) -> None:
    old = await scene.fleet.leader()
    proxy = scene.proxies[scene.fleet.index(old)]
    proxy.black_hole()
    await scene.takes("leading", *(one for one in scene.fleet if one is not old))
    await scene.writer.acknowledge(20)
    # It receives from Redis what the new leader writes, although it does not reach the database.
    await caught_up(scene.writer, *scene.staying_at(old))
    await proxy.heal()


def entries_written(scene: Scene) -> int:
    with scene.client() as client:
        return int(client.xinfo_stream(scene.key("changes"))["entries-added"])


async def follower_is_paused_beyond_the_kept_entries(scene: Scene) -> None:
    leader = await scene.fleet.leader()
    follower = next(one for one in scene.fleet if one is not leader)
    async with asyncio.timeout(LONG_S):
        # If the pause lasted so long that its connection to Redis has timed out, it follows MongoDB for a moment,
        # which closes the hole, too.
        while not await follower.figure("relay_shared_bridged_total"):
            await scene.fleet.settled()
            follower.pause()
            enough = entries_written(scene) + 2 * KEPT
            while entries_written(scene) < enough:  # a slow leader writes several changes in one entry
                await scene.writer.acknowledge(KEPT)
            follower.resume()
            await caught_up(scene.writer, *scene.staying_at(follower))


async def all_are_restarted_one_after_the_other(scene: Scene) -> None:
    for one in scene.fleet:
        await one.stop()
        # The lease would last for ten minutes, had it not been given up.
        await scene.fleet.leader()
        one.start()
        await one.gets_ready()


async def the_key_is_rotated(scene: Scene) -> None:
    for keys in (f"{NEW_KEY},{KEY}", NEW_KEY):
        for one in scene.fleet:
            await one.stop()
            one.start(RELAY_REDIS_KEY=keys)
            await one.gets_ready()
            await scene.fleet.settled()
    assert "cannot be decrypted" not in scene.fleet.said()


async def tailer_and_a_worker_are_killed_together(scene: Scene) -> None:
    for one in (await scene.fleet.leader(), *scene.fleet):
        for module in (TAILER, WORKER):
            os.kill(scene.chance.choice(one.children(module)), signal.SIGKILL)
        await scene.writer.acknowledge(20)
        await one.gets_ready()
        await scene.fleet.settled()


# What happens to Redis


async def nothing(scene: Scene) -> None:
    await scene.writer.acknowledge(50)
    assert await scene.fleet.total("relay_shared_bridged_total") == 0


async def lease_is_stolen(scene: Scene) -> None:
    for _ in range(8):
        await scene.fleet.leader()
        with scene.client() as client:
            client.set(scene.key("lease"), "a thief+", px=scene.chance.randint(50, 500))
        await scene.writer.acknowledge(10)
    await scene.fleet.settled()
    assert await scene.fleet.total("relay_shared_leads_total") > 1


async def everything_is_flushed(scene: Scene) -> None:
    for _ in range(5):
        with scene.client() as client:
            client.flushall()
        await scene.writer.acknowledge(10)


async def redis_is_killed(scene: Scene) -> None:
    await asyncio.to_thread(scene.valkey.kill)
    await scene.all_alone()
    await scene.writer.acknowledge(50)
    await asyncio.to_thread(scene.valkey.restart)


async def redis_is_paused(scene: Scene) -> None:
    scene.valkey.pause()
    await scene.all_alone()
    await scene.writer.acknowledge(50)
    scene.valkey.resume()


async def redis_is_away_and_all_wait(scene: Scene) -> None:
    await asyncio.to_thread(scene.valkey.kill)
    for one in scene.fleet:
        await ready(one.url, 503, within_s=LONG_S)
    async with asyncio.timeout(LONG_S):
        while await asyncio.to_thread(scene.streams):
            await asyncio.sleep(POLL_S)
    await scene.writer.acknowledge(50)
    assert await asyncio.to_thread(scene.streams) == 0
    await asyncio.to_thread(scene.valkey.restart)
    for one in scene.fleet:
        await one.gets_ready()


async def redis_forgets_the_newest_entries(scene: Scene) -> None:
    with scene.client() as client:
        for _ in range(3):
            copy, size = client.dump(scene.key("changes")), client.xlen(scene.key("changes"))
            async with asyncio.timeout(LONG_S):
                while client.xlen(scene.key("changes")) < size + 40:
                    await scene.writer.acknowledge(1)
            client.restore(scene.key("changes"), 0, copy, replace=True)
            await scene.writer.acknowledge(10)


async def redis_has_no_memory_left(scene: Scene) -> None:
    with scene.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        full_at = time.monotonic()
        client.config_resetstat()
        await scene.all_alone()
        async with asyncio.timeout(LONG_S):
            while time.monotonic() - full_at < 4:
                await scene.writer.acknowledge(5)
        attempts = client.info("commandstats")["cmdstat_eval"]["calls"]
        elapsed_s = time.monotonic() - full_at
        # The leader has tried to append and to leave in addition. Each attempt runs the script again while there are
        # entries to remove.
        assert attempts <= 2 * (len(scene.fleet) * most_attempts(elapsed_s) + 1) + 1
        client.config_set("maxmemory", 0)


def most_attempts(elapsed_s: float) -> int:
    """How often a relay tries that Redis refuses: with pauses of at least 0.5, 1, 2, 4 seconds, and then always 5."""
    starts = itertools.accumulate(itertools.chain((0, 0.5, 1, 2, 4), itertools.repeat(5)))
    return sum(1 for _ in itertools.takewhile(lambda start: start <= elapsed_s, starts))


# What happens to MongoDB


async def primary_steps_down(scene: Scene) -> None:
    await asyncio.to_thread(scene.mongo.step_down)
    await scene.writer.acknowledge(50)


async def mongod_is_restarted(scene: Scene) -> None:
    await asyncio.to_thread(scene.mongo.restart)
    await scene.writer.acknowledge(50)


async def another_database_takes_the_address(scene: Scene) -> None:
    await asyncio.to_thread(scene.mongo.copy)
    await scene.writer.acknowledge(50)
    await caught_up(scene.writer, *scene.staying)
    await asyncio.to_thread(scene.mongo.restore)
    scene.writer.acknowledged = {task: [] for task in scene.writer.tasks}
    await scene.writer.acknowledge(10)
    for one in scene.fleet:
        async with asyncio.timeout(LONG_S):
            while not await one.figure("relay_stream_reopened_total"):
                await asyncio.sleep(POLL_S)


ROWS = [
    Row(
        [
            lease_is_stolen,  # first, because it counts how often a relay has led
            everything_is_flushed,
            redis_forgets_the_newest_entries,
            redis_has_no_memory_left,
            redis_is_killed,
            redis_is_paused,
        ]
    ),
    Row([nothing, redis_is_killed], redis=with_tls_and_a_user),
    Row(
        [leader_is_cut_off_from_mongodb, leader_is_killed, leader_is_paused],
        {**LEASE, **PATIENT_WITH_REDIS},
        cuttable=True,
    ),
    Row(
        [follower_is_paused_beyond_the_kept_entries],
        {**LEASE, f"{STREAM}.KEPT_ENTRIES": KEPT, **PATIENT_WITH_REDIS},
    ),
    Row([all_are_restarted_one_after_the_other], {f"{STREAM}.LEASE_MS": 600_000, f"{LEADER}.FAREWELL_S": 30}),
    # All know the new key already; until then, nothing is encrypted with it.
    Row([the_key_is_rotated], settings={"RELAY_REDIS_KEY": f"{KEY},{NEW_KEY}"}, relays=2),
    Row([tailer_and_a_worker_are_killed_together], arguments=("--workers", "2"), relays=2, stay=2),
    Row(
        [redis_is_away_and_all_wait],
        {**LEASE, "relay.health.STALE_AFTER_S": 2},
        settings={"RELAY_BUS_FALLBACK": "wait"},
    ),
    # A new primary may be slow to learn what is committed, and has to show the last change.
    Row([primary_steps_down], {**LEASE, "relay.source.tail.WITNESS_MS": 20_000}, mongo=three_members),
    Row(
        [mongod_is_restarted, another_database_takes_the_address],
        mongo=restorable,
        reopens=another_database_takes_the_address,
    ),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_relays_that_share_a_stream_lose_and_repeat_nothing_when(
    row: Row, mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    print(f"RELAY_TEST_SEED={SEED}")
    async with sharing(row, mongo_url, database_name, tmp_path, SEED) as scene:
        for fault in row.faults:
            print(fault.__name__)
            await nobody_notices(fault, scene, reopened=fault is row.reopens)
    said = scene.fleet.said()
    assert "Traceback" not in said, said[said.index("Traceback") :][:5000]
    assert PASSWORD not in said


async def nobody_notices(fault: Fault, scene: Scene, *, reopened: bool) -> None:
    """Check that each client receives each event once, although this happens."""
    fleet, writer = scene.fleet, scene.writer
    polls = [mover.polls for mover in scene.movers]
    async with writer.busy():
        await writer.acknowledge(20)
        await caught_up(writer, *scene.staying)  # a relay can resume only once it has handled a change
        await fault(scene)
        await writer.acknowledge(50)
        await fleet.settled()
        await until(
            lambda: all(mover.polls > before for mover, before in zip(scene.movers, polls, strict=True)),
            "a poll of each mover",
        )
    await caught_up(writer, *scene.staying)
    await check_received(writer, *scene.staying, *scene.movers)
    counts = [await one.figure("relay_stream_reopened_total") for one in fleet]
    assert all(counts) if reopened else not any(counts)
    assert ("change stream reopened" in fleet.said()) == reopened
