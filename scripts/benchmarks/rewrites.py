"""Rewrites: a migration edits every event of every task in place, while another user works.

One dashboard shows the tasks that are migrated, and nobody has one of them open. Another user, who may not see them,
has a task of his own open, to which 20 events a second are appended from just before the migration until a second after
it.

`hold`: the longest time for which one callback kept the event loop of the relay from everything else, by the clock and
as CPU time of its thread (`loop_monitor.py` says how it is measured). `p50`, `p99`: from mongod's acknowledgement of
one of the other user's events until he has it. They contain the time for which mongod itself is busy with the
migration: the change stream brings changes in their order. `driver p99`: the same for a program that reads nothing of
the stream but the changes of that one task (`peers/driver.py`), in a run of its own after that of the relay. `CPU`: of
the relay, from the start of the migration until all of it was published. `memory`: the most that was resident, and the
part of it that the migration added.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured
from scripts.benchmarks.bystander import Bystander, bystander
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.load_client import LoadClient
from scripts.benchmarks.loop_monitor import holds
from scripts.benchmarks.machine import peak_rss_bytes

# The tasks of a migration, and the events of each.
SIZES = {
    "300 tasks × 500 events": (300, 500),
    "1,000 tasks × 800 events": (1_000, 800),
    "1 task × 40,000 events": (1, 40_000),
}
BEFORE_S, AFTER_S = 0.2, 1.0  # for so long the other user works before and after the migration
HOLD = Figure("hold", "ms")
HOLD_CPU = Figure("of it CPU", "ms")
P50 = Figure("p50", "ms")
P99 = Figure("p99", "ms")
DRIVER = Figure("driver p99", "ms")
CPU = Figure("CPU", "ms")
PEAK = Figure("memory", "MB")
ADDED = Figure("added", "MB")


def _tasks(count: int, length: int) -> list[dict[str, Any]]:
    """Return tasks in which every hundredth event has a lifecycle message."""
    events = [
        {
            "type": "pr_opened" if n % 100 == 99 else "log",
            "n": n,
            "v": 1,
            "message": f"line {n} of what a worker has to say",
        }
        for n in range(length)
    ]
    return [{"title": f"Task {n}", "teamId": "red", "events": events} for n in range(count)]


async def measure(environment: Environment, case: str) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "holds"
        async with _migration(environment, case, "relay", file) as (server, load, migrated):
            await load.join(
                [relay_script("/ws/dashboard?limit=100", (b'"dashboard:state"', None), sub="one", team="red")]
            )
            began, cpu_s, rss = time.monotonic(), server.cpu_s(), server.rss_bytes()
            other = await migrated()
            cpu_s = server.cpu_s() - cpu_s
            found = holds(file, began)
            peak = peak_rss_bytes(server.pid)
    async with _migration(environment, case, "driver") as (_, _, migrated):
        driver = await migrated()
    return Measured(
        {
            HOLD.name: 1000 * max((hold.wall_s for hold in found), default=0.0),
            HOLD_CPU.name: 1000 * max((hold.cpu_s for hold in found), default=0.0),
            P50.name: other.percentile(0.5),
            P99.name: other.percentile(0.99),
            DRIVER.name: driver.percentile(0.99),
            CPU.name: 1000 * cpu_s,
            PEAK.name: peak / 1e6,
            ADDED.name: (peak - rss) / 1e6,
        }
    )


@asynccontextmanager
async def _migration(
    environment: Environment, case: str, contender: str, monitor: Path | None = None
) -> AsyncIterator[tuple[Server, LoadClient, Callable[[], Awaitable[Bystander]]]]:
    """Run a contender over the tasks of a case. Yield it, a client, and a function that migrates the tasks and returns
    the other user when he has the last of his events, and so everything has been published."""
    count, length = SIZES[case]
    count, length = environment.sized(count, min(count, 5)), environment.sized(length, min(length, 100))

    async def fill(tasks: Any) -> None:
        for first in range(0, count, 50):
            await tasks.insert_many(_tasks(min(50, count - first), length))

    serving = environment.serving(contender, fill, monitor=monitor)
    async with serving as (server, tasks), environment.load_client(server) as load:

        async def migrated() -> Bystander:
            async with bystander(tasks, load, contender) as other:
                await asyncio.sleep(BEFORE_S)
                await tasks.collection.update_many(
                    {"teamId": "red"},
                    [{"$set": {"events": _edited()}}] if count == 1 else {"$set": {"events.$[].v": 2}},
                )
                await asyncio.sleep(environment.sized(1, 0) * AFTER_S)
            return other

        yield server, load, migrated


def _edited() -> dict[str, Any]:
    """Return the expression by which an update with a pipeline edits each event."""
    return {"$map": {"input": "$events", "in": {"$mergeObjects": ["$$this", {"v": 2}]}}}


BENCHMARK = Benchmark(
    "rewrites",
    "Rewrites: every event of every task is edited in place, while another user works",
    list(SIZES),
    (HOLD, HOLD_CPU, P50, P99, DRIVER, CPU, PEAK, ADDED),
    measure,
    reference="300 tasks × 500 events",
)
