"""The listening sockets, which refuse new connections when no file descriptor is left for them.

Without this module, asyncio would log a traceback each time it cannot accept a connection because no descriptor is
left: thousands a second. It would also accept all waiting connections before the relay's own limits are checked.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.config import Settings
from relay.errors import StartupError, may_be_secret
from relay.gateway.descriptors import Capacity, reserve_descriptors
from relay.gateway.unix_socket import BACKLOG, listen_unix, removal
from relay.setting_values import UNIX_SOCKETS

log = logging.getLogger(__name__)

LISTEN_REMEDY = "another path with RELAY_LISTEN"
REFUSED_AT_ONCE = 256  # how many connections are refused before other work of the event loop gets its turn
QUIET_S = 60.0  # a refusal is logged only if there was none in the last QUIET_S seconds
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _OutOfDescriptors(OSError):
    """No connection can be accepted for now. This has been logged already. asyncio tries again a second later."""


class ListeningSocket(socket.socket):
    """A listening socket that closes new connections at once when too few file descriptors are left.

    POSIX gives a new socket the lowest free descriptor. So if the descriptor of a new connection is `ceiling` or
    higher, all descriptors below `ceiling` are in use, and the connection is closed. `listening` is the bound socket,
    whose descriptor this object adopts. `clock` returns seconds.
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
        """Accept a connection whose descriptor is below the ceiling; return its socket and the address of its peer.

        Connections with a higher descriptor are closed. Raises BlockingIOError if no connection waits, or if
        REFUSED_AT_ONCE connections were closed in this call. Raises OSError if no descriptor is left at all.
        """
        if self._pausing:
            # asyncio (up to Python 3.13 at least) calls `accept` once more after it has decided to pause for a second.
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
        """Accept a waiting connection by means of the spare descriptor, and close the connection. If the connection
        were left waiting, it would wake up the event loop again and again. Return whether this succeeded."""
        if not self._free_spare():
            self._keep_spare()  # reserve one for the next call, if a descriptor is free by now
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
        """Log that connections are refused, but not again until none was refused for QUIET_S seconds. `why` is the
        cause."""
        now = self._clock()
        if now - self._refused_at >= QUIET_S:
            log.warning(
                "out of file descriptors: new connections are refused until others end", extra={"error": why}
            )
        self._refused_at = now


@dataclass(frozen=True, slots=True)
class Ports:
    """The open ports of one relay, and the number of connections that they may have (`capacity`). `admin` is the port
    that only operators reach; it is None if operators use the clients' port, or if another process has it. `further`
    are listening sockets that serve clients in the same way as `clients`. `scheme` is `https` if the ports have TLS."""

    host: str
    capacity: Capacity
    clients: ListeningSocket
    admin: ListeningSocket | None
    further: tuple[ListeningSocket, ...] = ()
    scheme: str = "http"

    @property
    def number(self) -> int:
        """The number of the clients' port, 0 if it is a Unix socket."""
        number: int = 0 if self._is_unix else self.clients.getsockname()[1]
        return number

    @property
    def url(self) -> str:
        """The URL of the relay, as it can be typed into a browser on this machine; `unix:` and the path of a Unix
        socket, which browsers cannot reach."""
        if self._is_unix:
            return f"{UNIX_SOCKETS}{self.clients.getsockname()}"
        return f"{self.scheme}://{shown(self.host)}:{self.number}"

    @property
    def admin_url(self) -> str:
        """The URL of the admin port. An empty string if there is no admin port."""
        if self.admin is None:
            return ""
        return f"{self.scheme}://{shown(self.host)}:{self.admin.getsockname()[1]}"

    @property
    def browser_hosts(self) -> set[str]:
        """The host names and addresses by which browsers may reach the clients' port, in the form that URLs contain."""
        if self._is_unix:
            return set()
        local = ("localhost", "127.0.0.1", "[::1]") if is_local(self.host) else ()
        return {shown(self.host), *local}

    @property
    def _is_unix(self) -> bool:
        return self.clients.family not in (socket.AF_INET, socket.AF_INET6)


@contextmanager
def open_ports(settings: Settings) -> Iterator[Ports]:
    """Open the ports that the settings name, and close them when the context ends.

    Raises StartupError if a port cannot be opened, or if the limit on open files leaves room for no connection.
    """
    host, capacity = settings.relay_host, reserve_descriptors(settings.relay_max_connections)
    with ExitStack() as opened:
        clients = opened.enter_context(_clients_port(settings, capacity.ceiling))
        if (path := path_of(settings)) is not None:
            opened.callback(removal(path))
        admin = None
        if settings.relay_admin_port is not None:
            admin = opened.enter_context(bind(host, settings.relay_admin_port, capacity.admin_ceiling))
        yield Ports(host, capacity, clients, admin, scheme=scheme_of(settings))


def _clients_port(settings: Settings, ceiling: int) -> ListeningSocket:
    path = path_of(settings)
    if path is not None:
        return ListeningSocket(listen_unix(path, remedy=LISTEN_REMEDY), ceiling)
    return bind(settings.relay_host, settings.relay_port, ceiling)


