"""`relay check`: does a server answer at this address, and how fast?"""

from __future__ import annotations

import time

from relay.cli.check.examination import Examination, problem
from relay.cli.check.report import Finding
from relay.source.diagnosis import Diagnosis
from relay.source.reach import AGAIN_MS, reach


async def ask(examination: Examination) -> None:
    """Ask a server for its answer to `hello`, which later topics need, and measure how long it takes."""
    settings, client = examination.settings, examination.pipeline.client
    found = await reach(settings, client, again_ms=AGAIN_MS)
    if isinstance(found, Diagnosis):
        examination.add(problem(found))
        return
    begin = time.monotonic()
    examination.hello = await examination.ask_admin(hello=1)
    took = (time.monotonic() - begin) * 1000
    examination.add(Finding("reachable", "ok", f"answers in {took:.0f} ms"))
