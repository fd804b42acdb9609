"""The same as a picture: of each benchmark the figure its cases are compared by, medians and spread."""

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
OURS, OTHERS, FLAWED = "#2563eb", "#94a3b8", "#dc2626"
NOT_OURS = ("Socket.IO", "ws", "Starlette", "floor", "the driver")  # how these cases begin
LEAST_ROWS = 4  # lest a single case become a wall
TITLE_LENGTH = 70  # characters of a line


def draw(results: Sequence[Result], path: Path) -> None:
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
    places = list(grid.flat)
    for number, (result, place) in enumerate(zip(drawn, places, strict=False)):
        figure = result.benchmark.figures[0]
        for at, case in enumerate(result.rounds):
            values = result.values(case, figure)
            if not values:
                place.text(0, at, " not measured: frames were lost", va="center", fontsize=8, color=FLAWED)
                continue
            median = statistics.median(values)
            colour = FLAWED if result.flaws(case) else OTHERS if case.startswith(NOT_OURS) else OURS
            place.barh(
                at, median, color=colour, xerr=[[median - min(values)], [max(values) - median]], capsize=2
            )
            place.annotate(
                f"{median:,.{figure.digits}f}",
                (max(values), at),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        place.set_yticks(range(len(result.rounds)), list(result.rounds), fontsize=8)
        place.set_ylim(bars[number // COLUMNS] - 0.5, -0.5)
        place.margins(x=0.15)
        place.set_title(fill(result.benchmark.title, TITLE_LENGTH), fontsize=9, loc="left")
        better = "less" if figure.less_is_better else "more"
        place.set_xlabel(f"{figure.name}, {figure.unit}; {better} is better", fontsize=8)
        place.tick_params(axis="x", labelsize=8)
        place.xaxis.set_major_formatter("{x:,.10g}")
        place.spines[["top", "right"]].set_visible(False)
    for place in places[len(drawn) :]:
        place.set_axis_off()
    picture.savefig(path, dpi=90)
    pyplot.close(picture)
