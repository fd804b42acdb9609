"""`relay check`: does a change stream of the collection open? Asked by opening one, as the relay does."""

from __future__ import annotations

from pymongo.errors import OperationFailure

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.errors import SourceError, StartupError
from relay.source.diagnosis import FOLLOW
from relay.source.reach import of_refusal


async def ask(examination: Examination) -> None:
    """Open a change stream and close it again."""
    name = examination.name
    try:
        await examination.pipeline.tail.open()
    except (StartupError, SourceError) as failure:
        cause = failure.__cause__
        if isinstance(cause, OperationFailure):
            examination.fail_with(await of_refusal(examination.pipeline.client, cause, FOLLOW, name))
            return
        examination.fail(
            "change stream",
            f"the relay cannot open a change stream of {name} ({type(cause or failure).__name__})",
            "It needs a MongoDB 6.0 or newer, a majority of whose members answer.",
        )
    else:
        examination.may_follow = True
        examination.add(Finding("change stream", "ok", f"the change stream of {name} opens"))
