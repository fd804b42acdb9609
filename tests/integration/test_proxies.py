"""The proxies of the guide, started with the very text of the guide, in front of a real relay."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from pymongo import AsyncMongoClient
from support.doc_snippets import blocks
from support.guide_proxies import EMBEDDING, PATHS, caddy, nginx
from support.raw_client import tcp_connection
from support.relay_fixture import SECRET, SOON_S, running, settings_for, token
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from relay.client import Connected, Message
from relay.client import connect as connect_client

ORIGIN = "https://app.example.com"
opened = partial(connect, proxy=None, open_timeout=SOON_S)
UNIX_UPSTREAM = {
    "nginx": "unix:{}",
    "caddy": "unix/{}",
}  # the name of a Unix socket for each proxy, as in the guide


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def behind(command: list[str], port: int, directory: Path) -> AsyncIterator[str]:
    """Run a proxy. Gives its address once it listens."""
    environment = {"HOME": str(directory), "PATH": PATHS}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    if process.returncode is not None:
                        assert process.stderr is not None
                        pytest.fail((await process.stderr.read()).decode())
                    await asyncio.sleep(0.02)
        writer.close()
        await writer.wait_closed()
        yield f"http://127.0.0.1:{port}/live"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest) -> Callable[[Path, int, str], list[str]]:
    made: Callable[[Path, int, str], list[str]] = request.param
    if shutil.which(made.__name__, path=PATHS) is None:
        pytest.skip(f"{made.__name__} is not installed (Debian: apt-get install {made.__name__})")
    return made


@asynccontextmanager
async def site(
    proxy: Any, tmp_path: Path, mongo_url: str, database: str, *, unix: bool = False, **given: Any
) -> AsyncIterator[str]:
    """Run a relay with these settings behind the proxy, set up as in the guide, and with `unix` on a Unix socket. Gives
    the address that browsers use."""
    path = tmp_path / "relay.sock"
    settings = settings_for(
        mongo_url, database, relay_public_url=f"{ORIGIN}/live", relay_port=free_port(),
        relay_listen=f"unix:{path}" if unix else "",
        relay_trusted_proxies=("127.0.0.1", "unix:"), **given,
    )  # fmt: skip
    port = free_port()
    named = UNIX_UPSTREAM[proxy.__name__].format(path) if unix else f"127.0.0.1:{settings.relay_port}"
    async with running(settings):
        command = proxy(tmp_path, port, named)
        async with behind(command, port, tmp_path) as url:
            yield url


@pytest.mark.parametrize("unix", [False, True], ids=["port", "Unix socket"])
async def test_messages_pass_through_the_proxy_without_buffering(
    proxy: Any, tmp_path: Path, mongo_url: str, database_name: str, unix: bool
) -> None:
    async with (
        AsyncMongoClient[dict[str, Any]](mongo_url) as mongo,
        site(proxy, tmp_path, mongo_url, database_name, unix=unix, relay_heartbeat_ms=500) as url,
        asyncio.timeout(SOON_S),
        connect_client(url, token("alice")) as client,
    ):
        tasks = mongo[database_name]["tasks"]
        await tasks.insert_one({"_id": "a/b %", "createdBy": "alice", "events": []})
        board, task = client.join_dashboard(), client.join_task("a/b %")
        heartbeats = 0
        async for item in client:
            if isinstance(item, Connected):
                assert item.attempt == 1
            elif isinstance(item, Message) and item.type == "heartbeat":
                heartbeats += 1
            if task.state == board.state == "ready" and not task.events:
                await tasks.update_one({"_id": "a/b %"}, {"$set": {"events": [{"type": "a"}]}})
            if task.events and heartbeats >= 2:  # so the proxy does not wait for a buffer to fill
                break


async def test_a_browser_connects_through_the_proxy_with_its_token_as_a_subprotocol(
    proxy: Any, tmp_path: Path, mongo_url: str, database_name: str
) -> None:
    async with site(proxy, tmp_path, mongo_url, database_name) as url, asyncio.timeout(SOON_S):
        offer = [Subprotocol("relay.v1"), Subprotocol(f"bearer.{token('alice')}")]
        address = url.replace("http", "ws", 1) + "/ws/dashboard?limit=5"
        async with opened(address, subprotocols=offer, origin=Origin(ORIGIN)) as socket:
            assert socket.subprotocol == "relay.v1"
            assert json.loads(await socket.recv())["type"] == "welcome"
            assert json.loads(await socket.recv())["type"] == "dashboard:state"
        with pytest.raises(InvalidStatus) as refusal:
            await opened(address, subprotocols=offer, origin=Origin("https://evil.example"))
        assert refusal.value.response.status_code == 403


async def test_a_browser_with_many_cookies_and_headers_connects_through_the_proxy(
    proxy: Any, tmp_path: Path, mongo_url: str, database_name: str
) -> None:
    """The relay accepts as many as the proxy does."""
    crowd = [("Cookie", f"c{number}=" + "c" * 3_500) for number in range(3)]
    crowd += [(f"X-{number}", "y") for number in range(60)]
    async with site(proxy, tmp_path, mongo_url, database_name) as url, asyncio.timeout(SOON_S):
        offer = [Subprotocol("relay.v1"), Subprotocol(f"bearer.{token('alice', padding='x' * 3_000)}")]
        address = url.replace("http", "ws", 1) + "/ws"
        async with opened(address, subprotocols=offer, additional_headers=crowd) as socket:
            assert json.loads(await socket.recv())["type"] == "welcome"
        with pytest.raises(InvalidStatus) as refusal:
            await opened(f"{address}/", subprotocols=offer, additional_headers=crowd)
        assert refusal.value.response.status_code == 404


async def test_pages_and_responses_are_served_below_the_public_path(
    proxy: Any, tmp_path: Path, mongo_url: str, database_name: str
) -> None:
    def get(address: str) -> bytes:
        asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token('alice')}"})
        with urllib.request.urlopen(asked, timeout=SOON_S) as answer:
            body: bytes = answer.read()
            return body

    async with site(proxy, tmp_path, mongo_url, database_name) as url:
        config = json.loads(await asyncio.to_thread(get, f"{url}/config"))
        assert config["websocketUrl"] == "wss://app.example.com/live/ws"
        assert b"export function connect" in await asyncio.to_thread(get, f"{url}/client/index.js")


async def test_a_request_hidden_in_a_body_answers_no_other_client(
    proxy: Any, tmp_path: Path, mongo_url: str, database_name: str
) -> None:
    """The proxy sends the requests of all clients to the relay over the same connections."""
    hidden = b"\r\n" * 9_900 + b"GET /client/index.js HTTP/1.1\r\nHost: x\r\nX-Rest: "
    async with site(proxy, tmp_path, mongo_url, database_name) as url:
        host = urlsplit(url).netloc
        head = [f"POST /live/poll HTTP/1.1\r\nHost: {host}", f"Content-Length: {len(hidden)}"]
        head += ["Upgrade: h2c", "Connection: Upgrade", "", ""]
        honest = f"GET /live/healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        for _ in range(10):
            async with tcp_connection(url) as attacker, asyncio.timeout(SOON_S):
                attacker.send("\r\n".join(head).encode() + hidden)
                assert (await attacker.answer())[0] == 401
            async with tcp_connection(url) as victim, asyncio.timeout(SOON_S):
                victim.send(honest.encode())
                assert (await victim.reader.read(-1)).endswith(b'{"alive":true}')


def test_the_token_of_the_guide_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET)
    (program,) = blocks(EMBEDDING, "python")
    names: dict[str, Any] = {}
    exec(program, names)
    claims = jwt.decode(names["live_token"]("ada", ["red"]), SECRET, ["HS256"])
    assert (claims["sub"], claims["teams"]) == ("ada", ["red"])
    assert 0 < claims["exp"] - names["time"].time() <= 15 * 60
