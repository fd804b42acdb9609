"""The functions that the design page names exist."""

from __future__ import annotations

import ast
import re

import pytest
from support.doc_snippets import DOCS, ROOT

DESIGN = (DOCS / "explanation" / "design.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(relay/[\w/]+\.py):([\w.]+)`", DESIGN)))


def test_the_design_page_has_its_walks() -> None:
    assert re.findall(r"^### (.*)$", DESIGN.partition("## Walks")[2], re.MULTILINE) == [
        "One `$push`",
        "One join",
        "One poll",
        "One revocation",
    ]


@pytest.mark.parametrize(("module", "name"), NAMED, ids=":".join)
def test_every_function_that_the_design_page_names_exists(module: str, name: str) -> None:
    found: ast.AST = ast.parse((ROOT / module).read_text("utf-8"))
    for part in name.split("."):
        (found,) = [one for one in ast.iter_child_nodes(found) if getattr(one, "name", None) == part]
