"""A burst: one task that 500 listen to gets 2,000 events as fast as mongod takes them.

`deliveries`: frames received by all listeners, per second of the server's CPU. `frames a segment`: how many of
them came in one TCP segment; on loopback that is one write of the server, save where the kernel joins what
it could not send at once. `age of the last`: from when mongod has acknowledged the last event until the last
listener has it.
"""

from __future__ import annotations

import time

from scripts.benchmarks.bench import NOISE, Benchmark, Figure, Ground, Measured, Meter, flaw_of
from scripts.benchmarks.contenders import ALL

DELIVERIES = Figure("deliveries", "per CPU-second", less_is_better=False)
JOINED = Figure("frames a segment", "", 1, less_is_better=False)
AGE = Figure("age of the last", "ms")


async def measure(ground: Ground, case: str) -> Measured:
    listeners, count = ground.sized(500, 20), ground.sized(2_000, 200)
    async with ground.serving(case) as (server, tasks), ground.listening(server) as crowd:
        (task,) = await tasks.add()
        await crowd.join([server.contender.listens(task, n) for n in range(listeners)])
        crowd.expect(count // 10)  # compilers and caches get warm
        await tasks.append_all(task, range(count // 10))
        await crowd.all_received()

        crowd.expect(count)
        meter, writes = Meter(ground, server), crowd.writes_received()
        await tasks.append_all(task, range(count))
        acknowledged = time.perf_counter()
        await crowd.all_received()
        spent = meter.stop()
        return Measured(
            {
                DELIVERIES.name: crowd.received / spent.cpu_s,
                JOINED.name: crowd.received / (crowd.writes_received() - writes),
                AGE.name: 1000 * max(0.0, crowd.last_at[-1] - acknowledged),
                **spent.noise(),
            },
            flaw_of(crowd, range(count)),
        )


BENCHMARK = Benchmark(
    "burst",
    "A burst: 2,000 appends at once to a task with 500 listeners",
    ALL,
    (DELIVERIES, JOINED, AGE, *NOISE),
    measure,
    reference="relay",
)
