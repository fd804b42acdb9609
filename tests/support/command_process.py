"""A command of the relay as a process, and what it prints."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

from relay.cli.demo import mongod as embedded
from support.prepared_command import PreparedCommand, can_start
from support.relay_fixture import SOON_S, command, environment


def start(
    arguments: Sequence[str],
    *,
    stdout: int,
    stderr: int,
    stdin: int | None = None,
    before: Sequence[str] = (),
    patches: Mapping[str, float] = {},
    given: Mapping[str, str],
) -> subprocess.Popen[bytes] | PreparedCommand:
    """Start a command of the relay with only these settings. Python itself starts only where that makes a difference.
    `before` are words before the command, `patches` are as for `command`."""
    if before or not can_start(given):
        words = [*before, *command(patches), *arguments]
        return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, env=environment(**given))
    return PreparedCommand(
        arguments,
        environment(**given),
        stdin=0 if stdin is None else stdin,
        stdout=stdout,
        stderr=stderr,
        patches=patches,
    )


class Process:
    """A running command of the relay, with stdout and stderr as one stream, except for those whose descriptor is given.
    `before` are words before the command."""

    def __init__(
        self,
        *arguments: str,
        before: Sequence[str] = (),
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        **given: str,
    ) -> None:
        reads, writes = os.pipe()
        self.stdout = open(reads, "rb", buffering=0)  # noqa: SIM115 - open until the process has ended
        try:
            started = start(
                arguments,
                stdin=stdin,
                stdout=writes if stdout is None else stdout,
                stderr=writes if stderr is None else stderr,
                before=before,
                given=given,
            )
        finally:
            os.close(writes)
        self.pid, self.poll, self.wait = started.pid, started.poll, started.wait
        self.send_signal, self.terminate, self.kill = started.send_signal, started.terminate, started.kill

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()

    def printed(self, until: str | None = None) -> str:
        """Read what it prints: up to and including `until`, or to its end."""
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
    *arguments: str, until: str, before: Sequence[str] = (), stdin: int | None = None, **given: str
) -> Iterator[tuple[Process, str]]:
    """Start a command, and wait until it has printed `until`. Gives the process and what it has printed so far.
    `before` are words before the command, such as `nohup`."""
    with Process(*arguments, before=before, stdin=stdin, **given) as process:
        try:
            yield process, process.printed(until)
        finally:
            if process.poll() is None:
                process.kill()


def run(*arguments: str, timeout: float = 60, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the relay with only these settings, until it ends."""
    encoding = given.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    with (
        TemporaryFile() as out,
        TemporaryFile() as err,
        start(arguments, stdout=out.fileno(), stderr=err.fileno(), given=given) as process,
    ):
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        printed = [
            os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(encoding)
            for file in (out, err)
        ]
    return subprocess.CompletedProcess(arguments, code, *printed)


@contextmanager
def standalone(directory: Path) -> Iterator[str]:
    """Run a mongod that is no replica set, and give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = embedded.locate()
    process = subprocess.Popen(
        [binary.path, "--dbpath", str(directory), "--port", str(port), "--bind_ip", "127.0.0.1"],
        env=binary.environment(directory),
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"mongodb://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(SOON_S)


def port_of(printed: str) -> int:
    """Return the port on which a relay listens, from what it printed."""
    found = re.search(r"listening on http://[^\s:]+:(\d+)", printed)
    assert found is not None, printed
    return int(found[1])


def alive(port: int, host: str = "127.0.0.1", path: str = "/healthz") -> bool:
    """Whether the relay on this port answers with status 200."""
    connection = HTTPConnection(host, port, timeout=SOON_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    finally:
        connection.close()


def wait_until_alive(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the relay answers. Its output is not read, so nothing else says that it listens."""
    deadline = time.monotonic() + SOON_S
    while True:
        assert process.poll() is None
        try:
            assert alive(port)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@contextmanager
def unreadable_stderr(how: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments with which the standard error of a `Process` is closed, full, or a full pipe that is not
    read."""
    if how == "closed":
        yield {"before": ["sh", "-c", 'exec "$@" 2>&-', "sh"]}
    elif how == "all closed":
        yield {"before": ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]}
    elif how == "full disk":
        with full_disk() as full:
            yield {"stderr": full}
    else:
        reads, writes = os.pipe()
        try:
            os.set_blocking(writes, False)
            with suppress(BlockingIOError):
                while True:
                    os.write(writes, b"x" * 4096)
            os.set_blocking(writes, True)
            yield {"stderr": writes}
        finally:
            os.close(reads)
            os.close(writes)


@contextmanager
def full_disk() -> Iterator[int]:
    """Yield a descriptor to which nothing can be written, because no space is left."""
    with open("/dev/full", "wb", buffering=0) as full:
        yield full.fileno()


@contextmanager
def pipe_without_reader() -> Iterator[int]:
    """Yield a descriptor to which nothing can be written, because its reader has left."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        yield writes
    finally:
        os.close(writes)


@contextmanager
def crowding(port: int, count: int) -> Iterator[None]:
    """Hold this number of connections open, without sending anything."""
    with ExitStack() as crowd:
        for _ in range(count):
            one = crowd.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield
