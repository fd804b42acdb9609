"""Assign cores to processes, and read the CPU time and memory of processes. Linux only."""

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
    """The core of each process: the measured server alone on one, the load client on another, mongod on the rest.

    On a machine with two cores mongod shares the core of the load client.
    """

    server: int
    load: int
    database: frozenset[int]

    @classmethod
    def here(cls) -> Cores:
        """Divide the cores that this process may use."""
        allowed = sorted(os.sched_getaffinity(0))
        server, load = allowed[0], allowed[min(1, len(allowed) - 1)]
        return cls(server, load, frozenset(allowed[2:] or (load,)))

    def __str__(self) -> str:
        database = ", ".join(map(str, sorted(self.database)))
        beside = " (beside the load)" if self.load in self.database else ""
        return f"server on core {self.server}, load on core {self.load}, mongod on core {database}{beside}"


@contextmanager
def running_on(cores: Iterable[int]) -> Iterator[None]:
    """Keep this process on these cores for now, and forever the processes it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Return the CPU time in seconds, user and system, of a process and its children."""
    return own_cpu_s(pid) + sum(map(cpu_s, _children(pid)))


def own_cpu_s(pid: int) -> float:
    """Return the CPU time in seconds, user and system, of a process without the children that still run.

    It is read from the scheduler's statistics, which count nanoseconds. If the kernel has none, it is read from
    /proc/<pid>/stat, which counts hundredths of a second.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS


def children(pid: int) -> dict[int, str]:
    """Return the command lines of the children of a process, by their process ids."""
    return {child: Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in _children(pid)}


def _children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return _status(pid, "VmRSS") * 1024


def peak_rss_bytes(pid: int) -> int:
    """Return the most resident memory that a process has had, in bytes."""
    return _status(pid, "VmHWM") * 1024


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc has no {name}")


def core_busy_s(core: int) -> float:
    """Return the seconds that a core has been busy, for all processes, since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *figures = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, figures[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise ValueError("no such core")


def describe() -> dict[str, Any]:
    """Return what readers of the figures need to know about this machine."""
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
