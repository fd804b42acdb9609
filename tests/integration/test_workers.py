"""Several workers on one port: how they share the clients, and what they need to start."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support.command_process import Process, run, standalone, unreadable_stderr, wait_until_alive
from support.relay_fixture import SOON_S, connected, token
from support.worker_clients import clients, connected_at, free_ports, spread
from support.worker_processes import readiness, ready_in, samples, until, workers
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded
from relay.cores import cores
from relay.gateway.listening import bind


async def test_all_workers_serve_the_same_tasks(
    two_workers: dict[str, str], tasks: Any, tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        async with clients(relay.url, 24, "/ws/dashboard") as members:
            for client in members:
                await client.until("dashboard:state")
            assert min(spread(await samples(relay.url))) > 0
            tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "Shared", "events": []})
            for client in members:
                assert (await client.until("task:created"))["data"]["taskId"] == "t"
        assert "Traceback" not in relay.said()
        assert relay.said().count("relay: listening on") == 1
        assert await relay.end() == 0


@pytest.mark.timeout(240)
async def test_a_thousand_connections_spread_evenly_over_four_workers(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with (
        workers(tmp_path, "--workers", "4", **two_workers) as relay,
        clients(relay.url, 1_000),
    ):
        found = spread(await samples(relay.url))
        assert len(found) == 4
        assert sum(found) == 1_000
        assert 200 <= min(found) <= max(found) <= 300


@pytest.mark.parametrize("how", ["port", "unix"])
async def test_each_worker_has_an_address_of_its_own_for_proxies(
    two_workers: dict[str, str], tmp_path: Path, how: str
) -> None:
    first = free_ports(2)
    chosen = str(first) if how == "port" else f"unix:{tmp_path}"
    async with workers(tmp_path, "--worker-ports", chosen, **two_workers) as relay:
        async with AsyncExitStack() as stack:
            for number in (1, 2):
                if how == "port":
                    at = {"url": f"http://127.0.0.1:{first + number - 1}"}
                else:
                    at = {"url": relay.url, "unix": str(tmp_path / f"worker-{number}.sock")}
                for _ in range(3 * number):
                    await stack.enter_async_context(connected_at(**at))
            assert spread(await samples(relay.url)) == [3, 6]
        assert await relay.end() == 0
    assert list(tmp_path.glob("*.sock")) == []


@pytest.mark.parametrize(("trusted", "codes"), [("unix:", []), ("", [4430, 4430])])
async def test_clients_of_a_trusted_proxy_on_a_unix_socket_count_for_their_own_addresses(
    two_workers: dict[str, str], tmp_path: Path, trusted: str, codes: list[int]
) -> None:
    limited = {"RELAY_MAX_CONNECTIONS_PER_ADDRESS": "2", "RELAY_TRUSTED_PROXIES": trusted}
    async with (
        workers(tmp_path, "--worker-ports", f"unix:{tmp_path}", **two_workers | limited) as relay,
        AsyncExitStack() as stack,
    ):
        refused = []
        for number in range(4):
            socket = await stack.enter_async_context(
                unix_connect(
                    str(tmp_path / "worker-1.sock"),
                    f"{relay.url.replace('http', 'ws', 1)}/ws",
                    additional_headers={
                        "Authorization": f"Bearer {token('alice')}",
                        "X-Forwarded-For": f"192.0.2.{number}",
                    },
                )
            )
            with suppress(ConnectionClosed):
                assert '"welcome"' in str(await socket.recv())
                continue
            refused.append(socket.close_code)
        assert refused == codes


async def test_a_port_in_use_is_reported_once(two_workers: dict[str, str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        ended = await asyncio.to_thread(run, "serve", "--port", str(taken.getsockname()[1]), **two_workers)
    assert ended.returncode == 3
    *before, sentence = ended.stderr.splitlines()
    assert "another program listens there" in sentence
    assert all(" relay starting " in line for line in before)


async def test_a_second_relay_with_workers_does_not_share_the_port_of_the_first(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        ended = await asyncio.to_thread(run, "serve", "--port", str(relay.port), **two_workers)
        assert ended.returncode == 3
        assert "another program listens there" in ended.stderr


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"RELAY_MAPPING": "/nowhere.toml"}, "relay: The mapping file /nowhere.toml cannot be read"),
        ({"RELAY_JWT_SECRET": ""}, "relay: RELAY_JWT_SECRET is not set"),
        ({"RELAY_MONGO_URL": ""}, "relay: RELAY_MONGO_URL is not set"),
        ({"RELAY_WORKERS": "0"}, 'relay: RELAY_WORKERS: must be greater than or equal to 1, but is "0".'),
        ({"RELAY_WORKERS": "x"}, "relay: RELAY_WORKERS: must be a number of processes, or auto"),
        ({"RELAY_WORKER_PORTS": "unix:run"}, "relay: RELAY_WORKER_PORTS: must name the directory"),
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


async def test_a_database_that_cannot_be_followed_ends_all_with_one_sentence(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    with standalone(tmp_path) as url:
        ended = await asyncio.to_thread(run, "serve", **two_workers | {"RELAY_MONGO_URL": url})
    assert ended.returncode == 3
    assert ended.stderr.count("rs.initiate()") == 1


async def test_a_warning_about_the_settings_is_logged_once(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    url = two_workers["RELAY_MONGO_URL"] + "&timeoutMS=1"
    wrong = {"RELAY_MONGO_URL": url, "RELAY_JWT_ISUER": "x"}
    async with workers(tmp_path, **two_workers | wrong) as relay:
        assert relay.said().count("timeoutMS is the relay's own business") == 1
        assert relay.said().count("did you mean RELAY_JWT_ISSUER?") == 1


@pytest.mark.parametrize("format", ["console", "json"])
async def test_each_line_of_a_worker_names_it(
    two_workers: dict[str, str], tmp_path: Path, format: str
) -> None:
    async with workers(tmp_path, **two_workers | {"RELAY_LOG_FORMAT": format}) as relay:
        said = await relay.says("following the change stream", times=2)
    lines = [line for line in said.splitlines() if "following the change stream" in line]
    if format == "json":
        assert sorted(json.loads(line)["worker"] for line in lines) == ["1", "2"]
    else:
        assert sorted(line.split("INFO    ")[1].split(":")[0] for line in lines) == ["worker 1", "worker 2"]


async def test_one_worker_per_core_serves(two_workers: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **two_workers | {"RELAY_WORKERS": "auto"}) as relay:
        # On a machine of one core, the relay is a single process.
        assert len(relay.children()) == (cores() if cores() > 1 else 0)
        assert await relay.end() == 0


async def test_without_workers_the_relay_is_one_process(good: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **good) as relay:
        assert relay.children("") == []
        assert await relay.end() == 0


@pytest.mark.parametrize("how", ["all closed", "full pipe"])
async def test_workers_serve_although_nobody_reads_their_standard_error(
    two_workers: dict[str, str], how: str
) -> None:
    port = embedded.free_port()
    with (
        unreadable_stderr(how) as before,
        Process("serve", before=before, **two_workers | {"RELAY_PORT": str(port)}) as process,
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
