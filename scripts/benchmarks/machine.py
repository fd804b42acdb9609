"""The machine: which core does what, and what a process has used of it. Linux only."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the measured server alone on one core, the load on another, mongod on all the others,
    or beside the load where there are only two."""

    server: int
    load: int
    database: frozenset[int]

    @classmethod
    def here(cls) -> Cores:
        allowed = sorted(os.sched_getaffinity(0))
        server, load = allowed[0], allowed[min(1, len(allowed) - 1)]
        return cls(server, load, frozenset(allowed[2:] or (load,)))

    def __str__(self) -> str:
        database = ", ".join(map(str, sorted(self.database)))
        beside = " (beside the load)" if self.load in self.database else ""
        return f"server on core {self.server}, load on core {self.load}, mongod on core {database}{beside}"


@contextmanager
def running_on(cores: Iterable[int]) -> Iterator[None]:
    """This process runs there meanwhile, and so does for ever what it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Seconds of CPU, user and system, that a process and its children have used.

    From the scheduler's own account, to the nanosecond, where the kernel keeps it; /proc/<pid>/stat counts
    the same in hundredths of a second.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        own = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = sum(map(int, fields[11:15])) / TICKS
        return own
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return own + sum(map(cpu_s, children))


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError("the kernel does not say")


def core_busy_s(core: int) -> float:
    """Seconds that a core has worked, for whomever, since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *figures = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, figures[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise ValueError("no such core")


def described() -> dict[str, Any]:
    """What a reader of the figures wants to know about where they come from."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average": [round(one, 2) for one in os.getloadavg()],
    }
