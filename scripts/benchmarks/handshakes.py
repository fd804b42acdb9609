"""Handshakes: clients that connect with a token, are welcomed, and close.

Each client has a token of its own (HS256), which the server has never seen. It sends the token in the header
`Authorization` of its handshake, waits for the message `welcome`, closes with 1000, and is gone when the server has
closed the socket. The other servers verify the token with the library `jsonwebtoken`. Afterwards the last of the
clients come again, with the same tokens: the relay still has these in its memory, the others do not remember any.

`handshakes`: such visits per second of the server's CPU time, closing included, with tokens it has not seen. `again`:
the same with tokens it has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from scripts.benchmarks.bench import NOISE, Benchmark, Environment, Figure, Measured, Meter
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.load_client import Script

PATHS = {"relay": "/ws", "ws": "/", "Bun": "/"}
WARM_UP = 1_000  # visits: Node and Bun compile what runs often
FIRST, AGAIN = 6_000, 1_500  # the relay remembers 2,048 tokens
HANDSHAKES = Figure("handshakes", "per CPU-second", less_is_better=False)
SEEN = Figure("again", "per CPU-second", less_is_better=False)


async def measure(environment: Environment, case: str) -> Measured:
    warm_up, first = environment.sized(WARM_UP, 20), environment.sized(FIRST, 60)
    visitors = [
        relay_script(PATHS[case], (b'"welcome"', None), sub=f"visitor{n}", team="red")
        for n in range(warm_up + first)
    ]
    async with environment.serving(case) as (server, _):
        await _visits(environment, server, visitors[:warm_up])
        meter = Meter(environment, server)
        welcomed = await _visits(environment, server, visitors[warm_up:])
        usage = meter.stop()
        again = visitors[-environment.sized(AGAIN, 20) :]
        meter = Meter(environment, server)
        welcomed += await _visits(environment, server, again)
        seen = meter.stop()
        missing = first + len(again) - welcomed
        return Measured(
            {
                HANDSHAKES.name: first / usage.cpu_s,
                SEEN.name: len(again) / seen.cpu_s,
                **usage.noise(),
            },
            f"{missing} clients were not closed with 1000" if missing else None,
        )


async def _visits(environment: Environment, server: Server, visitors: Sequence[Script]) -> int:
    """Let all of these clients visit the server. Return how many of them the server has closed with 1000."""
    async with environment.load_client(server) as load:
        closed = await load.visit(visitors)
    await asyncio.sleep(environment.sized(1, 0) / 4)  # the server lets go of the last connections
    return closed


BENCHMARK = Benchmark(
    "handshakes",
    "Handshakes: clients with tokens of their own connect, are welcomed, and close",
    tuple(PATHS),
    (HANDSHAKES, SEEN, *NOISE),
    measure,
    reference="relay",
)
