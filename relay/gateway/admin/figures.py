"""The fields of the answer to `GET /admin/stats` that are the same for one process and for several workers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from relay.protocol.types import rfc3339


class Uptime:
    """Knows since when this process runs, and which version of the relay it is."""

    def __init__(self) -> None:
        self._started_at = time.time()
        self._started = time.monotonic()
        self._version = version("task-relay")

    def head(self) -> dict[str, Any]:
        """Return the first fields of the answer."""
        return {
            "version": self._version,
            "startedAt": moment(self._started_at),
            "uptimeS": round(time.monotonic() - self._started),
        }


def state_of(readiness: dict[str, Any]) -> dict[str, Any]:
    """Return the fields about the database, from the body of /readyz or from what it has about one worker. `lagMs` is
    None before the database has answered for the first time."""
    return {
        "ready": readiness["ready"],
        "stale": readiness.get("stale", True),
        "lagMs": readiness.get("lastReplyMs"),
    }


def moment(seconds: float) -> str:
    """Return this time, in seconds since 1970, as the protocol writes it."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
