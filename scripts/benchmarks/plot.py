"""Draw a bar chart of each benchmark: the figure its cases are compared by, as median and spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from scripts.benchmarks.report import Result

COLUMNS = 2
OURS, OTHERS, INVALID = "#2563eb", "#94a3b8", "#dc2626"
NOT_OURS = (
    "Socket.IO",
    "ws",
    "Bun",
    "Starlette",
    "floor",
    "the driver",
)  # prefixes of the names of cases without the relay
LEAST_ROWS = 4  # so that the bar of a single case is not too thick
TITLE_LENGTH = 70  # characters per line


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the charts of all benchmarks that have results to a PNG file."""
    drawn = [result for result in results if result.rounds]
    if not drawn:
        return
    rows = math.ceil(len(drawn) / COLUMNS)
    bars = [
        max(LEAST_ROWS, *(len(one.rounds) for one in drawn[row * COLUMNS : (row + 1) * COLUMNS]))
        for row in range(rows)
    ]
    heights = [1.1 + 0.32 * count for count in bars]
    picture, grid = pyplot.subplots(
        rows,
        COLUMNS,
        figsize=(15, sum(heights)),
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    all_axes = list(grid.flat)
    for number, (result, axes) in enumerate(zip(drawn, all_axes, strict=False)):
        figure = result.benchmark.figures[0]
        for at, case in enumerate(result.rounds):
            values = result.values(case, figure)
            if not values:
                axes.text(0, at, " not measured: frames were lost", va="center", fontsize=8, color=INVALID)
                continue
            median = statistics.median(values)
            colour = (
                INVALID if result.invalid_reasons(case) else OTHERS if case.startswith(NOT_OURS) else OURS
            )
            axes.barh(
                at, median, color=colour, xerr=[[median - min(values)], [max(values) - median]], capsize=2
            )
            axes.annotate(
                f"{median:,.{figure.digits}f}",
                (max(values), at),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(result.rounds)), list(result.rounds), fontsize=8)
        axes.set_ylim(bars[number // COLUMNS] - 0.5, -0.5)
        axes.margins(x=0.15)
        axes.set_title(fill(result.benchmark.title, TITLE_LENGTH), fontsize=9, loc="left")
        better = "less" if figure.less_is_better else "more"
        axes.set_xlabel(f"{figure.name}, {figure.unit}; {better} is better", fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in all_axes[len(drawn) :]:
        axes.set_axis_off()
    picture.savefig(path, dpi=90)
    pyplot.close(picture)
