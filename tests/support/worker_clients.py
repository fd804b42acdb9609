"""Clients of a relay with several workers, and how they are spread over the workers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress

import orjson
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded
from relay.errors import StartupError
from relay.gateway.listening import bind
from support.relay_fixture import SOON_S, SocketClient, connected, token
from support.worker_processes import LOOK_S


@asynccontextmanager
async def clients(
    url: str, count: int, path: str = "/ws", *, sub: str = "alice"
) -> AsyncIterator[list[SocketClient]]:
    """Connect so many clients of this user, some at a time."""
    async with AsyncExitStack() as stack:
        members: list[SocketClient] = []
        while len(members) < count:
            some = min(50, count - len(members))
            members += await asyncio.gather(
                *(stack.enter_async_context(connected(url, path, sub=sub)) for _ in range(some))
            )
        yield members


def spread(found: dict[str, float]) -> list[float]:
    """The numbers of connections of all workers, in their order."""
    matches = {
        int(match[1]): value
        for name, value in found.items()
        if (match := re.fullmatch(r'relay_worker_connections\{worker="(\d+)"\}', name))
    }
    return [matches[number] for number in sorted(matches)]


@asynccontextmanager
async def connected_at(url: str, unix: str | None = None, **headers: str) -> AsyncIterator[SocketClient]:
    """Connect a client, through this Unix socket if one is given, with these further headers. The welcome has been read
    already."""
    if unix is None:
        async with connected(url) as client:
            yield client
        return
    headers |= {"Authorization": f"Bearer {token('alice')}"}
    address = f"{url.replace('http', 'ws', 1)}/ws"
    async with unix_connect(unix, address, additional_headers=headers, open_timeout=SOON_S) as socket:
        client = SocketClient(socket)
        assert (await client.next())["type"] == "welcome"
        yield client


async def is_connected(client: SocketClient) -> bool:
    try:
        await client.quiet()
    except ConnectionClosed:
        return False
    return True


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row on which nobody listens."""
    while True:
        first = embedded.free_port()
        with suppress(StartupError), ExitStack() as taken:
            for number in range(count):
                taken.enter_context(bind("127.0.0.1", first + number))
            return first


async def port_is_free(port: int) -> None:
    """Wait until nobody listens on this port."""
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(StartupError):
                bind("127.0.0.1", port).close()
                return
            await asyncio.sleep(LOOK_S)


class Visitor:
    """A client that stays connected: it comes back at once each time it is sent away, and notes why."""

    def __init__(self) -> None:
        self.codes: list[int | None] = []
        self.failures: list[Exception] = []
        self.connected = asyncio.Event()  # set while it is connected

    async def stay(self, url: str) -> None:
        while True:
            try:
                async with connected(url) as client:
                    self.connected.set()
                    with suppress(ConnectionClosed):
                        # `client.until` would not wait as long as processes may take to start.
                        while orjson.loads(await client.socket.recv())["type"] != "server:draining":
                            pass
                    self.connected.clear()
                    self.codes.append(client.socket.close_code)
            except Exception as failure:
                self.failures.append(failure)
                return


@asynccontextmanager
async def visitors(url: str, count: int) -> AsyncIterator[list[Visitor]]:
    came = [Visitor() for _ in range(count)]
    staying = [asyncio.create_task(one.stay(url)) for one in came]
    try:
        await asyncio.gather(*(one.connected.wait() for one in came))
        yield came
    finally:
        for task in staying:
            task.cancel()
        await asyncio.gather(*staying, return_exceptions=True)
