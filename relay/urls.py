"""Origins and public addresses, read as browsers write them. Pure.

Rules of this file: what an operator wrote is converted to the one form that browsers send (RFC 6454, 6.2), or refused
with a sentence that says what is wrong. Nothing is guessed.
"""

from __future__ import annotations

import ipaddress
import re
from unicodedata import ucd_3_2_0
from urllib.parse import SplitResult, quote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

# Also for hosts of other schemes: `chrome-extension://…`, `capacitor://localhost`.
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# Browsers read a host that ends in a number as an IPv4 address. If it is not written as four decimal numbers, they
# convert it (0x7f.1 is 127.0.0.1), and the text an operator wrote would never match.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_DOT_SEGMENTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)  # browsers resolve these
# Browsers (UTS 46) and Python's codec (IDNA 2003) read these characters as different domains. The same holds for
# characters newer than Unicode 3.2, which the codec was made for.
_DEVIATIONS = frozenset("ßẞς\u200c\u200d")


def origin_of(text: str) -> str:
    """The origin that this string means, as browsers send it. Raises ValueError with what is wrong."""
    if text == "null":
        raise ValueError("must not be null, which is the origin of every sandboxed page of anyone")
    if "*" in text:
        raise ValueError("must name origins one by one, without a *")
    parts = _split(text, "https://app.example.com")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be origins such as https://app.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def public_url(text: str) -> str:
    """The relay's public address as browsers write it, without a slash at its end. Raises ValueError with what is
    wrong."""
    parts = _split(text, "https://app.example.com/live")
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with https:// or http://")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("must be an address without a query (?) and without a fragment (#)")
    if _DOT_SEGMENTS.search(parts.path):
        raise ValueError("must have no . and no .. in its path")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~[]|^")
    return f"{parts.scheme}://{parts.netloc}{path}"


def linked(text: str) -> str:
    """An address that a page may lead to: a path of the page's own origin, from / on, as it was written, or a URL with
    its host as browsers write it. Raises ValueError with what is wrong."""
    if text.startswith("/"):
        # Browsers read //host as another host, read a backslash as a slash, and remove tabs and line ends.
        if text.startswith("//") or any(
            char.isspace() or not char.isprintable() or char == "\\" for char in text
        ):
            raise ValueError("must be a path such as /login, without spaces, or a URL")
        return text
    parts = _split(text, "https://app.example.com/login")
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with https:// or http://, or be a path from / on")
    return parts._replace(path=parts.path or "/").geturl()


def _split(text: str, example: str) -> SplitResult:
    """Split an address, and write its host and port as browsers do."""
    # `urlsplit` silently removes some of these characters, and a browser reads a backslash as a slash.
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
    if address.ipv4_mapped is not None:  # browsers, unlike Python 3.13, write these without dots
        number = int(address.ipv4_mapped)
        return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    return address.compressed
