"""Forbidden tasks: what it costs to ask for tasks that one may not see, whatever size they have.

A stranger joins, in turn, a task that exists and a task that does not. Then four strangers ask for twenty tasks each
at once.

`forbidden`, `missing`: from the request until its answer, as the median. `ratio`: the first divided by the second,
which is 1 if nobody can tell by the time whether a task exists. `CPU`, `memory`: what all the tasks cost the relay,
asked for at once; the memory is what is resident a pause after the last answer. `mongod`: the CPU time of mongod for
them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson
from bson import ObjectId
from pymongo import WriteConcern
from websockets.asyncio.client import ClientConnection, connect

from scripts.benchmarks import machine
from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured
from scripts.benchmarks.contenders import Server, token

SIZES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000, "15 MB": 15_000_000}
EVENTS = 100  # of each task
STRANGERS = 4
SETTINGS = {"RELAY_MESSAGES_PER_SECOND": "100000"}
FORBIDDEN = Figure("forbidden", "ms", 2)
MISSING = Figure("missing", "ms", 2)
RATIO = Figure("ratio", "", 2)
CPU = Figure("CPU", "ms", 0)
MEMORY = Figure("memory", "MB", 1)
MONGOD = Figure("mongod", "ms of CPU", 0)


async def measure(environment: Environment, case: str) -> Measured:
    each, turns = environment.sized(20, 2), environment.sized(100, 3)
    size = environment.sized(SIZES[case], min(SIZES[case], 100_000))
    ids = [ObjectId() for _ in range(STRANGERS * each)]
    mongod = (await environment.client.admin.command("serverStatus"))["pid"]

    async def fill(tasks: Any) -> None:
        events = [{"type": "log", "data": {"message": "." * (size // EVENTS)}}] * EVENTS
        quick = tasks.with_options(write_concern=WriteConcern(w=1))
        for task in ids:
            await quick.insert_one({"_id": task, "title": "t", "createdBy": "somebody", "events": events})

    async with environment.serving("relay", fill, **SETTINGS) as (server, _), AsyncExitStack() as stack:
        strangers = [
            await stack.enter_async_context(_connected(server, f"stranger{n}")) for n in range(STRANGERS)
        ]
        first, took, refused = strangers[0], ([], []), 0
        for turn in range(-5, turns):  # the first ones warm up
            for kind, task in enumerate((ids[turn % len(ids)], ObjectId())):
                began = time.perf_counter()
                refused += await _asked(first, [task])
                if turn >= 0:
                    took[kind].append(1000 * (time.perf_counter() - began))
        memory, cpu, database = server.rss_bytes(), server.cpu_s(), machine.cpu_s(mongod)
        answers = await asyncio.gather(
            *(_asked(one, ids[n * each : (n + 1) * each]) for n, one in enumerate(strangers))
        )
        cpu, database = server.cpu_s() - cpu, machine.cpu_s(mongod) - database
        await asyncio.sleep(environment.sized(1, 0))
        refused += sum(answers)
        forbidden, missing = map(statistics.median, took)
        return Measured(
            {
                FORBIDDEN.name: forbidden,
                MISSING.name: missing,
                RATIO.name: forbidden / missing,
                CPU.name: 1000 * cpu,
                MEMORY.name: max(0, server.rss_bytes() - memory) / 1e6,
                MONGOD.name: 1000 * database,
            },
            None if refused == 2 * (turns + 5) + len(ids) else "not every task was refused",
        )


def _connected(server: Server, sub: str) -> Any:
    headers = {"Authorization": f"Bearer {token(sub)}"}
    return connect(f"ws://127.0.0.1:{server.port}/ws", additional_headers=headers, proxy=None, max_size=None)


async def _asked(socket: ClientConnection, tasks: Sequence[ObjectId] | Iterable[ObjectId]) -> int:
    """Join these tasks, wait for the answers, and return how many of them were refused."""
    awaited = {str(task) for task in tasks}
    for task in awaited:
        await socket.send(orjson.dumps({"type": "task:join", "data": {"taskId": task}}).decode())
    refused = 0
    while awaited:
        frame = orjson.loads(await socket.recv())
        if frame["data"].get("taskId") in awaited:
            awaited.discard(frame["data"]["taskId"])
            refused += frame["type"] == "error" and frame["data"]["code"] == "forbidden"
    return refused


BENCHMARK = Benchmark(
    "forbidden",
    "Tasks that one may not see, of any size: one at a time, and 80 at once",
    tuple(SIZES),
    (RATIO, FORBIDDEN, MISSING, CPU, MEMORY, MONGOD),
    measure,
    reference="1 KB",
)
