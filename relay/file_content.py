"""Reads files that settings name. Does I/O.

Such a file may be a pipe: `RELAY_JWT_SECRET_FILE=<(pass show jwt)` names one, and some stores of secrets make one. The
content of a pipe can be read once, and a second read would wait for a writer that never comes. A reload that waits for
ever would keep every later one from being executed, and nothing would say why.
"""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path

PIPE_WITHIN_S = 10.0


def content_of(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of the file at this path.

    Raises OSError if it cannot be read, also if it is a pipe whose writer has not closed it after PIPE_WITHIN_S
    seconds, and ValueError if the path is not valid.
    """
    end = time.monotonic() + PIPE_WITHIN_S
    content = bytearray()
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        readable = select.poll()
        readable.register(file, select.POLLIN)
        while len(content) < most:
            # A regular file can always be read, so this waits for pipes only.
            if not readable.poll(max(0.0, end - time.monotonic()) * 1000):
                raise OSError(
                    errno.ETIMEDOUT, f"it is a pipe that was not written within {PIPE_WITHIN_S:g} s"
                )
            read = file.read(most - len(content))
            if read == b"":
                break
            content += read or b""  # None: nothing has been written yet
    return bytes(content)
