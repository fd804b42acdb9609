"""What the documents tell people to type, as processes."""

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
    """A program whose two outputs are read as one."""

    def __init__(self, *command: str, cwd: Path | None, env: dict[str, str]) -> None:
        super().__init__(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, cwd=cwd, env=env
        )
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._unread = ""

    def read_until(self, wanted: str) -> re.Match[str]:
        """Where this pattern first stands in what it prints, after what the last call found."""
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
    """Running in `cwd` with nothing of the settings but these; ended when the block is."""
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
    """A PATH on which `relay` is this checkout's, by a file in this directory."""
    command = directory / "relay"
    command.write_text(
        f"#!{sys.executable}\nimport sys\n\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from relay.cli.commands import main\n\nmain()\n"
    )
    command.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"
