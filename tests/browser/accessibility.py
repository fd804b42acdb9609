"""Finds what keeps readers with a disability from using a page, with axe."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, Literal

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


def complaints(
    page: Page, axe: str, *, widths: Iterable[int] = (), schemes: Iterable[Literal["light", "dark"]] = ()
) -> list[Any]:
    """The serious and critical findings of axe, each as its rule and element.

    It looks at the page as it is, or at each of these widths and in each of these colour schemes, one after the other.
    """
    size = page.viewport_size
    assert size is not None
    found: list[Any] = []
    for width, scheme in product(widths or (size["width"],), schemes or (None,)):
        if width != page.viewport_size["width"]:  # type: ignore[index]
            page.set_viewport_size({"width": width, "height": size["height"]})
        if scheme is not None:
            page.emulate_media(color_scheme=scheme)
        found += [(width, scheme, *each) for each in _violations(page, axe)]
    page.set_viewport_size(size)
    return found


def _violations(page: Page, axe: str) -> list[Any]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (each["id"], node["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
