"""A steady pace: a task that 500 listen to gets 50 events a second, so that nothing can be sent together.

`CPU`: of the server, per frame received. `p50`, `p99`: from the call of a write, with the default write
concern (majority), until the last of the 500 has its frame.
"""

from __future__ import annotations

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
from scripts.benchmarks.contenders import ALL

RATE = 50  # events a second
CPU = Figure("CPU", "µs a delivery", 1)
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)


async def measure(ground: Ground, case: str) -> Measured:
    listeners, count = ground.sized(500, 20), ground.sized(400, 25)
    async with ground.serving(case) as (server, tasks), ground.listening(server) as crowd:
        (task,) = await tasks.add()
        await crowd.join([server.contender.listens(task, n) for n in range(listeners)])
        warm = RATE // 2
        crowd.expect(warm)
        await paced(warm, RATE, lambda n: tasks.append(task, n))
        await crowd.all_received()

        crowd.expect(count)
        meter = Meter(ground, server)
        called = await paced(count, RATE, lambda n: tasks.append(task, n))
        await crowd.all_received()
        spent = meter.stop()
        took = [1000 * (at - call) for at, call in zip(crowd.last_at, called, strict=False) if at]
        return Measured(
            {
                CPU.name: 1e6 * spent.cpu_s / crowd.received,
                P50.name: percentile(took, 0.5),
                P99.name: percentile(took, 0.99),
                **spent.noise(),
            },
            flaw_of(crowd, range(count)),
        )


BENCHMARK = Benchmark(
    "steady",
    "A steady pace: 50 appends a second to a task with 500 listeners",
    ALL,
    (CPU, P50, P99, *NOISE),
    measure,
    reference="relay",
)
