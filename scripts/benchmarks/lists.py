"""Lists of many audiences: 200 users with rights of their own open a long list at once, while another user works.

No two of the users have equal rights, so nobody shares the list of another one. `all`: every task is of the team of all
users. `half`: there are twice as many tasks, and each user is a member of every second one, in another order each. The
other user may see none of these, and has a task of his own open, to which 20 events a second are appended.

`current`: until every user has the whole list. `relay`, `mongod`, `clients`: the CPU time of each for that; the
processes share the cores of the machine, so `current` is at least the CPU time divided by the number of cores. `p50`,
`p99`: from the call of a write until the other user has the event, while the lists are read. `hold`, `of it CPU`: the
longest time for which one callback kept the event loop of the relay from everything else (`loop_monitor.py`). `memory`:
the most that was resident, and the part of it that the lists added.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from pymongo import WriteConcern

from scripts.benchmarks import machine
from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, event, percentile
from scripts.benchmarks.contenders import relay_script
from scripts.benchmarks.loop_monitor import holds

USERS = 200
# The length of each list, and whether a user sees all tasks or every second one.
CASES = {
    "5,000 tasks, all": (5_000, True),
    "5,000 tasks, half": (5_000, False),
    "500 tasks, all": (500, True),
}
_CHANCE = Random(1)
PAUSE_S = 0.05  # between two events of the other user
WAIT_S = 20.0
CURRENT = Figure("current", "s", 2)
RELAY = Figure("relay", "s of CPU", 2)
MONGOD = Figure("mongod", "s of CPU", 2)
CLIENTS = Figure("clients", "s of CPU", 2)
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)
HOLD = Figure("hold", "ms")
HOLD_CPU = Figure("of it CPU", "ms")
PEAK = Figure("memory", "MB")
ADDED = Figure("added", "MB")


def _tasks(length: int, users: int, is_all: bool) -> list[dict[str, Any]]:
    """Return tasks of which each user sees `length`."""
    names = [f"user{n}" for n in range(users)]
    documents = []
    for n in range(length if is_all else 2 * length):
        if not is_all and n % 2 == 0:
            _CHANCE.shuffle(names)  # one half of the users sees this task, and the other half the next one
        half = names[: users // 2] if n % 2 else names[users // 2 :]
        documents.append(
            {
                "title": f"Task {n}: what somebody wants to have done",
                "status": "in_progress",
                "creator": f"writer{n % 50}",
                "prUrl": f"https://example.com/pulls/{n}",
                "events": [event(k) for k in range(10)],
                **({"teamId": "red"} if is_all else {"members": half}),
            }
        )
    return documents


async def measure(environment: Environment, case: str) -> Measured:
    length, is_all = CASES[case]
    length, users = environment.sized(length, 50), environment.sized(USERS, 5)
    mongod = (await environment.client.admin.command("serverStatus"))["pid"]

    async def fill(tasks: Any) -> None:
        quick = tasks.with_options(write_concern=WriteConcern(w=1))
        await quick.insert_many(_tasks(length, users, is_all))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "holds"
        async with (
            environment.serving("relay", fill, monitor=file) as (server, tasks),
            environment.load_client(server) as bystander,
            environment.load_client(server) as load,
        ):
            (own,) = await tasks.add(members=["other"])
            (other,) = await bystander.join(
                [relay_script(f"/ws/tasks/{own}", (b'"task:state"', None), sub="other")]
            )
            arrived: dict[int, float] = {}
            called: list[float] = []
            is_over, has_all = asyncio.Event(), asyncio.Event()

            def note(data: bytes, now: float) -> None:
                for number in re.findall(rb'"n":(\d+)', data):
                    arrived.setdefault(int(number), now)
                if is_over.is_set() and len(arrived) >= len(called):
                    has_all.set()

            other.on_data = note

            async def work() -> None:
                while not is_over.is_set():
                    called.append(time.perf_counter())
                    await tasks.append(own, len(called) - 1)
                    await asyncio.sleep(PAUSE_S)

            scripts = [
                relay_script(
                    f"/ws/dashboard?limit={length}",
                    (b'"dashboard:state"', None),
                    (b'"more":false', None),
                    sub=f"user{n}",
                    team="red" if is_all else None,
                )
                for n in range(users)
            ]
            working = asyncio.create_task(work())
            await asyncio.sleep(environment.sized(1, 0))  # the other user's writes are on their way
            first, rss, began = len(called), server.rss_bytes(), time.monotonic()
            before = server.cpu_s(), machine.cpu_s(mongod), time.process_time()
            joined = await load.join(scripts, at_once=users)
            current_s = time.monotonic() - began
            after = server.cpu_s(), machine.cpu_s(mongod), time.process_time()
            is_over.set()
            last = len(called)
            await working
            called.append(time.perf_counter())
            await tasks.append(own, len(called) - 1)  # it comes after everything else
            async with asyncio.timeout(WAIT_S):
                await has_all.wait()
            took = [1000 * (arrived[n] - called[n]) for n in range(min(first, last - 1), last)]
            found = [hold for hold in holds(file, began) if hold.began < began + current_s]
            peak = machine.peak_rss_bytes(server.pid)
            short = [one for one in joined if one.received_data.count(b'"taskId"') != length]
            return Measured(
                {
                    CURRENT.name: current_s,
                    **{
                        figure.name: end - start
                        for figure, start, end in zip((RELAY, MONGOD, CLIENTS), before, after, strict=True)
                    },
                    P50.name: percentile(took, 0.5),
                    P99.name: percentile(took, 0.99),
                    HOLD.name: 1000 * max((hold.wall_s for hold in found), default=0.0),
                    HOLD_CPU.name: 1000 * max((hold.cpu_s for hold in found), default=0.0),
                    PEAK.name: peak / 1e6,
                    ADDED.name: max(0, peak - rss) / 1e6,
                },
                f"{len(short)} lists are not complete" if short else None,
            )


BENCHMARK = Benchmark(
    "lists",
    f"Lists of many audiences: {USERS} users with rights of their own open one at once, while another user works",
    list(CASES),
    (CURRENT, RELAY, MONGOD, CLIENTS, P50, P99, HOLD, HOLD_CPU, PEAK, ADDED),
    measure,
    reference="5,000 tasks, all",
)
