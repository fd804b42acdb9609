"""FAULTS.md has a row for every failure mode and names only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = (TESTS / "FAULTS.md").read_text("utf-8")


def test_every_failure_mode_has_its_row() -> None:
    rows = [int(number) for number in re.findall(r"^\| F(\d+) \|", TABLE, re.MULTILINE)]
    assert rows == [*range(1, 21), *range(46, 56)]


def test_every_test_that_the_table_names_exists() -> None:
    source = "\n".join(
        path.read_text("utf-8") for path in TESTS.rglob("test_*.py") if "node_modules" not in path.parts
    )
    defined = set(re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    assert named
    assert named <= defined
