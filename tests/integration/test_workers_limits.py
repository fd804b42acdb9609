"""Limits on connections that hold for all workers together, also after some of them have died or were replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from support.relay_fixture import token
from support.worker_clients import clients, is_connected, spread
from support.worker_processes import Workers, samples, until, workers
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

LIMIT = 6


@pytest.fixture(params=["RELAY_MAX_CONNECTIONS", "RELAY_MAX_CONNECTIONS_PER_USER"])
def limited(request: pytest.FixtureRequest, two_workers: dict[str, str]) -> dict[str, str]:
    """Settings for a relay with two workers that admits few connections."""
    return two_workers | {str(request.param): str(LIMIT), "RELAY_DRAIN_MS": "100"}


async def is_admitted(relay: Workers) -> bool:
    """Whether a further client is admitted. It leaves at once."""
    headers = {"Authorization": f"Bearer {token('alice')}"}
    address = relay.url.replace("http", "ws", 1) + "/ws"
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        try:
            return '"welcome"' in str(await socket.recv())
        except ConnectionClosed:
            assert socket.close_code == 4430
            return False


async def nobody_is_connected(relay: Workers) -> None:
    await until(lambda: samples(relay.url), lambda found: found["relay_connections"] == 0)


async def test_a_limit_holds_for_all_workers_together(limited: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **limited) as relay:
        async with clients(relay.url, LIMIT):
            assert [await is_admitted(relay) for _ in range(10)] == [False] * 10
        await nobody_is_connected(relay)
        # Places are free again after clients have left.
        async with clients(relay.url, LIMIT):
            pass


async def test_the_clients_of_a_killed_worker_no_longer_count(
    limited: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **limited) as relay, clients(relay.url, LIMIT) as members:
        found = spread(await samples(relay.url))
        busier = relay.children()[found.index(max(found))]
        os.kill(busier, signal.SIGKILL)
        await relay.says("a process of the relay ended and will be started again")
        left = sum([await is_connected(client) for client in members])
        assert left < LIMIT
        async with clients(relay.url, LIMIT - left):
            assert not await is_admitted(relay)


async def test_the_clients_of_replaced_workers_no_longer_count(
    limited: dict[str, str], tmp_path: Path
) -> None:
    """A new process counts before the one that it replaces has ended: more often than there are places to count in."""
    async with workers(tmp_path, **limited) as relay:
        for time in range(1, 4):
            async with clients(relay.url, LIMIT):
                relay.process.send_signal(signal.SIGUSR1)
                await relay.says("a process of the relay was replaced", times=3 * time)
            await nobody_is_connected(relay)
        async with clients(relay.url, LIMIT):
            assert not await is_admitted(relay)


async def test_the_rate_of_a_user_holds_for_all_workers_together(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    """Ten connections at once, of which each counts as one request; a user may send five of them at once."""
    async with workers(tmp_path, **two_workers | {"RELAY_MESSAGES_PER_SECOND": "1"}) as relay:
        began = time.monotonic()
        admitted = sum(await asyncio.gather(*(is_within_rate(relay) for _ in range(10))))
        took = time.monotonic() - began
        # Two workers that admit a connection at the same moment count only one.
        assert 5 <= admitted <= 5 + took + 5
        assert [await is_within_rate(relay) for _ in range(8)].count(False) >= 3


async def is_within_rate(relay: Workers) -> bool:
    """Whether a further client is welcomed; else it is refused because of the rate. It leaves at once."""
    headers = {"Authorization": f"Bearer {token('alice')}"}
    address = relay.url.replace("http", "ws", 1) + "/ws"
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        try:
            return '"welcome"' in str(await socket.recv())
        except ConnectionClosed:
            assert socket.close_code == 4429
            return False
