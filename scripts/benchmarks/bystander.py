"""Another user, who has a task of his own open while something large goes on, and gets an event of it now and then."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bson import ObjectId

from scripts.benchmarks.bench import percentile
from scripts.benchmarks.contenders import CONTENDERS, relay_script
from scripts.benchmarks.load_client import Script

PAUSE_S = 0.05  # between two events
WAIT_S = 120.0
LONGEST = 16  # bytes of a number with its name


class Bystander:
    """The delays of the events of one user, from mongod's acknowledgement until he has each."""

    def __init__(self) -> None:
        self._arrived: dict[int, float] = {}
        self._rest = b""  # the end of what has arrived, which may be the beginning of a number
        self._acknowledged: list[float] = []
        self._is_new = asyncio.Event()
        self.is_over = False

    def note(self, data: bytes, now: float) -> None:
        data = self._rest + data
        for number in re.findall(rb'"n":(\d+)\D', data):
            self._arrived.setdefault(int(number), now)
        self._rest = data[-LONGEST:]
        self._is_new.set()

    async def work(self, tasks: Any, own: str) -> None:
        while not self.is_over:
            await self._append(tasks, own)
            await asyncio.sleep(PAUSE_S)

    async def _append(self, tasks: Any, own: str) -> None:
        await tasks.append(own, len(self._acknowledged))
        self._acknowledged.append(time.perf_counter())

    async def end(self, tasks: Any, own: str) -> None:
        """Append a last event, which comes after everything else, and wait until all have arrived."""
        await self._append(tasks, own)
        await self.all_there()

    async def all_there(self) -> None:
        """Wait until the user has every event that was acknowledged before this call: everything that was written
        before has been published then."""
        count = len(self._acknowledged)
        async with asyncio.timeout(WAIT_S):
            while len(self._arrived) < count:
                self._is_new.clear()
                await self._is_new.wait()

    def percentile(self, part: float) -> float:
        """Return a percentile of the delays, in milliseconds."""
        took = [1000 * max(0.0, self._arrived[n] - at) for n, at in enumerate(self._acknowledged)]
        return percentile(took, part)


def _opens(contender: str, task: ObjectId) -> Script:
    if contender == "relay":
        return relay_script(f"/ws/tasks/{task}", (b'"task:state"', None), sub="other")
    return CONTENDERS[contender].listens(task, 0)


@asynccontextmanager
async def bystander(tasks: Any, load: Any, contender: str = "relay") -> AsyncIterator[Bystander]:
    """Let another user have a task of his own open, to which events are appended until the end of the context. The
    delays are complete after that."""
    (own,) = await tasks.add(members=["other"])
    (client,) = await load.join([_opens(contender, own)])
    one = Bystander()
    client.on_data = one.note
    working = asyncio.create_task(one.work(tasks, own))
    try:
        yield one
    except BaseException:
        working.cancel()
        raise
    one.is_over = True
    await working
    await one.end(tasks, own)
