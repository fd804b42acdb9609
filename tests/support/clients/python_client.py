"""The Python client under `relay conformance`, in the process of the test."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress

from relay.cli.conformance.client import Address
from relay.client import ConnectionRefused, connect


class PythonClient:
    """Follows the list and the task, and prints both after each item."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async with connect(self._address.url, self._token) as relay:
            board, task = relay.join_dashboard(), relay.join_task(self._address.task)
            with suppress(ConnectionRefused):
                async for _ in relay:
                    self._lines.put_nowait(json.dumps({"events": task.events, "tasks": board.tasks}))

    async def _token(self) -> str:
        def ask() -> str:
            with urllib.request.urlopen(self._address.token_url) as answer:
                return answer.read().decode()

        return await asyncio.to_thread(ask)

    async def lines(self) -> AsyncIterator[str]:
        while True:
            yield await self._lines.get()

    async def stop(self) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    def log(self) -> str:
        return ""


async def launch(address: Address) -> PythonClient:
    return PythonClient(address)
