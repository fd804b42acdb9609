"""Decides from which origins web pages may connect, and logs requests from all other origins.

Rules of this file: origins are compared exactly, as strings; a stranger who sends many or long origins can neither fill
the log nor the memory.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from relay.auth.shown import shown
from relay.metrics import Metrics
from relay.urls import origin_of

log = logging.getLogger(__name__)

Transport = Literal["websocket", "poll", "config"]  # a label of the metric

WARN_EVERY_S = 60.0  # between two warnings about one origin
MAX_REMEMBERED = 50  # how many origins are warned about in that time; further ones are only counted


class Origins:
    """Knows the `allowed` origins, whose pages may connect, and counts and logs requests from all other origins.
    `clock` returns seconds."""

    def __init__(
        self, allowed: Iterable[str], metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._known = frozenset(allowed)  # as browsers write them
        self._metrics = metrics
        self._clock = clock  # in seconds
        self._warned_at: OrderedDict[str, float] = OrderedDict()  # the oldest first

    def allow(self, allowed: Iterable[str]) -> None:
        """Allow these origins from now on, and no others."""
        self._known = frozenset(allowed)

    def knows(self, origin: str) -> bool:
        """Return whether pages of this origin may connect, without counting or logging anything."""
        return origin in self._known

    def allows(self, origin: str | None, transport: Transport) -> bool:
        """Return whether a page of this origin may connect. `transport` is the label under which a refusal is counted.

        A client that sends no `Origin` header (None) is not a web page, and is allowed here: its token decides. A
        request from an unknown origin is counted each time, and logged once a minute at most.
        """
        if origin is None or origin in self._known:
            return True
        self._metrics.unknown_origins.labels(transport).inc()
        self._warn(origin, transport)
        return False

    def _warn(self, origin: str, transport: Transport) -> None:
        now = self._clock()
        while self._warned_at and now - next(iter(self._warned_at.values())) >= WARN_EVERY_S:
            self._warned_at.popitem(last=False)
        name = shown(origin)
        if name in self._warned_at or len(self._warned_at) >= MAX_REMEMBERED:
            return
        self._warned_at[name] = now
        log.warning(
            "a page of an unknown origin was refused; if it is yours, name it in RELAY_ALLOWED_ORIGINS",
            extra={"origin": name, "transport": transport},
        )


def allowed_origins(
    configured: Iterable[str], relay_url: str | None, hosts: Iterable[str], port: int, scheme: str = "http"
) -> list[str]:
    """Return the origins whose pages may connect: the `configured` ones, followed by the relay's own.

    If `relay_url`, the public URL, is set, its origin is the relay's own. Otherwise the relay has one origin for each
    of `hosts`: `scheme` with that host and `port`."""
    if relay_url:
        parts = urlsplit(relay_url)
        return [*configured, origin_of(f"{parts.scheme}://{parts.netloc}")]
    own: list[str] = []
    for host in sorted(hosts):
        with suppress(ValueError):  # no browser can write this host, for example fe80::1%eth0
            own.append(origin_of(f"{scheme}://{host}:{port}"))
    return [*configured, *own]
