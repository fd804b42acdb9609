"""A relay on a Unix socket (RELAY_LISTEN), for a proxy on the same machine: one process, and several workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from support.command_process import alive, run, started
from support.relay_fixture import SOON_S, SocketClient, running, token
from support.worker_clients import connected_at
from support.worker_processes import workers
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from relay.cli.demo.mongod import free_port
from relay.config import Settings, warnings
from relay.errors import StartupError

PUBLIC = "https://app.example.com/live"
INSIDE = "http://app.example.com"  # of a request that a proxy passes on


class UnixConnection(HTTPConnection):
    """An HTTP connection through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("app.example.com", timeout=SOON_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SOON_S)
        self.sock.connect(str(self._path))


def asked(path: Path, what: str, **headers: str) -> tuple[int, str]:
    """Return the status and the body of the answer to a GET request."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", what, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "relay.sock"


@pytest.fixture
def listening(good: dict[str, str], at: Path) -> dict[str, str]:
    """Settings of a relay on a Unix socket."""
    return good | {
        "RELAY_LISTEN": f"unix:{at}",
        "RELAY_PUBLIC_URL": PUBLIC,
        "RELAY_TRUSTED_PROXIES": "unix:",
        "RELAY_DRAIN_MS": "0",
    }


async def refusals(at: Path, count: int, **headers: str) -> list[int | None]:
    """Open `count` WebSockets for as many client addresses, and return the close codes of those that are refused."""
    codes = []
    async with AsyncExitStack() as stack:
        for number in range(count):
            sent = {"Authorization": f"Bearer {token('alice')}", "X-Forwarded-For": f"192.0.2.{number}"}
            opening = unix_connect(
                str(at),
                "ws://app.example.com/ws",
                additional_headers=sent | headers,
                open_timeout=SOON_S,
            )
            client = await stack.enter_async_context(opening)
            try:
                assert '"welcome"' in str(await client.recv())
            except ConnectionClosed:
                codes.append(client.close_code)
    return codes


async def test_a_relay_on_a_unix_socket_serves_clients_and_leaves_nothing_behind(
    listening: dict[str, str], tasks: Any, at: Path
) -> None:
    with started("serve", until=f"relay: listening on {PUBLIC}", **listening) as (process, _):
        assert stat.S_IMODE(at.stat().st_mode) == 0o666, "the proxy is another user"
        assert asked(at, "/healthz") == (200, '{"alive":true}')
        assert (
            '"websocketUrl":"wss://app.example.com/live/ws"'
            in asked(at, "/config", Authorization=f"Bearer {token('alice')}")[1]
        )
        headers = {"Authorization": f"Bearer {token('alice')}"}
        dashboard = "ws://app.example.com/ws/dashboard"
        opening = unix_connect(str(at), dashboard, additional_headers=headers, open_timeout=SOON_S)
        async with opening as opened:
            client = SocketClient(opened)
            await client.until("dashboard:state")
            tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "Over a file", "events": []})
            assert (await client.until("task:created"))["data"]["taskId"] == "t"
        process.terminate()
        assert await asyncio.to_thread(process.wait, SOON_S) == 0
    assert not at.exists()


@pytest.fixture
def local(with_: Callable[..., Settings], at: Path) -> Callable[..., Settings]:
    """A function that makes settings of a relay on a Unix socket, for a relay in the process of the test."""
    own = {"relay_listen": f"unix:{at}", "relay_public_url": PUBLIC, "relay_trusted_proxies": "unix:"}
    return lambda **given: with_(**own | given)


@pytest.mark.parametrize(("trusted", "trusts"), [("unix:", True), ("", False), ("127.0.0.1", False)])
async def test_clients_count_for_the_addresses_that_a_trusted_proxy_names(
    local: Callable[..., Settings], at: Path, trusted: str, trusts: bool
) -> None:
    settings = local(relay_trusted_proxies=trusted, relay_max_connections_per_address=2)
    async with running(settings):
        assert await refusals(at, 4) == ([] if trusts else [4430, 4430])
    said = "through the Unix socket of RELAY_LISTEN together count as one address"
    assert any(said in warning for warning in warnings(settings)) is not trusts


async def test_a_port_that_is_named_as_an_option_is_opened_and_no_socket(
    listening: dict[str, str], at: Path
) -> None:
    port = free_port()
    with started("serve", "--port", str(port), until="relay: listening on", **listening):
        assert alive(port)
        assert not at.exists()


async def test_pages_of_the_public_url_may_connect_and_no_others(
    local: Callable[..., Settings], at: Path
) -> None:
    async with running(local()):
        assert await refusals(at, 1, Origin="https://app.example.com") == []
        for origin in ("http://localhost:8080", "http://localhost", "http://127.0.0.1"):
            with pytest.raises(InvalidStatus, match="403"):
                await refusals(at, 1, Origin=origin)


async def test_the_socket_of_a_killed_relay_is_replaced_and_that_of_a_running_one_is_not(
    listening: dict[str, str], at: Path
) -> None:
    with started("serve", until="relay: listening on", **listening) as (killed, _):
        killed.kill()
        killed.wait()
        assert at.exists()
        with started("serve", until="relay: listening on", **listening):
            second = await asyncio.to_thread(run, "serve", **listening)
            assert second.returncode == 3
            sentence = (
                f"The Unix socket {at} cannot be opened: it is in use; choose another path with RELAY_LISTEN."
            )
            starting, said = second.stderr.splitlines()
            assert " relay starting " in starting
            assert said == f"relay: {sentence}"
            assert asked(at, "/healthz")[0] == 200


async def test_workers_share_one_unix_socket_and_operators_have_a_port(
    two_workers: dict[str, str], listening: dict[str, str], at: Path, tmp_path: Path
) -> None:
    given = two_workers | listening | {"RELAY_ADMIN_PORT": "0"}
    async with workers(tmp_path, **given) as relay, AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(connected_at(INSIDE, str(at)))
        assert asked(at, "/readyz")[0] == 404, "it is on the port for operators"
        assert relay.children()
        assert await relay.end() == 0
    assert not at.exists()


async def test_a_worker_that_dies_is_replaced_behind_the_same_socket(
    two_workers: dict[str, str], listening: dict[str, str], at: Path, tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers | listening) as relay:
        os.kill(relay.children()[0], signal.SIGKILL)
        await relay.says("started again")
        async with connected_at(INSIDE, str(at)):
            pass
        assert await relay.end() == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"relay_listen": "/run/relay.sock"}, "RELAY_LISTEN: must name a Unix socket from / on"),
        ({"relay_listen": "unix:relay.sock"}, "RELAY_LISTEN: must name a Unix socket from / on"),
        ({"relay_public_url": ""}, "RELAY_LISTEN: needs RELAY_PUBLIC_URL, the address of the proxy"),
        (
            {"relay_listen": "unix:/nowhere/relay.sock"},
            "The Unix socket /nowhere/relay.sock cannot be opened: No such",
        ),
    ],
)
async def test_a_socket_that_cannot_be_used_ends_the_start_with_one_sentence(
    local: Callable[..., Settings], wrong: dict[str, str], says: str
) -> None:
    with pytest.raises(StartupError) as refused:
        async with running(local(**wrong)):
            pass
    assert str(refused.value).startswith(says)
