"""Report the results of a run: tables for people, one JSON document for programs."""

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

NOISY = 10  # percent of the server's core used by other processes; above this a remark is added
SATURATED = 85  # percent of its core; above this the load client may be the bottleneck


@dataclass
class Result:
    """The results of one benchmark: for each case its rounds, or the reason why it could not run."""

    benchmark: Benchmark
    rounds: dict[str, list[Measured]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def values(self, case: str, figure: Figure) -> list[float]:
        """Return the figure of each round. Rounds without one are left out: if nothing arrives there is no latency."""
        values = [one.figures[figure.name] for one in self.rounds.get(case, ())]
        return [value for value in values if math.isfinite(value)]

    def costs(self, case: str) -> list[float]:
        """Return the cost of each round relative to the reference case: 2.0 means twice its cost."""
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

    def invalid_reasons(self, case: str) -> list[str]:
        """Return why rounds of this case cannot be compared; empty if all can."""
        return [one.invalid_reason for one in self.rounds.get(case, ()) if one.invalid_reason]

    def remarks(self) -> list[str]:
        """Return remarks on how reliable the result is."""
        remarks = [f"{case}: not measured, {why}" for case, why in self.missing.items()]
        for case, rounds in self.rounds.items():
            invalid_reasons = self.invalid_reasons(case)
            if invalid_reasons:
                remarks.append(
                    f"{case}: not the same work in {len(invalid_reasons)} of {len(rounds)} rounds: {invalid_reasons[0]}"
                )
        if OTHERS in self.benchmark.figures:
            others = [value for case in self.rounds for value in self.values(case, OTHERS)]
            if others and statistics.median(others) > NOISY:
                remarks.append(
                    f"noisy: other processes used {statistics.median(others):.0f} % of the server's core"
                )
            for case in self.rounds:
                load = self.values(case, LOAD)
                if load and statistics.median(load) > SATURATED:
                    remarks.append(f"{case}: the load client was busy and may be the bottleneck")
        return remarks

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
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
                "invalid_reasons": [one.invalid_reason for one in rounds if one.invalid_reason],
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
    """Return a table of the medians, with the lowest and the highest round."""
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
        name = Text(case, style="red" if result.invalid_reasons(case) else "")
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
    """Print the table and the remarks of one benchmark."""
    console.print(result.benchmark.title, style="bold", highlight=False)
    if result.rounds:
        console.print(table(result))
    for remark in result.remarks():
        console.print(f"  {remark}", style="yellow", highlight=False)
    console.print()
