"""Rights: 500 tasks, 200 dashboards, 300 changes a second, each of which ten people may see.

With 200 audiences everyone is somebody else: each task names ten of 200 people as its members, and a change
has to find the dashboards of those. With one audience the ten are dashboards of one person who may see every
task, and the other 190 those of one who may see none. Both cases have the same connections, changes and
frames; the difference is what it costs that rights differ.

`CPU`: of the server, per change. `p99`: from the call of a write until the last of the ten has its frame.
"""

from __future__ import annotations

import asyncio
import re

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Figure,
    Ground,
    Measured,
    Meter,
    paced,
    percentile,
)
from scripts.benchmarks.contenders import relay_script

RATE = 300  # changes a second
SEEN_BY = 10
ONE, MANY = "one audience", "200 audiences"
CPU = Figure("CPU", "µs a change")
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)
TITLE = re.compile(rb'"title":"Change (\d+)"')


async def measure(ground: Ground, case: str) -> Measured:
    people, count, changes = ground.sized(200, 40), ground.sized(500, 50), ground.sized(2_400, 150)
    settings = {"RELAY_LIST_UPDATE_MIN_INTERVAL_MS": "0"}  # each change by itself, for who counts frames
    async with ground.serving("relay", **settings) as (server, tasks), ground.listening(server) as crowd:
        ids = await tasks.add(count, members=["one"])
        if case == MANY:
            for n, task in enumerate(ids):
                members = [f"user{(n + step) % people}" for step in range(SEEN_BY)]
                await tasks.collection.update_one({"_id": task}, {"$set": {"members": members}})
        subs = [f"user{n}" if case == MANY else "one" if n < SEEN_BY else "none" for n in range(people)]
        ears = await crowd.join(
            [relay_script("/ws/dashboard?limit=1", (b"dashboard:state", None), sub=sub) for sub in subs]
        )
        last_at, heard = [0.0] * changes, [0] * changes

        def look(data: bytes, now: float) -> None:
            for found in TITLE.findall(data):
                last_at[int(found)] = now
                heard[int(found)] += 1

        for ear in ears:
            ear.look = look
        writing: set[asyncio.Task[None]] = set()

        async def change(n: int) -> None:
            update = {"$set": {"title": f"Change {n}"}}
            order = asyncio.ensure_future(tasks.collection.update_one({"_id": ids[n % count]}, update))
            writing.add(order)
            order.add_done_callback(writing.discard)

        crowd.expect(changes, listeners=SEEN_BY)
        meter = Meter(ground, server)
        called = await paced(changes, RATE, change)
        await crowd.all_received()
        spent = meter.stop()
        await asyncio.gather(*writing)
        took = [1000 * (at - call) for at, call in zip(last_at, called, strict=True) if at]
        wrong = sum(one != SEEN_BY for one in heard)
        return Measured(
            {
                CPU.name: 1e6 * spent.cpu_s / changes,
                P50.name: percentile(took, 0.5),
                P99.name: percentile(took, 0.99),
                **spent.noise(),
            },
            f"{wrong} of {changes:,} changes did not reach exactly those who may see them" if wrong else None,
        )


BENCHMARK = Benchmark(
    "audiences",
    "Rights: 500 tasks, 300 changes a second, ten of 200 dashboards may see each",
    (ONE, MANY),
    (CPU, P50, P99, *NOISE),
    measure,
    reference=ONE,
)
