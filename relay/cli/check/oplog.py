"""`relay check`: for how long may the relay be cut off and still find every change in the oplog?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bson import Timestamp
from pymongo.errors import OperationFailure

from relay.cli.check.examination import ANSWER_MS, Examination
from relay.cli.check.report import Finding

LEAST_S = 3600.0  # below it, a cut that is not noticed at once costs clients what they missed

_UNSEEN = Finding(
    "oplog window",
    "note",
    "it cannot be seen with this user: where the relay is cut off for longer than it lasts, clients are sent "
    "whole states instead of what they missed",
    "Ask an administrator for rs.printReplicationInfo(); an hour is the least to have.",
)


async def ask(examination: Examination) -> None:
    """Measure the span of the oplog, in the first way that this user may."""
    examination.add(await _from_its_ends(examination) or await _from_status(examination) or _UNSEEN)


async def _from_its_ends(examination: Examination) -> Finding | None:
    """Read the first and the last entry; None where this user may not."""
    oplog = examination.pipeline.client.local["oplog.rs"]
    ends: list[Mapping[str, Any]] = []
    try:
        for direction in (1, -1):
            found = oplog.find({}, {"ts": 1, "o.msg": 1}, max_time_ms=ANSWER_MS)
            ends += await found.sort("$natural", direction).limit(1).to_list()
    except OperationFailure:
        return None
    if len(ends) != 2:
        return None
    # The first entry a set ever writes: nothing has been dropped yet.
    whole = (ends[0].get("o") or {}).get("msg") == "initiating set"
    return judge(_seconds_between(ends[0]["ts"], ends[1]["ts"]), whole=whole)


async def _from_status(examination: Examination) -> Finding | None:
    """Ask the server for the times of both ends; None if it does not show them to this user."""
    try:
        oplog = (await examination.ask_admin(serverStatus=1, oplog=1))["oplog"]
    except (OperationFailure, KeyError):
        return None
    return judge(_seconds_between(oplog["earliestOptime"], oplog["latestOptime"]), whole=False)


def judge(seconds: float, *, whole: bool) -> Finding:
    """Judge an oplog by the seconds it spans. `whole`: nothing has ever been dropped from it."""
    lasts = str(timedelta(seconds=round(seconds))) if seconds < LEAST_S else f"{seconds / 3600:,.1f} h"
    if seconds >= LEAST_S:
        return Finding(
            "oplog window", "ok", f"{lasts}: for so long the relay may be cut off and miss nothing"
        )
    if whole:
        return Finding(
            "oplog window", "ok", f"{lasts}: all since the replica set was set up, nothing dropped"
        )
    return Finding(
        "oplog window",
        "warning",
        f"{lasts}: a relay that was cut off for longer sends its clients whole states again",
        "If the server is older than that, give it more with "
        "db.adminCommand({replSetResizeOplog: 1, minRetentionHours: 24}).",
    )


def _seconds_between(first: Timestamp, last: Timestamp) -> float:
    return float(last.time - first.time)
