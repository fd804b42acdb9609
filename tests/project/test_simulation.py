"""Hundreds of histories on a virtual clock in every run; see `tests/simulation` and `scripts/simulate`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Of 100 histories each, in two processes: the same in every run, however busy the machine is.
SEEDS = (("--seed", "1", "--seeds", "2"), ("--seed", "1001", "--seeds", "2"))
READERS = ("naive", "poller", "python", *(("browser",) if shutil.which("node") else ()))


def simulate(*arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-m", "simulation", *arguments],
        env=os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(600)
def test_no_history_shows_anybody_what_must_not_be_seen() -> None:
    each = [simulate(*seeds, "--readers", *READERS) for seeds in SEEDS]
    output = [one.communicate()[0] for one in each]
    print(*output)
    assert [one.returncode for one in each] == [0, 0], "".join(output)


def test_a_history_is_the_same_whenever_it_is_played() -> None:
    first, second = (simulate("--seed", "7", "--history", "3", "--show", "--readers", *READERS) for _ in "ab")
    shown = [_comparable(one.communicate()[0]) for one in (first, second)]
    assert len(shown[0]) > 100
    assert shown[0] == shown[1]


@pytest.mark.timeout(600)
def test_each_fault_that_is_put_in_is_found() -> None:
    run = simulate("--mutation", "all", "--seeds", "3", "--readers", *READERS)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    if "browser" not in READERS:
        pytest.skip("Node.js is not installed")


def _comparable(shown: str) -> list[str]:
    """Without the random ids of connections, and how long it took."""
    lines = [line for line in shown.splitlines() if not re.match(r"\d+ histories", line)]
    return [re.sub(r'"connectionId":"\w+"', "", line) for line in lines]
