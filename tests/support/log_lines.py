"""The lines of a relay that logs as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from support.relay_fixture import SOON_S
from support.worker_processes import LOOK_S, Workers

JSON = {"RELAY_LOG_FORMAT": "json"}


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line of this log. Fails if one is not a JSON object with the keys that each has."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert list(line)[:3] == ["at", "level", "logger"], line
        assert isinstance(line["event"], str)
    return lines


def matching(lines: list[dict[str, Any]], event: str, **fields: Any) -> list[dict[str, Any]]:
    """The lines about this event that have these fields. A field that is `...` may have any value."""
    return [
        line
        for line in lines
        if line["event"] == event
        and all(name in line and value in (..., line[name]) for name, value in fields.items())
    ]


async def logged(relay: Workers, event: str, **fields: Any) -> dict[str, Any]:
    """Wait for the first line about this event that has these fields, and return it."""
    async with asyncio.timeout(SOON_S):
        while not (found := matching(lines_of(_whole(relay.said())), event, **fields)):
            await asyncio.sleep(LOOK_S)
    return found[0]


def _whole(text: str) -> str:
    """The text up to its last whole line."""
    return text[: text.rfind("\n") + 1]
