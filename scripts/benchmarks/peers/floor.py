"""The floor: PyMongo's change stream, and one write of a frame per connection and change.

There are no rooms, no rights and no positions, no protocol beyond the handshake, and no two frames share a write. A
server in Python that makes one write per message cannot use less CPU time than this one. With one connection, its
latency is that of the driver itself.

python floor.py URL DATABASE        prints "listening on PORT"
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import signal
import sys
from typing import Any, cast

import orjson
from pymongo import AsyncMongoClient

HEAD = "1." + 32 * "0"  # as long as the relay's heads, but not a digest
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
JOINED = b'\x81\x11{"type":"joined"}'

transports: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    """Answers the handshake, and everything after it with `joined`."""

    def __init__(self) -> None:
        self._request: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            transports.add(self._transport)
            self._transport.write(JOINED)
            return
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            key = self._request.lower().split(b"sec-websocket-key: ")[1]
            key = self._request[-len(key) :].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + MAGIC, usedforsecurity=False).digest())
            self._request = None
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        transports.discard(self._transport)


async def main(url: str, database: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        tasks = client[database]["tasks"]
        async with await tasks.watch([{"$match": {"operationType": "update"}}]) as stream:
            print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
            async for change in stream:
                publish(change)


def publish(change: dict[str, Any]) -> None:
    task_id, at = str(change["documentKey"]["_id"]), change["wallTime"].isoformat() + "Z"
    for key, event in change["updateDescription"]["updatedFields"].items():
        if not key.startswith("events."):
            continue
        index = int(key.removeprefix("events."))
        shown = {"type": event["type"], "at": None, "data": event}
        data = {"taskId": task_id, "index": index, "event": shown, "next": index + 1, "head": HEAD}
        payload = orjson.dumps({"type": "task:event_added", "data": data, "at": at})
        frame = b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
        for transport in transports:
            transport.write(frame)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(main(*sys.argv[1:]))
