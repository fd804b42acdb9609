"""`relay check` before a played router of a sharded cluster."""

from __future__ import annotations

from bson import Timestamp
from support.played_database import token
from support.played_server import Command, name_of, played
from support.relay_fixture import settings_for

from relay.cli.check.run import examine

NOW = Timestamp(20, 1)


def answer(command: Command) -> Command:
    """Answer as a router does that may show the user nothing but the collection."""
    cursor = {"id": 0, "ns": "app.tasks"}
    match name_of(command):
        case "hello":
            version = {"minWireVersion": 0, "maxWireVersion": 21}
            return {
                "msg": "isdbgrid",
                "isWritablePrimary": True,
                "logicalSessionTimeoutMinutes": 30,
                **version,
            }
        case "buildInfo":
            return {"version": "7.0.12", "versionArray": [7, 0, 12, 0]}
        case "listCollections":
            return {"cursor": {**cursor, "firstBatch": [{"name": "tasks", "type": "collection"}]}}
        case "find":
            return {"cursor": {**cursor, "firstBatch": []}, "operationTime": NOW}
        case "aggregate":
            return {"cursor": {**cursor, "id": 7, "firstBatch": [], "postBatchResumeToken": token(NOW)}}
        case "getMore":
            return {"cursor": {**cursor, "id": 7, "nextBatch": [], "postBatchResumeToken": token(NOW)}}
        case "ping" | "killCursors" | "endSessions":
            return {"operationTime": NOW}
        case _:
            return {"ok": 0, "code": 59, "errmsg": "no such command"}


async def test_the_report_about_a_router_says_what_to_know_and_is_no_problem() -> None:
    async with played(answer) as host:
        report = await examine(settings_for(f"mongodb://{host}/", "app"), sample=0)

    marks = {finding.name: finding.mark for finding in report.findings}
    assert marks["replica set"] == "warning"
    assert (marks["change stream"], marks["reads"]) == ("ok", "ok")
