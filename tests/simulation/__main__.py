"""The command: histories until something is found, or one history with all that happens in it.

A violation is printed with the seed and the number of its history, which play it again: `--seed 3 --history
17 --show`. The same troubles and readers have to be named for that; without any, all are there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from simulation.determinism import keep_order
from simulation.mutations import MUTATIONS
from simulation.plan import READERS, TROUBLES, planned
from simulation.play import Outcome, play
from simulation.readers.browser import Node
from simulation.referee import KINDS

HISTORIES = 100  # of one seed
PROGRESS_S = 10.0


def main() -> int:
    """0: no violation; 1: at least one; 2: wrong arguments."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # names in sets must have the same order in every run
            sys.executable,
            [sys.executable, "-m", "simulation", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    keep_order()
    if options.mutation == "all":
        return _table(options)
    return _searched(options).result


def _searched(options: argparse.Namespace) -> _Search:
    """A search that is over, with the mutation that is asked for."""
    mutation = MUTATIONS.get(options.mutation)
    if options.seed is None:
        options.seed = 1 if mutation is None else mutation.seed
    javascript: Sequence[tuple[str, str, str]] = ()
    with ExitStack() as stack:
        if mutation is not None:
            stack.enter_context(mutation.python())
            javascript, options.until, options.stop_after = mutation.javascript, mutation.kind, 10**6
            options.readers = list(mutation.readers)
            options.without = [*options.without, *mutation.without]
        services = {}
        if "browser" in options.readers:
            services["node"] = stack.enter_context(Node(javascript))
        search = _Search(options, services)
        search.run()
        return search


def _table(options: argparse.Namespace) -> int:
    """Every mutation that these readers can find, and how many histories it took. 1: one was not found."""
    rows, result = ["| fault | found as | histories | seed |", "| --- | --- | --- | --- |"], 0
    for name, mutation in MUTATIONS.items():
        if not set(mutation.readers) <= set(options.readers):
            continue
        search = _searched(argparse.Namespace(**vars(options) | {"mutation": name}))
        found = search.found
        if found is None:
            result = 1
            rows.append(f"| {mutation.about} | not found | {search.count} | |")
        else:
            rows.append(f"| {mutation.about} | {mutation.kind} | {search.count} | {found} |")
    print("\n".join(rows))
    return result


class _Search:
    """Plays histories, and says what it found."""

    def __init__(self, options: argparse.Namespace, services: dict[str, Any]) -> None:
        self._options = options
        self._services = services
        self._began = self._reported_at = time.monotonic()
        self.count = 0
        self._virtual_s = 0.0
        self._kinds = Counter[str]()
        self.found: str | None = None  # the history of the first violation that was looked for
        self.result = 0  # what the command exits with

    def run(self) -> None:
        options = self._options
        for seed in range(options.seed, options.seed + options.seeds):
            numbers = [options.history] if options.history is not None else range(options.histories)
            for number in numbers:
                self._play(seed, number)
                if self._is_over():
                    self._end()
                    return
        self._end()

    def _play(self, seed: int, number: int) -> None:
        options = self._options
        plan = planned(
            seed, number, without=options.without, readers=options.readers, is_strict=options.strict
        )
        outcome = play(plan, show=options.show, services=self._services)
        self.count += 1
        self._virtual_s += outcome.seconds
        for line in outcome.trace:
            print(line)
        self._note(outcome)
        if time.monotonic() - self._reported_at >= PROGRESS_S:
            self._reported_at = time.monotonic()
            print(f"seed {seed}: {self._summary()}", flush=True)

    def _note(self, outcome: Outcome) -> None:
        for violation in outcome.violations[:1]:
            self._kinds[violation.kind] += 1
            if self._options.until in (None, violation.kind):
                plan = outcome.plan
                self.found = self.found or plan.name
                print(f"VIOLATION {plan.name} (after {self.count} histories) {violation}")
                print(
                    f"  readers: {' '.join(plan.readers)}; troubles: {' '.join(sorted(plan.troubles))}",
                    flush=True,
                )

    def _is_over(self) -> bool:
        options = self._options
        spent = time.monotonic() - self._began
        return (
            options.until in self._kinds
            or self._kinds.total() >= options.stop_after
            or (options.seconds is not None and spent >= options.seconds and self.count >= options.at_least)
        )

    def _summary(self) -> str:
        spent = time.monotonic() - self._began
        found = ", ".join(f"{kind} {number}" for kind, number in self._kinds.most_common()) or "no violation"
        return f"{self.count} histories ({self._virtual_s / 3600:.1f} h played) in {spent:.0f} s: {found}"

    def _end(self) -> None:
        print(self._summary(), flush=True)
        until = self._options.until
        self.result = int(bool(self._kinds if until is None else until in self._kinds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; by default 1, or the one of the mutation")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="histories of each seed")
    parser.add_argument("--history", type=int, help="only this one")
    parser.add_argument("--show", action="store_true", help="print all that happens")
    parser.add_argument("--seconds", type=float, help="end after so long")
    parser.add_argument(
        "--at-least", type=int, default=0, help="not before so many histories, with --seconds"
    )
    parser.add_argument(
        "--until", choices=KINDS, metavar="KIND", help=f"end at the first of a kind: {', '.join(KINDS)}"
    )
    parser.add_argument("--stop-after", type=int, default=5, help="end after so many violations")
    parser.add_argument(
        "--without", nargs="*", default=[], choices=TROUBLES, metavar="TROUBLE", help=", ".join(TROUBLES)
    )
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=READERS)
    parser.add_argument("--strict", action="store_true", help="flickers are violations as well")
    parser.add_argument("--mutation", choices=[*MUTATIONS, "all"], help="put a fault in; all: a table of all")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
