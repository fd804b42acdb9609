"""The findings of `relay check`, and the report of them as text for people or as JSON. Pure.

Rules of this file: every text that arrives here is safe to print; text to paste into mongosh is never wrapped.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from relay.cli.printable import counted

Mark = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `remedy` is one sentence; `paste` is the text that it says to paste into mongosh."""

    name: str
    mark: Mark
    text: str
    remedy: str = ""
    paste: str = ""


@dataclass(slots=True)
class Report:
    """All findings about one database. `role` is the commands for the least role, if the user should be given it."""

    where: str
    findings: list[Finding] = field(default_factory=list)
    role: str = ""
    sample: dict[str, Any] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Will the relay work with this database and this mapping?"""
        return all(finding.mark != "problem" for finding in self.findings)

    def add(self, *findings: Finding) -> None:
        """Add these findings, in this order."""
        self.findings += findings


_STYLES: dict[str, str] = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "bold red"}
NAME_WIDTH = len("snapshot window")
MARK_WIDTH = len("warning")


def to_json(report: Report) -> str:
    """Return the report as one JSON object on one line."""
    shown = {
        "works": report.works,
        "where": report.where,
        "findings": [
            {"name": finding.name, "mark": finding.mark, "text": finding.text}
            | ({"remedy": finding.remedy} if finding.remedy else {})
            | ({"paste": finding.paste} if finding.paste else {})
            for finding in report.findings
        ],
    }
    if report.sample:
        shown["sample"] = report.sample
    if report.role:
        shown["role"] = report.role
    return json.dumps(shown) + "\n"


def to_text(report: Report, *, terminal: bool) -> str:
    """Return the report for people: wrapped and in colours for a terminal, otherwise one line for each finding."""
    written = io.StringIO()
    console = Console(
        file=written, force_terminal=terminal, color_system="auto" if terminal else None, highlight=False
    )
    lines = Table.grid(padding=(0, 2, 0, 0))
    for width in (MARK_WIDTH, NAME_WIDTH):
        lines.add_column(min_width=width, no_wrap=True)
    lines.add_column(overflow="fold")
    console.print(Text(f"relay check: {report.where}\n"), soft_wrap=True)
    for finding in report.findings:
        mark, name = Text(finding.mark, _STYLES[finding.mark]), Text(finding.name)
        said = Text(finding.text)
        if finding.remedy:
            said.append(f". {finding.remedy}", "bold" if finding.mark == "problem" else "")
        if terminal:
            lines.add_row(mark, name, said)
        else:
            line = f"{finding.mark:{MARK_WIDTH}}  {finding.name:{NAME_WIDTH}}  {said.plain}"
            console.print(Text(line), soft_wrap=True)
    if terminal:
        console.print(lines)
    console.print(Text(f"\n{_verdict(report)}"), soft_wrap=True)
    pastes = [*dict.fromkeys(finding.paste for finding in report.findings if finding.paste)]
    if report.role:
        pastes.insert(0, report.role)
    if pastes:
        console.print(Text("\nFor an administrator to paste into mongosh:\n"), soft_wrap=True)
        for paste in pastes:  # not wrapped, so that it can be copied
            console.print(Text(paste), soft_wrap=True)
    return written.getvalue()


def _verdict(report: Report) -> str:
    marks = Counter(finding.mark for finding in report.findings)
    if not report.works:
        return "This will not work yet."
    warnings = marks["warning"]
    return "This will work." if not warnings else f"This will work, with {counted(warnings, 'warning')}."
