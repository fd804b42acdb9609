"""`relay check`: is the server a member of a replica set, or the router of a sharded cluster? Only those have change
streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.cli.check.examination import Examination, problem
from relay.cli.check.report import Finding
from relay.cli.check.text import named
from relay.cli.printable import counted
from relay.source.diagnosis import of_member

IDLE_S = (
    20  # two of the intervals at which an idle shard adds an entry to its oplog (relay/source/cluster.py)
)


async def ask(examination: Examination) -> None:
    """Judge the answer of the server to `hello`."""
    examination.add(judge(examination.hello))


def judge(hello: Mapping[str, Any]) -> Finding:
    """Judge a server by its answer to `hello`."""
    wrong = of_member(hello)
    if wrong is not None:
        return problem(wrong)
    if hello.get("msg") == "isdbgrid":
        return Finding(
            "replica set",
            "warning",
            "mongos, the router of a sharded cluster: the relay was never tried behind one, and a shard on which "
            f"nothing is written delays all messages, for up to {IDLE_S} s by default",
            "Start every shard with --setParameter periodicNoopIntervalSecs=1, and read "
            '"Sharded clusters" in docs/explanation/exactness.md.',
        )
    members = counted(len(hello.get("hosts") or ()), "member")
    which = "; a secondary answers" if hello.get("secondary") else ""
    return Finding("replica set", "ok", f"{named(str(hello['setName']))}, {members}{which}")
