"""The embedded replica set: a mongod with one member, for the demo and the tests.

Without `data` the files are in a temporary directory, which is removed when the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from relay.cli.demo import child
from relay.cli.demo.binary import WAYS_OUT, Binary, here, locate
from relay.cli.process import interrupt_held
from relay.errors import StartupError

READY_S = 30.0  # for mongod to become a writable primary
STOP_S = 10.0  # between SIGTERM and SIGKILL
POLL_S = 0.02
# Change streams wait for the journal. The default of 100 ms would be most of the latency.
JOURNAL_COMMIT_MS = 1
ALREADY_INITIALISED = 23
EXIT_NET_ERROR = 48  # the exit status of a mongod that cannot listen on its port


class Mongod:
    """A running mongod. `stop` ends it, and so does the end of a `with` block."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, temporary: Path | None) -> None:
        self._process = process
        self._temporary = temporary
        self.port = port
        self.pid = process.pid
        self.url = f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and remove its temporary directory. A second call does nothing.

        Ctrl-C during this kills the process, and raises KeyboardInterrupt once the directory is removed.
        """
        with interrupt_held(self._process.kill):
            self._end()
            if self._process.stderr is not None:
                self._process.stderr.close()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
            atexit.unregister(self.stop)

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def start(*, port: int | None = None, data: Path | None = None, extra_args: Sequence[str] = ()) -> Mongod:
    """Start a replica set of one member, and return it when it accepts writes.

    Raises StartupError with one sentence that says what is missing and what to do.
    """
    binary = locate()
    port = free_port(port)
    server: Mongod | None = None
    try:
        with interrupt_held():  # until the `Mongod` exists, which ends with this process
            server, log = _begin(binary, port, data, extra_args)
        _initiate(server._process, port, log)
    except BaseException:
        # Also after Ctrl-C in the block above: a second one might end the process before its exit functions are called.
        if server is not None:
            server.stop()
        raise
    return server


def _begin(binary: Binary, port: int, data: Path | None, extra_args: Sequence[str]) -> tuple[Mongod, _Log]:
    directory, temporary = _directory(data)
    log = _Log(directory / "mongod.log")
    try:
        process = spawn(binary, port, directory, log.path, extra_args)
    except OSError as failure:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise StartupError(
            f"mongod cannot be started: {failure.strerror or failure}; {WAYS_OUT}."
        ) from failure
    return Mongod(process, port, temporary), log


class _Log:
    """The part of mongod's log that this start writes. A directory that was used before has older lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size if path.exists() else 0

    def text(self) -> str:
        """Return the lines that were written since the start."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")

    def complaint(self) -> str | None:
        """Return the last error in the log, in the words of mongod; None without one."""
        for line in reversed(self.text().splitlines()):
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("s") in ("E", "F"):
                    error = entry.get("attr", {}).get("error")
                    return str(error.get("errmsg") if isinstance(error, dict) else error or entry.get("msg"))
        return None


def _directory(data: Path | None) -> tuple[Path, Path | None]:
    """Create the directory for the data. Return it, and again as the second value if it is a temporary one."""
    try:
        if data is None:
            temporary = Path(tempfile.mkdtemp(prefix="relay-mongod-"))
            return temporary, temporary
        data.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise StartupError(f"There is no directory for the data: {failure}.") from failure
    return data, None


def spawn(
    binary: Binary, port: int, directory: Path, log: Path, extra_args: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a mongod that ends with this process, as a member of a replica set that is not initiated yet."""
    command = [
        binary.path,
        *("--replSet", "rs0", "--bind_ip", "127.0.0.1", "--port", str(port)),
        *("--dbpath", str(directory), "--logpath", str(log), "--logappend"),
        "--nounixsocket",  # a mongod that is killed would leave its socket in /tmp
        *("--journalCommitInterval", str(JOURNAL_COMMIT_MS)),
        *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "100"),
        *extra_args,
    ]
    return child.spawn(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # where the dynamic loader reports a missing library
        env=binary.environment(directory),
    )


def _initiate(process: subprocess.Popen[bytes], port: int, log: _Log) -> None:
    deadline = time.monotonic() + READY_S
    asked = False
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartupError(_why_it_died(process, port, log))
        # A client remembers a server that was not in a replica set, so each try uses a new client.
        with (
            MongoClient[dict[str, Any]](
                "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500
            ) as client,
            contextlib.suppress(AutoReconnect),
        ):  # AutoReconnect: mongod does not listen yet, or is just becoming primary
            if not asked:
                _configure(client, port)
                asked = True
            if client.admin.command("hello").get("isWritablePrimary"):
                return
        time.sleep(POLL_S)
    raise StartupError(f"mongod did not become ready within {READY_S:.0f} s; {WAYS_OUT}.")


def _configure(client: MongoClient[dict[str, Any]], port: int) -> None:
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
    except OperationFailure as failure:
        if failure.code != ALREADY_INITIALISED:
            raise StartupError(f"mongod refused to become a replica set: code {failure.code}.") from failure
        # The directory was used before, perhaps on another port.
        config = client.local.get_collection("system.replset").find_one() or {}
        if config.get("members") != [{**config["members"][0], **member}]:
            config["members"] = [{**config["members"][0], **member}]
            config["version"] += 1
            with contextlib.suppress(PyMongoError):  # the next try of `_initiate` decides
                client.admin.command("replSetReconfig", config, force=True)


def _why_it_died(process: subprocess.Popen[bytes], port: int, log: _Log) -> str:
    said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
    missing = re.search(r"shared libraries: (\S+):", said)
    if missing:
        return f"mongod needs the library {missing[1]}, which this system does not have; {WAYS_OUT}."
    older = re.search(r"version `(\S+)' not found", said)
    if older:
        return f"mongod needs {older[1]}, and this system's libraries are older; {WAYS_OUT}."
    if process.returncode == -signal.SIGILL:
        return f"This mongod needs a CPU with {here().cpu}; {WAYS_OUT}."
    if process.returncode == EXIT_NET_ERROR:
        return _taken(port)  # another program took it after `free_port` had looked
    if "DBPathInUse" in log.text():
        return "Another mongod is using this data directory."
    complaint = log.complaint()
    reason = f" ({complaint})" if complaint else ""
    return f"mongod ended with status {process.returncode} before it was ready{reason}; {WAYS_OUT}."


def _taken(port: int | None) -> str:
    return f"Port {port} is taken: choose another one for mongod."


def free_port(wanted: int | None = None) -> int:
    """Return the wanted port, or any free one. Raises StartupError if it is taken."""
    # Checked before mongod starts: on a port that is taken, another server would answer our questions.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as mongod does
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError as failure:
            raise StartupError(_taken(wanted)) from failure
        port: int = probe.getsockname()[1]
        return port
