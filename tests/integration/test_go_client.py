"""The example in Go is built with its generated types, and has no fault."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.clients.verdicts import faults
from support.doc_snippets import ROOT

from relay.cli.conformance.client import program

EXAMPLE = ROOT / "examples" / "go"
# Where Debian's packages of Go libraries are, so that building needs no network.
PACKAGED = Path("/usr/share/gocode/src/github.com/gorilla/websocket")


@pytest.fixture
def follow(tmp_path: Path) -> str:
    """Build the example, and return the path of the program."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    modules = tmp_path / "go.mod"
    modules.write_text((EXAMPLE / "go.mod").read_text("utf-8"))
    offline = {}
    if PACKAGED.exists():
        with modules.open("a") as file:
            file.write(f"\nreplace github.com/gorilla/websocket => {PACKAGED}\n")
        offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off"}
    else:
        shutil.copy(EXAMPLE / "go.sum", tmp_path)
    built = subprocess.run(
        [go, "build", f"-modfile={modules}", "-o", tmp_path / "follow", "."],
        cwd=EXAMPLE, env=os.environ | offline, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return str(tmp_path / "follow")


async def test_the_client_in_go_has_no_fault(follow: str) -> None:
    command = [follow, "{ws_url}", "{token_url}", "{task}"]
    assert await faults(program(command), without=["polling"]) == []


def test_the_example_in_go_is_formatted() -> None:
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("Go is not installed")
    checked = subprocess.run([gofmt, "-l", EXAMPLE], capture_output=True, text=True, timeout=30)
    assert (checked.stdout, checked.stderr) == ("", "")
