"""What `relay tail` can be asked for, and the codes it ends with. Pure."""

from __future__ import annotations

from dataclasses import dataclass

EXIT_DONE = 0  # the count, the duration, Ctrl-C, the end of who reads, or nothing left to follow
EXIT_BAD_ARGUMENTS = 2
EXIT_REFUSED = 3  # or no connection at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to show, how, and how long; `color` None means: where stdout is a terminal."""

    tasks: tuple[str, ...] = ()
    dashboard: bool = False
    since: int | None = None  # join from 0, print from this index
    json: bool = False
    duration: float | None = None  # seconds
    count: int | None = None  # printed lines, or with --direct changes
    color: bool | None = None


def check(wanted: Selection) -> None:
    """Raises ValueError, one sentence, for what makes no sense."""
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
