"""`relay check`: how far back can MongoDB read a collection as it was? The relay reads at its own position."""

from __future__ import annotations

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding

DEFAULT_S, LEAST_S = 300, 60


async def ask(examination: Examination) -> None:
    """Ask the server for its snapshot window."""
    examination.add(judge(await examination.parameter("minSnapshotHistoryWindowInSeconds")))


def judge(seconds: int | None) -> Finding:
    """Judge the window, in seconds; None where this user cannot see it."""
    if seconds is None:
        return Finding(
            "snapshot window",
            "note",
            f"it cannot be seen with this user; MongoDB's default of {DEFAULT_S} s is good",
            "Ask an administrator whether minSnapshotHistoryWindowInSeconds was set lower.",
        )
    if seconds >= LEAST_S:
        return Finding("snapshot window", "ok", f"{seconds} s")
    return Finding(
        "snapshot window",
        "warning",
        f"{seconds} s: a relay that is further behind than that cannot read for those who join",
        "Raise it with db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: "
        f"{DEFAULT_S}}}).",
    )
