"""Calculates how many client connections the limit on open files (RLIMIT_NOFILE) permits, and raises this limit."""

from __future__ import annotations

import logging
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass

from relay.errors import StartupError

log = logging.getLogger(__name__)

# Descriptors that client connections must leave free, in addition to those that are open at the start: RESERVE for the
# relay itself (listening sockets, and two MongoDB clients with some connections to each member), a quarter of RESERVE
# for clients that are accepted only to be told that the relay is full, and a quarter for the admin port.
RESERVE, SMALLEST_RESERVE = 512, 32
OPEN_AT_START = 16  # the number of open descriptors that is assumed if the system cannot list them


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many file descriptors this process may open, and how they are divided among clients, operators and files.

    `connections` clients may be connected at once. A new client socket must be closed if its descriptor is `ceiling`
    or higher, and a new socket of the admin port if it is `admin_ceiling` or higher. So when the clients' port is full,
    the descriptors between the two are left for the admin port, and those above for the relay's own files.
    """

    connections: int
    ceiling: int
    admin_ceiling: int
    limit: int  # the soft limit on open files

    def warn_if_below(self, wanted: int) -> None:
        """Log a warning if fewer than `wanted` client connections are possible. `wanted` is this process's share of the
        configured number."""
        if self.connections < wanted:
            log.warning(
                "the limit on open files leaves room for fewer connections than RELAY_MAX_CONNECTIONS",
                extra={"open_files": self.limit, "connections": self.connections, "wanted": wanted},
            )


def reserve_descriptors(connections: int) -> Capacity:
    """Raise the soft limit on open files of this process to what this many client connections need, as far as the hard
    limit permits. Return how many connections are possible then. Raises StartupError if not even one is possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = _opened()
    needed = connections + RESERVE + RESERVE // 2 + opened
    if _is_less(soft, needed):
        raised = needed if _is_less(needed, hard) else hard
        # Some systems have further limits, and refuse to raise this one. Then the soft limit stays as it is.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _capacity(connections, soft, opened)


def _capacity(connections: int, limit: int, opened: int) -> Capacity:
    if limit == resource.RLIM_INFINITY:
        return Capacity(connections, sys.maxsize, sys.maxsize, limit)
    # An eighth of the limit is a generous reserve. If it would leave no connection, a smaller reserve is enough.
    generous = min(limit // 8, (limit - opened - 1) * 2 // 3)
    reserve = min(RESERVE, max(SMALLEST_RESERVE, generous))
    fit = limit - opened - reserve - reserve // 2
    if fit < 1:
        least = opened + SMALLEST_RESERVE + SMALLEST_RESERVE // 2 + 1
        raise StartupError(
            f"The limit on open files is {limit}, which leaves room for no connection: raise it (ulimit -n) to at "
            f"least {least}; every connection needs one more."
        )
    admin_ceiling = limit - reserve // 2
    return Capacity(min(connections, fit), admin_ceiling - reserve // 4, admin_ceiling, limit)


def _opened() -> int:
    """Return the number of file descriptors that this process has open, or OPEN_AT_START if that is unknown."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(directory)) - 1  # without the descriptor of the listing itself
    return OPEN_AT_START


def _is_less(limit: int, other: int) -> bool:
    """Return whether `limit` is smaller than `other`. Either of them may be RLIM_INFINITY."""
    if limit == resource.RLIM_INFINITY:
        return False
    return other == resource.RLIM_INFINITY or limit < other
