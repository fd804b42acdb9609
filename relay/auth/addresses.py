"""Finds out the address of a client, by which limits count connections, also if the client connects through proxies.
Pure.

Only `relay/auth/admission.py` reads the header X-Forwarded-For. Each proxy appends to this header the address that
connected to it. So the header is read from right to left, until an address that is not a trusted proxy's is reached.
The *peer* is the other end of the socket.

Rules of this file: a peer that is not a trusted proxy counts for its own address, whatever its headers say; what a
client itself wrote into the header stands to the left of what the first trusted proxy appended, and is never read; if
an entry is not an address, the connection counts for the proxy that appended the entry.

Why not uvicorn's ProxyHeadersMiddleware (tried with 0.54, against tests/unit/auth/test_addresses.py):

- On a dual-stack socket (RELAY_HOST=::) an IPv4 proxy appears as ::ffff:10.0.0.1. The middleware does not find this
  address in 10.0.0.0/8, so all users of the proxy would share one address's cap.
- For "X-Forwarded-For: unknown", or "8.8.8.8, x, 10.0.0.2", it makes the string "unknown" or "x" the client, and
  the cap would count by a string that is not an address.

The middleware would also set the request's scheme from X-Forwarded-Proto, which the relay does not need. It would
replace only the loop of six lines in `client_address`. The parsing of addresses and networks would still be needed,
because the HTTP protocol class calls `is_proxy` before any header has arrived.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal

UNIX: Final = "unix:"  # stands for the peers of Unix sockets, which have no address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network | Literal["unix:"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_CHARS = 100  # the longest address, with the name of its interface and a port, has 70
IPV6_PREFIX = 64  # within such a network, a household can choose its addresses freely


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and networks such as 10.0.0.0/8, and UNIX. Raises ValueError if a name is none of them."""
    return tuple(UNIX if name == UNIX else ipaddress.ip_network(name) for name in names)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address that a connection counts for: the client's IPv4 address, or the /64 network of its IPv6
    address.

    `peer` is the address of the other end of the socket, or "" if it is a Unix socket. `forwarded_for` contains the
    values of the request's X-Forwarded-For headers in their order; they are read only if the peer is in one of the
    `trusted` networks. A peer that is not an IP address is returned unchanged if no header is read.
    """
    address, trusts = _read(peer), is_proxy(peer, trusted)
    entries = [part.strip() for value in forwarded_for for part in value.split(",")]
    while entries and trusts:
        before = _read(entries.pop())
        if before is None:
            break
        address, trusts = before, _is_in(before, trusted)
    return peer if address is None else _counted_as(address)


@lru_cache(maxsize=1024)
def _counted_as(address: Address) -> str:
    if address.version == 6:
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def is_proxy(peer: str, trusted: Sequence[Network]) -> bool:
    """Return whether the address `peer`, the other end of a socket, is in one of the trusted networks. The peer of a
    Unix socket is "", and is trusted if UNIX is among the networks."""
    if not peer:
        return UNIX in trusted
    address = _read(peer)
    return address is not None and _is_in(address, trusted)


def _is_in(address: Address, trusted: Sequence[Network]) -> bool:
    return any(network != UNIX and address in network for network in trusted)


def _read(text: str) -> Address | None:
    """Parse an IP address, with or without a port ("1.2.3.4:5", "[::1]:5"). Return None if the text is not an address.

    An IPv4 address that is mapped into IPv6 ("::ffff:1.2.3.4") is returned as an IPv4 address.
    """
    return _parsed(text) if len(text) <= MAX_CHARS else None


# Parsing takes 4 µs, and each connection asks five times for the address of its peer.
@lru_cache(maxsize=1024)
def _parsed(text: str) -> Address | None:
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
