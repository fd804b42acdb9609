"""The chart of the README, `.github/figures.svg`: three rows of docs/explanation/performance.md as bars."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

PERFORMANCE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
PANELS = {  # how a row of the table begins: the heading of its panel
    "500 listeners, 2,000 appends at once": "Burst: deliveries per CPU-second",
    "one listener, `w: majority`": "Latency: median, in ms",
    "5,000 idle connections": "Memory: KB per idle connection",
}
WIDTH, HEIGHT, PANEL, LEFT, BAR, TOP = 960, 204, 320, 100, 22, 46
LONGEST = PANEL - LEFT - 84  # leaves room for the number behind the bar
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .heading { font-weight: 600; }
    .number { fill: #57606a; }
    .bar { fill: #afb8c1; }
    .relay { fill: #2563eb; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .number { fill: #9da7b1; }
      .bar { fill: #545d68; }
      .relay { fill: #5b8def; }
    }"""


def svg() -> str:
    names, *rows = _table(PERFORMANCE.read_text("utf-8"))
    drawn = []
    for at, (begins, heading) in enumerate(PANELS.items()):
        (row,) = [row for row in rows if row[0].startswith(begins)]
        drawn += _panel(at * PANEL, heading, list(zip(names[1:], row[1:], strict=True)))
    alone = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    return "\n".join([alone, f"  <style>{STYLE}\n  </style>", *drawn, "</svg>"]) + "\n"


def _table(page: str) -> list[list[str]]:
    """The cells of the first table of a page, without the line below its head."""
    (first,) = re.findall(r"\A.*?^(\|.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    lines = [line for line in first.splitlines() if not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _panel(left: int, heading: str, cells: list[tuple[str, str]]) -> list[str]:
    numbers = [float(cell.split(", ")[0].replace(",", "")) for _, cell in cells]
    drawn = [f'  <text class="heading" x="{left}" y="22">{escape(heading)}</text>']
    for row, ((name, cell), number) in enumerate(zip(cells, numbers, strict=True)):
        y = TOP + row * (BAR + 4)
        length = max(2, round(LONGEST * number / max(numbers)))
        kind = "bar relay" if name == "relay" else "bar"
        shown = cell.split(", ")[0]
        drawn += [
            f'  <text x="{left}" y="{y + 15}">{escape(name.strip("`"))}</text>',
            f'  <rect class="{kind}" x="{left + LEFT}" y="{y}" width="{length}" height="{BAR}" rx="2"/>',
            f'  <text class="number" x="{left + LEFT + length + 6}" y="{y + 15}">{shown}</text>',
        ]
    return drawn
