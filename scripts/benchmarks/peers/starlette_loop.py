"""The same work in the most common way: Starlette, PyMongo's change stream, and a loop that sends to each socket.

python starlette_loop.py URL DATABASE        prints "listening on PORT"
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import uvicorn
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

HEAD = "1." + 32 * "0"  # as long as the relay's heads, but not a digest

rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def serve(websocket: WebSocket) -> None:
    await websocket.accept()
    joined = []
    try:
        while True:
            task_id = (await websocket.receive_json())["taskId"]
            rooms[task_id].add(websocket)
            joined.append(task_id)
            await websocket.send_text('{"type":"joined"}')
    except WebSocketDisconnect:
        pass
    finally:
        for task_id in joined:
            rooms[task_id].discard(websocket)


async def follow(stream: Any) -> None:
    async for change in stream:
        task_id, at = str(change["documentKey"]["_id"]), change["wallTime"].isoformat() + "Z"
        for key, event in change["updateDescription"]["updatedFields"].items():
            if not key.startswith("events."):
                continue
            index = int(key.removeprefix("events."))
            shown = {"type": event["type"], "at": None, "data": event}
            data = {"taskId": task_id, "index": index, "event": shown, "next": index + 1, "head": HEAD}
            text = orjson.dumps({"type": "task:event_added", "data": data, "at": at}).decode()
            for websocket in list(rooms[task_id]):
                with suppress(WebSocketDisconnect, RuntimeError):  # it has just disconnected
                    await websocket.send_text(text)


def main(url: str, database: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # asyncio sets TCP_NODELAY only on the connections of sockets that it makes itself.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            tasks = client[database]["tasks"]
            async with await tasks.watch([{"$match": {"operationType": "update"}}]) as stream:
                following = asyncio.create_task(follow(stream))
                print(f"listening on {listening.getsockname()[1]}", flush=True)
                yield
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following

    app = Starlette(routes=[WebSocketRoute("/", serve)], lifespan=lifespan)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


main(*sys.argv[1:])
