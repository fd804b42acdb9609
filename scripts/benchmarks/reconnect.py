"""A reconnect storm: 2,000 clients of 50 people lose their connections and all reconnect at once.

Each client has a dashboard and one of 200 tasks. Each task gets a few events in the meantime, and each client sends
the position it had reached.

`reads`: database reads for all clients together. `all current`: from the first connection attempt until the last
client has received its list and the missed events. `CPU`: the server's CPU time per client.
"""

from __future__ import annotations

import re
import time

from bson import ObjectId

from scripts.benchmarks.bench import NOISE, Benchmark, Environment, Figure, Measured, Meter
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.load_client import Script

PEOPLE = 50
LIMIT = 50  # tasks on the list
MISSED = 3  # events
CASE = "relay"
READS = Figure("reads", "of the database")
CURRENT = Figure("all current", "s", 2)
CPU = Figure("CPU", "ms a client", 2)


def visits(task: ObjectId, number: int, position: str = "") -> Script:
    """Return the script of a dashboard that joins a task, from `position` if it is given."""
    join = f'{{"type":"task:join","data":{{"taskId":"{task}"{position}}}}}'
    return relay_script(
        f"/ws/dashboard?limit={LIMIT}",
        (b'"dashboard:state"', join.encode()),
        (b'"task:state"', None),
        (b'"more":false', None),
        sub=f"user{number % PEOPLE}",
        team="red",
    )


def position_in(received_data: bytes) -> str:
    """Return the position in a `task:state`, as members of a join request."""
    found = re.search(rb'"next":(\d+),"head":"([^"]+)"', received_data)
    if found is None:
        raise RuntimeError("the task:state has no position")
    return f',"since":{int(found[1])},"head":"{found[2].decode()}"'


def reads_of(server: Server) -> float:
    """Return the number of database reads that the relay's metrics report."""
    found = re.search(rb"^relay_state_reads_total (\S+)", server.metrics(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def measure(environment: Environment, case: str) -> Measured:
    clients, count = environment.sized(2_000, 40), environment.sized(200, 10)
    async with environment.serving("relay") as (server, tasks), environment.load_client(server) as load:
        ids = await tasks.add(count)
        connections = await load.join([visits(ids[n % count], n) for n in range(clients)])
        positions = [position_in(connection.received_data) for connection in connections]
        await load.leave()
        for n in range(MISSED):
            await tasks.collection.update_many({}, {"$push": {"events": {"type": "log", "n": n}}})
        reads, began, meter = reads_of(server), time.perf_counter(), Meter(environment, server)
        connections = await load.join(
            [visits(ids[n % count], n, positions[n]) for n in range(clients)], at_once=clients
        )
        usage = meter.stop()
        missed = sum(
            connection.received_data.rpartition(b'"task:state"')[2].count(b'"at":null') != MISSED
            for connection in connections
        )
        return Measured(
            {
                READS.name: reads_of(server) - reads,
                CURRENT.name: time.perf_counter() - began,
                CPU.name: 1000 * usage.cpu_s / clients,
                **usage.noise(),
            },
            f"{missed:,} of {clients:,} clients did not receive exactly the events they had missed"
            if missed
            else None,
        )


BENCHMARK = Benchmark(
    "reconnect",
    "A reconnect storm: 2,000 clients of 50 people, on 200 tasks",
    (CASE,),
    (READS, CURRENT, CPU, *NOISE),
    measure,
    reference=CASE,
)
