"""The benchmarks run, and their load client counts the frames that arrive. No test asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import websockets
from pymongo import AsyncMongoClient
from websockets.asyncio.server import ServerConnection

from scripts.benchmarks import handshakes
from scripts.benchmarks.bench import Environment, check_order
from scripts.benchmarks.load_client import Connection, LoadClient, Script
from scripts.benchmarks.loop_monitor import holds
from scripts.benchmarks.machine import Cores
from scripts.capacity_figures import FILE, MEASURED, Figures

ROOT = Path(__file__).parents[2]


def frame(length: int) -> bytes:
    return b"\x81\x7e" + length.to_bytes(2, "big") + b'{"'.ljust(length, b"x")


def receive(connection: Connection, data: bytes) -> None:
    connection.get_buffer(0)[: len(data)] = data
    connection.buffer_updated(len(data))


@pytest.mark.parametrize("length", [126, 0x0181, 0x817D, 300])
async def test_frames_are_counted_wherever_a_read_ends(length: int) -> None:
    short, data = b"\x81\x02{}", frame(length) + frame(length)
    for split in range(len(data[: 8 + length])):
        connection = Connection(LoadClient(0), Script("/", ()))
        connection._step = 0  # the connection has joined
        receive(connection, data[:split] or short)
        receive(connection, data[split:])
        assert connection.count == 2, split


def test_events_that_are_lost_repeated_or_out_of_order_are_noticed() -> None:
    assert check_order(b'{"n":0}{"n":1}{"n":2}', range(3)) is None
    for wrong in (b'{"n":0}{"n":2}', b'{"n":0}{"n":1}{"n":1}{"n":2}', b'{"n":1}{"n":0}{"n":2}'):
        assert check_order(wrong, range(3)) is not None


def test_each_callback_that_holds_the_event_loop_is_written_down_with_its_time(tmp_path: Path) -> None:
    file = tmp_path / "holds"
    held_twice = f"""
import asyncio, time
from scripts.benchmarks.loop_monitor import watch

async def main():
    await asyncio.sleep(0)
    time.sleep(0.02)
    await asyncio.sleep(0)
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    await asyncio.sleep(0)

watch({str(file)!r})
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", held_twice], cwd=ROOT, check=True)
    long = [hold for hold in holds(file, 0) if hold.wall_s >= 0.02]  # a busy machine may add others
    assert len(long) >= 2
    assert min(hold.cpu_s for hold in long) < 0.02 <= max(hold.cpu_s for hold in long)
    assert holds(file, long[1].began)[0] == long[1]


@pytest.mark.skipif(sys.platform != "linux", reason="measurements need Linux")
async def test_a_quick_run_counts_the_visits_that_the_relay_welcomes_and_closes(mongo_url: str) -> None:
    async with AsyncMongoClient[Any](mongo_url) as client:
        environment = Environment(mongo_url, client, Cores.here(), quick=True)
        measured = await handshakes.measure(environment, "relay")
    assert measured.invalid_reason is None
    assert measured.figures["handshakes"] > 0
    assert measured.figures["again"] > 0


async def test_a_visit_that_the_server_does_not_close_with_1000_is_noticed() -> None:
    async def serve(socket: ServerConnection) -> None:
        await socket.send("welcome")
        if socket.request is not None and socket.request.path == "/bad":
            await socket.close(1011)
        await socket.wait_closed()

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        load = LoadClient(server.sockets[0].getsockname()[1])
        visits = [Script(path, ((b"welcome", None),)) for path in ("/", "/bad", "/", "/bad", "/")]
        assert await load.visit(visits) == 3
        assert load.connections == set()


def test_the_lock_files_of_the_peers_name_no_registry() -> None:
    locks = sorted((ROOT / "scripts/benchmarks/peers").glob("*/package-lock.json"))
    assert [lock.parent.name for lock in locks] == ["bun", "socketio", "ws"]
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert all("integrity" in one for path, one in packages.items() if path)
        assert not [path for path, one in packages.items() if "resolved" in one]


@pytest.mark.skipif(sys.platform != "linux", reason="measurements need Linux")
@pytest.mark.timeout(600)
def test_a_quick_run_brings_tables_a_document_and_a_picture(tmp_path: Path) -> None:
    names = ("changes", "reconnect", "forbidden", "rewrites", "storm", "lists")
    command = [sys.executable, "-m", "scripts.benchmarks", "--quick", "--out", str(tmp_path)]
    ran = subprocess.run(
        [*command, "--only", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "the figures mean nothing" in ran.stdout
    benchmarks = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]
    assert set(benchmarks) == set(names)
    for result in benchmarks.values():
        for case in result["cases"].values():
            assert case["invalid_reasons"] == []
            assert all(figure["median"] is not None for figure in case["figures"].values())
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="measurements need Linux")
def test_a_quick_run_writes_figures_that_the_calculator_reads_and_keeps_what_is_assumed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "scripts.benchmarks", "--quick", "--figures", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    figures = Figures.read(file)
    assert figures.assumed == Figures.read(FILE).assumed
    assert "the figures mean nothing" in figures.machines()
    # Those that are not the difference of two measurements are never 0.
    differences = ("message_us", "message_us_per_byte", "ping_us", "join_us")
    zero = [
        name for name in MEASURED if not figures[name] and not name.startswith(("mongod_f", *differences))
    ]
    assert set(zero) <= {"connection_bytes", "joined_bytes"}  # of so few connections, memory may not grow
