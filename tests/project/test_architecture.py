"""The arrows between the stages: a stage imports only what lies left of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

RELAY = Path(__file__).parents[2] / "relay"
STAGES = ("protocol", "source", "tasks", "auth", "feed", "hub", "gateway")
SHARED = {"errors", "config", "metrics"}
PURE_BANS = {"asyncio", "pymongo", "starlette", "uvicorn", "websockets", "socket"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_lies_left_of_it(stage: str) -> None:
    allowed = {*STAGES[: STAGES.index(stage) + 1], *SHARED}
    for path in (RELAY / stage).rglob("*.py"):
        for module in imports(path):
            if module.startswith("relay."):
                assert module.split(".")[1] in allowed, f"{path.name} imports {module}"


def test_pure_modules_import_nothing_that_waits_or_speaks() -> None:
    pure = [path for path in RELAY.rglob("*.py") if "Pure" in ast.get_docstring(ast.parse(path.read_text()))]
    assert len(pure) >= 10
    for path in pure:
        assert not {module.split(".")[0] for module in imports(path)} & PURE_BANS, path


@pytest.mark.parametrize("path", sorted(RELAY.rglob("*.py")), ids=lambda path: str(path.relative_to(RELAY)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path
