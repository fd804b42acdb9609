"""Workers that are replaced by new processes while they have clients (SIGUSR1), and those that die."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.relay_fixture import connected
from support.worker_clients import clients, is_connected, visitors
from support.worker_processes import Workers, fetch, until


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path := tmp_path_factory.mktemp("mapping") / "mapping.toml").write_text("")
    return path


@pytest.fixture(scope="module")
def lasting_settings(mapping: Path) -> dict[str, str]:
    return {"RELAY_MAPPING": str(mapping)}


async def test_all_workers_are_replaced_without_a_refused_client(relay: Workers) -> None:
    async with visitors(relay.url, 20) as came:
        before = relay.children()

        async def ask_again_and_again() -> None:
            """Connect, see that the relay answers, and leave."""
            while True:
                async with connected(relay.url):
                    pass
                assert await asyncio.to_thread(fetch, f"{relay.url}/healthz") == (200, b'{"alive":true}')

        asking = asyncio.create_task(ask_again_and_again())
        relay.process.send_signal(signal.SIGUSR1)
        await relay.says("a process of the relay was replaced", times=3)
        state = await relay.ready(2)
        assert state["ready"]
        assert not asking.done(), asking.exception()
        asking.cancel()
        # No client met a closed port, and each was told to come back by a worker that went;
        assert [one.failures for one in came] == [[]] * len(came)
        assert all(one.codes for one in came)
        # new processes serve, and none of the old ones is left.
        after = relay.children()
        assert len(after) == 2
        assert not {*before} & {*after}
        assert relay.said().count("ended and will be started again") == 0


async def test_a_worker_stays_whose_successor_cannot_start(relay: Workers, mapping: Path) -> None:
    async with clients(relay.url, 10) as members:
        before = relay.children()
        mapping.write_text("[[[")
        relay.process.send_signal(signal.SIGUSR1)
        said = await relay.says("a process of the relay was not replaced")
        assert "worker='1' reason='The mapping file" in said
        # The others are not replaced either, and no client noticed anything.
        assert [await is_connected(client) for client in members] == [True] * 10
        assert relay.children() == before
        # When the mapping is mended, all are replaced.
        mapping.write_text("")
        relay.process.send_signal(signal.SIGUSR1)
        await relay.says("a process of the relay was replaced", times=3)
        assert not {*relay.children()} & {*before}


async def test_a_worker_that_dies_while_it_is_replaced_is_followed_by_one_other(relay: Workers) -> None:
    before = relay.children()
    os.kill(before[0], signal.SIGSTOP)  # so that it does not end by itself first
    relay.process.send_signal(signal.SIGUSR1)
    await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) > 2)
    os.kill(before[0], signal.SIGKILL)
    await until(lambda: asyncio.to_thread(relay.children), lambda found: not {*found} & {*before})
    await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) == 2)
    assert (await relay.ready(2))["ready"]


async def test_a_worker_ignores_the_signal_that_is_for_its_parent(relay: Workers) -> None:
    before = relay.children()
    for child in before:
        os.kill(child, signal.SIGUSR1)
    assert (await relay.ready(2))["ready"]
    assert relay.children() == before


async def test_a_worker_that_is_killed_is_started_again(relay: Workers) -> None:
    async with clients(relay.url, 20) as members, visitors(relay.url, 20) as came:
        before = relay.children()
        # When one of two workers is killed,
        killed, *_ = before
        os.kill(killed, signal.SIGKILL)
        said = await relay.says("a process of the relay ended and will be started again")
        assert "ended='SIGKILL' again_in_s=0.1" in said
        # then only its clients are disconnected, and all can connect meanwhile,
        async with clients(relay.url, 20):
            assert 0 < sum([await is_connected(client) for client in members]) < 20
            state = await relay.ready(2)
            assert state["ready"]
        # its clients are back at the first attempt,
        for one in came:
            await one.connected.wait()
        assert 0 < sum(len(one.codes) for one in came) < 20
        assert [one.failures for one in came] == [[]] * 20
        # and the relay still is one: the port is not announced again.
        after = relay.children()
        assert len(after) == 2
        assert len({*before} & {*after}) == 1
        assert "relay: listening on" not in relay.said()
