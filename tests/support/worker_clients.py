"""Clients of a relay with several workers, and how they are spread over the workers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from relay.errors import StartupError
from relay.gateway.listening import bind
from support.relay_fixture import SOON_S, SocketClient, connected, token
from support.worker_processes import LOOK_S


@asynccontextmanager
async def clients(url: str, count: int, path: str = "/ws") -> AsyncIterator[list[SocketClient]]:
    """Connect so many clients, some at a time."""
    async with AsyncExitStack() as stack:
        members: list[SocketClient] = []
        while len(members) < count:
            some = min(50, count - len(members))
            members += await asyncio.gather(
                *(stack.enter_async_context(connected(url, path)) for _ in range(some))
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
async def connected_at(url: str, unix: str | None = None) -> AsyncIterator[SocketClient]:
    """Connect a client, through this Unix socket if one is given."""
    if unix is None:
        async with connected(url) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {token('alice')}"}
    async with unix_connect(unix, f"{url.replace('http', 'ws', 1)}/ws", additional_headers=headers) as socket:
        yield SocketClient(socket)


async def is_connected(client: SocketClient) -> bool:
    try:
        await client.quiet()
    except ConnectionClosed:
        return False
    return True


async def port_is_free(port: int) -> None:
    """Wait until nobody listens on this port."""
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(StartupError):
                bind("127.0.0.1", port).close()
                return
            await asyncio.sleep(LOOK_S)
