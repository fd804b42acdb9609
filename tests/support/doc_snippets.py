"""Find the fenced code blocks of the documents, for tests that run them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCS = ROOT / "docs"
GUIDES = DOCS / "guides"
REFERENCE = DOCS / "reference"
REDACTION = REFERENCE / "redaction.md"


def blocks(path: Path, language: str) -> list[str]:
    """Return the blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def block_with(path: Path, language: str, text: str) -> str:
    """Return the only block of this language that contains this text."""
    (found,) = [block for block in blocks(path, language) if text in block]
    return found
