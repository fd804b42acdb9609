"""`relay check`: can the collection be read as it was at one moment? Asked by reading it, as the relay does."""

from __future__ import annotations

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.source.reach import of_reads


async def ask(examination: Examination) -> None:
    """Read the collection at the present moment."""
    pipeline, name = examination.pipeline, examination.name
    wrong = await of_reads(pipeline.client, pipeline.reader, name)
    if wrong is not None:
        examination.fail_with(wrong)
    else:
        examination.may_read = True
        examination.add(Finding("reads", "ok", f"{name} can be read as it was at a given moment"))
