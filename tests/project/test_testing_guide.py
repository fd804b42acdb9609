"""The tests that the documents show to applications, in the runners that applications use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.doc_snippets import GUIDES, blocks
from support.node_packages import node_packages

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

ROOT = Path(__file__).parents[2]
GUIDE = GUIDES / "testing.md"
EXAMPLE = ROOT / "examples" / "react"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def node() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    return node


def test_the_lines_for_javascript_pass_in_node(node: str, tmp_path: Path) -> None:
    (program,) = blocks(GUIDE, "js")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "task-relay-client").symlink_to(ROOT / "relay" / "web")
    (tmp_path / "list.test.mjs").write_text(program)
    assert "pass 1" in run(node, "--test", "list.test.mjs", cwd=tmp_path)


def test_the_example_in_react_passes_its_tests_and_has_the_lines_of_the_guide(node: str) -> None:
    vitest = node_packages(EXAMPLE) / "vitest" / "vitest.mjs"
    assert "5 passed" in run(node, vitest, "run", "--no-color", "--testTimeout=60000", cwd=EXAMPLE)
    (lines,) = blocks(GUIDE, "jsx")
    assert lines in (EXAMPLE / "src" / "App.test.jsx").read_text("utf-8")


async def test_the_lines_for_python_pass() -> None:
    (program,) = blocks(GUIDE, "python")
    defined: dict[str, Any] = {}
    exec(program, defined)
    await defined["test_a_program_sees_what_failed"]()
