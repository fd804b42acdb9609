"""A command of the relay as a process, and what it prints."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.relay_fixture import COMMAND, environment


class Process(subprocess.Popen[bytes]):
    """A running command of the relay, with stdout and stderr as one stream. `before` are words before the command."""

    def __init__(self, *arguments: str, before: Sequence[str] = (), **given: str) -> None:
        super().__init__(
            [*before, *COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env=environment(**given),
        )

    def printed(self, until: str | None = None) -> str:
        """Read what it prints: up to and including `until`, or to its end."""
        assert self.stdout is not None
        text, deadline = b"", time.monotonic() + 30
        while until is None or until.encode() not in text:
            assert select.select([self.stdout], [], [], max(0, deadline - time.monotonic()))[0], text
            more = os.read(self.stdout.fileno(), 65_536)
            if not more:
                assert until is None, text
                break
            text += more
        return text.decode()


@contextmanager
def started(
    *arguments: str, until: str, before: Sequence[str] = (), **given: str
) -> Iterator[tuple[Process, str]]:
    """Start a command, and wait until it has printed `until`. Gives the process and what it has printed so far.
    `before` are words before the command, such as `nohup`."""
    with Process(*arguments, before=before, **given) as process:
        try:
            yield process, process.printed(until)
        finally:
            if process.poll() is None:
                process.kill()
