"""What a run brought: tables for people, one JSON document for programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.benchmarks.bench import LOAD, NOISE, OTHERS, Benchmark, Figure, Measured

NOISY = 10  # percent of the server's core, from which on a remark says so
SATURATED = 85  # percent of its core, from which on the load client may have set the pace


@dataclass
class Result:
    """The rounds of one benchmark: for each case what each of them brought, or why it could not run."""

    benchmark: Benchmark
    rounds: dict[str, list[Measured]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def values(self, case: str, figure: Figure) -> list[float]:
        """Those there are: of a run in which nothing arrived there is no latency."""
        values = [one.figures[figure.name] for one in self.rounds.get(case, ())]
        return [value for value in values if math.isfinite(value)]

    def costs(self, case: str) -> list[float]:
        """How many times what the reference costs, in each round."""
        figure = self.benchmark.figures[0]
        ours, theirs = (
            [one.figures[figure.name] for one in self.rounds.get(name, ())]
            for name in (case, self.benchmark.reference)
        )
        costs = [
            mine / reference if figure.less_is_better else reference / mine
            for mine, reference in zip(ours, theirs, strict=False)
            if mine and reference
        ]
        return [cost for cost in costs if math.isfinite(cost)]

    def flaws(self, case: str) -> list[str]:
        return [one.flaw for one in self.rounds.get(case, ()) if one.flaw]

    def remarks(self) -> list[str]:
        """What to keep in mind when reading it."""
        said = [f"{case}: not measured, {why}" for case, why in self.missing.items()]
        for case, rounds in self.rounds.items():
            flaws = self.flaws(case)
            if flaws:
                said.append(f"{case}: not the same work in {len(flaws)} of {len(rounds)} rounds: {flaws[0]}")
        if OTHERS in self.benchmark.figures:
            others = [value for case in self.rounds for value in self.values(case, OTHERS)]
            if others and statistics.median(others) > NOISY:
                said.append(
                    f"noisy: something else took {statistics.median(others):.0f} % of the server's core"
                )
            for case in self.rounds:
                load = self.values(case, LOAD)
                if load and statistics.median(load) > SATURATED:
                    said.append(f"{case}: the load client was busy and may have set the pace")
        return said

    def as_json(self) -> dict[str, Any]:
        benchmark = self.benchmark
        cases: dict[str, Any] = {}
        for case, rounds in self.rounds.items():
            figures = {
                figure.name: {"unit": figure.unit, **_spread(self.values(case, figure))}
                for figure in benchmark.figures
            }
            costs = self.costs(case)
            cases[case] = {
                "figures": figures,
                "cost": _spread(costs),
                "flaws": [one.flaw for one in rounds if one.flaw],
            }
        return {
            "title": benchmark.title,
            "compared by": benchmark.figures[0].name,
            "reference": benchmark.reference,
            "cases": cases,
            "remarks": self.remarks(),
        }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"median": None, "low": None, "high": None, "rounds": []}
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": list(values),
    }


def table(result: Result) -> Table:
    """Medians, with the lowest and the highest round."""
    benchmark = result.benchmark
    shown = [figure for figure in benchmark.figures if figure not in NOISE]
    drawn = Table()
    drawn.add_column("")
    for figure in shown:
        drawn.add_column(f"{figure.name}\n{figure.unit}", justify="right")
    compared = len(result.rounds) > 1
    if compared:
        drawn.add_column(f"cost, × {benchmark.reference}\nby {shown[0].name}", justify="right")
    for case in result.rounds:
        cells = [_cell(result.values(case, figure), figure.digits) for figure in shown]
        if compared:
            cells.append(_cell(result.costs(case), 2))
        name = Text(case, style="red" if result.flaws(case) else "")
        drawn.add_row(name, *cells)
    return drawn


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    median = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median}\n{min(values):,.{digits}f}–{max(values):,.{digits}f}"


def show(console: Console, result: Result) -> None:
    console.print(result.benchmark.title, style="bold", highlight=False)
    if result.rounds:
        console.print(table(result))
    for remark in result.remarks():
        console.print(f"  {remark}", style="yellow", highlight=False)
    console.print()
