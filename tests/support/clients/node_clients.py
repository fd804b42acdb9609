"""The clients of tests/web/conformance-clients.js under `relay conformance`: one Node process for all scenarios."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.cli.conformance.client import Address, Launch

SCRIPT = Path(__file__).parents[2] / "web" / "conformance-clients.js"


class NodeClient:
    """One client in the process."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, lines: asyncio.Queue[str]) -> None:
        self._process, self._name, self._lines = process, name, lines

    async def lines(self) -> AsyncIterator[str]:
        while True:
            yield await self._lines.get()

    async def stop(self) -> None:
        tell(self._process, {"stop": self._name})

    def log(self) -> str:
        return ""


def tell(process: asyncio.subprocess.Process, order: dict[str, str]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def node_clients(kind: str) -> AsyncIterator[Launch]:
    """Run the process, and give a launcher of clients of this kind in it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    process = await asyncio.create_subprocess_exec(
        *(node, "--no-warnings", "--experimental-websocket", str(SCRIPT), kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    queues: dict[str, asyncio.Queue[str]] = {}

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            name, _, shown = line.decode().partition(" ")
            queues[name].put_nowait(shown)

    async def launch(address: Address) -> NodeClient:
        queues[address.scenario] = asyncio.Queue()
        tell(
            process,
            {
                "name": address.scenario,
                "url": address.url,
                "tokenUrl": address.token_url,
                "taskId": address.task,
            },
        )
        return NodeClient(process, address.scenario, queues[address.scenario])

    reading = asyncio.create_task(read())
    try:
        yield launch
    finally:
        process.kill()
        await process.wait()
        await reading
