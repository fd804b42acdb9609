"""The log lines about clients that are refused, or leave before they have shown a token: bounded, because anybody can
cause them.

In a minute, one address gets at most LINES_PER_NAME lines, and so does one user whose token was verified. All strangers
together get at most LINES_OF_STRANGERS. How many lines are missing is said once the minute is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from relay.auth.shown import shown

log = logging.getLogger(__name__)

WINDOW_S = 60.0
LINES_PER_NAME = 20
LINES_OF_STRANGERS = 200


class RefusalLog:
    """Logs refusals, within the bounds of this file. `clock` returns seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = 0.0  # when the current minute is over
        self._lines: Counter[tuple[bool, str]] = Counter()  # by whether it is a user, and the name or address
        self._of_strangers = 0
        self._missing = 0
        self._timer: asyncio.TimerHandle | None = None

    def say(
        self,
        event: str,
        address: str,
        user: str | None = None,
        *,
        level: int = logging.INFO,
        **fields: object,
    ) -> None:
        """Log this event at this level, unless its bound is reached: then it is only counted.

        `user` is the `sub` of a verified token, None for a stranger. Fields that are None or empty are left out; each
        string among them is made safe to show (`shown`).
        """
        if not log.isEnabledFor(level):
            return
        if self._clock() >= self._ends_at:
            self.flush()
            self._ends_at = self._clock() + WINDOW_S
        if not self._permits(user is not None, address if user is None else user):
            self._missing += 1
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self.flush)
            return
        given = {"user": user, "address": address or "unix", **fields}
        safe = {
            name: shown(value) if isinstance(value, str) else value
            for name, value in given.items()
            if value is not None and value != ""
        }
        log.log(level, event, extra=safe)

    def flush(self) -> None:
        """Begin a new minute. If lines of the last one are missing, say how many."""
        missing, self._missing = self._missing, 0
        self._ends_at, self._of_strangers = 0.0, 0
        self._lines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if missing:
            log.info("refusals were not logged, because there were too many", extra={"lines": missing})

    def _permits(self, known: bool, name: str) -> bool:
        """Count a line about this name, and return whether it may be written."""
        if not known and self._of_strangers >= LINES_OF_STRANGERS:
            return False
        if self._lines[known, name] >= LINES_PER_NAME:
            return False
        self._lines[known, name] += 1
        self._of_strangers += not known
        return True
