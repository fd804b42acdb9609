"""`relay serve`: one relay in this process, or several in processes of their own, until a signal asks for the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from relay.cli import output
from relay.cli.process import give_memory_back, tune_garbage_collection
from relay.cli.signals import on_signal, on_signals
from relay.config import Settings
from relay.metrics import DroppedLines

if TYPE_CHECKING:
    from relay.app import Relay
    from relay.workers.supervisor import Supervisor


def run(settings: Settings, on_listening: Callable[[str], None]) -> Coroutine[Any, Any, None]:
    """Return a coroutine that serves until a signal comes. It calls `on_listening` with the relay's address. Raises
    StartupError, and so does the coroutine.

    What it needs is imported here, before an event loop runs: only then does Ctrl-C end the process at once. The parent
    of several workers needs little of what one relay needs.
    """
    if settings.relay_workers == 1 and not settings.relay_worker_ports:
        from relay.app import Relay

        relay = Relay(settings)
        relay.metrics.registry.register(DroppedLines(output.dropped))
        return _run_one(relay, on_listening)
    from relay.workers.supervisor import Supervisor

    return _run_workers(Supervisor(settings), on_listening)


async def _run_one(relay: Relay, on_listening: Callable[[str], None]) -> None:
    on_signals(relay.stop)
    tune_garbage_collection()
    give_memory_back()
    await relay.run(lambda: on_listening(relay.url))


async def _run_workers(supervisor: Supervisor, on_listening: Callable[[str], None]) -> None:
    on_signals(supervisor.stop)
    on_signal(signal.SIGUSR1, supervisor.replace)
    await supervisor.run(lambda: on_listening(supervisor.url))
