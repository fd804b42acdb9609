"""The listening sockets of all workers. The parent opens and keeps them, and each worker inherits its own. Does I/O.

On Linux, each worker has a socket of its own for the clients' port, and the kernel spreads new connections over these
sockets (SO_REUSEPORT). A single socket that all workers inherit would give most connections to the worker that is
quickest to accept. Because the parent keeps the sockets, connections that wait while a worker is started again are
served by its successor, and a port 0 is chosen only once.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from relay.config import Settings
from relay.gateway.listening import LISTEN_REMEDY, listen, path_of, reserve, scheme_of, shown
from relay.gateway.unix_socket import listen_unix, removal
from relay.setting_values import UNIX_SOCKETS


class Listeners:
    """The listening sockets of one worker, which are open or closed together. `makers` open one socket each."""

    def __init__(self, makers: Sequence[Callable[[], socket.socket]]) -> None:
        self._makers = makers
        self._sockets: list[socket.socket] = []

    def open(self) -> list[int]:
        """Open the sockets if they are closed, and return their descriptors. The first one is the clients' port.

        Raises StartupError if one cannot be opened; then all of them are closed."""
        if not self._sockets:
            with ExitStack() as on_failure:
                made = [on_failure.enter_context(make()) for make in self._makers]
                on_failure.pop_all()
            self._sockets = made
        return [one.fileno() for one in self._sockets]

    def close(self) -> None:
        """Close the sockets in this process. If no worker has inherited them either, the connections that wait in them
        are reset, and on Linux further ones go to the other workers."""
        for one in self._sockets:
            one.close()
        self._sockets = []


@dataclass(frozen=True, slots=True)
class WorkerPorts:
    """The ports of a relay with several workers. `listeners` has the sockets of each worker, in the workers' order."""

    url: str  # of the clients' port, as it can be typed into a browser on this machine
    listeners: Sequence[Listeners]
    _kept: socket.socket  # keeps the clients' port for this relay, also while no worker listens

    def close(self) -> None:
        """Close all sockets in this process. Each then ends when its worker closes it, too."""
        for one in self.listeners:
            one.close()
        self._kept.close()


@contextmanager
def open_worker_ports(settings: Settings, *, spread: bool = sys.platform == "linux") -> Iterator[WorkerPorts]:
    """Open the clients' port and, if the settings name them, the addresses of single workers. Close them in the end.

    With `spread`, each worker has a socket of its own for the clients' port; else all have the same one. Raises
    StartupError if a port cannot be opened.
    """
    with ExitStack() as opened:
        kept, share, url = _clients_port(settings, spread, opened)
        listeners = []
        for worker in range(1, settings.relay_workers + 1):
            own, remove = _own_address(settings, worker)
            one = Listeners([share, own] if own is not None else [share])
            opened.callback(one.close)
            one.open()
            opened.callback(remove)
            listeners.append(one)
        yield WorkerPorts(url, listeners, kept)


def _clients_port(
    settings: Settings, spread: bool, opened: ExitStack
) -> tuple[socket.socket, Callable[[], socket.socket], str]:
    """Open the clients' port. Return the socket that keeps it, a function that makes the socket of one worker, and the
    URL. `opened` closes it in the end."""
    host = settings.relay_host
    path = path_of(settings)
    if path is not None:
        # Several sockets cannot share a path, so all workers have the same one, and one queue.
        kept = opened.enter_context(listen_unix(path, remedy=LISTEN_REMEDY))
        opened.callback(removal(path))
        return kept, kept.dup, f"{UNIX_SOCKETS}{path}"
    kept = opened.enter_context((reserve if spread else listen)(host, settings.relay_port))
    number = kept.getsockname()[1]
    share = partial(listen, host, number, share=True) if spread else kept.dup
    return kept, share, f"{scheme_of(settings)}://{shown(host)}:{number}"


def _own_address(
    settings: Settings, worker: int
) -> tuple[Callable[[], socket.socket] | None, Callable[[], None]]:
    """Return a function that opens the worker's own address (RELAY_WORKER_PORTS), None if it has none, and a function
    that removes what is left of the address when it is no longer open."""
    chosen = settings.relay_worker_ports
    if not chosen:
        return None, lambda: None
    remedy = "--worker-ports or RELAY_WORKER_PORTS"
    if chosen.startswith(UNIX_SOCKETS):
        path = Path(chosen.removeprefix(UNIX_SOCKETS)) / f"worker-{worker}.sock"
        ours: list[Callable[[], None]] = []  # removes the socket that was opened last

        def opens() -> socket.socket:
            listening = listen_unix(path, remedy=f"another directory with {remedy}")
            ours[:] = [removal(path)]
            return listening

        def remove_ours() -> None:
            for remove in ours:
                remove()

        return opens, remove_ours
    return partial(listen, settings.relay_host, int(chosen) + worker - 1, remedy=remedy), lambda: None
