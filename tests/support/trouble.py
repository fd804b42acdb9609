"""What causes a relay trouble while a test looks on: requests without end, events that a slow reader cannot take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from websockets.exceptions import ConnectionClosed

from support.relay_fixture import SocketClient

LARGE = "x" * 30_000  # characters of an event that a slow reader cannot take many of
PAUSE_S = 0.5  # between two floods


@asynccontextmanager
async def meanwhile(*stories: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run these stories until the block ends. One that fails fails the test."""
    running = [asyncio.ensure_future(story()) for story in stories]
    try:
        yield
        for one in running:
            if one.done():
                one.result()
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def too_many_requests(client: SocketClient) -> None:
    """Send more requests than a connection may, until the relay ends it."""
    with suppress(ConnectionClosed):
        for _ in range(200):
            await client.send("ping")
        while True:
            await client.next()
