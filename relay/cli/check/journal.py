"""`relay check`: how much later does the relay see a write, because it waits for the journal?"""

from __future__ import annotations

from pymongo.errors import OperationFailure

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding

NOTICED_MS = 10  # nobody notices a shorter commit interval


async def ask(examination: Examination) -> None:
    """Ask the server for its commit interval, and whether a majority waits for the journal."""
    interval = await examination.parameter("journalCommitInterval")
    waits: bool | None = None
    try:
        config = (await examination.ask_admin(replSetGetConfig=1))["config"]
        waits = config.get("writeConcernMajorityJournalDefault", True)
    except OperationFailure:
        pass
    examination.add(judge(interval, waits))


def judge(interval_ms: int | None, waits: bool | None) -> Finding:
    """Judge the journal by its commit interval, None where this user cannot see it. `waits`: a majority counts a
    write only once it is in the journal; None where that cannot be seen."""
    if waits is False:
        return Finding("journal", "ok", "changes are seen without waiting for it")
    if interval_ms is None:
        return Finding(
            "journal",
            "note",
            "it cannot be seen with this user; by default it adds up to 100 ms to writes with w: 1",
            "Writes with w: majority do not wait, nor does a server with --journalCommitInterval 1.",
        )
    if interval_ms <= NOTICED_MS:
        return Finding("journal", "ok", f"adds at most {interval_ms} ms to writes with w: 1")
    return Finding(
        "journal",
        "note",
        f"adds up to {interval_ms} ms to writes with w: 1, which are seen once they are in it",
        "Write with w: majority, or start mongod with a lower --journalCommitInterval, where that is too long.",
    )
