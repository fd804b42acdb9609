"""The command: histories until something is found, or one history with all that happens in it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

from simulation.determinism import keep_order
from simulation.plan import READERS, TROUBLES, planned
from simulation.play import play
from simulation.readers.browser import Node
from simulation.referee import KINDS

HISTORIES = 100  # of one seed
PROGRESS_S = 10.0


def main() -> int:
    """0: no violation; 1: at least one; 2: wrong arguments."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606 - names in sets must have the same order in every run
            sys.executable,
            [sys.executable, "-m", "simulation", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    keep_order()
    with ExitStack() as stack:
        services = {"node": stack.enter_context(Node())} if "browser" in options.readers else {}
        return _search(options, services)


def _search(options: argparse.Namespace, services: dict[str, Any]) -> int:
    began = said_at = time.monotonic()
    count, kinds = 0, Counter[str]()
    for seed in range(options.seed, options.seed + options.seeds):
        numbers = [options.history] if options.history is not None else range(options.histories)
        for number in numbers:
            if options.seconds and time.monotonic() - began >= options.seconds:
                break
            plan = planned(
                seed, number, without=options.without, readers=options.readers, is_strict=options.strict
            )
            outcome = play(plan, show=options.show, services=services)
            count += 1
            for line in outcome.trace:
                print(line)
            for violation in outcome.violations[:1]:
                kinds[violation.kind] += 1
                if options.until is None or violation.kind == options.until:
                    print(f"VIOLATION {plan.name} (after {count} histories) {violation}", flush=True)
                    print(f"  troubles: {' '.join(sorted(plan.troubles))}", flush=True)
            if options.until in kinds or sum(kinds.values()) >= options.stop_after:
                return _end(count, kinds, began)
            if time.monotonic() - said_at >= PROGRESS_S:
                said_at = time.monotonic()
                print(f"seed {seed}: {count} histories, {sum(kinds.values())} with a violation", flush=True)
    return _end(count, kinds, began)


def _end(count: int, kinds: Counter[str], began: float) -> int:
    took = time.monotonic() - began
    found = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common()) or "no violation"
    print(f"{count} histories in {took:.1f} s: {found}")
    return 1 if kinds else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="histories of each seed")
    parser.add_argument("--history", type=int, help="only this one")
    parser.add_argument("--show", action="store_true", help="print all that happens")
    parser.add_argument("--seconds", type=float, help="end after so long")
    parser.add_argument("--until", choices=KINDS, help="end when this kind of violation is found")
    parser.add_argument("--stop-after", type=int, default=5, help="end after so many violations")
    parser.add_argument("--without", nargs="*", default=[], choices=TROUBLES, help="troubles to leave out")
    parser.add_argument("--strict", action="store_true", help="flickers are violations as well")
    parser.add_argument("--readers", nargs="*", default=["naive", "poller"], choices=READERS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
