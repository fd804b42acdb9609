"""The driver alone: PyMongo's change stream, of which nothing is read but the changes of one task.

Every change comes as bytes, and is decoded only if the id of that task occurs in it. The task is the one that the last
client has asked for. No program that follows the change stream from its beginning to its end has a change of that task
sooner, whatever it does with the changes of other tasks.

python driver.py URL DATABASE        prints "listening on PORT"
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import floor
from bson import CodecOptions, decode
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

ID_CHARS = 24  # of an ObjectId in hexadecimal

wanted = b""  # the bytes of the id of the task


class Connection(floor.Connection):
    """Notes the task that the client asks for."""

    def data_received(self, data: bytes) -> None:
        global wanted
        if self._request is None:
            # The load client masks what it sends with zeros, which change nothing.
            wanted = bytes.fromhex(data.partition(b'"taskId":"')[2][:ID_CHARS].decode())
        super().data_received(data)


async def main(url: str, database: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        raw = CodecOptions(document_class=RawBSONDocument)
        tasks = client[database].get_collection("tasks", codec_options=raw)
        async with await tasks.watch([{"$match": {"operationType": "update"}}]) as stream:
            print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
            async for change in stream:
                if wanted and wanted in change.raw:
                    floor.publish(decode(change.raw))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(main(*sys.argv[1:]))
