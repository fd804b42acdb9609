"""Several workers on one port: how they share the clients, and what they need to start."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.command_process import Process, run, standalone, unreadable_stderr, wait_until_alive
from support.relay_fixture import SOON_S, connected
from support.worker_clients import clients, connected_at, free_ports, spread
from support.worker_processes import Workers, readiness, ready_in, samples, until, workers
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded
from relay.config import load
from relay.cores import cores
from relay.errors import StartupError
from relay.gateway.listening import bind


async def test_connections_spread_evenly_over_the_workers(relay: Workers) -> None:
    async with clients(relay.url, 200):
        found = spread(await samples(relay.url))
    assert sum(found) == 200
    # With even chances, once in 60 million times one of two has fewer than 60.
    assert min(found) >= 60


async def test_each_worker_has_a_port_of_its_own_for_proxies(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    first = free_ports(2)
    async with (
        workers(tmp_path, "--worker-ports", str(first), **two_workers) as relay,
        AsyncExitStack() as stack,
    ):
        for number in (1, 2):
            for _ in range(3 * number):
                await stack.enter_async_context(connected_at(f"http://127.0.0.1:{first + number - 1}"))
        assert spread(await samples(relay.url)) == [3, 6]


async def test_each_worker_has_a_unix_socket_of_its_own_on_which_it_trusts_a_proxy(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    given = two_workers | {"RELAY_MAX_CONNECTIONS_PER_ADDRESS": "2", "RELAY_TRUSTED_PROXIES": "unix:"}
    async with workers(tmp_path, "--worker-ports", f"unix:{tmp_path}", **given) as relay:
        async with AsyncExitStack() as stack:
            # Clients count for the addresses that the proxy names: two for each are admitted.
            for client in range(9):
                at = str(tmp_path / f"worker-{1 if client < 3 else 2}.sock")
                forwarded = {"X-Forwarded-For": f"192.0.2.{client // 2}"}
                await stack.enter_async_context(connected_at(relay.url, at, **forwarded))
            assert spread(await samples(relay.url)) == [3, 6]
            with pytest.raises(ConnectionClosed) as refused:
                await stack.enter_async_context(
                    connected_at(relay.url, at, **{"X-Forwarded-For": "192.0.2.0"})
                )
            assert refused.value.rcvd is not None
            assert refused.value.rcvd.code == 4430
        assert await relay.end() == 0
    assert list(tmp_path.glob("*.sock")) == []


async def test_a_port_in_use_is_reported_once(two_workers: dict[str, str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        ended = await asyncio.to_thread(run, "serve", "--port", str(taken.getsockname()[1]), **two_workers)
    assert ended.returncode == 3
    *before, sentence = ended.stderr.splitlines()
    assert "another program listens there" in sentence
    assert all(" relay starting " in line for line in before)


async def test_a_second_relay_with_workers_does_not_share_the_port_of_the_first(
    relay: Workers, two_workers: dict[str, str]
) -> None:
    ended = await asyncio.to_thread(run, "serve", "--port", str(relay.port), **two_workers)
    assert ended.returncode == 3
    assert "another program listens there" in ended.stderr


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"RELAY_MAPPING": "/nowhere.toml"}, "relay: The mapping file /nowhere.toml cannot be read"),
        ({"RELAY_JWT_SECRET": ""}, "relay: RELAY_JWT_SECRET is not set"),
    ],
)
async def test_what_no_worker_can_start_with_ends_all_with_one_sentence(
    two_workers: dict[str, str], wrong: dict[str, str], says: str
) -> None:
    ended = await asyncio.to_thread(run, "serve", **two_workers | wrong)
    assert ended.returncode == 3
    *before, sentence = ended.stderr.splitlines()
    assert sentence.startswith(says)
    assert all(" relay starting " in line for line in before)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"relay_workers": "0"}, 'RELAY_WORKERS: must be greater than or equal to 1, but is "0".'),
        ({"relay_workers": "x"}, "RELAY_WORKERS: must be a number of processes, or auto"),
        ({"relay_worker_ports": "unix:run"}, "RELAY_WORKER_PORTS: must name the directory"),
    ],
)
def test_settings_of_workers_that_mean_nothing_are_refused(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(StartupError) as refused:
        load(**wrong)
    assert str(refused.value).startswith(says)


async def test_a_database_that_cannot_be_followed_ends_all_with_one_sentence(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    with standalone(tmp_path) as url:
        ended = await asyncio.to_thread(run, "serve", **two_workers | {"RELAY_MONGO_URL": url})
    assert ended.returncode == 3
    assert ended.stderr.count("rs.initiate()") == 1


async def test_each_line_of_a_worker_names_it(lasting_relay: Workers) -> None:
    lines = [line for line in lasting_relay.whole_log().splitlines() if "following the change stream" in line]
    assert {"worker 1", "worker 2"} <= {line.split("INFO    ")[1].split(":")[0] for line in lines}


async def test_one_worker_per_core_serves_and_a_warning_about_the_settings_is_logged_once(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    url = two_workers["RELAY_MONGO_URL"] + "&timeoutMS=1"
    given = {"RELAY_WORKERS": "auto", "RELAY_MONGO_URL": url, "RELAY_JWT_ISUER": "x"}
    async with workers(tmp_path, **two_workers | given) as relay:
        # On a machine of one core, the relay is a single process.
        assert len(relay.children()) == (cores() if cores() > 1 else 0)
        assert relay.said().count("timeoutMS is the relay's own business") == 1
        assert relay.said().count("did you mean RELAY_JWT_ISSUER?") == 1
        assert await relay.end() == 0


async def test_workers_serve_although_all_their_standard_streams_are_closed(
    two_workers: dict[str, str],
) -> None:
    port = embedded.free_port()
    with (
        unreadable_stderr("all closed") as unread,
        Process("serve", **unread, **two_workers | {"RELAY_PORT": str(port)}) as process,
    ):
        try:
            await asyncio.to_thread(wait_until_alive, process, port)
            url = f"http://127.0.0.1:{port}"
            await until(lambda: readiness(url), lambda state: ready_in(state) == 2)
            async with connected(url) as client:
                assert await client.quiet() == []
            process.terminate()
            assert await asyncio.to_thread(process.wait, SOON_S) == 0
        finally:
            process.kill()
