"""`relay check`: is this MongoDB new enough?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.cli.check.text import named

OLDEST_VERSION = (6, 0)


async def ask(examination: Examination) -> None:
    """Ask the server for its version."""
    examination.add(judge(await examination.ask_admin(buildInfo=1)))


def judge(info: Mapping[str, Any]) -> Finding:
    """Judge a server by its answer to `buildInfo`."""
    version = named(str(info["version"]))
    if tuple(info["versionArray"][:2]) >= OLDEST_VERSION:
        return Finding("version", "ok", f"MongoDB {version}")
    return Finding("version", "problem", f"MongoDB {version} is too old", "Upgrade it to 6.0 or newer.")
