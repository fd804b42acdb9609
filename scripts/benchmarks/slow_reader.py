"""A slow reader: one of 500 listeners takes nothing any more. What do the others notice?

The one listens to other tasks as well, which get so many large events that its socket is full. Then the task
that all 500 share gets 50 events a second.

`p50`, `p99`: from the call of a write until the last of the other 499 has its frame.
"""

from __future__ import annotations

import asyncio

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Figure,
    Ground,
    Measured,
    Meter,
    flaw_of,
    paced,
    percentile,
)
from scripts.benchmarks.contenders import SERVERS

RATE = 50
STALLED = ", one stalled"
EVENT_BYTES = 16_000
FLOODS, FILL = 10, 60  # so many tasks, with so many such events: more than a socket's buffers hold
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)
CPU = Figure("CPU", "µs a delivery", 1)


async def measure(ground: Ground, case: str) -> Measured:
    contender, comma, _ = case.partition(",")
    listeners, count = ground.sized(500, 20), ground.sized(300, 25)
    async with (
        ground.serving(contender) as (server, tasks),
        ground.listening(server) as crowd,
        ground.listening(server) as slow,
    ):
        task, *floods = await tasks.add(1 + FLOODS)
        await crowd.join([server.contender.listens(task, n) for n in range(listeners - 1)])
        (stalled,) = await slow.join([server.contender.listens(task, 0)], narrow=True)
        for flood in floods:
            await stalled.say(server.contender.joins(flood))
        if comma:
            stalled.stop_reading()
            for flood in floods:
                await tasks.append_all(flood, range(FILL), EVENT_BYTES)
        await asyncio.sleep(1)

        crowd.expect(count)
        meter = Meter(ground, server)
        called = await paced(count, RATE, lambda n: tasks.append(task, n))
        await crowd.all_received()
        spent = meter.stop()
        took = [1000 * (at - call) for at, call in zip(crowd.last_at, called, strict=False) if at]
        return Measured(
            {
                P50.name: percentile(took, 0.5) if took else float("nan"),
                P99.name: percentile(took, 0.99) if took else float("nan"),
                CPU.name: 1e6 * spent.cpu_s / max(1, crowd.received),
                **spent.noise(),
            },
            flaw_of(crowd, range(count)),
        )


BENCHMARK = Benchmark(
    "slow-reader",
    "A slow reader among 500 listeners: what the others notice, at 50 appends a second",
    [case for name in SERVERS for case in (name, name + STALLED)],
    (P99, P50, CPU, *NOISE),
    measure,
    reference="relay",
)
