"""A `relay serve` in a process whose memory and descriptors a test measures. Does I/O."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checker import LONG_S
from support.relay_fixture import SECRET, environment

POOL = 40  # database connections that simultaneous reads may have opened
# The relay writes to standard output how many blocks of memory its Python objects have, whenever it gets a SIGUSR2.
# A leak of a few small objects shows in this number long before the allocator asks the system for more memory.
COUNTING = """
import gc, os, signal, sys
def count(*_):
    gc.collect()
    os.write(1, b"%d blocks\\n" % sys.getallocatedblocks())
signal.signal(signal.SIGUSR2, count)
from relay.__main__ import main
main()
"""


class Measured:
    """A running relay, and what it takes of the machine."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = process
        self.url = url
        self._idle = self.descriptors()

    def memory_kb(self) -> int:
        return int(re.findall(r"VmRSS:\s+(\d+)", self._of_process("status").read_text())[0])

    def blocks(self) -> int:
        """Return the number of blocks of memory of its Python objects, once those that nothing refers to are freed."""
        self._process.send_signal(signal.SIGUSR2)
        assert self._process.stdout is not None
        return int(self._process.stdout.readline().split()[0])

    def descriptors(self) -> int:
        return len(list(self._of_process("fd").iterdir()))

    def gauge(self, name: str) -> float:
        body = urllib.request.urlopen(f"{self.url}/metrics").read().decode()
        return float(re.findall(rf"^{name} (\S+)$", body, re.MULTILINE)[0])

    def settle(self) -> None:
        """Wait until all that was opened is closed."""
        deadline = time.monotonic() + LONG_S
        while self.descriptors() > self._idle + POOL or self.gauge("relay_connections") + self.gauge(
            "relay_rooms"
        ):
            assert time.monotonic() < deadline, "something stays open"
            time.sleep(0.01)

    def stop(self) -> int:
        """Stop it, and return its exit code."""
        self._process.terminate()
        return self._process.wait(LONG_S)

    def _of_process(self, name: str) -> Path:
        return Path(f"/proc/{self._process.pid}/{name}")


@contextmanager
def measured(folder: Path, **given: str) -> Iterator[Measured]:
    """Run a relay with these settings until the context ends. Its log is a file in this folder."""
    given = {"RELAY_JWT_SECRET": SECRET, "RELAY_PORT": "0"} | given
    log = folder / "relay.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", COUNTING, "serve"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(**given),
        ) as process,
    ):
        try:
            deadline = time.monotonic() + LONG_S
            while not (found := re.search(r"listening on (http://\S+)\n", log.read_text("utf-8"))):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < deadline, log.read_text("utf-8")
                time.sleep(0.01)
            yield Measured(process, found[1])
        finally:
            if process.poll() is None:
                process.kill()
