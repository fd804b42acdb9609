"""The hardening tests cover the security checklist, S1 to S38."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1] / "integration"
ROWS = range(1, 39)
NOT_APPLICABLE = {
    5: "There are no one-time tickets: a connection brings its JWT.",
    18: "There is no list of users to disable one in. Rights are those of a token, which ends with its connection, and "
    "of the documents (S14, S17). So keep the lifetime of tokens short.",
    34: "There is no broker: instances share only the database.",
}


def test_each_row_of_the_security_checklist_is_tested_or_does_not_apply() -> None:
    tested: set[int] = set()
    for path in TESTS.glob("test_hardening_*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                rows = re.match(r"(S\d+(?:, S\d+)*):", ast.get_docstring(node) or "")
                tested |= {int(row) for row in re.findall(r"S(\d+)", rows[1])} if rows else set()

    assert not tested & NOT_APPLICABLE.keys()
    assert tested | NOT_APPLICABLE.keys() == {*ROWS}
