"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import asyncio

from rich.console import Console
from rich.table import Table

from relay.demo import mongod
from scripts.benchmarks.changes import measure


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=measure.__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median counts (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="changes of each kind, as a factor (1)")
    options = parser.parse_args()
    console = Console()
    table = Table(
        "changes", "per CPU-second", "spread", title="Tail, translation and publishing, in one process"
    )
    with mongod.start() as server, console.status("measuring …"):
        for name, rates in asyncio.run(
            measure(server.url, rounds=options.rounds, scale=options.scale)
        ).items():
            table.add_row(
                name, f"{sorted(rates)[len(rates) // 2]:,.0f}", f"{min(rates):,.0f}–{max(rates):,.0f}"
            )
    console.print(table)


main()
