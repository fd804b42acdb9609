"""How many connections the limit on open files (RLIMIT_NOFILE) leaves room for."""

from __future__ import annotations

import logging
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger(__name__)

# Kept of the limit for what is no admitted connection: half of it for the relay's own (MongoDB, listeners, files),
# half for who comes on top and is told that there is no room.
RESERVE, SMALLEST_RESERVE = 512, 32


@dataclass(frozen=True, slots=True)
class Room:
    """`connections` may be open at once; a socket whose descriptor is `ceiling` or more must be closed at once,
    because the descriptors from there on are for the relay's own files and connections."""

    connections: int
    ceiling: int
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
    limit lets it; what there is room for then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVE
    if _less(soft, needed):
        raised = needed if _less(needed, hard) else hard
        # A system may have limits beside this one; then the soft limit stays.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _room(connections, soft)


def _room(connections: int, limit: int) -> Room:
    if limit == resource.RLIM_INFINITY:
        return Room(connections, sys.maxsize, limit)
    reserve = min(RESERVE, max(SMALLEST_RESERVE, limit // 8))
    return Room(max(1, min(connections, limit - reserve)), max(1, limit - reserve // 2), limit)


def _less(limit: int, other: int) -> bool:
    if limit == resource.RLIM_INFINITY:
        return False
    return other == resource.RLIM_INFINITY or limit < other
