"""Finds what keeps readers with a disability from using a page, with axe."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"


def axe_source() -> str:
    """The source of axe. Skips the test if npm, which installs it, is missing."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Node is not installed")
    if not AXE.exists():
        subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=HERE, check=True)
    return AXE.read_text("utf-8")


def complaints(page: Page, axe: str) -> list[Any]:
    """The serious and critical findings of axe, each as its rule and element."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (each["id"], node["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
