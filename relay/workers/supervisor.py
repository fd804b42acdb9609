"""The parent process of several workers: starts them, restarts those that die, replaces them, and stops them. Does I/O.

The parent serves no clients. So what clients send cannot make it fail, and nothing that a worker does delays it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from relay.config import Settings
from relay.errors import StartupError
from relay.gateway.unix_socket import listen_unix
from relay.reload import Reloaded, Reloads, in_force, result
from relay.workers import reloading
from relay.workers.operations import AllWorkers
from relay.workers.ports import Listeners, WorkerPorts, open_worker_ports
from relay.workers.slot import Slot
from relay.workers.starter import Starter

if TYPE_CHECKING:
    from relay.workers.admin import AdminPort


TAILER_NAME = "tailer"


class Supervisor:
    """Runs the workers that the settings ask for, from `run` until `stop` is called. `read` and `on_reloaded` are those
    of `relay.app.Relay`."""

    def __init__(
        self,
        settings: Settings,
        *,
        read: Callable[[], Settings] | None = None,
        on_reloaded: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._reloads = Reloads(read or (lambda: self._settings), self._use)
        self._on_reloaded = on_reloaded
        self._slots: Sequence[Slot] = ()
        self._starter: Starter | None = None
        self._admin: AdminPort | None = None
        self._stop = asyncio.Event()
        self._replace = asyncio.Event()
        self.url = ""  # the URL of the relay; set when `run` has opened the port
        self.admin_url = ""  # the URL of the port for operators, if there is one

    def stop(self) -> None:
        """Ask all workers to stop, and return at once. Clients are sent a notice first; `run` returns when all
        processes have ended."""
        self._stop.set()

    def replace(self) -> None:
        """Ask for new processes in place of all workers, one after the other, and return at once. If they are being
        replaced already, they are replaced once more after that."""
        self._replace.set()

    async def reload(self) -> Reloaded:
        """Read the settings again, and let all processes use them: all of them, or none if one could not. Return what
        has changed. Raises StartupError, which has been logged, if everything stays as it was."""
        return await self._reloads.reload()

    async def _use(self, read: Settings) -> Reloaded:
        old, starter = self._settings, self._starter
        if starter is None:
            raise StartupError("The relay has not opened its ports yet.")
        new = in_force(old, read)
        keys = await self._admin.read(new) if self._admin is not None else None
        await reloading.check(self._slots, read)
        if self._admin is not None and keys is not None:
            self._admin.use(keys, new)
        self._settings = new
        starter.use(new)  # before the running ones use them: one that starts in between has them, too
        for slot in self._slots:
            if slot.name != TAILER_NAME:
                slot.change_drain(new.relay_drain_ms / 1000)
        changed = await reloading.use(self._slots, read)
        self._on_reloaded(new)
        return result(old, read, also=tuple(name.lower() for name in changed))

    async def run(self, on_listening: Callable[[], None] = lambda: None) -> None:
        """Keep the workers running until `stop` is called. `on_listening` is called once, when all of them are ready
        for the first time.

        Raises StartupError if a port cannot be opened, or if a worker cannot start because of its settings or the
        database. On every way out of this method, all its processes have ended.
        """
        settings = self._settings
        try:
            with (
                open_worker_ports(settings) as ports,
                _admin_port(settings) as admin,
                private_directory() as directory,
            ):
                self.url = settings.relay_public_url or ports.url
                self.admin_url = admin.url if admin is not None else ""
                await self._supervise(ports, admin, directory / "feed", on_listening)
        except* StartupError as failures:
            raise failures.exceptions[0] from None

    async def _supervise(
        self, ports: WorkerPorts, admin: AdminPort | None, feed: Path, on_listening: Callable[[], None]
    ) -> None:
        """Keep all processes running on these ports until `stop` is called. `feed` is the path of the Unix socket
        through which the tailer passes the change stream on."""
        operations = AllWorkers()
        starter = Starter(self._settings, operations, feed)
        drain_s = self._settings.relay_drain_ms / 1000
        workers = [
            Slot(str(number), listeners, starter.worker, drain_s=drain_s, on_restart=operations.restarts)
            for number, listeners in enumerate(ports.listeners, 1)
        ]
        tailer_listens = Listeners([partial(listen_unix, feed)])
        tailer = Slot(TAILER_NAME, tailer_listens, starter.tailer, drain_s=0, on_restart=operations.restarts)
        operations.answer_for(workers, tailer)
        self._slots, self._starter, self._admin = (*workers, tailer), starter, admin
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(tailer.keep())
                serving = [group.create_task(slot.keep()) for slot in workers]
                replacing = group.create_task(self._replace_on_request(workers, tailer, on_listening))
                if admin is not None:
                    group.create_task(admin.serve(operations, workers, self._reloads.answer))
                await self._stop.wait()
                replacing.cancel()
                # Now the workers alone have the listening sockets. Each closes its own when it has drained, so that no
                # client waits for a worker that will not come back.
                ports.close()
                for slot in workers:
                    slot.stop()
                await asyncio.gather(*serving)
                # Only now, because clients are sent what happens until the end.
                tailer.stop()
                await feeding
                if admin is not None:
                    admin.stop()
        finally:
            # Processes are left only after an error or a second Ctrl-C.
            for slot in (*workers, tailer):
                slot.kill()
            await asyncio.gather(*(slot.is_empty() for slot in (*workers, tailer)))
            tailer_listens.close()
            starter.close()

    async def _replace_on_request(
        self, workers: Sequence[Slot], tailer: Slot, on_listening: Callable[[], None]
    ) -> None:
        """Call `on_listening` when all workers are ready. From then on, replace all processes each time that is asked
        for. If one cannot be replaced, the others stay, too, because they could not be replaced either."""
        for slot in workers:
            await slot.was_ready.wait()
        on_listening()
        while True:
            await self._replace.wait()
            self._replace.clear()
            for slot in (*workers, tailer):
                if not await slot.replace():
                    break


def _admin_port(settings: Settings) -> AbstractContextManager[AdminPort | None]:
    """Return the port for operators, to be opened, or None if the settings name none."""
    if settings.relay_admin_port is None:
        return nullcontext()
    from relay.workers.admin import open_admin_port  # needs a web framework, and so 24 MB of memory

    return open_admin_port(settings)


@contextmanager
def private_directory() -> Iterator[Path]:
    """Make a directory that only this user can enter, and remove it in the end. Raises StartupError if that fails."""
    try:
        made = tempfile.mkdtemp(prefix="relay-")
    except OSError as failure:
        raise StartupError(
            f"The workers need a temporary directory, and none can be made: {failure.strerror}. Name a directory that "
            "the relay may write to in the variable TMPDIR."
        ) from failure
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)
