"""A reconnect storm: 2,000 clients of 50 people lose their connections and all come back at once.

Each has a dashboard and one of 200 tasks, which moved on by a few events in the meantime, and says how far
it had got.

`reads`: of the database, for all of them together. `all current`: from the first attempt to connect until
the last one has been given its list and what it missed. `CPU`: of the server, per client.
"""

from __future__ import annotations

import re
import time
from urllib.request import urlopen

from bson import ObjectId

from scripts.benchmarks.bench import NOISE, Benchmark, Figure, Ground, Measured, Meter
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.listeners import Script

PEOPLE = 50
LIMIT = 50  # tasks on the list
MISSED = 3  # events
CASE = "relay"
READS = Figure("reads", "of the database")
CURRENT = Figure("all current", "s", 2)
CPU = Figure("CPU", "ms a client", 2)


def visits(task: ObjectId, number: int, position: str = "") -> Script:
    """A dashboard that opens a task, from a position if it has one."""
    join = f'{{"type":"task:join","data":{{"taskId":"{task}"{position}}}}}'
    return relay_script(
        f"/ws/dashboard?limit={LIMIT}",
        (b'"dashboard:state"', join.encode()),
        (b'"task:state"', None),
        (b'"more":false', None),
        sub=f"user{number % PEOPLE}",
        team="red",
    )


def position_in(heard: bytes) -> str:
    found = re.search(rb'"next":(\d+),"head":"([^"]+)"', heard)
    if found is None:
        raise RuntimeError("a state says no position")
    return f',"since":{int(found[1])},"head":"{found[2].decode()}"'


def reads_of(server: Server) -> float:
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        found = re.search(rb"^relay_state_reads_total (\S+)", answer.read(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def measure(ground: Ground, case: str) -> Measured:
    clients, count = ground.sized(2_000, 40), ground.sized(200, 10)
    async with ground.serving("relay") as (server, tasks), ground.listening(server) as crowd:
        ids = await tasks.add(count)
        ears = await crowd.join([visits(ids[n % count], n) for n in range(clients)])
        positions = [position_in(ear.heard) for ear in ears]
        await crowd.leave()
        for n in range(MISSED):
            await tasks.collection.update_many({}, {"$push": {"events": {"type": "log", "n": n}}})
        reads, began, meter = reads_of(server), time.perf_counter(), Meter(ground, server)
        ears = await crowd.join(
            [visits(ids[n % count], n, positions[n]) for n in range(clients)], at_once=clients
        )
        spent = meter.stop()
        missed = sum(ear.heard.rpartition(b'"task:state"')[2].count(b'"at":null') != MISSED for ear in ears)
        return Measured(
            {
                READS.name: reads_of(server) - reads,
                CURRENT.name: time.perf_counter() - began,
                CPU.name: 1000 * spent.cpu_s / clients,
                **spent.noise(),
            },
            f"{missed:,} of {clients:,} were not given exactly what they had missed" if missed else None,
        )


BENCHMARK = Benchmark(
    "reconnect",
    "A reconnect storm: 2,000 clients of 50 people, on 200 tasks",
    (CASE,),
    (READS, CURRENT, CPU, *NOISE),
    measure,
    reference=CASE,
)
