"""Whose connection is it? The address a limit counts by, behind proxies that may be trusted. Pure.

Rules of this file: a header of a peer that is no declared proxy says nothing; what a client wrote into
the header itself stands left of what the first trusted proxy added, and is never reached; what cannot
be read ends the walk.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPV6_PREFIX = 64  # one household has as many addresses as it likes within it


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks such as 10.0.0.0/8. Raises ValueError."""
    return tuple(ipaddress.ip_network(name) for name in names)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address to count: the peer's, or what trusted proxies say of it (the values of its
    X-Forwarded-For headers, in order)."""
    address = _read(peer)
    if address is None:
        return peer
    said = [part.strip() for value in forwarded_for for part in value.split(",")]
    while said and any(address in network for network in trusted):
        before = _read(said.pop())
        if before is None:
            break
        address = before
    if address.version == 6:
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def is_proxy(peer: str, trusted: Sequence[Network]) -> bool:
    """Is this the address of a trusted proxy?"""
    address = _read(peer)
    return address is not None and any(address in network for network in trusted)


def _read(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, also as "1.2.3.4:5", "[::1]:5" or IPv4 in the form of IPv6."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
