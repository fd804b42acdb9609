"""Listening Unix sockets: opening them, and removing what they leave in the file system. Does I/O."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from relay.errors import StartupError

# Everyone who may enter the directory of a Unix socket may connect, like everyone on this machine to a TCP port.
UNIX_MODE = 0o666
BACKLOG = 2048  # how many connections may wait to be accepted


def listen_unix(path: Path, *, remedy: str = "another path") -> socket.socket:
    """Open a Unix socket at this path and return it. A socket there on which no program listens any more, as one that
    was killed leaves behind, is replaced.

    `remedy` is what chooses another path. Raises StartupError if the path is in use or the socket cannot be opened.
    """
    with ExitStack() as on_failure:
        listening = on_failure.enter_context(socket.socket(socket.AF_UNIX))
        try:
            if _is_abandoned(path):
                path.unlink()
            listening.bind(str(path))
            path.chmod(UNIX_MODE)
            listening.listen(BACKLOG)
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                reason = f"it is in use; choose {remedy}"
            else:
                reason = failure.strerror or str(failure)
            raise StartupError(f"The Unix socket {path} cannot be opened: {reason}.") from failure
        on_failure.pop_all()
    return listening


def removal(path: Path) -> Callable[[], None]:
    """Return a function that removes the socket that lies at this path now. It removes nothing if another one lies
    there by then: another process may have taken the path over."""
    ours = _identity(path)

    def remove() -> None:
        if ours is not None and _identity(path) == ours:
            path.unlink(missing_ok=True)

    return remove


def _identity(path: Path) -> tuple[int, ...] | None:
    with suppress(OSError):
        found = os.lstat(path)
        return (
            found.st_dev,
            found.st_ino,
            found.st_ctime_ns,
        )  # some file systems use the number of an inode again at once
    return None


def _is_abandoned(path: Path) -> bool:
    """Return whether there is a Unix socket at this path on which no program listens."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    return True
    return False
