"""A large collection: the cost of a million tasks that nobody has joined.

A user who may see 100 of the tasks opens a dashboard. The collection has the indexes that `relay check` recommends.

`ready`: from the start of the process until it accepts connections and follows the change stream. `list`: from
connecting to the complete list. `memory`: resident memory of the process at the end.
"""

from __future__ import annotations

import time
from typing import Any

from pymongo import IndexModel

from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured
from scripts.benchmarks.contenders import relay_script

FEW, MANY = "1,000 tasks", "1,000,000 tasks"
VISIBLE = 100
FIELDS = (
    "createdBy",
    "creator",
    "userId",
    "members",
    "teamId",
)  # the fields that the default visibility rules read
STEPS = ((b'"dashboard:state"', None), (b'"more":false', None))
READY = Figure("ready", "ms")
LIST = Figure("list", "ms", 1)
MEMORY = Figure("memory", "MB", 1)


async def fill(tasks: Any, count: int) -> None:
    """Make `count` tasks with an aggregation in the database, which is faster than inserting them."""
    await tasks.insert_one({"n": list(range(1_000))})
    thousand = {"$range": [0, count // 1_000]}
    stages: list[dict[str, Any]] = [
        {"$unwind": "$n"},
        {"$set": {"m": thousand}},
        {"$unwind": "$m"},
        {
            "$project": {
                "_id": {"$add": [{"$multiply": ["$m", 1_000]}, "$n"]},
                "title": {"$concat": ["Task ", {"$toString": "$n"}]},
                "teamId": {
                    "$cond": [{"$and": [{"$eq": ["$m", 0]}, {"$lt": ["$n", VISIBLE]}]}, "red", "blue"]
                },
                "events": [{"type": "created"}, {"type": "analyzing"}],
            }
        },
        {"$out": tasks.name},
    ]
    await tasks.aggregate(stages)
    await tasks.create_indexes([IndexModel(name) for name in FIELDS])


async def measure(environment: Environment, case: str) -> Measured:
    count = 1_000 if case == FEW else environment.sized(1_000_000, 2_000)
    serving = environment.serving("relay", lambda tasks: fill(tasks, count))
    async with serving as (server, _), environment.load_client(server) as load:
        began = time.perf_counter()
        (connection,) = await load.join([relay_script("/ws/dashboard", *STEPS, sub="user", team="red")])
        listed_s = time.perf_counter() - began
        seen = connection.received_data.count(b'"taskId"')
        return Measured(
            {
                READY.name: 1000 * server.ready_s,
                LIST.name: 1000 * listed_s,
                MEMORY.name: server.rss_bytes() / 1e6,
            },
            f"{seen} tasks were listed" if seen != VISIBLE else None,
        )


BENCHMARK = Benchmark(
    "collection",
    f"A large collection, of which somebody sees {VISIBLE} tasks",
    (FEW, MANY),
    (READY, LIST, MEMORY),
    measure,
    reference=FEW,
)
