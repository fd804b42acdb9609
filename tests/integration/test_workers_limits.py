"""Limits on connections that hold for all workers together, also after some of them have died or were replaced."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from support.relay_fixture import connected
from support.worker_clients import clients, is_connected, spread
from support.worker_processes import Workers, samples, until, workers
from websockets.exceptions import ConnectionClosed

OF_A_USER, OF_ALL = 6, 8


@pytest.fixture(scope="module")
def lasting_settings() -> dict[str, str]:
    """Few connections for each user, and not many more for all together."""
    return {
        "RELAY_MAX_CONNECTIONS_PER_USER": str(OF_A_USER),
        "RELAY_MAX_CONNECTIONS": str(OF_ALL),
        "RELAY_DRAIN_MS": "100",
    }


async def is_admitted(relay: Workers, sub: str = "alice", *, refusal: int = 4430) -> bool:
    """Whether a further client of this user is welcomed; else it is refused with this close code. It leaves at once."""
    try:
        async with connected(relay.url, sub=sub):
            return True
    except ConnectionClosed as refused:
        assert refused.rcvd is not None
        assert refused.rcvd.code == refusal
        return False


async def nobody_is_connected(relay: Workers) -> None:
    await until(lambda: samples(relay.url), lambda found: found["relay_connections"] == 0)


async def test_limits_hold_for_all_workers_together(relay: Workers) -> None:
    for _ in range(2):  # places are free again after clients have left
        async with clients(relay.url, OF_A_USER):
            assert [await is_admitted(relay) for _ in range(10)] == [False] * 10
            async with clients(relay.url, OF_ALL - OF_A_USER, sub="bob"):
                assert [await is_admitted(relay, "bob") for _ in range(10)] == [False] * 10
        await nobody_is_connected(relay)


async def test_the_clients_of_a_killed_worker_no_longer_count(relay: Workers) -> None:
    async with (
        clients(relay.url, OF_A_USER) as members,
        clients(relay.url, OF_ALL - OF_A_USER, sub="bob") as others,
    ):
        found = spread(await samples(relay.url))
        busier = relay.children()[found.index(max(found))]
        os.kill(busier, signal.SIGKILL)
        await relay.says("a process of the relay ended and will be started again")
        left = sum([await is_connected(client) for client in members])
        left_of_all = left + sum([await is_connected(client) for client in others])
        assert left_of_all < OF_ALL
        async with clients(relay.url, OF_A_USER - left):
            assert not await is_admitted(relay)
            async with clients(relay.url, OF_ALL - OF_A_USER - (left_of_all - left), sub="bob"):
                assert not await is_admitted(relay, "bob")


async def test_the_clients_of_replaced_workers_no_longer_count(relay: Workers) -> None:
    """A new process counts before its predecessor has ended, and there are three places for the four of them."""
    async with clients(relay.url, OF_A_USER):
        relay.process.send_signal(signal.SIGUSR1)
        await relay.says("a process of the relay was replaced", times=3)
    await nobody_is_connected(relay)
    async with clients(relay.url, OF_A_USER):
        assert not await is_admitted(relay)
        async with clients(relay.url, OF_ALL - OF_A_USER, sub="bob"):
            assert not await is_admitted(relay, "bob")


async def test_the_rate_of_a_user_holds_for_all_workers_together(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    """Each connection counts as one request. A user may send five at once, and then one each second."""
    async with workers(tmp_path, **two_workers | {"RELAY_MESSAGES_PER_SECOND": "1"}) as relay:
        began = time.monotonic()
        admitted = [await is_admitted(relay, refusal=4429) for _ in range(15)].count(True)
        assert 5 <= admitted <= 6 + time.monotonic() - began
