"""Latency: one listener, one event at a time.

`p50`, `p99`: from the call of a write with w: majority until the listener has its frame. The floor is the
driver's own change stream with one bare socket: what is above it is the contender's.
"""

from __future__ import annotations

import asyncio
import random
import time

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Figure,
    Ground,
    Measured,
    Meter,
    flaw_of,
    percentile,
)
from scripts.benchmarks.contenders import ALL

PAUSE_S = 0.006  # at most, between two writes: of random length, lest they beat with the journal
P50 = Figure("p50", "ms", 2)
P99 = Figure("p99", "ms", 2)


async def measure(ground: Ground, case: str) -> Measured:
    count, warm = ground.sized(400, 20), ground.sized(50, 5)
    async with ground.serving(case) as (server, tasks), ground.listening(server) as crowd:
        (task,) = await tasks.add()
        await crowd.join([server.contender.listens(task, 0)])
        crowd.expect(warm + count)
        called, meter = [], Meter(ground, server)
        for n in range(warm + count):
            called.append(time.perf_counter())
            await tasks.append(task, n)
            await asyncio.sleep(PAUSE_S * random.random())
        await crowd.all_received()
        spent = meter.stop()
        took = [1000 * (at - call) for at, call in zip(crowd.last_at, called, strict=False) if at]
        return Measured(
            {P50.name: percentile(took[warm:], 0.5), P99.name: percentile(took[warm:], 0.99)} | spent.noise(),
            flaw_of(crowd, range(warm + count)),
        )


BENCHMARK = Benchmark(
    "latency",
    "Latency: one listener, one append at a time, w: majority",
    ALL,
    (P50, P99, *NOISE),
    measure,
    reference="floor",
    least_rounds=5,
)
