"""Idle connections: of 10,000 connections one receives the changes, and the others receive nothing.

The idle connections have dashboards on which none of the changed tasks may be seen. There are 100 changes a second.

`change`: the server's CPU time per change, without the CPU time it uses when nothing changes, which is measured before
and after. `idle`: the CPU time without changes (heartbeats and pings), in percent of a core.
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
)
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.memory import connections_allowed

RATE = 100
FEW, MANY = "100 connections", "10,000 connections"
CHANGE = Figure("change", "µs of CPU")
IDLE = Figure("idle", "% of a core", 1)


async def measure(environment: Environment, case: str) -> Measured:
    full = 100 if case == FEW else environment.sized(10_000, 200)
    count = connections_allowed(full)
    changes, idle_s = environment.sized(800, 50), environment.sized(8, 1)
    async with environment.serving("relay") as (server, tasks), environment.load_client(server) as load:
        (task,) = await tasks.add()
        await load.join([server.contender.listens(task, 0)])
        others = (b"dashboard:state", None)
        await load.join(
            [relay_script("/ws/dashboard", others, sub=f"idle{n % 1000}") for n in range(count - 1)]
        )
        before = await share_used(environment, server, idle_s)
        load.expect(changes, listeners=1)
        meter = Meter(environment, server)
        await paced(changes, RATE, lambda n: tasks.append(task, n))
        await load.wait_until_received()
        usage, invalid_reason = meter.stop(), check_received(load, range(changes))
        idle_share = (before + await share_used(environment, server, idle_s)) / 2
        return Measured(
            {
                CHANGE.name: 1e6 * (usage.cpu_s - idle_share * usage.wall_s) / changes,
                IDLE.name: 100 * idle_share,
                **usage.noise(),
            },
            f"{count:,} connections, because of the limit of open files" if count < full else invalid_reason,
        )


async def share_used(environment: Environment, server: Server, seconds: float) -> float:
    """Return the share of a core that the server uses in the next `seconds`."""
    meter = Meter(environment, server)
    await asyncio.sleep(seconds)
    usage = meter.stop()
    return usage.cpu_s / usage.wall_s


BENCHMARK = Benchmark(
    "idle-connections",
    "Idle connections: 100 changes a second, which one of them receives",
    (FEW, MANY),
    (CHANGE, IDLE, *NOISE),
    measure,
    reference=FEW,
)
