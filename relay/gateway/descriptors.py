"""How many connections the limit on open files (RLIMIT_NOFILE) leaves room for."""

from __future__ import annotations

import logging
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass

from relay.errors import StartupError

log = logging.getLogger(__name__)

# Descriptors kept free of client connections, beside those that are open at the start: RESERVE for the relay itself
# (listeners, and two MongoDB clients with some connections to each member), a quarter of RESERVE for clients that are
# told that there is no room, and another quarter for the admin port.
RESERVE, SMALLEST_RESERVE = 512, 32
OPEN_AT_START = 16  # where the system does not tell


@dataclass(frozen=True, slots=True)
class Room:
    """`connections` clients may be connected at once. Close a new client socket if its descriptor is `ceiling` or
    higher, and a new socket of the admin port if it is `admin_ceiling` or higher. So a full client port leaves the
    descriptors between the two to the admin port, and those above both to the relay's own files and connections."""

    connections: int
    ceiling: int
    admin_ceiling: int
    limit: int  # on open files

    def say_if_less_than(self, wanted: int) -> None:
        """Log that fewer connections fit than were wanted, where it is so."""
        if self.connections < wanted:
            log.warning(
                "the limit on open files leaves room for fewer connections than RELAY_MAX_CONNECTIONS",
                extra={"open_files": self.limit, "connections": self.connections, "wanted": wanted},
            )


def make_room(connections: int) -> Room:
    """Raise this process's soft limit on open files to what this number of connections needs, as far as the hard
    limit lets it; what there is room for then. Raises StartupError where that is nobody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = _opened()
    needed = connections + RESERVE + RESERVE // 2 + opened
    if _less(soft, needed):
        raised = needed if _less(needed, hard) else hard
        # A system may have limits beside this one; then the soft limit stays.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _room(connections, soft, opened)


def _room(connections: int, limit: int, opened: int) -> Room:
    if limit == resource.RLIM_INFINITY:
        return Room(connections, sys.maxsize, sys.maxsize, limit)
    reserve = min(RESERVE, max(SMALLEST_RESERVE, limit // 8))
    fit = limit - opened - reserve - reserve // 2
    if fit < 1:
        least = opened + SMALLEST_RESERVE + SMALLEST_RESERVE // 2 + 1
        raise StartupError(
            f"The limit on open files is {limit}, which leaves room for no connection: raise it (ulimit -n) to at "
            f"least {least}; every connection needs one more."
        )
    admin_ceiling = limit - reserve // 2
    return Room(min(connections, fit), admin_ceiling - reserve // 4, admin_ceiling, limit)


def _opened() -> int:
    """How many descriptors this process has open."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(directory)) - 1  # without the one that lists them
    return OPEN_AT_START


def _less(limit: int, other: int) -> bool:
    if limit == resource.RLIM_INFINITY:
        return False
    return other == resource.RLIM_INFINITY or limit < other