def scheme_of(settings: Settings) -> str:
    """Return the scheme of the URLs of the relay's own ports."""
    return "https" if settings.relay_tls_cert is not None else "http"


def path_of(settings: Settings) -> Path | None:
    """Return the path of the Unix socket for clients (RELAY_LISTEN). None if they connect to a port."""
    return Path(settings.relay_listen.removeprefix(UNIX_SOCKETS)) if settings.relay_listen else None


def ignore_out_of_descriptors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of an event loop (`loop.set_exception_handler`): call asyncio's default handler, except when no
    descriptor was left for a new connection, because `ListeningSocket` has logged that already."""
    if not isinstance(context.get("exception"), _OutOfDescriptors):
        loop.default_exception_handler(context)


@contextmanager
def inherited_ports(settings: Settings, descriptors: Sequence[int]) -> Iterator[Ports]:
    """Take over listening sockets for clients that this process has inherited as these file descriptors, and close them
    when the context ends. The first of them is the clients' port. Raises StartupError if the limit on open files leaves
    room for no connection."""
    capacity = reserve_descriptors(settings.relay_max_connections)
    with ExitStack() as opened:
        clients, *further = (
            opened.enter_context(ListeningSocket(socket.socket(fileno=one), capacity.ceiling))
            for one in descriptors
        )
        yield Ports(settings.relay_host, capacity, clients, None, tuple(further), scheme_of(settings))


def bind(host: str, port: int, ceiling: int = sys.maxsize) -> ListeningSocket:
    """Open a port and return its listening socket. It closes each accepted connection at once whose file descriptor has
    the number `ceiling` or a higher one.

    A host that stands for all IPv6 addresses (`::`) stands for all IPv4 addresses, too. Raises StartupError if the host
    is not valid or the port cannot be opened.
    """
    return ListeningSocket(listen(host, port), ceiling)


def listen(
    host: str, port: int, *, share: bool = False, remedy: str = "--port or RELAY_PORT"
) -> socket.socket:
    """Open a port and return its listening socket, as `bind` does.

    With `share`, the kernel spreads connections to this port over all sockets of this user that listen on it with
    `share`. `remedy` is the setting that chooses another port. Raises StartupError like `bind`.
    """
    family, both = _family(host)
    with _explained(host, port, remedy):
        listening = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both, reuse_port=share
        )
    # Accepted connections inherit this. Without it a message waits up to 40 ms until the client has acknowledged the
    # pong sent before it. asyncio sets it by itself only for sockets with an explicit protocol number.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def reserve(host: str, port: int) -> socket.socket:
    """Reserve a port for sockets that share it (`listen` with `share`), and return the socket that reserves it, which
    accepts no connections. Port 0 reserves any free port.

    Raises StartupError if the host is not valid, or if a program listens on the port already, even one that would share
    it: its clients and ours would be mixed.
    """
    family, both = _family(host)
    with _explained(host, port, "--port or RELAY_PORT"), ExitStack() as on_failure:
        reserving = on_failure.enter_context(socket.socket(family))
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # despite connections that have ended
        if family is socket.AF_INET6:
            reserving.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        reserving.bind((host, port))
        # Only now, so that the line above failed if any program listened there. From here on only sockets that share
        # the port can be bound to it, also while none of ours listens.
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        on_failure.pop_all()
    return reserving


def _family(host: str) -> tuple[socket.AddressFamily, bool]:
    """Return the address family of this host, and whether its IPv6 socket accepts IPv4, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, is_unspecified(host) and family is socket.AF_INET6 and socket.has_dualstack_ipv6()


@contextmanager
def _explained(host: str, port: int, remedy: str) -> Iterator[None]:
    """Raise a StartupError in place of an OSError that says why this port cannot be opened. `remedy` is the setting
    that chooses another port."""
    try:
        host.encode("idna")  # `socket` does this, too, and does not close itself if it fails
    except UnicodeError as failure:
        value = f": {host!r}" if _may_be_shown(host) else ""
        raise StartupError(f"RELAY_HOST{value} is neither an address nor a host name.") from failure
    try:
        yield
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            reason = f"another program listens there; choose another with {remedy}"
        elif not _may_be_shown(host):  # Python quotes the host in the error of a failed look-up
            reason = "this machine has no such address"
        else:
            reason = failure.strerror or str(failure)
        shown = host if _may_be_shown(host) else "RELAY_HOST"
        raise StartupError(f"Port {port} of {shown} cannot be opened: {reason}.") from failure


def _may_be_shown(host: str) -> bool:
    """Whether this host is no secret in the wrong variable, as far as one can see: an address, or a name of which each
    label could be shown as a word."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not may_be_secret(host.replace(".", " "))
    return True


def is_unspecified(host: str) -> bool:
    """Return whether this host is an address that stands for all addresses of this machine, such as 0.0.0.0 or `::`."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Return whether a browser on this machine can reach a server on this host as `localhost`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_unspecified or address.is_loopback


def shown(host: str) -> str:
    """Return the host as it is written in a URL that is used on this machine: `localhost` for 0.0.0.0, `[::2]` for
    `::2`."""
    if is_unspecified(host):
        return "localhost"
    return f"[{host}]" if ":" in host else host
