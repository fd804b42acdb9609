"""The allowed origins of web pages, and what is logged about all others.

Rules of this file: origins are compared exactly, as strings; a stranger who sends many origins, or long ones, makes
neither a long log nor a large memory.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from relay.metrics import Metrics
from relay.urls import origin_of

log = logging.getLogger(__name__)

Transport = Literal["websocket", "poll", "config"]  # a label of the metric

WARN_EVERY_S = 60.0  # between two warnings about one origin
MAX_REMEMBERED = 50  # origins warned about in that time; more are counted only
MAX_SHOWN_CHARS = 200  # of an origin in the log


class Origins:
    """The origins whose pages may connect. Counts and logs requests from all others."""

    def __init__(
        self, allowed: Iterable[str], metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.allowed = tuple(dict.fromkeys(allowed))  # as browsers write them
        self._known = frozenset(self.allowed)
        self._metrics = metrics
        self._clock = clock  # in seconds
        self._warned_at: OrderedDict[str, float] = OrderedDict()  # the oldest first

    def allows(self, origin: str | None, transport: Transport) -> bool:
        """May a page of this origin connect? A client that sends no `Origin` (None) is not a page, and may: its
        token decides. An unknown origin is counted each time, and logged once a minute."""
        if origin is None or origin in self._known:
            return True
        self._metrics.unknown_origins.labels(transport).inc()
        self._warn(origin, transport)
        return False

    def _warn(self, origin: str, transport: Transport) -> None:
        now = self._clock()
        while self._warned_at and now - next(iter(self._warned_at.values())) >= WARN_EVERY_S:
            self._warned_at.popitem(last=False)
        shown = _shown(origin)
        if shown in self._warned_at or len(self._warned_at) >= MAX_REMEMBERED:
            return
        self._warned_at[shown] = now
        log.warning(
            "a page of an unknown origin was refused; if it is yours, name it in RELAY_ALLOWED_ORIGINS",
            extra={"origin": shown, "transport": transport},
        )


def allowed_origins(
    configured: Iterable[str], relay_url: str | None, hosts: Iterable[str], port: int
) -> list[str]:
    """Return the origins whose pages may connect: those that the settings name, and the relay's own.

    The own origin is that of the public URL; without one, that of each of `hosts` with the port that is open.
    """
    if relay_url:
        parts = urlsplit(relay_url)
        return [*configured, origin_of(f"{parts.scheme}://{parts.netloc}")]
    own: list[str] = []
    for host in sorted(hosts):
        with suppress(ValueError):  # no browser can write this host, for example fe80::1%eth0
            own.append(origin_of(f"http://{host}:{port}"))
    return [*configured, *own]


def _shown(origin: str) -> str:
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in origin)
    return printable if len(printable) <= MAX_SHOWN_CHARS else printable[: MAX_SHOWN_CHARS - 1] + "…"
