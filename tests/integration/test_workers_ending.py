"""How a relay with several workers ends, and what happens when its parent or one of its workers dies."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.relay_fixture import connected
from support.worker_clients import clients, port_is_free, spread
from support.worker_processes import ANY, gone, readiness, ready_in, runs, samples, until, workers
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded
from relay.gateway.listening import bind


async def test_a_stop_is_announced_by_all_workers_and_leaves_no_process(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        children = relay.children(ANY)
        async with clients(relay.url, 20) as members:
            assert min(spread(await samples(relay.url))) > 0
            ending = asyncio.create_task(relay.end(signal.SIGINT))
            for client in members:
                assert (await client.until("server:draining"))["data"]["reconnectAfterMs"] <= 500
                with pytest.raises(ConnectionClosed):
                    await client.next()
                assert client.socket.close_code == 1001
        assert await ending == 0
        assert not any(map(runs, children))
        assert "Traceback" not in relay.said()
        bind("127.0.0.1", relay.port).close()


async def test_a_relay_whose_database_is_away_is_not_ready_and_can_be_stopped(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    given = two_workers | {
        "RELAY_MONGO_URL": f"mongodb://127.0.0.1:{embedded.free_port()}/",
        "RELAY_ADMIN_PORT": str(port := embedded.free_port()),
    }
    async with workers(tmp_path, until="trying again", **given) as relay:
        state = await readiness(f"http://127.0.0.1:{port}")
        assert state["status"] == 503
        assert (state["ready"], state["stale"], ready_in(state)) == (False, True, 0)
        assert len(state["workers"]) == 2
        children = relay.children(ANY)
        assert await relay.end() == 0
        await gone(children)


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
        state = await until(lambda: readiness(relay.url), lambda state: state["ready"])
        assert (state["status"], ready_in(state)) == (200, 1)
        # when the mapping is mended, the worker is there again.
        mapping.write_text("")
        await relay.ready(2)
        async with clients(relay.url, 20):
            assert min(spread(await samples(relay.url))) > 0
        assert await relay.end() == 0


async def test_a_stop_during_a_replacement_ends_all_processes(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        relay.process.send_signal(signal.SIGUSR1)
        children = await until(lambda: asyncio.to_thread(relay.children), lambda found: len(found) > 2)
        assert await relay.end() == 0
        assert not any(map(runs, children))
