"""Latency: one listener, one event at a time.

`p50`, `p99`: from the call of a write with `w: majority` until the listener has its frame. The case "floor" is the
driver's own change stream with one plain socket; what a contender takes beyond it is its own latency.
"""

from __future__ import annotations

import asyncio
import random
import time

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Environment,
    Figure,
    Measured,
    Meter,
    check_received,
    percentile,
)
from scripts.benchmarks.contenders import ALL

PAUSE_S = (
    0.006  # longest pause between two writes; its length is random, so it cannot synchronise with the journal
)
P50 = Figure("p50", "ms", 2)
P99 = Figure("p99", "ms", 2)


async def measure(environment: Environment, case: str) -> Measured:
    count, warm = environment.sized(400, 20), environment.sized(50, 5)
    async with environment.serving(case) as (server, tasks), environment.load_client(server) as load:
        (task,) = await tasks.add()
        await load.join([server.contender.listens(task, 0)])
        load.expect(warm + count)
        called, meter = [], Meter(environment, server)
        for n in range(warm + count):
            called.append(time.perf_counter())
            await tasks.append(task, n)
            await asyncio.sleep(PAUSE_S * random.random())
        await load.wait_until_received()
        usage = meter.stop()
        took = [1000 * (at - call) for at, call in zip(load.last_at, called, strict=False) if at]
        return Measured(
            {P50.name: percentile(took[warm:], 0.5), P99.name: percentile(took[warm:], 0.99)} | usage.noise(),
            check_received(load, range(warm + count)),
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
