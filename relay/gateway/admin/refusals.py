"""Logs the requests to the admin API that are refused, without letting a stranger fill the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.requests import Request

log = logging.getLogger(__name__)

WINDOW_S, MAX_LINES = 60.0, 20  # at most so many lines in each window
MAX_SHOWN_CHARS = 200  # of a path or a user


class Refusals:
    """Logs refused requests: MAX_LINES in WINDOW_S seconds. Further ones are counted, and the first line after that
    says how many they were. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._lines = self._unsaid = 0

    def note(self, request: Request, reason: str, detail: str = "", *, user: str | None = None) -> None:
        """Log this request, which is refused for `reason`. `user` is the `sub` of its token, if that is valid."""
        now = self._clock()
        if now - self._since >= WINDOW_S:
            self._since, self._lines = now, 0
        if self._lines >= MAX_LINES:
            self._unsaid += 1
            return
        self._lines += 1
        fields: dict[str, object] = {
            "address": request.client.host if request.client else "",
            "request": f"{request.method} {shown(request.scope['path'])}",
            "reason": reason,
        }
        if user is not None:
            fields["user"] = shown(user)
        if detail:
            fields["detail"] = detail
        if self._unsaid:
            fields["furtherRefusals"], self._unsaid = self._unsaid, 0
        log.warning("a request to the admin API was refused", extra=fields)


def shown(text: str) -> str:
    """Return a text for the log, with printable characters only and cut to MAX_SHOWN_CHARS, because strangers choose
    it."""
    text = text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
