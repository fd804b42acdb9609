"""Relays that are cut off from MongoDB: one that follows through Redis, and workers that are given another mapping."""

from __future__ import annotations

import asyncio
import secrets
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from checker import LONG_S, POLL_S, fetch, ready, until
from fleet import PATIENT_WITH_REDIS, Instance
from proxy import Proxy
from pymongo import MongoClient
from support.relay_fixture import SECRET, connected
from support.valkey import Valkey
from support.worker_processes import workers

from relay.cli.demo import mongod as embedded

pytestmark = pytest.mark.timeout(3 * LONG_S)  # the steps have limits of their own


async def test_a_follower_that_cannot_reach_mongodb_itself_is_not_ready(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    port = int(mongo_url.partition("127.0.0.1:")[2].partition("/")[0])
    patches = {"relay.source.opening.LOOK_S": 0.1, **PATIENT_WITH_REDIS}
    with Valkey() as valkey:
        settings = {
            "RELAY_MONGO_DATABASE": database_name,
            "RELAY_REDIS_URL": valkey.url,
            "RELAY_REDIS_KEY": secrets.token_hex(32),
        }
        async with Proxy(port) as way:
            theirs = {"RELAY_MONGO_URL": f"mongodb://127.0.0.1:{way.port}/?directConnection=true"}
            leader = Instance(tmp_path / "leader.log", settings | {"RELAY_MONGO_URL": mongo_url}, patches)
            follower = Instance(tmp_path / "follower.log", settings | theirs, patches)
            try:
                # Given a relay that leads and one that follows it,
                leader.start()
                await ready(leader.url, 200)
                follower.start()
                await ready(follower.url, 200)
                await follower.becomes("following")
                # when only the follower loses MongoDB,
                way.refuse()
                # then it takes no new clients, although it still hears of every change.
                async with asyncio.timeout(LONG_S):
                    while not await is_unready_but_not_stale(follower):
                        await asyncio.sleep(POLL_S)
                assert await follower.is_("following")
                await ready(leader.url, 200)
                await until(lambda: "MongoDB does not answer" in follower.log.read_text(), "the reason")
                # When it has MongoDB back, it takes clients again.
                await way.accept()
                await ready(follower.url, 200)
            finally:
                follower.kill()
                leader.kill()


async def is_unready_but_not_stale(relay: Instance) -> bool:
    status, body = await fetch(relay.url, "/readyz")
    return status == 503 and '"stale":false' in body


async def test_workers_keep_their_clients_if_the_mapping_cannot_be_changed_without_the_database(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    rule = '[[visibility.rules]]\nname = "{0}"\nfield = "{0}"\nclaim = "sub"\n'
    (mapping := tmp_path / "mapping.toml").write_text(rule.format("createdBy"))
    with MongoClient[dict[str, Any]](mongo_url) as client:
        client[database_name]["tasks"].insert_one({"_id": "t", "createdBy": "alice"})
    async with Proxy(urlsplit(mongo_url).port or 0) as proxy:
        given = {
            "RELAY_MONGO_URL": f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true",
            "RELAY_MONGO_DATABASE": database_name,
            "RELAY_JWT_SECRET": SECRET,
            "RELAY_PORT": str(embedded.free_port()),
            "RELAY_WORKERS": "2",
            "RELAY_MAPPING": str(mapping),
            "RELAY_HEARTBEAT_MS": "120000",  # so that none is among what clients are told
            "RELAY_PING_TIMEOUT_MS": "60000",
        }
        async with workers(tmp_path, **given) as relay, AsyncExitStack() as stack:
            # Given clients of both workers,
            clients = [await stack.enter_async_context(connected(relay.url)) for _ in range(12)]
            for one in clients:
                await one.send("task:join", {"taskId": "t"})
                await one.until("task:state")
            # when the mapping changes while the database is away,
            proxy.black_hole()
            mapping.write_text(rule.format("owner"))
            relay.process.send_signal(signal.SIGHUP)
            await relay.says(
                "not reloaded: The mapping cannot be changed while the database does not answer."
            )
            # then no worker ends, and nobody is told anything of it;
            assert "is started again" not in relay.said()
            for one in clients:
                assert {frame["type"] for frame in await one.quiet()} <= {"stream:status"}
            # when the database is back, it changes.
            await proxy.heal()
            async with asyncio.timeout(LONG_S):
                while "reloaded changed=['RELAY_MAPPING']" not in relay.said():
                    relay.process.send_signal(signal.SIGHUP)
                    await asyncio.sleep(1)
            for one in clients:
                await one.until("task:revoked", taskId="t")
