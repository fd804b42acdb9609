"""A small client with faults that a test chooses; without any it follows PROTOCOL.md as far as its scenarios go."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.cli.conformance.client import Address, Launch

FaultName = Literal[
    "ignores gaps", "applies twice", "never returns", "always returns", "keeps its token", "forgets"
]


class WrongClient:
    """Follows the list and the task over one WebSocket after the other."""

    def __init__(self, address: Address, faults: frozenset[FaultName]) -> None:
        self._address, self._faults = address, faults
        self._events: list[Any] = []
        self._tasks: dict[str, Any] = {}
        self._head: str | None = None
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            token = await asyncio.to_thread(self._token)
            code = 1006
            with suppress(OSError):
                headers = {"Authorization": f"Bearer {token}"}
                async with connect(self._address.websocket_url, additional_headers=headers, proxy=None) as ws:
                    with suppress(ConnectionClosed):
                        while True:
                            await self._apply(ws, json.loads(await ws.recv()))
                    code = ws.close_code or 1006
            stays_away = code >= 4500 and "always returns" not in self._faults
            if stays_away or (4000 <= code < 4500 and "never returns" in self._faults):
                return
            await asyncio.sleep(random.random() * 0.5)

    async def _apply(self, ws: ClientConnection, message: dict[str, Any]) -> None:
        data = message["data"]
        match message["type"]:
            case "welcome":
                await ws.send(json.dumps({"type": "dashboard:join"}))
                await self._join(ws)
            case "dashboard:state":
                listed = {task["taskId"]: task for task in data["tasks"]}
                self._tasks = listed if data["reset"] else self._tasks | listed
            case "dashboard:task_list_updated":
                self._tasks[data["taskId"]] = {key: value for key, value in data.items() if key != "change"}
            case "task:state":
                self._events = [*self._events[: data["from"]], *data["events"]]
                self._head = data["head"]
            case "task:event_added":
                if not self._continues(data["index"]):
                    return await self._join(ws)
                self._events.append(data["event"])
                self._head = data["head"]
            case "auth:expiring" if "keeps its token" not in self._faults:
                token = await asyncio.to_thread(self._token)
                await ws.send(json.dumps({"type": "auth", "data": {"token": token}}))
        self._lines.put_nowait(json.dumps({"events": self._events, "tasks": [*self._tasks.values()]}))

    def _continues(self, index: int) -> bool:
        held = len(self._events)
        if index > held:
            return "ignores gaps" in self._faults
        return index == held or "applies twice" in self._faults

    async def _join(self, ws: ClientConnection) -> None:
        position = {} if self._head is None or "forgets" in self._faults else self._position()
        await ws.send(json.dumps({"type": "task:join", "data": {"taskId": self._address.task} | position}))

    def _position(self) -> dict[str, Any]:
        return {"since": len(self._events), "head": self._head}

    def _token(self) -> str:
        with urllib.request.urlopen(self._address.token_url) as answer:
            return answer.read().decode()

    async def lines(self) -> AsyncIterator[str]:
        while True:
            yield await self._lines.get()

    async def stop(self) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    def log(self) -> str:
        return ""


def wrong(*faults: FaultName) -> Launch:
    """Return a launcher of clients with these faults."""

    async def launch(address: Address) -> WrongClient:
        return WrongClient(address, frozenset(faults))

    return launch
