"""Relays that share one change stream through Redis: clients see nothing of what happens to Redis and to the relays."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from checker import JOINED, Watcher, Writer, caught_up, check_received, until, watching, writing
from fleet import Fleet, Mover, moving
from support.valkey import Valkey

redis = pytest.importorskip("redis")

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
KEY = secrets.token_hex(32)
STREAM = "relay.source.shared.redis_stream"
# Shorter than in production, so that a test does not wait for minutes.
LEASE = {f"{STREAM}.LEASE_MS": 1000}


@dataclass
class Scene:
    """What a fault may touch, while a writer writes and clients watch."""

    fleet: Fleet
    valkey: Valkey
    writer: Writer
    database: str
    chance: random.Random

    @property
    def client(self) -> Any:
        """A client of Redis that tries everything once."""
        return redis.Redis.from_url(self.valkey.url, retry=None)

    def key(self, name: str) -> str:
        return f"relay:v1:{{{self.database}.tasks}}:{name}"


@dataclass(frozen=True)
class Row:
    """A fault, and what has to be prepared for it."""

    happens: Callable[[Scene], Awaitable[None]]
    patches: dict[str, float] = field(default_factory=lambda: LEASE)
    settings: dict[str, str] = field(default_factory=dict)


async def leader_is_killed(scene: Scene) -> None:
    for _ in range(2):
        leader = await scene.fleet.leader()
        leader.kill()
        await scene.writer.acknowledge(20)
        leader.start()
        await scene.fleet.settled()


async def leader_is_paused(scene: Scene) -> None:
    old = await scene.fleet.leader()
    old.pause()
    others = [one for one in scene.fleet if one is not old]
    async with asyncio.timeout(60):
        while not any([await one.is_("leading") for one in others]):
            await scene.writer.acknowledge(1)
    await scene.writer.acknowledge(50)
    old.resume()
    await scene.fleet.settled()


async def lease_is_stolen(scene: Scene) -> None:
    for _ in range(8):
        await scene.fleet.leader()
        with scene.client as client:
            client.set(scene.key("lease"), "a thief+", px=scene.chance.randint(50, 500))
        await scene.writer.acknowledge(10)
    await scene.fleet.settled()
    assert await scene.fleet.total("relay_shared_leads_total") > 1


async def everything_is_flushed(scene: Scene) -> None:
    for _ in range(5):
        with scene.client as client:
            client.flushall()
        await scene.writer.acknowledge(10)


async def redis_is_killed(scene: Scene) -> None:
    scene.valkey.kill()
    for one in scene.fleet:
        await until_role(one, "alone")
    await scene.writer.acknowledge(50)
    await asyncio.to_thread(scene.valkey.restart)


async def redis_forgets_the_newest_entries(scene: Scene) -> None:
    with scene.client as client:
        for _ in range(3):
            copy, size = client.dump(scene.key("changes")), client.xlen(scene.key("changes"))
            async with asyncio.timeout(60):
                while client.xlen(scene.key("changes")) < size + 40:
                    await scene.writer.acknowledge(1)
            client.restore(scene.key("changes"), 0, copy, replace=True)
            await scene.writer.acknowledge(10)


async def until_role(one: Any, role: str) -> None:
    async with asyncio.timeout(60):
        while not await one.is_(role):
            await asyncio.sleep(0.02)


ROWS = [
    Row(leader_is_killed),
    Row(leader_is_paused),
    Row(lease_is_stolen),
    Row(everything_is_flushed),
    Row(redis_is_killed),
    Row(redis_forgets_the_newest_entries),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.happens.__name__)
async def test_relays_that_share_a_stream_lose_and_repeat_nothing_when(
    row: Row, mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    print(f"RELAY_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    with Valkey() as valkey:
        settings = {
            "RELAY_MONGO_URL": mongo_url,
            "RELAY_MONGO_DATABASE": database_name,
            "RELAY_REDIS_URL": valkey.url,
            "RELAY_REDIS_KEY": KEY,
            **row.settings,
        }
        async with AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(Fleet(tmp_path, settings, row.patches))
            writer = await stack.enter_async_context(writing(mongo_url, database_name))
            await fleet.settled()
            staying = [Watcher(JOINED, dashboard=number == 0) for number in range(len(fleet))]
            for one, watcher in zip(fleet, staying, strict=True):
                await stack.enter_async_context(watching(lambda one=one: one.url, watcher))
            movers = [Mover(JOINED, chance), Mover(JOINED[:2], chance, dashboard=True)]
            moves = await moving(fleet, *movers)
            try:
                async with writer.busy():
                    await writer.acknowledge(20)
                    await row.happens(Scene(fleet, valkey, writer, database_name, chance))
                    await writer.acknowledge(50)
                    await fleet.settled()
                    await until(lambda: all(mover.polls for mover in movers), "a poll of each mover", moves)
                await caught_up(writer, *staying)
                assert not any(task.done() for task in moves), moves
                await check_received(writer, *staying, *movers)
                assert await fleet.total("relay_stream_reopened_total") == 0
            finally:
                for task in moves:
                    task.cancel()
                ended = await asyncio.gather(*moves, return_exceptions=True)
            assert not [failure for failure in ended if isinstance(failure, Exception)]
        said = fleet.said()
        assert "change stream reopened" not in said
        assert "Traceback" not in said, said[said.index("Traceback") :][:5000]
