"""Listening Unix sockets: opening them, and removing what they leave in the file system. Does I/O."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from relay.errors import StartupError

# Everyone who may enter the directory of a Unix socket may connect, like everyone on this machine to a TCP port.
UNIX_MODE = 0o666
BACKLOG = 2048  # how many connections may wait to be accepted
LOCK_WITHIN_S = 5.0  # a relay locks a directory for less than a millisecond
LOOK_S = 0.01


def listen_unix(path: Path, *, remedy: str = "another path") -> socket.socket:
    """Open a Unix socket at this path and return it. A socket there on which no program listens any more, as one that
    was killed leaves behind, is replaced.

    `remedy` is what chooses another path. Raises StartupError if the path is in use or the socket cannot be opened.
    """
    with ExitStack() as on_failure:
        listening = on_failure.enter_context(socket.socket(socket.AF_UNIX))
        try:
            # Until it listens, a socket looks abandoned: another relay that starts now would remove it.
            with _locked(path.parent):
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
        # Some file systems use the number of an inode again at once. The time when a socket was made stays the same
        # when its owner or its mode is changed, which st_ctime does not.
        return found.st_dev, found.st_ino, found.st_mtime_ns
    return None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other relays from opening a Unix socket in this directory, and wait while one of them does. A lock of the
    directory itself leaves nothing behind, and ends with its process.

    Locks nothing where that is impossible: a directory that this user cannot read, or a file system without locks.
    Raises OSError if the directory stays locked.
    """
    with ExitStack() as opened:
        descriptor = None
        with suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if descriptor is not None:
            opened.callback(os.close, descriptor)
            _lock(descriptor)
        yield


def _lock(descriptor: int) -> None:
    until = time.monotonic() + LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, "another program has locked its directory") from None
            time.sleep(LOOK_S)
        except OSError:
            return


def _is_abandoned(path: Path) -> bool:
    """Return whether there is a Unix socket at this path on which no program listens."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                # Otherwise it would wait for a program that accepts no connections any more, maybe forever.
                probe.setblocking(False)
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    return True
                except (
                    BlockingIOError
                ):  # as many connections wait already as may wait, so some program listens
                    return False
    return False
