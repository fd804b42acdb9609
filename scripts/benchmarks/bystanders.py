"""Bystanders: one of 10,000 connections is concerned by the changes, the others are only there.

The bystanders have dashboards of their own, on which nothing of this may be seen. 100 changes a second.

`change`: CPU of the server per change, without what it uses when nothing changes, as measured before and
after. `idle`: that, heartbeats and pings, in percent of a core.
"""

from __future__ import annotations

import asyncio

from scripts.benchmarks.bench import NOISE, Benchmark, Figure, Ground, Measured, Meter, flaw_of, paced
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.memory import room_for

RATE = 100
FEW, MANY = "100 connections", "10,000 connections"
CHANGE = Figure("change", "µs of CPU")
IDLE = Figure("idle", "% of a core", 1)


async def measure(ground: Ground, case: str) -> Measured:
    full = 100 if case == FEW else ground.sized(10_000, 200)
    count = room_for(full)
    changes, idle_s = ground.sized(800, 50), ground.sized(8, 1)
    async with ground.serving("relay") as (server, tasks), ground.listening(server) as crowd:
        (task,) = await tasks.add()
        await crowd.join([server.contender.listens(task, 0)])
        others = (b"dashboard:state", None)
        await crowd.join(
            [relay_script("/ws/dashboard", others, sub=f"bystander{n % 1000}") for n in range(count - 1)]
        )
        before = await _idle_share(ground, server, idle_s)
        crowd.expect(changes, listeners=1)
        meter = Meter(ground, server)
        await paced(changes, RATE, lambda n: tasks.append(task, n))
        await crowd.all_received()
        spent, flaw = meter.stop(), flaw_of(crowd, range(changes))
        idle_share = (before + await _idle_share(ground, server, idle_s)) / 2
        return Measured(
            {
                CHANGE.name: 1e6 * (spent.cpu_s - idle_share * spent.wall_s) / changes,
                IDLE.name: 100 * idle_share,
                **spent.noise(),
            },
            f"{count:,} connections, as many as files may be open" if count < full else flaw,
        )


async def _idle_share(ground: Ground, server: Server, seconds: float) -> float:
    meter = Meter(ground, server)
    await asyncio.sleep(seconds)
    spent = meter.stop()
    return spent.cpu_s / spent.wall_s


BENCHMARK = Benchmark(
    "bystanders",
    "Bystanders: 100 changes a second that concern one connection",
    (FEW, MANY),
    (CHANGE, IDLE, *NOISE),
    measure,
    reference=FEW,
)
