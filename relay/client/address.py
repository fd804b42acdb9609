"""Derive the WebSocket address from the relay's address, and recognise loopback addresses. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit, urlunsplit


def websocket_url(url: str) -> str:
    """Return the WebSocket address for the relay's HTTP or WebSocket address.

    Raises ValueError for an invalid address. The error text does not repeat the address, because it may contain a
    token.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError("the address must begin with http://, https://, ws:// or wss:// and name a host")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address must be bare: no user name, no query, no fragment, no token")
    parts.port  # noqa: B018 - raises ValueError for an invalid port
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit(SplitResult(scheme, parts.netloc, path, "", ""))


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine, where a proxy set in the environment must not be used."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
