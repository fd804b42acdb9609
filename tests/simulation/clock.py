"""An event loop whose time is virtual: it never waits, it jumps to the next moment something is due.

It has no sockets. What asks it for a connection is given one of the simulated network, so that clients
which call `loop.create_connection` need no seam of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

START_S = 1_000_000.0  # the time at which a history begins, in seconds since the epoch
THREAD_S = 0.001  # how long work takes that is given to a thread: others have their turn meanwhile


class Network(Protocol):
    """Where connections lead."""

    async def connect(self, make: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]: ...


class _Jump:
    """In place of a selector: waiting for the next timer moves the clock to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is due any more, and the history is not over")
        self._loop.now += timeout
        return []

    def close(self) -> None: ...


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their times; equal times in the order in which they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_S
        self.network: Network | None = None
        self._selector = _Jump(self)

    def time(self) -> float:
        return self.now

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: str | None = None, port: int | None = None, **_: Any
    ) -> tuple[Any, Any]:
        assert self.network is not None
        assert host is not None
        assert port is not None
        return await self.network.connect(protocol_factory, host, port)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """The work is done at once, and known a moment later: a thread would make histories differ."""
        future = self.create_future()
        result = func(*args)
        self.call_later(THREAD_S, lambda: future.done() or future.set_result(result))
        return future

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...
