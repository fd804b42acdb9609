"""A slow reader: one of 500 listeners stops reading. The latency of the others is measured.

The slow reader also listens to other tasks, which get enough large events to fill its socket buffers. Then the task
that all 500 share gets 50 events a second.

`p50`, `p99`: from the call of a write until the last of the other 499 has its frame.
"""

from __future__ import annotations

import asyncio

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Environment,
    Figure,
    Measured,
    Meter,
    check_received,
    paced,
    percentile,
)
from scripts.benchmarks.contenders import SERVERS

RATE = 50
STALLED = ", one stalled"
EVENT_BYTES = 16_000
FLOODS, FILL = 10, 60  # number of tasks and events of each: more than the socket buffers hold
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)
CPU = Figure("CPU", "µs a delivery", 1)


async def measure(environment: Environment, case: str) -> Measured:
    contender, comma, _ = case.partition(",")
    listeners, count = environment.sized(500, 20), environment.sized(300, 25)
    async with (
        environment.serving(contender) as (server, tasks),
        environment.load_client(server) as load,
        environment.load_client(server) as slow,
    ):
        task, *floods = await tasks.add(1 + FLOODS)
        await load.join([server.contender.listens(task, n) for n in range(listeners - 1)])
        (stalled,) = await slow.join([server.contender.listens(task, 0)], narrow=True)
        for flood in floods:
            await stalled.say(server.contender.joins(flood))
        if comma:
            stalled.stop_reading()
            for flood in floods:
                await tasks.append_all(flood, range(FILL), EVENT_BYTES)
        await asyncio.sleep(1)

        load.expect(count)
        meter = Meter(environment, server)
        called = await paced(count, RATE, lambda n: tasks.append(task, n))
        await load.wait_until_received()
        usage = meter.stop()
        took = [1000 * (at - call) for at, call in zip(load.last_at, called, strict=False) if at]
        return Measured(
            {
                P50.name: percentile(took, 0.5) if took else float("nan"),
                P99.name: percentile(took, 0.99) if took else float("nan"),
                CPU.name: 1e6 * usage.cpu_s / max(1, load.received),
                **usage.noise(),
            },
            check_received(load, range(count)),
        )


BENCHMARK = Benchmark(
    "slow-reader",
    "A slow reader among 500 listeners: latency of the others, at 50 appends a second",
    [case for name in SERVERS for case in (name, name + STALLED)],
    (P99, P50, CPU, *NOISE),
    measure,
    reference="relay",
)
