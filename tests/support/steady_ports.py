"""Ports that tests use one after another, so that a browser knows the scripts of an address already."""

from __future__ import annotations

import random
import socket

# Below the ports that systems give to connections, one of which could take the port between two tests.
FIRST, LAST = 10_000, 32_000


class SteadyPort:
    """A port of this run of tests: always the same one, until another program takes it."""

    def __init__(self) -> None:
        self._port = 0

    def number(self) -> int:
        """Return the port, which nobody listens on."""
        while not _is_free(self._port):
            self._port = random.randint(FIRST, LAST)
        return self._port


def _is_free(port: int) -> bool:
    if port == 0:
        return False
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: earlier connections linger
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
