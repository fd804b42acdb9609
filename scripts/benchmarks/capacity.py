"""The figures of scripts/capacity: what one connection, one change and one join cost. `scripts/bench --figures FILE`.

Most are taken from the other benchmarks. Only three measurements are made here: connections that have joined nothing,
pings and heartbeats, and joins of lists that nobody else reads.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bson import ObjectId
from pymongo import IndexModel

from scripts.benchmarks import changes, machine, many, memory, steady
from scripts.benchmarks.bench import Environment, Measured, Meter, event
from scripts.benchmarks.collection import FIELDS, STEPS
from scripts.benchmarks.contenders import Server, relay_script
from scripts.benchmarks.idle_connections import share_used
from scripts.benchmarks.load_client import Script
from scripts.capacity_figures import BULK, BULK_RATE, IN_BULKS, SINGLE_RATE

FLEET = 3  # workers, or relays with a stream of their own, or relays on one Redis
TASKS = 50  # the writes go to so many tasks in turn; one of them has listeners
SECONDS = 5  # of writing, in each measurement of changes
PING_S, HEARTBEAT_S = 2.0, 2.5  # a tenth of the defaults, so that a short time has many
VISIBLE = 10  # tasks on each list that is joined
SHORT, LONG = "appends, one listener", f"appends of {changes.LONG:,} bytes"


class Invalid(Exception):
    """A measurement cannot be used. The text says why."""


async def measure(environment: Environment, say: Callable[[str], None]) -> dict[str, float]:
    """Measure all figures once. This takes a few minutes. Raises Invalid if one of them cannot be used, and
    Missing if something is not installed. `say` is called with the name of each measurement when it begins."""
    figures: dict[str, float] = {"event_bytes": len(json.dumps(event(0), separators=(",", ":")))}
    for name, part in PARTS.items():
        say(name)
        figures |= await part(environment)
    # Some are differences of two measurements, which noise can make negative.
    return {name: max(0.0, value) for name, value in figures.items()}


async def _memory(environment: Environment) -> dict[str, float]:
    def joins_nothing(server: Server, task: ObjectId, number: int) -> Script:
        return relay_script("/ws", (b'"welcome"', None), sub=f"user{number % 50}", team="red")

    idle = _valid(await memory.measure_connections(environment, "relay", joins_nothing))
    joined = _valid(await memory.measure(environment, "relay"))
    return {
        "connection_bytes": 1024 * idle[memory.MEMORY.name],
        "joined_bytes": 1024 * joined[memory.MEMORY.name],
        "connect_us": 1e6 / idle[memory.HANDSHAKES.name],
    }


async def _deliveries(environment: Environment) -> dict[str, float]:
    return {"delivery_us": _valid(await steady.measure(environment, "relay"))[steady.CPU.name]}


async def _messages(environment: Environment) -> dict[str, float]:
    async def us(kind: str) -> float:
        return 1e6 / _valid(await changes.measure(environment, kind))[changes.RATE.name]

    nobody, short, long = await us("appends, tasks cached"), await us(SHORT), await us(LONG)
    bytes_more = changes.LONG - len(event(0)["data"]["message"])
    return {"message_us": short - nobody, "message_us_per_byte": (long - short) / bytes_more}


async def _pings(environment: Environment) -> dict[str, float]:
    count, seconds = memory.connections_allowed(environment.sized(3_000, 50)), environment.sized(10, 1)
    settings = {
        "RELAY_PING_INTERVAL_MS": str(int(1000 * PING_S)),
        "RELAY_HEARTBEAT_MS": str(int(1000 * HEARTBEAT_S)),
    }
    serving = environment.serving("relay", **settings)
    async with serving as (server, _), environment.load_client(server) as load:
        alone = await share_used(environment, server, seconds)
        await load.join([relay_script("/ws", (b'"welcome"', None), sub=f"u{n}") for n in range(count)])
        share = await share_used(environment, server, seconds)
        if len(load.connections) != count:
            raise Invalid("connections were lost while pings were measured")
        return {"ping_us": 1e6 * (share - alone) / count / (1 / PING_S + 1 / HEARTBEAT_S)}


async def _joins(environment: Environment) -> dict[str, float]:
    users = environment.sized(500, 20)
    mongod = (await environment.client.admin.command("serverStatus"))["pid"]

    async def fill(tasks: Any) -> None:
        await tasks.insert_many(
            [{"title": f"Task {n}", "createdBy": f"user{n % users}"} for n in range(users * VISIBLE)]
        )
        await tasks.create_indexes([IndexModel(name) for name in FIELDS])

    async with environment.serving("relay", fill) as (server, _), environment.load_client(server) as load:
        await load.join([relay_script("/ws", (b'"welcome"', None), sub=f"warm{n}") for n in range(users)])
        meter = Meter(environment, server)
        await load.join([relay_script("/ws", (b'"welcome"', None), sub=f"more{n}") for n in range(users)])
        connecting_s = meter.stop().cpu_s
        before, meter = machine.cpu_s(mongod), Meter(environment, server)
        joined = await load.join(
            [relay_script("/ws/dashboard", *STEPS, sub=f"user{n}") for n in range(users)]
        )
        usage, mongod_s = meter.stop(), machine.cpu_s(mongod) - before
        if any(one.received_data.count(b'"taskId"') != VISIBLE for one in joined):
            raise Invalid("a list did not have the tasks that its user may see")
        return {
            "join_us": 1e6 * (usage.cpu_s - connecting_s) / users,
            "mongod_join_us": 1e6 * mongod_s / users,
        }


async def _changes(environment: Environment) -> dict[str, float]:
    singles = many.Writing(environment.sized(SINGLE_RATE * SECONDS, 2 * TASKS), SINGLE_RATE, 1, TASKS)
    bulks = many.Writing(environment.sized(BULK_RATE * SECONDS, 5 * BULK), BULK_RATE, BULK, TASKS)

    async def run(kind: str, count: int = 0) -> list[many.Costs]:
        costs = await many.run(environment, f"{kind}, {count}" if count else kind, singles, bulks)
        if reasons := [one.invalid_reason for one in costs if one.invalid_reason]:
            raise Invalid(f"{kind}: {reasons[0]}")
        return costs

    nobody, one, several = await run(many.NOBODY), await run(many.DIRECT, 1), await run(many.DIRECT, FLEET)
    workers, bus = await run(many.WORKERS, FLEET), await run(many.BUS, FLEET)
    figures = {
        "worker_bytes": workers[0].rss_bytes("worker"),
        "tailer_bytes": workers[0].rss_bytes("tailer"),
        "parent_bytes": workers[0].rss_bytes("parent"),
        "frame_bytes": one[0].frame_bytes,
    }
    for at, ending in enumerate(("", IN_BULKS)):
        further = len(several[at].processes) - 1
        costs = {
            "worker_us": workers[at].of("worker"),
            "tailer_us": workers[at].of("tailer"),
            "leader_us": bus[at].of("leader"),
            "follower_us": bus[at].of("follower"),
            "mongod_write_us": nobody[at].mongod_us,
            "mongod_first_us": one[at].mongod_us - nobody[at].mongod_us,
            "mongod_further_us": (several[at].mongod_us - one[at].mongod_us) / further,
            "redis_us": bus[at].valkey_us / len(bus[at].processes),
            "redis_bytes": bus[at].valkey_bytes,
        }
        figures |= {name + ending: value for name, value in costs.items()}
    return figures


PARTS = {
    "memory of connections": _memory,
    "deliveries": _deliveries,
    "messages of a change": _messages,
    "pings and heartbeats": _pings,
    "joins": _joins,
    "changes": _changes,
}


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def machine_line(about: Mapping[str, Any]) -> str:
    """Return in one line which machine was measured, from what `machine.describe` says."""
    return f"{about['cpu']}, {about['cores']} cores, Python {about['python']}"


def _valid(measured: Measured) -> Mapping[str, float]:
    if measured.invalid_reason:
        raise Invalid(measured.invalid_reason)
    return measured.figures
