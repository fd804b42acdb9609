"""`relay check`: is the server a member of a replica set? Only those have change streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.cli.check.examination import Examination, problem
from relay.cli.check.report import Finding
from relay.cli.check.text import named
from relay.cli.printable import counted
from relay.source.diagnosis import of_member


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
            "a sharded cluster, over which the relay was never tried",
            'See "Sharded clusters" in docs/explanation/exactness.md.',
        )
    members = counted(len(hello.get("hosts") or ()), "member")
    which = "; a secondary answers" if hello.get("secondary") else ""
    return Finding("replica set", "ok", f"{named(str(hello['setName']))}, {members}{which}")
