"""The relay's address: where its WebSocket is, and whether a proxy can lead there. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit, urlunsplit


def websocket_url(url: str) -> str:
    """The relay's WebSocket address from its address. Raises ValueError, without repeating the address: it
    may hold a token."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError("the address must begin with http://, https://, ws:// or wss:// and name a host")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address must be bare: no user name, no query, no fragment, no token")
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit(SplitResult(scheme, parts.netloc, path, "", ""))


def is_loopback(url: str) -> bool:
    """A proxy of the environment can never lead there."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
