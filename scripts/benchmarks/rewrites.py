"""Rewrites: a migration edits every event of every task in place, while another user works.

One dashboard shows the tasks that are migrated, and nobody has one of them open. Another user, who may not see them,
has a task of his own open, to which 20 events a second are appended from just before the migration until a second after
it.

`hold`: the longest time for which one callback kept the event loop of the relay from everything else, by the clock and
as CPU time of its thread (`loop_monitor.py` says how it is measured). `p50`, `p99`: from mongod's acknowledgement of
one of the other user's events until he has it. They contain the time for which mongod itself is busy with the
migration: the change stream brings changes in their order. `CPU`: of the relay, from the start of the migration until
all of it was published. `memory`: the most that was resident, and the part of it that the migration added.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, percentile
from scripts.benchmarks.contenders import relay_script
from scripts.benchmarks.loop_monitor import holds
from scripts.benchmarks.machine import peak_rss_bytes

# The tasks of a migration, and the events of each.
SIZES = {
    "300 tasks × 500 events": (300, 500),
    "1,000 tasks × 800 events": (1_000, 800),
    "1 task × 40,000 events": (1, 40_000),
}
PAUSE_S = 0.05  # between two events of the other user
AFTER_S = 1.0  # for so long the other user goes on after the migration
WAIT_S = 120.0
LONGEST = 16  # bytes of a number with its name
HOLD = Figure("hold", "ms")
HOLD_CPU = Figure("of it CPU", "ms")
P50 = Figure("p50", "ms")
P99 = Figure("p99", "ms")
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
    count, length = SIZES[case]
    count, length = environment.sized(count, min(count, 5)), environment.sized(length, min(length, 100))

    async def fill(tasks: Any) -> None:
        for first in range(0, count, 50):
            await tasks.insert_many(_tasks(min(50, count - first), length))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "holds"
        serving = environment.serving("relay", fill, monitor=file)
        async with serving as (server, tasks), environment.load_client(server) as load:
            (own,) = await tasks.add(members=["other"])
            (other,) = await load.join(
                [relay_script(f"/ws/tasks/{own}", (b'"task:state"', None), sub="other")]
            )
            arrived: dict[int, float] = {}
            acknowledged: list[float] = []
            is_over, has_all = asyncio.Event(), asyncio.Event()
            last = -1  # the number of the last event, once that is certain
            rest = b""  # the end of what has arrived, which may be the beginning of a number

            def note(data: bytes, now: float) -> None:
                nonlocal rest
                data = rest + data
                for number in re.findall(rb'"n":(\d+)\D', data):
                    arrived.setdefault(int(number), now)
                rest = data[-LONGEST:]
                if last in arrived:
                    has_all.set()

            other.on_data = note
            await load.join(
                [relay_script("/ws/dashboard?limit=100", (b'"dashboard:state"', None), sub="one", team="red")]
            )

            async def work() -> None:
                while not is_over.is_set():
                    await tasks.append(own, len(acknowledged))
                    acknowledged.append(time.perf_counter())
                    await asyncio.sleep(PAUSE_S)

            working = asyncio.create_task(work())
            await asyncio.sleep(0.2)
            began, cpu_s, rss = time.monotonic(), server.cpu_s(), server.rss_bytes()
            await tasks.collection.update_many(
                {"teamId": "red"},
                [{"$set": {"events": _edited()}}] if count == 1 else {"$set": {"events.$[].v": 2}},
            )
            await asyncio.sleep(environment.sized(1, 0) * AFTER_S)
            is_over.set()
            await working
            await tasks.append(own, len(acknowledged))  # the last one, which comes after everything else
            acknowledged.append(time.perf_counter())
            last = len(acknowledged) - 1
            note(b"", time.perf_counter())  # it may have arrived before it was acknowledged
            async with asyncio.timeout(WAIT_S):
                await has_all.wait()
            cpu_s = server.cpu_s() - cpu_s
            took = [1000 * max(0.0, arrived[n] - at) for n, at in enumerate(acknowledged) if n in arrived]
            longest = max(holds(file, began), key=lambda hold: hold.wall_s, default=None)
            most_cpu_s = max((hold.cpu_s for hold in holds(file, began)), default=0.0)
            peak = peak_rss_bytes(server.pid)
            return Measured(
                {
                    HOLD.name: 1000 * (longest.wall_s if longest is not None else 0.0),
                    HOLD_CPU.name: 1000 * most_cpu_s,
                    P50.name: percentile(took, 0.5),
                    P99.name: percentile(took, 0.99),
                    CPU.name: 1000 * cpu_s,
                    PEAK.name: peak / 1e6,
                    ADDED.name: (peak - rss) / 1e6,
                },
                None if len(took) == len(acknowledged) else "events of the other user did not arrive",
            )


def _edited() -> dict[str, Any]:
    """Return the expression by which an update with a pipeline edits each event."""
    return {"$map": {"input": "$events", "in": {"$mergeObjects": ["$$this", {"v": 2}]}}}


BENCHMARK = Benchmark(
    "rewrites",
    "Rewrites: every event of every task is edited in place, while another user works",
    list(SIZES),
    (HOLD, HOLD_CPU, P50, P99, CPU, PEAK, ADDED),
    measure,
    reference="300 tasks × 500 events",
)
