"""Run the commands of the documents as processes."""

from __future__ import annotations

import codecs
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.doc_snippets import ROOT
from support.relay_fixture import SOON_S, environment


class Running(subprocess.Popen[bytes]):
    """A running program whose stdout and stderr are read as one stream."""

    def __init__(self, *command: str, cwd: Path | None, env: dict[str, str]) -> None:
        super().__init__(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, cwd=cwd, env=env
        )
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._unread = ""

    def read_until(self, wanted: str) -> re.Match[str]:
        """Wait for the first match of this pattern in the output after the previous match."""
        assert self.stdout is not None
        deadline = time.monotonic() + SOON_S
        while (found := re.search(wanted, self._unread)) is None:
            left = max(0, deadline - time.monotonic())
            assert select.select([self.stdout], [], [], left)[0], self._unread
            more = os.read(self.stdout.fileno(), 65_536)
            assert more, self._unread
            self._unread += self._decoder.decode(more)
        self._unread = self._unread[found.end() :]
        return found


@contextmanager
def started(*command: str, cwd: Path | None = None, **given: str) -> Iterator[Running]:
    """Run a program in `cwd` with only these settings, until the context ends."""
    with Running(*command, cwd=cwd, env=environment(**given)) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(SOON_S)
            finally:
                process.kill()


def path_with_relay(directory: Path) -> str:
    """Write a `relay` command for this checkout into the directory, and return a PATH that finds it first."""
    command = directory / "relay"
    command.write_text(
        f"#!{sys.executable}\nimport sys\n\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from relay.cli.commands import main\n\nmain()\n"
    )
    command.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"
