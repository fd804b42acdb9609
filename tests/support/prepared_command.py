"""Commands of the relay as processes that start at once: a server that has imported the relay forks for each.

To import the relay takes a second of CPU time, which a test of what a command does with its settings need not spend.
The process is a real one: its arguments, environment, descriptors, signals and exit code are its own. What differs from
`python -c …` is what happens before `main` is called, so a test of that starts Python itself. Does I/O.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn, Self

ROOT = Path(__file__).parents[2]
SERVER = "import sys; sys.path.append('tests'); from support.prepared_command import serve; serve(int(sys.argv[1]))"
MODULES = ["app", "client", "protocol.schema", "workers.supervisor"]
MODULES += [
    f"cli.{name}"
    for name in ("commands", "serve", "shown_settings", "check.run", "explain.run", "tail.direct")
]
MODULES += [f"cli.{name}" for name in ("tail.follow", "conformance.run", "demo.show")]
MAX_REQUEST_BYTES = 1024 * 1024
# What Python and the C library read when a process starts.
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
ENCODING, UNBUFFERED = "PYTHONIOENCODING", "PYTHONUNBUFFERED"  # change nothing but the standard streams


def can_start(given: Mapping[str, str]) -> bool:
    """Return whether a command with these variables can be started here: none of them is read before `main`."""
    names = [name for name in given if name.startswith(READ_AT_START) and name not in (ENCODING, UNBUFFERED)]
    return sys.platform == "linux" and not names


class PreparedCommand:
    """A running command, with the methods of `subprocess.Popen` that tests use. The descriptors stay the caller's."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        patches: Mapping[str, float] = {},
    ) -> None:
        self.returncode: int | None = None
        notes, theirs = os.pipe()
        request = [[*arguments], {**environment}, {**patches}, os.getcwd()]
        try:
            socket.send_fds(_server(), [json.dumps(request).encode()], [stdin, stdout, stderr, theirs])
        finally:
            os.close(theirs)
        self._notes = open(notes, "rb")  # noqa: SIM115 - the thread closes it
        self.pid = int(self._notes.readline())
        self._over = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        with self._notes:
            self.returncode = int(self._notes.readline())
        self._over.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit code. Raises subprocess.TimeoutExpired."""
        if not self._over.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("relay", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


@cache
def _server() -> socket.socket:
    """Start the process that forks for each command, once in a run. It ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST_BYTES)
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(number)], cwd=ROOT, pass_fds=[number])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(number: int) -> NoReturn:
    """Fork for each request that comes through this socket, until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.path.remove("tests")  # a command finds what it finds elsewhere
    for module in MODULES:
        import_module(f"relay.{module}")
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not be forked"
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=number) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 4)
            if not message:
                os._exit(0)
            _reap()
            if os.fork() == 0:
                _keep(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(request: list[object], descriptors: list[int]) -> NoReturn:
    """Start the command in a process of its own. Tell its process id, and at its end its exit code."""
    *standard, notes = descriptors
    process = os.fork()
    if process == 0:
        _become(request, standard)
    for descriptor in (0, 1, *standard):
        os.close(descriptor)
    os.write(notes, b"%d\n" % process)
    _, status = os.waitpid(process, 0)
    os.write(notes, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: list[object], standard: list[int]) -> NoReturn:
    """Run the command in this process, which has nothing of the server but its modules."""
    from relay import metrics
    from relay.__main__ import main

    try:
        arguments, environment, patches, directory = request
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        _open_streams(environment.get(ENCODING, "utf-8"), bool(environment.get(UNBUFFERED)))
        sys.argv[:] = ["-c", *arguments]
        tempfile.tempdir = None  # as TMPDIR says
        metrics._STARTED_AT = time.time()
        for name, value in patches.items():
            module, _, constant = name.rpartition(".")
            setattr(import_module(module), constant, value)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main()
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _open_streams(encoding: str, unbuffered: bool) -> None:
    """Make the streams of this process, as Python does when it starts."""
    name, _, errors = encoding.partition(":")
    for number, at_failure in ((1, errors or "strict"), (2, "backslashreplace")):
        descriptor = io.FileIO(number, "w", closefd=False)
        lines = not unbuffered and (number == 2 or descriptor.isatty())
        stream = io.TextIOWrapper(
            descriptor if unbuffered else io.BufferedWriter(descriptor),
            encoding=name,
            errors=at_failure,
            newline="\n",
            line_buffering=lines,
            write_through=unbuffered,
        )
        setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
