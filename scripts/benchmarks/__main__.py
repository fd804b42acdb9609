"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from rich.console import Console

from relay.cli.demo import mongod
from relay.errors import StartupError
from scripts.benchmarks import (
    audiences,
    burst,
    capacity,
    changes,
    collection,
    contenders,
    forbidden,
    handshakes,
    heavy,
    idle_connections,
    latency,
    lists,
    machine,
    many,
    members,
    memory,
    reconnect,
    rewrites,
    slow_reader,
    steady,
    storm,
)
from scripts.benchmarks.bench import Benchmark, Environment
from scripts.benchmarks.report import Result, show
from scripts.capacity_figures import FILE, MEASURED, Figures, measured

BENCHMARKS = {
    one.name: one
    for one in (
        burst.BENCHMARK,
        steady.BENCHMARK,
        latency.BENCHMARK,
        changes.CHANGES,
        changes.ARRAYS,
        changes.REDACTION,
        audiences.BENCHMARK,
        memory.BENCHMARK,
        handshakes.BENCHMARK,
        idle_connections.BENCHMARK,
        reconnect.BENCHMARK,
        collection.BENCHMARK,
        rewrites.BENCHMARK,
        slow_reader.BENCHMARK,
        many.BENCHMARK,
        forbidden.BENCHMARK,
        storm.BENCHMARK,
        lists.BENCHMARK,
        heavy.BENCHMARK,
        members.BENCHMARK,
    )
}
ROUNDS = 3
EXIT_CANNOT_START, EXIT_INTERRUPTED = 3, 130

progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    options = _options()
    if not hasattr(os, "sched_setaffinity"):
        _fail("measurements need Linux: elsewhere a process cannot be kept on one core")
    for directory in (options.out, options.profile):
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
    chosen = [BENCHMARKS[name] for name in options.only or BENCHMARKS]
    cores = machine.Cores.here()
    if options.figures is not None:
        _figures(options, cores)
        return
    progress.print(f"{len(chosen)} benchmarks; {cores}")
    results: list[Result] = []
    interrupted = False
    began = {"machine": machine.describe(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        with machine.running_on(cores.database):
            server = mongod.start()
        with server, machine.running_on({cores.load}):
            asyncio.run(_measure(server.url, cores, chosen, options, results))
    except StartupError as failure:
        _fail(str(failure))
    except KeyboardInterrupt:
        interrupted = True
        progress.print("interrupted: the report contains the finished rounds only")
    _report(results, options, began | {"roles": str(cores), "versions": contenders.describe()})
    if interrupted:
        raise SystemExit(EXIT_INTERRUPTED)
    if any(
        result.invalid_reasons(case)
        for result in results
        for case in result.rounds
        if case.startswith("relay")
    ):
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the relay and other servers that do the same work. "
        "Each server runs alone on one core; the contenders take turns; the median of the rounds counts.",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=list(BENCHMARKS), help=", ".join(BENCHMARKS)
    )
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="FILE",
        help=f"instead, measure once what scripts/capacity computes with, and write it to FILE; "
        f"that of this repository is {FILE.relative_to(FILE.parents[1])}",
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each benchmark (default {ROUNDS}; latency: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="only check that everything runs; the figures mean nothing"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write bench.json and bench.png there")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="write a cProfile of every run of the relay there; this slows the relay down",
    )
    return parser.parse_args()


async def _measure(
    url: str,
    cores: machine.Cores,
    chosen: Sequence[Benchmark],
    options: argparse.Namespace,
    results: list[Result],
) -> None:
    async with AsyncMongoClient[Any](url) as client:
        environment = Environment(url, client, cores, options.quick, options.profile)
        for benchmark in chosen:
            result = Result(benchmark)
            results.append(result)
            rounds = options.rounds or (1 if options.quick else max(ROUNDS, benchmark.least_rounds))
            for number in range(rounds):
                # Each round starts with another case, so that no case always runs after the same one.
                shift = number % len(benchmark.cases)
                for case in [*benchmark.cases[shift:], *benchmark.cases[:shift]]:
                    if case not in result.missing:
                        await _run(environment, result, case, f"round {number + 1} of {rounds}")
            result.rounds = {case: result.rounds[case] for case in benchmark.cases if case in result.rounds}


async def _run(environment: Environment, result: Result, case: str, round: str) -> None:
    began = time.perf_counter()
    try:
        measured = await result.benchmark.measure(environment, case)
    except contenders.Missing as missing:
        result.missing[case] = str(missing)
        progress.print(f"{result.benchmark.name}, {case}: {missing}")
        return
    result.rounds.setdefault(case, []).append(measured)
    figure = result.benchmark.figures[0]
    progress.print(
        f"{result.benchmark.name}, {round}, {case}: {measured.figures[figure.name]:,.{figure.digits}f} "
        f"{figure.unit} ({time.perf_counter() - began:.0f} s)"
        + (f"; {measured.invalid_reason}" if measured.invalid_reason else "")
    )


def _figures(options: argparse.Namespace, cores: machine.Cores) -> None:
    """Measure the figures of scripts/capacity, and write them to a file beside what is assumed."""
    try:
        # What is assumed is kept as it is in the file, or taken from the file of the repository.
        before = Figures.read(options.figures if options.figures.exists() else FILE)
    except (OSError, ValueError) as failure:
        _fail(str(failure))
    about, day, load = machine.describe(), datetime.now(UTC).date().isoformat(), os.getloadavg()[0]
    rounds: list[dict[str, float]] = []
    progress.print(f"the figures of scripts/capacity; {cores}; load average {load:.1f}")

    async def measure(url: str) -> None:
        async with AsyncMongoClient[Any](url) as client:
            environment = Environment(url, client, cores, options.quick)
            for _ in range(options.rounds or 1):
                rounds.append(await capacity.measure(environment, progress.print))

    try:
        with machine.running_on(cores.database):
            server = mongod.start()
        with server, machine.running_on({cores.load}):
            asyncio.run(measure(server.url))
    except (StartupError, contenders.Missing, capacity.Invalid) as failure:
        _fail(str(failure))
    except KeyboardInterrupt:
        progress.print("interrupted: nothing was written")
        raise SystemExit(EXIT_INTERRUPTED) from None
    on = "a quick run: the figures mean nothing" if options.quick else capacity.machine_line(about)
    figures = measured(capacity.median(rounds), on, day)
    Figures(figures, before.assumed, round(load, 1)).write(options.figures)
    for name, figure in figures.items():
        progress.print(f"{figure.value:12,.2f} {figure.unit:14} {MEASURED[name].what}")
    progress.print(f"written to {options.figures}")


def _report(results: Sequence[Result], options: argparse.Namespace, about: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    for result in results:
        show(console, result)
    if options.profile is not None:
        console.print("The relay ran under a profiler: its figures do not count.", style="yellow")
    if options.quick:
        console.print("A quick run: the figures mean nothing.", style="yellow")
    if options.out is None:
        return
    document = {
        **about,
        "quick": options.quick,
        "load average at the end": os.getloadavg(),
        "benchmarks": {result.benchmark.name: result.as_json() for result in results},
    }
    (options.out / "bench.json").write_text(json.dumps(document, indent=2) + "\n")
    from scripts.benchmarks.plot import draw  # its import takes a second

    draw(results, options.out / "bench.png")
    progress.print(f"written to {options.out / 'bench.json'} and bench.png")


def _fail(reason: str) -> None:
    progress.print(f"scripts/bench: {reason}")
    raise SystemExit(EXIT_CANNOT_START)


main()
