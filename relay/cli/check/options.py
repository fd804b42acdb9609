"""`relay check`: options in the connection string that the relay ignores."""

from __future__ import annotations

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.source.client import warning_of


async def ask(examination: Examination) -> None:
    """Warn about options in the connection string that have no effect."""
    warning = warning_of(examination.settings)
    if warning is not None:
        examination.add(Finding("options", "warning", warning.removesuffix("."), "Take them out of it."))
