"""Rights: 500 tasks, 200 dashboards and 300 changes a second; ten people may see each change.

"200 audiences": each dashboard belongs to another person. Each task lists ten of the 200 people as its members, and
for each change the relay must find the dashboards of those ten. "one audience": ten dashboards belong to one person
who may see every task, and the other 190 to one who may see none. Connections, changes and frames are equal in both
cases, so the difference is the cost of different rights.

`CPU`: the server's CPU time per change. `p99`: from the call of a write until the last of the ten has its frame.
"""

from __future__ import annotations

import asyncio
import re

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Environment,
    Figure,
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


async def measure(environment: Environment, case: str) -> Measured:
    people, count, changes = (
        environment.sized(200, 40),
        environment.sized(500, 50),
        environment.sized(2_400, 150),
    )
    settings = {
        "RELAY_LIST_UPDATE_MIN_INTERVAL_MS": "0"
    }  # send each change separately, because frames are counted
    async with (
        environment.serving("relay", **settings) as (server, tasks),
        environment.load_client(server) as load,
    ):
        ids = await tasks.add(count, members=["one"])
        if case == MANY:
            for n, task in enumerate(ids):
                members = [f"user{(n + step) % people}" for step in range(SEEN_BY)]
                await tasks.collection.update_one({"_id": task}, {"$set": {"members": members}})
        subs = [f"user{n}" if case == MANY else "one" if n < SEEN_BY else "none" for n in range(people)]
        connections = await load.join(
            [relay_script("/ws/dashboard?limit=1", (b"dashboard:state", None), sub=sub) for sub in subs]
        )
        last_at, received = [0.0] * changes, [0] * changes

        def note_titles(data: bytes, now: float) -> None:
            for found in TITLE.findall(data):
                last_at[int(found)] = now
                received[int(found)] += 1

        for connection in connections:
            connection.on_data = note_titles
        writing: set[asyncio.Task[None]] = set()

        async def change(n: int) -> None:
            update = {"$set": {"title": f"Change {n}"}}
            order = asyncio.ensure_future(tasks.collection.update_one({"_id": ids[n % count]}, update))
            writing.add(order)
            order.add_done_callback(writing.discard)

        load.expect(changes, listeners=SEEN_BY)
        meter = Meter(environment, server)
        called = await paced(changes, RATE, change)
        await load.wait_until_received()
        usage = meter.stop()
        await asyncio.gather(*writing)
        took = [1000 * (at - call) for at, call in zip(last_at, called, strict=True) if at]
        wrong = sum(one != SEEN_BY for one in received)
        return Measured(
            {
                CPU.name: 1e6 * usage.cpu_s / changes,
                P50.name: percentile(took, 0.5),
                P99.name: percentile(took, 0.99),
                **usage.noise(),
            },
            f"{wrong} of {changes:,} changes did not reach exactly the people who may see them"
            if wrong
            else None,
        )


BENCHMARK = Benchmark(
    "audiences",
    "Rights: 500 tasks, 300 changes a second, ten of 200 dashboards may see each",
    (ONE, MANY),
    (CPU, P50, P99, *NOISE),
    measure,
    reference=ONE,
)
