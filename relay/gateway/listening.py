"""The sockets on which the relay listens, and what happens when no descriptor is left for who comes.

asyncio on its own writes a traceback for each try to accept without a free descriptor, thousands in a second, and
takes as many connections as wait before any limit of ours can speak.
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
from relay.gateway.descriptors import Room, make_room

log = logging.getLogger(__name__)

BACKLOG = 2048  # connections that wait to be accepted
REFUSED_AT_ONCE = 256  # before everybody else has their turn again
QUIET_S = 60.0  # without a refusal, before another one is logged
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _NoRoom(OSError):
    """Nothing can be accepted now; it was logged. asyncio tries again a second later."""


class Listener(socket.socket):
    """A listening socket that refuses whom there is no descriptor for, instead of failing.

    POSIX gives a new socket the lowest free descriptor, so one from `ceiling` on says that all below are taken,
    by whatever it may be. Such a connection is closed at once.
    """

    def __init__(
        self, listening: socket.socket, ceiling: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(fileno=listening.detach())
        self._ceiling = ceiling
        self._clock = clock
        self._refused_at = -QUIET_S
        self._gave_up = False
        self._spare: int | None = None
        self._keep_spare()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection there is room for. Raises BlockingIOError where none waits."""
        if self._gave_up:
            # Python up to 3.13 at least goes on to accept after it has decided to wait a second.
            self._gave_up = False
            raise BlockingIOError(errno.EAGAIN, "no room")
        for _ in range(REFUSED_AT_ONCE):
            try:
                accepted, address = super().accept()
            except OSError as failure:
                if failure.errno not in NO_ROOM:
                    raise
                self._say(failure.strerror)
                if not self._refuse_one():
                    self._gave_up = True
                    raise _NoRoom(failure.errno, failure.strerror) from None
                continue
            if accepted.fileno() < self._ceiling:
                return accepted, address
            accepted.close()
            self._say("the limit is reached")
        raise BlockingIOError(errno.EAGAIN, "others first")

    def close(self) -> None:
        self._free_spare()
        super().close()

    def _refuse_one(self) -> bool:
        """Close the connection that waits, with the descriptor that was kept for this. Left waiting, it would
        wake the loop again and again."""
        if not self._free_spare():
            self._keep_spare()  # for the next time, if there is one now
            return False
        try:
            super().accept()[0].close()
        except OSError:  # somebody else took the descriptor, or the peer is gone
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

    def _say(self, why: str | None) -> None:
        """Log it, once while it lasts."""
        now = self._clock()
        if now - self._refused_at >= QUIET_S:
            log.warning(
                "out of file descriptors: new connections are refused until others end", extra={"error": why}
            )
        self._refused_at = now


@dataclass(frozen=True, slots=True)
class Ports:
    """The open ports of one relay, and the room for their connections. `admin` is the port that only operators
    reach; None where they use the port of the clients."""

    host: str
    room: Room
    clients: Listener
    admin: Listener | None

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
        """The address of the port for operators; empty where there is none."""
        return f"http://{shown(self.host)}:{self.admin.getsockname()[1]}" if self.admin is not None else ""

    @property
    def browser_hosts(self) -> set[str]:
        """The hosts under which browsers may reach the clients' port, as they write them."""
        local = ("localhost", "127.0.0.1", "[::1]") if is_local(self.host) else ()
        return {shown(self.host), *local}


@contextmanager
def open_ports(settings: Settings) -> Iterator[Ports]:
    """Open the ports that the settings name, and close them at the end. Raises StartupError."""
    host, room = settings.relay_host, make_room(settings.relay_max_connections)
    with bind(host, settings.relay_port, room.ceiling) as clients:
        if settings.relay_admin_port is None:
            yield Ports(host, room, clients, None)
            return
        with bind(host, settings.relay_admin_port, room.admin_ceiling) as admin:
            yield Ports(host, room, clients, admin)


def quiet_about_room(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for a loop: all is said as ever, but for what `Listener` has said already."""
    if not isinstance(context.get("exception"), _NoRoom):
        loop.default_exception_handler(context)


def bind(host: str, port: int, ceiling: int = sys.maxsize) -> Listener:
    """Open the port; on all addresses of IPv6 those of IPv4 come along. Raises StartupError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = is_unspecified(host) and family is socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        host.encode("idna")  # what a socket does with it, which leaves the socket open where this fails
    except UnicodeError as failure:
        raise StartupError(f"RELAY_HOST: {host!r} is no address and no name of a host.") from failure
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            reason = "another program listens there; choose another with --port or RELAY_PORT"
        else:
            reason = failure.strerror or str(failure)
        raise StartupError(f"Port {port} of {host} cannot be opened: {reason}.") from failure
    # For every connection that comes: else an event waits up to 40 ms for the peer to have acknowledged the
    # pong before it. asyncio does so by itself only where the protocol of the socket is spelled out.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Listener(listening, ceiling)


def is_unspecified(host: str) -> bool:
    """Does this address stand for all of this machine's?"""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Is who listens there reached as localhost?"""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_unspecified or address.is_loopback


def shown(host: str) -> str:
    """The host of an address to type into a browser on this machine."""
    if is_unspecified(host):
        return "localhost"
    return f"[{host}]" if ":" in host else host
