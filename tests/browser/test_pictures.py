"""scripts/pictures: the pictures of the documents, from a real relay."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.doc_snippets import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "scripts.pictures_command", *arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def size(picture: Path) -> tuple[int, int]:
    """Return the width and height that the header of a PNG says."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height


def test_a_picture_is_taken_in_the_size_of_the_one_that_the_documents_show(tmp_path: Path) -> None:
    taken = run("--output", str(tmp_path), "phone-task")
    assert taken.returncode == 0, taken.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["phone-task.png"]
    assert size(tmp_path / "phone-task.png") == size(ROOT / ".github" / "phone-task.png")


@pytest.mark.parametrize("name", ["portrait", "dashboard.png"])
def test_a_picture_that_does_not_exist_is_refused(name: str) -> None:
    refused = run(name)
    assert refused.returncode == 2
    assert f"there is no picture {name}" in refused.stderr
