"""Failures that the relay retries: after which pause, and how they are logged, not at every retry."""

from __future__ import annotations

import logging
import time

RETRY_S = 0.5  # between a read of documents that failed and the next try
LOG_AGAIN_S = 60.0  # between two log lines about the same reason


class Outage:
    """Logs one kind of failure that the relay retries. `event` is the text of the log line.

    A failure is logged when it begins, when its reason changes, and once a minute while it lasts. Repetitions in
    between are logged at DEBUG: otherwise a database that is down for a night would fill the disk with one line.
    """

    def __init__(self, log: logging.Logger, event: str) -> None:
        self._log = log
        self._event = event
        self._reason: object = None
        self._logged_at = 0.0

    def failed(self, reason: object, /, level: int = logging.WARNING, **fields: object) -> None:
        """Log that an attempt failed.

        The line is logged at `level` if `reason` differs from the reason of the last failure or a minute has passed
        since the last such line; otherwise at DEBUG. `fields` are added to the log line.
        """
        now = time.monotonic()
        if reason == self._reason and now - self._logged_at < LOG_AGAIN_S:
            level = logging.DEBUG
        else:
            self._reason, self._logged_at = reason, now
        self._log.log(level, self._event, extra=fields, stacklevel=2)

    def over(self) -> None:
        """Note that an attempt succeeded: the next failure begins a new outage and is logged."""
        self._reason = None
