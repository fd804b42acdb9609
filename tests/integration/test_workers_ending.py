"""How a relay with several workers ends, and what happens when its parent or one of its workers dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.relay_fixture import connected
from support.worker_clients import clients, is_connected, port_is_free, spread, visitors
from support.worker_processes import ANY, gone, readiness, ready_in, runs, samples, workers
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded
from relay.gateway.listening import bind


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_announced_by_all_workers_and_leaves_no_process(
    two_workers: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        children = relay.children(ANY)
        async with clients(relay.url, 20) as members:
            assert min(spread(await samples(relay.url))) > 0
            ending = asyncio.create_task(relay.end(number))
            for client in members:
                assert (await client.until("server:draining"))["data"]["reconnectAfterMs"] <= 500
                with pytest.raises(ConnectionClosed):
                    await client.next()
                assert client.socket.close_code == 1001
        assert await ending == 0
        assert not any(map(runs, children))
        assert "Traceback" not in relay.said()
        bind("127.0.0.1", relay.port).close()


async def test_a_stop_while_the_workers_start_ends_them(two_workers: dict[str, str], tmp_path: Path) -> None:
    closed = {"RELAY_MONGO_URL": f"mongodb://127.0.0.1:{embedded.free_port()}/"}
    async with workers(tmp_path, until="trying again", **two_workers | closed) as relay:
        children = relay.children(ANY)
        assert await relay.end() == 0
        assert not any(map(runs, children))


async def test_a_second_ctrl_c_ends_all_processes_at_once(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers | {"RELAY_DRAIN_MS": "60000"}) as relay:
        children = relay.children(ANY)
        async with connected(relay.url) as client:
            relay.process.send_signal(signal.SIGINT)
            await client.until("server:draining")
            assert await relay.end(signal.SIGINT) == 130
            await gone(children)
        assert "Traceback" not in relay.said()


async def test_when_the_parent_is_killed_the_workers_say_goodbye_and_end(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        children = relay.children(ANY)
        assert len(children) == 3
        async with clients(relay.url, 10) as members:
            relay.process.kill()
            for client in members:
                await client.until("server:draining")
            # Another relay may open the port at once, while the workers say goodbye.
            await port_is_free(relay.port)
            for client in members:
                with pytest.raises(ConnectionClosed):
                    await client.next()
                assert client.socket.close_code == 1001
        await gone(children)


async def test_when_the_parent_is_killed_while_the_workers_start_they_end(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    closed = {"RELAY_MONGO_URL": f"mongodb://127.0.0.1:{embedded.free_port()}/"}
    async with workers(tmp_path, until="trying again", **two_workers | closed) as relay:
        await relay.says("trying again", times=3)
        children = relay.children(ANY)
        assert len(children) == 3
        relay.process.kill()
        await gone(children)


async def test_a_worker_that_is_killed_is_started_again(
    two_workers: dict[str, str], tasks: Any, tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay, clients(relay.url, 20) as members:
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
        # and the relay still is one: the port was announced only once, and a stop ends all.
        after = relay.children()
        assert len(after) == 2
        assert len({*before} & {*after}) == 1
        assert said.count("relay: listening on") == 1
        assert await relay.end() == 0


async def test_the_clients_of_a_killed_worker_are_soon_back_at_the_first_attempt(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay, visitors(relay.url, 30) as came:
        killed_at = time.monotonic()
        os.kill(relay.children()[0], signal.SIGKILL)
        await relay.says("a process of the relay ended and will be started again")
        for one in came:
            await one.connected.wait()
        # It takes 1 to 2 s, for those that wait for the successor. The machine may be busy.
        assert time.monotonic() - killed_at < 10
        assert 0 < sum(len(one.codes) for one in came) < 30
        assert [one.failures for one in came] == [[]] * 30


async def test_a_worker_that_keeps_failing_leaves_its_clients_to_the_others(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text("")
    async with workers(tmp_path, **two_workers | {"RELAY_MAPPING": str(mapping)}) as relay:
        # Given a mapping that cannot be read any longer, a worker that dies cannot start again.
        mapping.write_text("[[[")
        os.kill(relay.children()[0], signal.SIGKILL)
        said = await relay.says("a process of the relay ended and will be started again", times=3)
        assert "ended='The mapping file" in said
        # Then all new clients are served by the other one, and the relay is ready;
        async with clients(relay.url, 10):
            assert max(spread(await samples(relay.url))) == 10
        state = await readiness(relay.url)
        assert (state["status"], state["ready"], ready_in(state)) == (200, True, 1)
        # when the mapping is mended, the worker is there again.
        mapping.write_text("")
        await relay.ready(2)
        async with clients(relay.url, 20):
            assert min(spread(await samples(relay.url))) > 0
        assert await relay.end() == 0
