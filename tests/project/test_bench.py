"""The benchmarks run, and their load client counts the frames that arrive. No test asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks.bench import check_order
from scripts.benchmarks.load_client import Connection, LoadClient, Script
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


@pytest.mark.skipif(sys.platform != "linux", reason="measurements need Linux")
def test_a_quick_run_brings_tables_a_document_and_a_picture(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.benchmarks", "--quick", "--out", str(tmp_path)]
    ran = subprocess.run(
        [*command, "--only", "changes", "reconnect", "forbidden"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert "the figures mean nothing" in ran.stdout
    benchmarks = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]
    assert set(benchmarks) == {"changes", "reconnect", "forbidden"}
    for result in benchmarks.values():
        for case in result["cases"].values():
            assert case["invalid_reasons"] == []
            assert all(figure["median"] is not None for figure in case["figures"].values())
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="measurements need Linux")
def test_a_quick_run_writes_figures_that_the_calculator_reads_and_keeps_what_is_assumed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "scripts.benchmarks", "--quick", "--figures", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
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
