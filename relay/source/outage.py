"""What the log says while the database does not answer: each failure once, however often it is tried again."""

from __future__ import annotations

import logging
import time

SAY_AGAIN_S = 60.0  # the same reason


class Outage:
    """One kind of failure, in the log.

    A failure is logged when it begins, when its reason changes, and once a minute while it lasts; what repeats it in
    between is logged at DEBUG. Otherwise a database that is away for a night, or a collection that can no longer be
    read, would fill the disk with one line.
    """

    def __init__(self, log: logging.Logger, event: str) -> None:
        self._log = log
        self._event = event
        self._reason: object = None
        self._said_at = 0.0

    def failed(self, reason: object, /, level: int = logging.WARNING, **fields: object) -> None:
        """Log a failure for this reason, with these fields."""
        now = time.monotonic()
        if reason == self._reason and now - self._said_at < SAY_AGAIN_S:
            level = logging.DEBUG
        else:
            self._reason, self._said_at = reason, now
        self._log.log(level, self._event, extra=fields, stacklevel=2)

    def over(self) -> None:
        """It worked again: the next failure begins another outage."""
        self._reason = None
