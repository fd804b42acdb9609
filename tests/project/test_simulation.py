"""Hundreds of histories on a virtual clock in every run; see `tests/simulation` and `scripts/simulate`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Of 100 histories each, in two processes: the same in every run, however busy the machine is.
SEEDS = (("--seed", "1", "--seeds", "2"), ("--seed", "1001", "--seeds", "2"))
READERS = ("naive", "poller", "python", *(("browser",) if shutil.which("node") else ()))


pytestmark = pytest.mark.timeout(1800)  # each takes a minute and a half of an idle machine


@contextmanager
def simulating(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-m", "simulation", *arguments],
        env=os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_no_history_shows_anybody_what_must_not_be_seen() -> None:
    with ExitStack() as stack:
        each = [stack.enter_context(simulating(*seeds, "--readers", *READERS)) for seeds in SEEDS]
        output = [one.communicate()[0] for one in each]
    print(*output)
    assert [one.returncode for one in each] == [0, 0], "".join(output)


def test_a_history_is_the_same_whenever_it_is_played() -> None:
    played = ("--seed", "7", "--history", "3", "--show", "--readers", *READERS)
    with simulating(*played) as first, simulating(*played) as second:
        shown = [_comparable(one.communicate()[0]) for one in (first, second)]
    assert len(shown[0]) > 100
    assert shown[0] == shown[1]


def test_each_fault_that_is_put_in_is_found() -> None:
    with simulating("--mutation", "all", "--seeds", "3", "--readers", *READERS) as run:
        output = run.communicate()[0]
    assert run.returncode == 0, output
    if "browser" not in READERS:
        pytest.skip("Node.js is not installed")


def _comparable(shown: str) -> list[str]:
    """Without the random ids of connections, and how long it took."""
    lines = [line for line in shown.splitlines() if not re.match(r"\d+ histories", line)]
    return [re.sub(r'"connectionId":"\w+"', "", line) for line in lines]
