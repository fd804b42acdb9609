"""`relay check`: does the collection exist, and is it one that has a change stream?"""

from __future__ import annotations

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.cli.check.text import listed
from relay.source.diagnosis import of_kind
from relay.source.reach import kinds_of


async def ask(examination: Examination) -> None:
    """Look the collection up among those of the database."""
    kinds = await kinds_of(examination.pipeline.client, examination.database, {})
    if kinds is not None and examination.collection not in kinds:
        others = [name for name in sorted(kinds) if not name.startswith("system.")]
        examination.add(_missing(examination.name, others))
    wrong = of_kind((kinds or {}).get(examination.collection), examination.name)
    if wrong is not None:
        examination.fail_with(wrong)


def _missing(name: str, others: list[str]) -> Finding:
    there = f"; there are {listed(others)}" if others else ""
    return Finding(
        "collection",
        "warning",
        f"{name} does not exist{there}",
        "The relay waits for it to come; if it has another name, set RELAY_MONGO_DATABASE and "
        "RELAY_TASKS_COLLECTION.",
    )
