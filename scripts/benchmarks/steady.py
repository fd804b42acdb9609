"""A steady rate: a task with 500 listeners gets 50 events a second, too slow to send several events together.

`CPU`: the server's CPU time per frame received. `p50`, `p99`: from the call of a write, with the default write
concern (majority), until the last of the 500 has its frame.
"""

from __future__ import annotations

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
from scripts.benchmarks.contenders import ALL

RATE = 50  # events a second
CPU = Figure("CPU", "µs a delivery", 1)
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)


async def measure(environment: Environment, case: str) -> Measured:
    listeners, count = environment.sized(500, 20), environment.sized(400, 25)
    async with environment.serving(case) as (server, tasks), environment.load_client(server) as load:
        (task,) = await tasks.add()
        await load.join([server.contender.listens(task, n) for n in range(listeners)])
        warm = RATE // 2
        load.expect(warm)
        await paced(warm, RATE, lambda n: tasks.append(task, n))
        await load.wait_until_received()

        load.expect(count)
        meter = Meter(environment, server)
        called = await paced(count, RATE, lambda n: tasks.append(task, n))
        await load.wait_until_received()
        usage = meter.stop()
        took = [1000 * (at - call) for at, call in zip(load.last_at, called, strict=False) if at]
        return Measured(
            {
                CPU.name: 1e6 * usage.cpu_s / load.received,
                P50.name: percentile(took, 0.5),
                P99.name: percentile(took, 0.99),
                **usage.noise(),
            },
            check_received(load, range(count)),
        )


BENCHMARK = Benchmark(
    "steady",
    "A steady rate: 50 appends a second to a task with 500 listeners",
    ALL,
    (CPU, P50, P99, *NOISE),
    measure,
    reference="relay",
)
