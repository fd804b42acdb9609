"""The client's address that limits count by, also behind trusted proxies. Pure.

`relay/auth/admission.py` is the only reader of X-Forwarded-For. Proxies append to this header the address that
connected to them. So it is read from right to left, as long as the address reached so far is a trusted proxy's.

Rules of this file: a peer that is not a trusted proxy counts for its own address, whatever its headers say; what a
client wrote into the header itself is left of what the first trusted proxy appended, and is never reached; an entry
that is not an address ends the walk at the proxy that sent it.

Why not uvicorn's ProxyHeadersMiddleware (tried with 0.54, against tests/unit/auth/test_addresses.py):

- On a dual-stack socket (RELAY_HOST=::) an IPv4 proxy appears as ::ffff:10.0.0.1. The middleware does not find this
  address in 10.0.0.0/8, so all users of the proxy would share one address's cap.
- For "X-Forwarded-For: unknown", or "8.8.8.8, x, 10.0.0.2", it makes the string "unknown" or "x" the client, and
  the cap would count by a string that is not an address.

It would also set the request's scheme from X-Forwarded-Proto, which nothing here needs. What it would replace is the
loop of six lines in `client_address`; parsing and networks stay, because the HTTP protocol asks for them before any
header has arrived (`is_proxy`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPV6_PREFIX = 64  # a household chooses its addresses freely within such a network


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and networks such as 10.0.0.0/8. Raises ValueError."""
    return tuple(ipaddress.ip_network(name) for name in names)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address or, for IPv6, the /64 network to count a connection by.

    `peer` is the address of the other end of the socket, `forwarded_for` the values of the request's X-Forwarded-For
    headers in their order. A peer that is not an IP address, such as that of a Unix socket, is returned as it is."""
    address = _read(peer)
    if address is None:
        return peer
    entries = [part.strip() for value in forwarded_for for part in value.split(",")]
    while entries and any(address in network for network in trusted):
        before = _read(entries.pop())
        if before is None:
            break
        address = before
    if address.version == 6:
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def is_proxy(peer: str, trusted: Sequence[Network]) -> bool:
    """Is this peer a trusted proxy?"""
    address = _read(peer)
    return address is not None and any(address in network for network in trusted)


def _read(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an address, also one with a port ("1.2.3.4:5", "[::1]:5"). An IPv4 address that is mapped into IPv6 is
    returned as IPv4. None if it is not an address."""
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
