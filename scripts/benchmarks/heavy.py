"""Heavy tasks: a worker puts megabytes where the relay reads a text, and lists are read afterwards.

First nobody has a list open and every task gets its text; then one user asks for the list of them, then six at once.
All the while another user has a task of his own open, to which 20 events a second are appended.

`added`: the memory that is resident after the texts were written, without what was resident before. `peak`: the most
that was, from the start until all lists were sent, without what was resident before. `list`: from the request of one
user until all of the list is there. `lists`: the same for six users at once. `hold`: the longest time for which one
callback kept the event loop of the relay from everything else, by the clock and as CPU time of its thread
(`loop_monitor.py`). `p50`, `p99`: from mongod's acknowledgement of one of the other user's events until he has it.
`driver p99`: the same, without the lists, for a program that reads nothing of the stream but the changes of that one
task (`peers/driver.py`), in a run of its own after that of the relay.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from pymongo import UpdateOne

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured
from scripts.benchmarks.bystander import bystander
from scripts.benchmarks.contenders import relay_script
from scripts.benchmarks.loop_monitor import holds
from scripts.benchmarks.machine import peak_rss_bytes

TASKS = 400
LISTS = 6
LOG = 1_000_000
# What every task gets, for a number of bytes.
CASES: dict[str, Any] = {
    "error of 1 MB": lambda size: {"error": "x" * size},
    "error with a stack": lambda size: {"error": {"message": "y" * 100, "stack": "x" * size}},
    "long questions": lambda size: {"questions": ["x" * (size // 10)] * 10},
    "beside an address": lambda size: {"github": {"prUrl": "https://p", "log": "x" * size}},
    "short": lambda size: {"error": "x"},
}
ADDED = Figure("added", "MB", 1)
PEAK = Figure("peak", "MB", 1)
LIST = Figure("list", "ms")
TOGETHER = Figure("lists", "ms")
HOLD = Figure("hold", "ms")
HOLD_CPU = Figure("of it CPU", "ms")
P50 = Figure("p50", "ms")
P99 = Figure("p99", "ms")
DRIVER = Figure("driver p99", "ms")


async def measure(environment: Environment, case: str) -> Measured:
    count, size = environment.sized(TASKS, 5), environment.sized(LOG, 10_000)

    async def fill(tasks: Any) -> None:
        await tasks.insert_many([{"title": f"Task {n}", "teamId": "red", "events": []} for n in range(count)])

    async def write(tasks: Any) -> None:
        fields = CASES[case](size)
        ids = [one["_id"] async for one in tasks.collection.find({"teamId": "red"}, {"_id": 1})]
        for first in range(0, count, 10):
            some = [UpdateOne({"_id": one}, {"$set": fields}) for one in ids[first : first + 10]]
            await tasks.collection.bulk_write(some, ordered=False)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "holds"
        serving = environment.serving("relay", fill, monitor=file)
        async with serving as (server, tasks), environment.load_client(server) as load:
            rss, began = server.rss_bytes(), time.monotonic()

            async def listed(users: int) -> float:
                path, answer = f"/ws/dashboard?limit={count}", (b'"dashboard:state"', None)
                asked = time.perf_counter()
                await load.join(
                    [relay_script(path, answer, sub=f"user{n}", team="red") for n in range(users)]
                )
                return 1000 * (time.perf_counter() - asked)

            async with bystander(tasks, load) as other:
                await write(tasks)
                await asyncio.sleep(environment.sized(1, 0))  # the user has another event meanwhile
                await other.all_there()
                await asyncio.sleep(environment.sized(1, 0))
                added = server.rss_bytes() - rss
                alone, together = await listed(1), await listed(LISTS)
            found, peak = holds(file, began), peak_rss_bytes(server.pid)
    async with (
        environment.serving("driver", fill) as (server, tasks),
        environment.load_client(server) as load,
        bystander(tasks, load, "driver") as driver,
    ):
        await write(tasks)
    return Measured(
        {
            ADDED.name: added / 1e6,
            PEAK.name: (peak - rss) / 1e6,
            LIST.name: alone,
            TOGETHER.name: together,
            HOLD.name: 1000 * max((hold.wall_s for hold in found), default=0.0),
            HOLD_CPU.name: 1000 * max((hold.cpu_s for hold in found), default=0.0),
            P50.name: other.percentile(0.5),
            P99.name: other.percentile(0.99),
            DRIVER.name: driver.percentile(0.99),
        }
    )


BENCHMARK = Benchmark(
    "heavy",
    "Heavy tasks: megabytes where a text is read, and lists of them",
    list(CASES),
    (ADDED, PEAK, LIST, TOGETHER, HOLD, HOLD_CPU, P50, P99, DRIVER),
    measure,
    reference="short",
)
