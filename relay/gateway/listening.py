"""The listening sockets, and what happens when no file descriptor is left for a new connection.

By itself asyncio writes a traceback each time it cannot accept a connection for want of a descriptor: thousands a
second. It also accepts all connections that wait, before any limit of ours is asked.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from relay.config import Settings
from relay.errors import StartupError
from relay.gateway.descriptors import Capacity, reserve_descriptors

log = logging.getLogger(__name__)

BACKLOG = 2048  # connections that may wait to be accepted
REFUSED_AT_ONCE = 256  # connections refused before the event loop runs everything else once
QUIET_S = 60.0  # a refusal is logged if there was none for this many seconds
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _OutOfDescriptors(OSError):
    """Nothing can be accepted now, which is logged already. asyncio tries again a second later."""


class ListeningSocket(socket.socket):
    """A listening socket that closes connections for which no descriptor is left, instead of failing.

    POSIX gives a new socket the lowest free descriptor. So if the descriptor of a connection is `ceiling` or higher,
    all below are in use, by connections or anything else, and the connection is closed at once.
    """

    def __init__(
        self, listening: socket.socket, ceiling: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(fileno=listening.detach())
        self._ceiling = ceiling
        self._clock = clock
        self._refused_at = -QUIET_S
        self._pausing = False
        self._spare: int | None = None
        self._keep_spare()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection with a descriptor below the ceiling. Raises BlockingIOError if none waits."""
        if self._pausing:
            # Python (up to 3.13 at least) calls `accept` again after it has decided to pause for a second.
            self._pausing = False
            raise BlockingIOError(errno.EAGAIN, "no room")
        for _ in range(REFUSED_AT_ONCE):
            try:
                accepted, address = super().accept()
            except OSError as failure:
                if failure.errno not in OUT_OF_DESCRIPTORS:
                    raise
                self._warn(failure.strerror)
                if not self._refuse_one():
                    self._pausing = True
                    raise _OutOfDescriptors(failure.errno, failure.strerror) from None
                continue
            if accepted.fileno() < self._ceiling:
                return accepted, address
            accepted.close()
            self._warn("the limit is reached")
        raise BlockingIOError(errno.EAGAIN, "others first")

    def close(self) -> None:
        self._free_spare()
        super().close()

    def _refuse_one(self) -> bool:
        """Accept a waiting connection with the spare descriptor, and close it. If it were left waiting, it would wake
        the event loop again and again."""
        if not self._free_spare():
            self._keep_spare()  # for the next time, if a descriptor is free by now
            return False
        try:
            super().accept()[0].close()
        except OSError:  # another thread took the descriptor, or the client is gone
            return False
        finally:
            self._keep_spare()
        return True

    def _keep_spare(self) -> None:
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _free_spare(self) -> bool:
        spare, self._spare = self._spare, None
        if spare is not None:
            os.close(spare)
        return spare is not None

    def _warn(self, why: str | None) -> None:
        """Log that connections are refused: once for as long as it lasts."""
        now = self._clock()
        if now - self._refused_at >= QUIET_S:
            log.warning(
                "out of file descriptors: new connections are refused until others end", extra={"error": why}
            )
        self._refused_at = now


@dataclass(frozen=True, slots=True)
class Ports:
    """The open ports of one relay, and how many connections they may have. `admin` is the port that only operators
    reach. It is None if operators use the clients' port."""

    host: str
    capacity: Capacity
    clients: ListeningSocket
    admin: ListeningSocket | None

    @property
    def number(self) -> int:
        """The number of the clients' port."""
        number: int = self.clients.getsockname()[1]
        return number

    @property
    def url(self) -> str:
        """The address of the relay, to type into a browser on this machine."""
        return f"http://{shown(self.host)}:{self.number}"

    @property
    def admin_url(self) -> str:
        """The address of the admin port. Empty if there is none."""
        return f"http://{shown(self.host)}:{self.admin.getsockname()[1]}" if self.admin is not None else ""

    @property
    def browser_hosts(self) -> set[str]:
        """The hosts under which browsers may reach the clients' port, as they write them."""
        local = ("localhost", "127.0.0.1", "[::1]") if is_local(self.host) else ()
        return {shown(self.host), *local}


@contextmanager
def open_ports(settings: Settings) -> Iterator[Ports]:
    """Open the ports that the settings name, and close them at the end. Raises StartupError."""
    host, capacity = settings.relay_host, reserve_descriptors(settings.relay_max_connections)
    with bind(host, settings.relay_port, capacity.ceiling) as clients:
        if settings.relay_admin_port is None:
            yield Ports(host, capacity, clients, None)
            return
        with bind(host, settings.relay_admin_port, capacity.admin_ceiling) as admin:
            yield Ports(host, capacity, clients, admin)


def ignore_out_of_descriptors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for an event loop: asyncio's own, except for what `ListeningSocket` has logged."""
    if not isinstance(context.get("exception"), _OutOfDescriptors):
        loop.default_exception_handler(context)


def bind(host: str, port: int, ceiling: int = sys.maxsize) -> ListeningSocket:
    """Open a port. A host that stands for all IPv6 addresses stands for all IPv4 addresses, too. Raises
    StartupError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = is_unspecified(host) and family is socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        host.encode("idna")  # `socket` does this, too, and does not close itself if it fails
    except UnicodeError as failure:
        raise StartupError(f"RELAY_HOST: {host!r} is neither an address nor a host name.") from failure
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            reason = "another program listens there; choose another with --port or RELAY_PORT"
        else:
            reason = failure.strerror or str(failure)
        raise StartupError(f"Port {port} of {host} cannot be opened: {reason}.") from failure
    # Accepted connections inherit this. Without it a message waits up to 40 ms until the client has acknowledged the
    # pong sent before it. asyncio sets it by itself only for sockets with an explicit protocol number.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ListeningSocket(listening, ceiling)


def is_unspecified(host: str) -> bool:
    """Does this address stand for all addresses of this machine?"""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Can a browser on this machine reach this host as localhost?"""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_unspecified or address.is_loopback


def shown(host: str) -> str:
    """The host as it is written in an address on this machine."""
    if is_unspecified(host):
        return "localhost"
    return f"[{host}]" if ":" in host else host
