"""How many cores a process may use: its affinity, and the limits of the control groups around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay.cores import cores

MANY = 64


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)), raising=False)


def groups(tmp_path: Path, own: str, limits: dict[str, str]) -> tuple[Path, Path]:
    """Write the files of the kernel: the process is in the group `own`, and these groups have these limits."""
    (self_ := tmp_path / "cgroup").write_text(f"12:cpu:/elsewhere\n0::{own}\n")
    for group, limit in limits.items():
        (where := tmp_path / "groups" / group).mkdir(parents=True, exist_ok=True)
        (where / "cpu.max").write_text(limit + "\n")
    return self_, tmp_path / "groups"


@pytest.mark.parametrize(
    ("own", "limits", "usable"),
    [
        ("/", {}, MANY),  # the group at the top has no limit
        ("/", {"": "200000 100000"}, 2),  # a container sees its own group at the top
        ("/a/b", {"a/b": "max 100000"}, MANY),
        ("/a/b", {"a/b": "max 100000", "a": "350000 100000"}, 3),
        ("/a/b", {"a/b": "800000 100000", "a": "1000000 100000"}, 8),
        ("/a/b", {"a/b": "50000 100000"}, 1),
        ("/a", {"a": "9900000 100000"}, MANY),
        ("/a", {"a": "nonsense"}, MANY),
        ("/../..", {}, MANY),
    ],
)
def test_the_limit_of_each_group_around_the_process_counts(
    tmp_path: Path, own: str, limits: dict[str, str], usable: int
) -> None:
    assert cores(*groups(tmp_path, own, limits)) == usable


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert cores(tmp_path / "nowhere", tmp_path) == MANY
    (old := tmp_path / "cgroup").write_text("4:cpu:/docker/1\n")
    assert cores(old, tmp_path) == MANY


def test_this_machine_has_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= cores() <= (os.cpu_count() or 1)
