"""The origins of web pages: written as browsers write them, compared, and said when one is unknown.

Rules of this file: origins are compared exactly, as texts, and what an operator wrote is brought into the one
form that browsers send (RFC 6454, 6.2) before that, or refused; a stranger who sends origins makes neither a
long log nor a full memory.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal
from unicodedata import ucd_3_2_0
from urllib.parse import SplitResult, quote, urlsplit

from relay.metrics import Metrics

log = logging.getLogger(__name__)

Transport = Literal["websocket", "poll", "config"]

DEFAULT_PORTS = {"http": 80, "https": 443}
WARN_EVERY_S = 60.0  # between two warnings of one origin
MAX_REMEMBERED = 50  # origins warned of in that time; of more there is only the counter
MAX_SHOWN_CHARS = 200

# Hosts of other schemes are kept as they are: `chrome-extension://…`, `capacitor://localhost`.
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# What ends like a number is an IPv4 address to a browser, and written otherwise than with four of them it
# becomes another text there.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)  # which browsers resolve
# These mean other domains to browsers (UTS 46) than to Python's codec (IDNA 2003), as do letters that are newer than
# the codec, which knows those of Unicode 3.2.
_DEVIATIONS = frozenset("ßẞς\u200c\u200d")


class Origins:
    """The origins whose pages may connect; says and counts which others tried."""

    def __init__(
        self, allowed: Iterable[str], metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.allowed = tuple(dict.fromkeys(allowed))  # as browsers write them
        self._known = frozenset(self.allowed)
        self._metrics = metrics
        self._clock = clock  # in seconds
        self._warned_at: OrderedDict[str, float] = OrderedDict()  # the longest ago stands first

    def allows(self, origin: str | None, transport: Transport) -> bool:
        """May this page connect? What sends no `Origin` (None) is no page, and may. An unknown origin is counted,
        and said once a minute."""
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


def _shown(origin: str) -> str:
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in origin)
    return printable if len(printable) <= MAX_SHOWN_CHARS else printable[: MAX_SHOWN_CHARS - 1] + "…"


def origin_of(text: str) -> str:
    """The origin that is meant by this text, as browsers send it. Raises ValueError, which says what is wrong."""
    if text == "null":
        raise ValueError("must not be null, which is the origin of every sandboxed page of anyone")
    if "*" in text:
        raise ValueError("must name origins one by one, without a *")
    parts = _split(text, "https://app.example.com")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be origins such as https://app.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def public_url(text: str) -> str:
    """The address of the relay as browsers write it, without a slash at its end. Raises ValueError, which says
    what is wrong."""
    parts = _split(text, "https://app.example.com/live")
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with https:// or http://")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("must be an address without a query (?) and without a fragment (#)")
    if _DOTS.search(parts.path):
        raise ValueError("must have no . and no .. in its path")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~[]|^")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(text: str, example: str) -> SplitResult:
    """An address in parts, its host and port as browsers write them."""
    # `urlsplit` drops some of these without a word, and a browser reads a backslash as a slash.
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in text):
        raise ValueError(f"must be an address such as {example}, without spaces")
    scheme, separator, _ = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise ValueError(f"must begin with https:// or http://, as in {example}")
    if scheme.lower() in ("ws", "wss"):
        raise ValueError(f"must begin with https:// or http://, as in {example}: pages are of no {scheme}://")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must be an address such as {example}, with a host and a port that exist") from None
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or a password")
    if not host:
        raise ValueError(f"must name a host, as in {example}")
    netloc = _host(host, bracketed="[" in parts.netloc)
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        netloc += f":{port}"
    return parts._replace(netloc=netloc)


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        return f"[{_ipv6(host)}]"
    if _DEVIATIONS & set(host) or any(ucd_3_2_0.category(char) == "Cn" for char in host):
        raise ValueError("must name this host in its ASCII form, which begins with xn--")
    try:
        ascii_host = host.encode("idna").decode().lower()
    except UnicodeError:
        ascii_host = ""
    if not _HOST.fullmatch(ascii_host):
        raise ValueError("must name a host that exists; one of other letters may be written in its xn-- form")
    if _ENDS_IN_NUMBER.fullmatch(ascii_host):
        try:
            return str(ipaddress.IPv4Address(ascii_host))
        except ValueError:
            raise ValueError("must write an IPv4 address with four numbers, such as 10.0.0.1") from None
    return ascii_host


def _ipv6(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError("must write an IPv6 address such as [2001:db8::1], without a zone") from None
    if address.scope_id is not None:
        raise ValueError("must write an IPv6 address such as [2001:db8::1], without a zone")
    if address.ipv4_mapped is not None:  # Python writes these with dots from 3.13 on, browsers do not
        number = int(address.ipv4_mapped)
        return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    return address.compressed
