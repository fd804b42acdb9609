"""A real Prometheus scrapes a real relay: each expression of the board and of the alerts finds its series, and three
faults fire their alerts and end them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from checker import LONG_S
from proxy import Proxy
from pymongo import AsyncMongoClient
from support.polling_client import post
from support.prometheus import Prometheus, prometheus, quick, rules, selectors
from support.relay_fixture import SECRET, connected
from support.slow_client import reading_slowly
from support.trouble import LARGE, PAUSE_S, meanwhile, too_many_requests
from support.worker_processes import workers

from relay.cli.demo import mongod as embedded
from scripts import generated_board

# The alerts that the faults fire. Others, such as RelayShortOfCPU, may fire at any time on a busy machine.
OF_DATABASE = ("RelayNotReady", "RelayStale", "RelayBehind", "RelayDatabaseErrors")
OF_CLIENTS = ("RelayReadersLag", "RelayFlooded")
WRITES_PER_SECOND = 20


@pytest.mark.timeout(6 * LONG_S)  # the steps have limits of their own
async def test_faults_fire_their_alerts_and_end_them(
    mongo_url: str, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.prometheus.SOON_S", LONG_S)  # an alert takes ten seconds on an idle machine
    port = int(mongo_url.partition("127.0.0.1:")[2].partition("/")[0])
    async with Proxy(port) as way, AsyncMongoClient(mongo_url) as mongo:
        given = {
            "RELAY_MONGO_URL": f"mongodb://127.0.0.1:{way.port}/?directConnection=true",
            "RELAY_MONGO_DATABASE": database_name,
            "RELAY_JWT_SECRET": SECRET,
            "RELAY_PORT": "0",
            "RELAY_ADMIN_PORT": str(admin := embedded.free_port()),
            "RELAY_WORKERS": "2",  # so that the metrics about workers and about a shared stream are there
            "RELAY_OUTBOX_MAX_BYTES": "65536",
            "RELAY_LIST_UPDATE_MIN_INTERVAL_MS": "0",
        }
        tasks = mongo[database_name]["tasks"]
        await tasks.insert_many(
            [{"_id": task, "createdBy": "alice", "events": []} for task in ("t", "large")]
        )

        async def write() -> None:
            while True:
                await tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": 1}}})
                await asyncio.sleep(1 / WRITES_PER_SECOND)

        async with workers(tmp_path, **given) as relay:
            await relay.ready(2, f"http://127.0.0.1:{admin}")

            async def read() -> None:
                async with connected(relay.url, "/ws/dashboard") as client, connected(relay.url) as other:
                    await other.send("task:join", {"taskId": "t"})
                    while True:
                        await client.next()

            async def poll() -> None:
                while True:
                    await post(relay.url, {"dashboard": {}})
                    await asyncio.sleep(1)

            async with prometheus(tmp_path, f"127.0.0.1:{admin}") as watching, meanwhile(write, read, poll):
                # While all is well, every expression has a series, and none of these alerts fires.
                await all_are_found(watching)
                await watching.rests(*OF_DATABASE, *OF_CLIENTS)

                # When the database is away, the relay is not ready, and says why. When it is back, all is well.
                way.refuse()
                await watching.fires(*OF_DATABASE)
                await way.accept()
                await watching.rests(*OF_DATABASE)

                # When readers take less than they are sent, and somebody asks all the time, both are noticed,
                async def fall_behind() -> None:
                    while True:
                        await tasks.update_one({"_id": "large"}, {"$set": {"events": []}})
                        async with reading_slowly(relay.url) as slow:
                            await slow.send("task:join", {"taskId": "large"})
                            for _ in range(400):
                                await tasks.update_one(
                                    {"_id": "large"}, {"$push": {"events": {"text": LARGE}}}
                                )

                async def flood() -> None:
                    for number in range(1_000):
                        async with connected(relay.url, sub=f"busy {number % 10}") as client:
                            await too_many_requests(client)
                        await asyncio.sleep(PAUSE_S)

                async with meanwhile(fall_behind, flood):
                    await watching.fires(*OF_CLIENTS)
                # until it is over.
                await watching.rests(*OF_CLIENTS)


async def all_are_found(watching: Prometheus) -> None:
    """Wait until each expression of the board, and each series in the rules, is found."""
    board = [
        quick(one).replace("$job", "relay").replace("$instance", ".*")
        for one in generated_board.expressions()
    ]
    series = {one for rule in rules() for one in selectors(rule["expr"])}
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    await watching.finds(*board, *series, *recorded)
