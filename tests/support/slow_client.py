"""A client with small buffers that reads only when its test does."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

from relay.app import Relay
from support.relay_fixture import SECRET, SOON_S, SocketClient, token


@asynccontextmanager
async def reading_slowly(
    relay: Relay | str, path: str = "/ws/dashboard", *, sub: str = "alice", secret: str = SECRET
) -> AsyncIterator[SocketClient]:
    """A WebSocket of this user with the smallest possible buffers. It reads from its socket only when `next` is
    called."""
    url = relay if isinstance(relay, str) else relay.url
    at = urlsplit(url)
    with socket.socket() as bare:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        bare.connect((at.hostname, at.port))
        headers = {"Authorization": f"Bearer {token(sub, secret=secret)}"}
        address = url.replace("http", "ws", 1) + path
        # A client that does not read sees no answers to pings of its own, and would end the connection after 20 s.
        async with connect(
            address,
            sock=bare,
            additional_headers=headers,
            proxy=None,
            max_queue=2,
            close_timeout=0.1,
            open_timeout=SOON_S,
            ping_interval=None,
        ) as websocket:
            client = SocketClient(websocket)
            assert (await client.next())["type"] == "welcome"
            yield client
