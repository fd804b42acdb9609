"""Record how long each callback of the event loop runs, inside the process that is measured.

The event loop is held while one callback runs: nothing else is read, sent or timed meanwhile. asyncio runs every
callback, each step of a task too, with `Handle._run`; that method is replaced by one that measures. So no hold is
missed, as a thread that takes samples might miss one, and a measurement costs a microsecond.

A hold is written to a file as a line of three numbers: when it began on the monotonic clock, which is the same in
every process of a machine, for how long it ran by that clock, and how much CPU time of its thread it took, all in
seconds. The second number is what a client notices; on a machine that is busy with other work, the third one says what
the relay itself contributed.
"""

from __future__ import annotations

import os
import time
from asyncio import events
from pathlib import Path
from typing import NamedTuple

NOTED_S = 0.001  # shorter holds are not written down


class Hold(NamedTuple):
    """One callback: when it began (monotonic clock), its duration, and its CPU time, in seconds."""

    began: float
    wall_s: float
    cpu_s: float


def watch(file: str) -> None:
    """Append every hold of at least NOTED_S seconds in this process to the file from now on."""
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    run, wall, cpu = events.Handle._run, time.monotonic, time.thread_time

    def timed(handle: events.Handle) -> None:
        began, spent = wall(), cpu()
        run(handle)
        took = wall() - began
        if took >= NOTED_S:
            os.write(out, f"{began} {took} {cpu() - spent}\n".encode())

    events.Handle._run = timed  # type: ignore[method-assign]


def holds(file: Path, since: float) -> list[Hold]:
    """Return the holds that began at `since` (monotonic clock) or later."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = (Hold(*map(float, line.split())) for line in lines)
    return [hold for hold in found if hold.began >= since]
