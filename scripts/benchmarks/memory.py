"""Memory: what an open connection keeps of the server's, when nothing happens.

Each connection listens to one of 50 tasks. At the relay it is a whole conversation: token, rights, rate
limit, room. The others know of nobody who they are. After the first 200 connections, which also bring what
is loaded once, and a pause, memory is looked at, and again after the last one and a pause.

`memory`: (resident after - resident before) / connections. `handshakes`: joined connections per CPU-second.
"""

from __future__ import annotations

import asyncio
import resource

from scripts.benchmarks.bench import Benchmark, Figure, Ground, Measured, Meter
from scripts.benchmarks.contenders import ALL

FIRST = 200
SPARE = 500  # descriptors for everything else
MEMORY = Figure("memory", "KB a connection", 2)
HANDSHAKES = Figure("handshakes", "per CPU-second", less_is_better=False)


def room_for(wanted: int) -> int:
    """As many of these connections as fit under the limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - SPARE)


async def measure(ground: Ground, case: str) -> Measured:
    count, settle_s = room_for(ground.sized(5_000, 200)), ground.sized(2, 0)
    async with ground.serving(case) as (server, tasks), ground.listening(server) as crowd:
        ids = await tasks.add(50)
        listens = server.contender.listens
        await crowd.join([listens(ids[n % 50], n) for n in range(FIRST)])
        await asyncio.sleep(settle_s)
        before, meter = server.rss_bytes(), Meter(ground, server)
        await crowd.join([listens(ids[n % 50], n) for n in range(count)])
        spent = meter.stop()
        await asyncio.sleep(settle_s)
        after, there = server.rss_bytes(), len(crowd.ears)
        return Measured(
            {MEMORY.name: (after - before) / count / 1024, HANDSHAKES.name: count / spent.cpu_s},
            f"{there:,} connections" if there < FIRST + ground.sized(5_000, 200) else None,
        )


BENCHMARK = Benchmark(
    "memory",
    "Memory of an idle connection, of 5,000",
    ALL,
    (MEMORY, HANDSHAKES),
    measure,
    reference="relay",
)
