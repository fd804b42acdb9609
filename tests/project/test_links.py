"""Every link and anchor of every Markdown file has a target. `scripts/docs` checks those of the built site."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.doc_snippets import ROOT

LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
PAGES = [ROOT / name for name in LISTED.stdout.split()] or [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
NAMED_PATH = re.compile(r"`((?:relay|tests|scripts|docs|examples|requirements)/[\w./-]*)`")
TARGET = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    for found in TARGET.finditer(FENCED.sub("", page.read_text("utf-8"))):
        target = found[1] or found[2]
        if urlsplit(target).scheme:
            continue
        path, _, anchor = target.partition("#")
        meant = (page.parent / path).resolve() if path else page
        assert meant.exists(), target
        assert not anchor or anchor in anchors(meant), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    for path in NAMED_PATH.findall(FENCED.sub("", page.read_text("utf-8"))):
        assert (ROOT / path).exists(), path


def anchors(page: Path) -> set[str]:
    """The anchors of a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
