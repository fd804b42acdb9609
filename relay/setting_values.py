"""The kinds of values that settings have: how each is read, and which values it refuses. Pure, but for the number of
cores.

A function here takes a value and returns it in the form in which the relay uses it. It raises ValueError with a reason
that continues a sentence that begins with the name of the setting.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from relay.cores import cores
from relay.jwt_secrets import SHARED_SECRET_ALGORITHMS
from relay.urls import linked, origin_of, public_url

PUBLIC_KEY_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
MAX_PORT = 65_535
# RELAY_LISTEN and RELAY_WORKER_PORTS begin with this if they name a path; in RELAY_TRUSTED_PROXIES it stands for all
# Unix sockets.
UNIX_SOCKETS = "unix:"
_MAILTO = re.compile(r"mailto:[^\s@<>\"'\\]+@[^\s@<>\"'\\]+", re.IGNORECASE)


def one_family(names: tuple[str, ...]) -> tuple[str, ...]:
    """Accept the names of algorithms for shared secrets, or for public keys, but not both."""
    if not names or not (
        set(names) <= SHARED_SECRET_ALGORITHMS.keys() or set(names) <= {*PUBLIC_KEY_ALGORITHMS}
    ):
        raise ValueError(
            f"must name some of {', '.join(SHARED_SECRET_ALGORITHMS)}, or some of "
            f"{', '.join(PUBLIC_KEY_ALGORITHMS)}, separated by commas, but not both kinds"
        )
    return names


def default_algorithms(given: dict[str, Any]) -> tuple[str, ...]:
    """Return the algorithms to accept if none are named: those that fit the kind of key in `given`."""
    public = given.get("relay_jwt_public_key") is not None or given.get("relay_jwks_url") is not None
    return ("RS256", "ES256") if public else ("HS256",)


def trustworthy(url: str) -> str:
    """Accept the URL of a key server: `https`, or `http` on this machine, without a user or a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be a URL such as https://id.example.com/.well-known/jwks.json")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or a password")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("must begin with https:// (http:// is for this machine itself only)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origins(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins in the form in which browsers send them."""
    return tuple(origin_of(name) for name in names)


def public(url: str) -> str:
    """Return the relay's public URL in one form for all spellings. An empty one stays empty: it is not set."""
    return public_url(url) if url else ""


def origin(url: str) -> str:
    """Return the origin of a public URL, and nothing for an empty one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def address(text: str) -> str:
    """Accept a path of this origin, the URL of a page, or nothing."""
    return linked(text) if text else ""


def help_address(text: str) -> str:
    """Accept what `address` accepts, and an email address behind `mailto:`."""
    if text.lower().startswith("mailto:"):
        if not _MAILTO.fullmatch(text):
            raise ValueError("must name an email address behind mailto:, as in mailto:help@example.com")
        return text
    return address(text)


def claim(text: str) -> str:
    """Accept the name of a claim and its value, as in `roles=admin`, and remove blanks around both."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise ValueError("must be the name of a claim, = and a value, as in roles=admin")
    return f"{name}={value}"


def bare_address(host: str) -> str:
    """Return the host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def networks(names: tuple[str, ...]) -> tuple[str, ...]:
    """Accept addresses, networks and UNIX_SOCKETS, but no network of all addresses."""
    try:
        trusted = [ipaddress.ip_network(name) for name in names if name != UNIX_SOCKETS]
    except ValueError:
        raise ValueError(
            f"must be addresses or networks such as 10.0.0.0/8, or {UNIX_SOCKETS}, separated by commas"
        ) from None
    if any(network.prefixlen == 0 for network in trusted):
        raise ValueError(
            "must not contain every address: then anyone could choose the address they count for"
        )
    return names


def workers(value: object) -> object:
    """Return the number of processes: that of the cores for `auto`."""
    if isinstance(value, str):
        if value.lower() == "auto":
            return cores()
        try:
            int(value)
        except ValueError:
            raise ValueError("must be a number of processes, or auto for one per core") from None
    return value


def unix_socket(text: str) -> str:
    """Accept the absolute path of a Unix socket behind UNIX_SOCKETS, or nothing."""
    if text and not (text.startswith(UNIX_SOCKETS) and Path(text.removeprefix(UNIX_SOCKETS)).is_absolute()):
        raise ValueError(f"must name a Unix socket from / on, as in {UNIX_SOCKETS}/run/relay/relay.sock")
    return text


def worker_ports(text: str) -> str:
    """Accept a port, the absolute path of a directory behind UNIX_SOCKETS, or nothing."""
    if text.startswith(UNIX_SOCKETS):
        if not Path(text.removeprefix(UNIX_SOCKETS)).is_absolute():
            raise ValueError(
                f"must name the directory of the sockets from / on, as in {UNIX_SOCKETS}/run/relay"
            )
    elif text and not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_PORT):
        raise ValueError(
            f"must be the port of the first worker, or a directory for Unix sockets such as {UNIX_SOCKETS}/run/relay"
        )
    return text


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


# Each upper limit is far beyond any useful value, and small enough that nothing computed from it overflows.
Milliseconds = Annotated[int, Field(le=24 * 3600 * 1000)]
Bytes = Annotated[int, Field(le=2**30)]
Count = Annotated[int, Field(le=10_000_000)]

# Lists are comma-separated in the environment.
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
