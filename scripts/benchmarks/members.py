"""Members: tasks with long lists of members get events, one after the other.

Ten of the members and ten others have the list of tasks open. All the while another user has a task of his own open, to
which 20 events a second are appended.

`added`: the memory that is resident after each task had an event, without what was resident before. `bytes`: the same
for each member. `push`: the CPU time of the relay for one event of one task. `member`: the CPU time of the relay for
one more member of one task. `hold`: the longest time for which one callback kept the event loop of the relay from
everything else, by the clock and as CPU time of its thread (`loop_monitor.py`). `p50`, `p99`: from mongod's
acknowledgement of one of the other user's events until he has it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured
from scripts.benchmarks.bystander import bystander
from scripts.benchmarks.contenders import relay_script
from scripts.benchmarks.loop_monitor import holds

TASKS = 200
MEMBERS = {"20,000 names": 20_000, "20,000 ids": 20_000, "10 names": 10}
USERS = 10  # members that are connected, and as many that are none
PUSHES = 1_000
PAUSE_S = 0.02  # between two updates, so that each comes alone whatever size its task has
ADDED = Figure("added", "MB", 1)
BYTES = Figure("bytes", "B a member", 1)
PUSH = Figure("push", "ms", 3)
MEMBER = Figure("member", "ms", 3)
HOLD = Figure("hold", "ms")
HOLD_CPU = Figure("of it CPU", "ms")
P50 = Figure("p50", "ms")
P99 = Figure("p99", "ms")


async def measure(environment: Environment, case: str) -> Measured:
    count = environment.sized(TASKS, 3)
    members = environment.sized(MEMBERS[case], min(MEMBERS[case], 300))
    names = [f"{n:024x}" if "ids" in case else f"user-{n:06}" for n in range(members)]

    async def fill(tasks: Any) -> None:
        for n in range(count):
            await tasks.insert_one({"title": f"Task {n}", "members": names, "events": []})

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "holds"
        serving = environment.serving("relay", fill, monitor=file)
        async with serving as (server, tasks), environment.load_client(server) as load:
            ids = [one["_id"] async for one in tasks.collection.find({}, {"_id": 1})]
            users = [*names[:: max(1, members // USERS)][:USERS], *(f"no-{n}" for n in range(USERS))]
            await load.join(
                [
                    relay_script("/ws/dashboard?limit=10", (b'"dashboard:state"', None), sub=user)
                    for user in users
                ]
            )
            rss, began = server.rss_bytes(), time.monotonic()

            async def changed(times: int, update: Any) -> float:
                """Update one task after the other, and return the CPU time of the relay for one update."""
                cpu_s = server.cpu_s()
                for n in range(times):
                    await tasks.collection.update_one({"_id": ids[n % count]}, update(n))
                    await asyncio.sleep(environment.sized(1, 0) * PAUSE_S)
                await asyncio.sleep(0.5)
                return 1000 * (server.cpu_s() - cpu_s) / times

            def push(n: int) -> Any:
                return {"$push": {"events": {"type": "log", "message": f"line {n}"}}}

            async with bystander(tasks, load) as other:
                await changed(count, push)  # the first one of each task reads it
            await asyncio.sleep(environment.sized(1, 0))
            added = server.rss_bytes() - rss
            pushed = await changed(environment.sized(PUSHES, 5), push)
            joined = await changed(
                environment.sized(PUSHES // 10, 5), lambda n: {"$push": {"members": f"new-{n}"}}
            )
            found = holds(file, began)
            return Measured(
                {
                    ADDED.name: added / 1e6,
                    BYTES.name: added / count / members,
                    PUSH.name: pushed,
                    MEMBER.name: joined,
                    HOLD.name: 1000 * max((hold.wall_s for hold in found), default=0.0),
                    HOLD_CPU.name: 1000 * max((hold.cpu_s for hold in found), default=0.0),
                    P50.name: other.percentile(0.5),
                    P99.name: other.percentile(0.99),
                }
            )


BENCHMARK = Benchmark(
    "members",
    "Members: tasks with long lists of members get events",
    list(MEMBERS),
    (ADDED, BYTES, PUSH, MEMBER, HOLD, HOLD_CPU, P50, P99),
    measure,
    reference="10 names",
)
