"""Counts the processor cores that this process may use. Does I/O: reads two small files of the kernel on Linux."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

GROUP_OF_SELF = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def cores(group_of_self: Path = GROUP_OF_SELF, groups: Path = GROUPS) -> int:
    """Return how many cores this process may use, at least 1.

    This is the number of cores that it may run on (its affinity). If the control groups (cgroup v2) of this process
    limit its CPU time, as those of a container do, it is at most that limit, rounded down: with a limit of 2.5 cores on
    a machine of 64, a third busy process would only make the other two wait. The parameters are the kernel's files.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = _limits(group_of_self, groups)
    return max(1, int(min(available, *limits))) if limits else available


def _limits(group_of_self: Path, groups: Path) -> list[float]:
    """Return the limits of this process's control group and of all groups around it, in cores."""
    found = []
    with suppress(OSError, ValueError):  # there are no control groups here, or they have another form
        (path,) = [
            line.removeprefix("0::/")
            for line in group_of_self.read_text("utf-8").splitlines()
            if line.startswith("0::/")
        ]
        for group in (groups / path, *(groups / path).parents):
            if not group.is_relative_to(groups):
                break
            with suppress(OSError):  # the group at the top has no such file
                quota, period = (group / "cpu.max").read_text("utf-8").split()
                if quota != "max":
                    found.append(int(quota) / int(period))
    return found
