"""The options of `relay tail`, and its exit codes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

EXIT_DONE = 0  # by the count, the duration or Ctrl-C, without a reader, or with nothing left to follow
EXIT_BAD_ARGUMENTS = 2
EXIT_REFUSED = 3  # the relay refused, or nobody answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to print, in which form, and for how long."""

    tasks: tuple[str, ...] = ()
    dashboard: bool = False
    since: int | None = None  # print each event from this index on
    json: bool = False
    duration: float | None = None  # seconds
    count: int | None = None  # of messages; with --direct, of changes
    color: bool | None = None  # None: if standard output is a terminal


def check(wanted: Selection) -> None:
    """Raise ValueError, with one sentence, for options that contradict each other or have no meaning."""
    if wanted.since is not None and wanted.since < 0:
        raise ValueError("--since must be 0 or more")
    if wanted.since is not None and not wanted.tasks:
        raise ValueError("--since needs a --task: a list of tasks has no positions")
    if wanted.count is not None and wanted.count < 1:
        raise ValueError("--count must be 1 or more")
    if wanted.duration is not None and not wanted.duration > 0:
        raise ValueError("--duration must be more than 0 seconds")
    if not all(wanted.tasks):
        raise ValueError("a task id must not be empty")
