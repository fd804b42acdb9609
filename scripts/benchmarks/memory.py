"""Memory: the server memory that an idle connection occupies.

Each connection listens to one of 50 tasks. A connection to the relay has a verified token, rights, a rate limit and a
subscription; the other servers do not authenticate their clients. Memory is read a pause after the first 200
connections, which also load everything that is loaded only once, and again a pause after the last connection.

`memory`: (resident after - resident before) / connections. `handshakes`: joined connections per CPU-second.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

from bson import ObjectId

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, Meter
from scripts.benchmarks.contenders import ALL, Server
from scripts.benchmarks.load_client import Script

FIRST = 200
SPARE = 500  # file descriptors for everything else
MEMORY = Figure("memory", "KB a connection", 2)
HANDSHAKES = Figure("handshakes", "per CPU-second", less_is_better=False)


def connections_allowed(wanted: int) -> int:
    """Return how many of `wanted` connections the limit of open files allows, after raising it to its maximum."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - SPARE)


async def measure(environment: Environment, case: str) -> Measured:
    def listens(server: Server, task: ObjectId, number: int) -> Script:
        return server.contender.listens(task, number)

    return await measure_connections(environment, case, listens)


async def measure_connections(
    environment: Environment, case: str, script: Callable[[Server, ObjectId, int], Script]
) -> Measured:
    """Measure connections that follow `script(server, task, number)`."""
    count, settle_s = connections_allowed(environment.sized(5_000, 200)), environment.sized(2, 0)
    async with environment.serving(case) as (server, tasks), environment.load_client(server) as load:
        ids = await tasks.add(50)
        await load.join([script(server, ids[n % 50], n) for n in range(FIRST)])
        await asyncio.sleep(settle_s)
        before, meter = server.rss_bytes(), Meter(environment, server)
        await load.join([script(server, ids[n % 50], n) for n in range(count)])
        usage = meter.stop()
        await asyncio.sleep(settle_s)
        after, there = server.rss_bytes(), len(load.connections)
        return Measured(
            {MEMORY.name: (after - before) / count / 1024, HANDSHAKES.name: count / usage.cpu_s},
            f"{there:,} connections" if there < FIRST + environment.sized(5_000, 200) else None,
        )


BENCHMARK = Benchmark(
    "memory",
    "Memory of an idle connection, of 5,000",
    ALL,
    (MEMORY, HANDSHAKES),
    measure,
    reference="relay",
)
