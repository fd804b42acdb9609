"""`relay serve`: one relay in this process, or several in processes of their own, until a signal asks for the end."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from relay import config
from relay.cli import logs, output
from relay.cli.process import give_memory_back, tune_garbage_collection
from relay.cli.signals import on_signal, on_signals
from relay.config import Settings
from relay.errors import StartupError
from relay.metrics import DroppedLines

if TYPE_CHECKING:
    from relay.app import Relay
    from relay.workers.supervisor import Supervisor


log = logging.getLogger(__name__)


def run(
    settings: Settings, read: Callable[[], Settings], on_listening: Callable[[str], None]
) -> Coroutine[Any, Any, None]:
    """Return a coroutine that serves until a signal comes. It calls `on_listening` with the relay's address, and `read`
    for the settings again each time that SIGHUP asks for a reload. Raises StartupError, and so does the coroutine.

    What it needs is imported here, before an event loop runs: only then does Ctrl-C end the process at once. The parent
    of several workers needs little of what one relay needs.
    """
    if settings.relay_workers == 1 and not settings.relay_worker_ports:
        from relay.app import Relay

        relay = Relay(settings, read=read, on_reloaded=_reloaded)
        relay.metrics.registry.register(DroppedLines(output.dropped))
        return _run_one(relay, on_listening)
    from relay.workers.supervisor import Supervisor

    return _run_workers(Supervisor(settings, read=read, on_reloaded=_reloaded), on_listening)


def description(settings: Settings) -> dict[str, object]:
    """Return what the first line of the log says: which program this is, where it listens, and what it uses."""
    return {
        "version": version("task-relay"),
        "python": platform.python_version(),
        "pid": os.getpid(),
        "workers": settings.relay_workers,
        "listen": settings.relay_listen or f"{settings.relay_host}:{settings.relay_port}",
        "adminPort": settings.relay_admin_port,
        "mapping": settings.relay_mapping is not None,
        "redis": bool(settings.relay_redis_url.get_secret_value()),
        "tls": settings.relay_tls_cert is not None,
    }


async def _run_one(relay: Relay, on_listening: Callable[[str], None]) -> None:
    on_signals(relay.stop, _soon(relay.reload))
    tune_garbage_collection()
    give_memory_back()
    await relay.run(lambda: on_listening(relay.url))


async def _run_workers(supervisor: Supervisor, on_listening: Callable[[str], None]) -> None:
    on_signals(supervisor.stop, _soon(supervisor.reload))
    on_signal(signal.SIGUSR1, supervisor.replace)
    await supervisor.run(lambda: on_listening(supervisor.url))


def _soon(reload: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """Return a function that starts a reload and returns at once."""
    running: set[asyncio.Task[None]] = set()  # the event loop itself keeps only a weak reference to a task

    async def quietly() -> None:
        with suppress(StartupError):  # it has been logged
            await reload()

    def start() -> None:
        task = asyncio.get_running_loop().create_task(quietly())
        running.add(task)
        task.add_done_callback(running.discard)

    return start


def _reloaded(settings: Settings) -> None:
    """Use the settings of the log, and warn of names in the settings file that are no settings."""
    logs.configure(settings.relay_log_format, settings.relay_log_level)
    with suppress(StartupError):  # the file is gone again
        for warning in config.unknown_in_file(settings):
            log.warning(warning)
