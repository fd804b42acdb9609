"""The generated parts of the documents are what the code says, and no setting and no command is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from support.doc_snippets import REFERENCE

from relay.cli.commands import cli
from relay.config import Settings
from scripts import generated


@pytest.mark.parametrize("page", generated.PAGES, ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text("utf-8")
    assert generated.updated(text) == text, "run scripts/generate"


@pytest.mark.parametrize("file", generated.WHOLE, ids=lambda file: file.name)
def test_generated_files_are_current(file: Path) -> None:
    assert generated.WHOLE[file]() == file.read_text("utf-8"), "run scripts/generate"


def test_the_settings_page_has_a_row_for_every_setting() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (REFERENCE / "settings.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [name.upper() for name in Settings.model_fields]


def test_the_commands_page_has_a_part_for_every_command() -> None:
    shown = re.findall(r"^<!-- command: (\w+) -->$", (REFERENCE / "cli.md").read_text("utf-8"), re.MULTILINE)
    assert set(shown) == set(typer.main.get_command(cli).commands)  # type: ignore[attr-defined]
