"""Workers that are replaced by new processes while they have clients (SIGUSR1)."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from support.relay_fixture import connected
from support.worker_clients import clients, is_connected, visitors
from support.worker_processes import fetch, runs, until, workers


async def test_all_workers_are_replaced_without_a_refused_client(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay, visitors(relay.url, 20) as came:
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
        assert await relay.end() == 0


async def test_a_worker_stays_whose_successor_cannot_start(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text("")
    async with (
        workers(tmp_path, **two_workers | {"RELAY_MAPPING": str(mapping)}) as relay,
        clients(relay.url, 10) as members,
    ):
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
        assert await relay.end() == 0


async def test_a_worker_that_dies_while_it_is_replaced_is_followed_by_one_other(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        before = relay.children()
        relay.process.send_signal(signal.SIGUSR1)
        await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) > 2)
        os.kill(before[0], signal.SIGKILL)
        await relay.ready(2)
        await until(lambda: asyncio.to_thread(relay.children), lambda found: not {*found} & {*before})
        await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) == 2)
        assert (await relay.ready(2))["ready"]
        assert await relay.end() == 0


async def test_a_stop_during_a_replacement_ends_all_processes(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        relay.process.send_signal(signal.SIGUSR1)
        children = await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) > 2)
        assert await relay.end() == 0
        assert not any(map(runs, children))


async def test_a_worker_ignores_the_signal_that_is_for_its_parent(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        before = relay.children()
        for child in before:
            os.kill(child, signal.SIGUSR1)
        assert (await relay.ready(2))["ready"]
        assert relay.children() == before
