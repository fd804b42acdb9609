"""File descriptors: how many connections the limit on open files (RLIMIT_NOFILE) permits."""

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
OPEN_AT_START = 16  # assumed if the system does not say


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many descriptors there are, and for what.

    `connections` clients may be connected at once. A new client socket must be closed if its descriptor is `ceiling`
    or higher, and a new socket of the admin port if it is `admin_ceiling` or higher. So when the clients' port is full,
    the descriptors between the two are left for the admin port, and those above for the relay's own files.
    """

    connections: int
    ceiling: int
    admin_ceiling: int
    limit: int  # on open files

    def warn_if_below(self, wanted: int) -> None:
        """Log a warning if fewer connections are possible than were configured."""
        if self.connections < wanted:
            log.warning(
                "the limit on open files leaves room for fewer connections than RELAY_MAX_CONNECTIONS",
                extra={"open_files": self.limit, "connections": self.connections, "wanted": wanted},
            )


def reserve_descriptors(connections: int) -> Capacity:
    """Raise the soft limit on open files of this process to what this many connections need, as far as the hard limit
    permits, and return what is possible then. Raises StartupError if that is not even one connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = _opened()
    needed = connections + RESERVE + RESERVE // 2 + opened
    if _is_less(soft, needed):
        raised = needed if _is_less(needed, hard) else hard
        # Some systems have further limits, and refuse. Then the soft limit stays as it is.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _capacity(connections, soft, opened)


def _capacity(connections: int, limit: int, opened: int) -> Capacity:
    if limit == resource.RLIM_INFINITY:
        return Capacity(connections, sys.maxsize, sys.maxsize, limit)
    # An eighth of the limit is generous. If it would leave no connection, less is enough.
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
    """The number of descriptors that this process has open."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(directory)) - 1  # without the descriptor of the listing itself
    return OPEN_AT_START


def _is_less(limit: int, other: int) -> bool:
    """Compare two limits, of which either may be infinite."""
    if limit == resource.RLIM_INFINITY:
        return False
    return other == resource.RLIM_INFINITY or limit < other
