"""Options of `RELAY_MONGO_URL` over a real MongoDB: none changes how the relay waits and reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pymongo import MongoClient
from support.mongo_url_options import CONTRARY_VALUES
from support.relay_fixture import connected, running, settings_for

from relay.source.client import client_of
from relay.source.decoder import Decoder
from relay.source.tail import Tail
from relay.tasks.mapping import Mapping

WAITS = ("timeoutMS=30000", "timeoutMS=1", "socketTimeoutMS=1", "serverSelectionTimeoutMS=1")


@pytest.mark.parametrize("options", WAITS)
async def test_no_option_changes_how_long_the_stream_waits_for_changes(
    options: str, mongo_url: str, database_name: str
) -> None:
    """timeoutMS replaced the wait of every getMore, so the relay was stale until somebody wrote."""
    mapping = Mapping()
    async with client_of(settings_for(f"{mongo_url}&{options}", database_name)) as mongo:
        decoder = Decoder(mapping.events, names=mapping.names())
        tail = Tail(mongo, database_name, "tasks", decoder, jitter=lambda: 0.0)
        await tail.open()
        batches = tail.batches()
        async with asyncio.timeout(60):  # three waits of the options' length would take longer
            for _ in range(3):
                assert await anext(batches)
        await batches.aclose()


async def test_a_relay_with_every_ignored_option_works_as_without_them(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    options = "&".join(f"{name}={value}" for name, value in CONTRARY_VALUES.items())
    async with (
        running(settings_for(f"{mongo_url}&{options}", database_name)) as relay,
        connected(relay, roles=["admin"]) as client,
    ):
        await client.send("dashboard:join")
        await client.until("dashboard:state")
        await asyncio.to_thread(mongo[database_name].tasks.insert_one, {"_id": "t", "title": "Fix"})
        await client.until("dashboard:task_list_updated", taskId="t")


@pytest.mark.parametrize(
    "options",
    [
        "compressors=zlib&zlibCompressionLevel=9",
        "maxIdleTimeMS=1",
        "serverMonitoringMode=poll",
        "localThresholdMS=0",
        "readPreference=secondaryPreferred&readPreferenceTags=dc:nowhere&readPreferenceTags=",
        "appName=mine",
        "tls=false",
        "tlsInsecure=true",
        "authSource=elsewhere",
    ],
)
async def test_a_relay_works_with_the_options_that_it_uses(
    options: str, mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    async with (
        running(settings_for(f"{mongo_url}&{options}", database_name)) as relay,
        connected(relay, roles=["admin"]) as client,
    ):
        await client.send("dashboard:join")
        await client.until("dashboard:state")
        await asyncio.to_thread(mongo[database_name].tasks.insert_one, {"_id": "t", "title": "Fix"})
        await client.until("dashboard:task_list_updated", taskId="t")
