"""The command line of scripts/capacity: what a load needs, computed from measured figures."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from scripts.capacity_figures import FILE, Figures
from scripts.capacity_limits import limits
from scripts.capacity_plan import Impossible, Load, plan
from scripts.capacity_table import lines

EXIT_IMPOSSIBLE, EXIT_NO_FIGURES = 1, 3
OPTIONS = {  # of a load, beside what everybody must say
    "change_bytes": ("BYTES", float, "bytes that a write adds to a document, as JSON"),
    "tls": ("SHARE", float, "share of the connections that come through a TLS proxy, 0 to 1"),
    "joins": ("N", float, "what each connection joins: a list or a task counts 1"),
    "return_minutes": ("MINUTES", float, "time until everybody is back after a broken network or a restart"),
    "cores": ("N", int, "cores of one host"),
    "mongod_cores": ("N", float, "cores that mongod has left for the relay"),
}


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    try:
        load = _load(given)
    except ValueError as failure:
        parser.error(str(failure))
    try:
        figures = Figures.read(given.figures)
    except (OSError, ValueError) as failure:
        parser.exit(EXIT_NO_FIGURES, f"{parser.prog}: {failure}\n")
    try:
        made = plan(load, figures)
    except Impossible as reason:
        parser.exit(EXIT_IMPOSSIBLE, f"{parser.prog}: {reason}\n")
    if given.json:
        found = [asdict(one) | {"used": one.used} for one in limits(load, made, figures)]
        measured = {"measured_on": figures.machines(), "load_average": figures.load_average}
        json.dump(
            {"load": asdict(load), "plan": asdict(made), "limits": found, "figures": measured}, sys.stdout
        )
        print()
    else:
        print("\n".join(lines(load, made, figures)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/capacity",
        allow_abbrev=False,
        description="Say how many workers, hosts and how much memory a load needs, and what breaks first. "
        "docs/explanation/capacity.md explains the figures.",
        epilog="Example: scripts/capacity --connections 100000 --writes 1000 --listeners 5",
    )
    parser.add_argument("--connections", type=int, required=True, metavar="N", help="open connections")
    parser.add_argument(
        "--writes", type=float, required=True, metavar="N", help="writes to the collection, a second"
    )
    receive = parser.add_mutually_exclusive_group(required=True)
    receive.add_argument(
        "--listeners", type=float, metavar="N", help="connections that receive a change, on average"
    )
    receive.add_argument(
        "--deliveries", type=float, metavar="N", help="instead: messages to each connection, a second"
    )
    for name, (metavar, kind, described) in OPTIONS.items():
        default = Load.__dataclass_fields__[name].default
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            metavar=metavar,
            default=default,
            help=f"{described} (default {default:g})",
        )
    parser.add_argument(
        "--figures",
        type=Path,
        default=FILE,
        metavar="FILE",
        help="figures of your own, from scripts/bench --figures",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


def _load(given: argparse.Namespace) -> Load:
    """Return the load. Raises ValueError if a value is not in its range."""
    listeners = given.listeners
    if listeners is None:
        Load(given.connections, given.writes, 0)  # refuses writes that nothing can be divided by
        if not 0 <= given.deliveries <= given.writes:
            raise ValueError("messages to each connection, a second: must be from 0 to the writes a second")
        listeners = given.connections * given.deliveries / given.writes
    options = {name: getattr(given, name) for name in OPTIONS}
    return Load(given.connections, given.writes, listeners, **options)


if __name__ == "__main__":
    main()
