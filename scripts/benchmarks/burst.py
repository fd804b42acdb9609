"""A burst: a task with 500 listeners receives 2,000 events as fast as mongod executes the writes.

`deliveries`: frames received by all listeners, per second of the server's CPU time. `frames a segment`: frames per
received TCP segment. On loopback a segment is one write of the server, unless the kernel joins data that it could
not send at once. `age of the last`: from mongod's acknowledgement of the last event until the last listener has it.
"""

from __future__ import annotations

import time

from scripts.benchmarks.bench import NOISE, Benchmark, Environment, Figure, Measured, Meter, check_received
from scripts.benchmarks.contenders import ALL

DELIVERIES = Figure("deliveries", "per CPU-second", less_is_better=False)
JOINED = Figure("frames a segment", "", 1, less_is_better=False)
AGE = Figure("age of the last", "ms")


async def measure(environment: Environment, case: str) -> Measured:
    listeners, count = environment.sized(500, 20), environment.sized(2_000, 200)
    async with environment.serving(case) as (server, tasks), environment.load_client(server) as load:
        (task,) = await tasks.add()
        await load.join([server.contender.listens(task, n) for n in range(listeners)])
        load.expect(count // 10)  # warm up compilers and caches
        await tasks.append_all(task, range(count // 10))
        await load.wait_until_received()

        load.expect(count)
        meter, writes = Meter(environment, server), load.writes_received()
        await tasks.append_all(task, range(count))
        acknowledged = time.perf_counter()
        await load.wait_until_received()
        usage = meter.stop()
        return Measured(
            {
                DELIVERIES.name: load.received / usage.cpu_s,
                JOINED.name: load.received / (load.writes_received() - writes),
                AGE.name: 1000 * max(0.0, load.last_at[-1] - acknowledged),
                **usage.noise(),
            },
            check_received(load, range(count)),
        )


BENCHMARK = Benchmark(
    "burst",
    "A burst: 2,000 appends at once to a task with 500 listeners",
    ALL,
    (DELIVERIES, JOINED, AGE, *NOISE),
    measure,
    reference="relay",
)
