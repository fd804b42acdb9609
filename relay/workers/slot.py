"""The slot of one child: keeps a process running in it, and replaces that process by a new one. Does I/O."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from relay.errors import StartupError
from relay.workers.backoff import Backoff
from relay.workers.child import Child, first_of
from relay.workers.ports import Listeners

log = logging.getLogger(__name__)

GRACE_S = 10.0  # for the end of a process, in addition to the time in which it drains
READY_WITHIN_S = 60.0  # for a replacement: the one before it serves until then
# After this many failures in a row, the listening sockets are closed until the next start. After the first one they
# stay open, and clients that connect wait for the successor.
TOLERATED_FAILURES = 1
# The parent asks the current process every ASK_EVERY_S seconds whether it lives, and kills it when it has left
# UNANSWERED_MAX questions in a row unanswered. One is not enough: after a pause of the whole machine, the time for one
# answer has passed before the process could answer.
ASK_EVERY_S = 10.0
UNANSWERED_MAX = 3

Start = Callable[["Slot", list[int]], Awaitable[Child]]


class Slot:
    """Keeps one child running until `stop` is called.

    `name` is the number of a worker, or `tailer`. `start` starts a process for this slot that serves the listening
    sockets with these descriptors. `drain_s` is the time that it may take to say goodbye to its clients. `on_restart`
    is called with this slot each time a process has died and will be started again.
    """

    def __init__(
        self,
        name: str,
        listeners: Listeners,
        start: Start,
        *,
        drain_s: float,
        on_restart: Callable[[Slot], None],
    ) -> None:
        self.name = name
        self.current: Child | None = None  # the process that serves; None while there is none
        self.was_ready = asyncio.Event()  # set when the first process of this slot is ready
        self._listeners = listeners
        self._start = start
        self._on_restart = on_restart
        self._end_within_s = drain_s + GRACE_S
        self._children: set[Child] = set()  # all that may still run, also those that are being replaced
        self._replaced = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether a process serves in this slot that has begun its work."""
        return self.current is not None and self.current.ready.is_set() and not self.current.ended.is_set()

    @property
    def living(self) -> list[Child]:
        """All processes of this slot that have not ended: the current one, and one that it replaces or that will
        replace it."""
        return [child for child in self._children if not child.ended.is_set()]

    @property
    def serving(self) -> list[Child]:
        """The processes of this slot that may have clients: the current one, and those that it has replaced and that
        have not ended. One that is only starting, to replace the current one, is left out."""
        return [child for child in self.living if child is self.current or child.ready.is_set()]

    def change_drain(self, drain_s: float) -> None:
        """Give processes this time to say goodbye to their clients from now on."""
        self._end_within_s = drain_s + GRACE_S

    def stop(self) -> None:
        """Ask all processes of this slot to end, and return at once. `keep` returns when they have ended."""
        self._stopping.set()
        for child in self._children:
            child.terminate()

    def kill(self) -> None:
        """End all processes of this slot at once."""
        for child in self._children:
            child.kill()

    async def is_empty(self) -> None:
        """Wait until all processes of this slot have ended."""
        for child in self._children:
            await child.ended.wait()

    async def keep(self) -> None:
        """Keep a process running until `stop` is called, and return when all processes of this slot have ended.

        Raises StartupError if the first one cannot start because of its settings or the database. Later such failures
        are logged and tried again like any other, because other workers may serve on.
        """
        backoff = Backoff()
        watching = asyncio.create_task(self._kill_what_hangs())
        try:
            while not self._stopping.is_set():
                lived_s, reason = await self._run_one()
                if self._stopping.is_set():
                    break
                pause_s = backoff.failed(lived_s)
                if backoff.failures > TOLERATED_FAILURES:
                    self._listeners.close()
                self._on_restart(self)
                fields = {"worker": self.name, "ended": reason, "again_in_s": pause_s}
                log.error("a process of the relay ended and will be started again", extra=fields)
                await first_of(self._stopping, seconds=pause_s)
        finally:
            watching.cancel()
        await asyncio.gather(*(self._end(child) for child in self._children))

    async def replace(self) -> bool:
        """Start another process on the same listening sockets and, when it is ready, let the current one go. Return
        when that one has drained and ended.

        If the new process does not get ready, the current one stays, and this method returns False. If the current one
        dies meanwhile, it gets a successor anyway, and this method returns True.
        """
        old = self.current
        if old is None:
            return True
        try:
            new = await self._begin()
        except (OSError, StartupError) as failure:
            return self._keeps_the_old(str(failure))
        if not await new.is_ready_within(READY_WITHIN_S):
            ended = new.refused or (new.ending if new.ended.is_set() else "it was not ready in time")
            new.kill()
            await self._end(new)
            return self._keeps_the_old(ended)
        if self.current is not old:
            new.terminate()
            await self._end(new)
            return True
        self.current = new
        self._replaced.set()
        old.retire()
        await self._end(old)
        log.info("a process of the relay was replaced", extra={"worker": self.name})
        return True

    def _keeps_the_old(self, reason: str) -> bool:
        fields = {"worker": self.name, "reason": reason}
        log.error("a process of the relay was not replaced: its successor could not start", extra=fields)
        return False

    async def _run_one(self) -> tuple[float, str]:
        """Run one process, and those that replace it, until the current one ends or `stop` is called. Return how many
        seconds it has lived, and how it ended. Raises StartupError for the first process of the slot."""
        try:
            child = self.current = await self._begin()
        except (OSError, StartupError) as failure:
            return 0.0, str(failure)
        while not self._stopping.is_set():
            self._replaced.clear()
            await first_of(child.ended, self._replaced, self._stopping)
            if self.current is child and child.ended.is_set():
                break
            child = self.current
        self.current = None
        if child.refused is not None and not self.was_ready.is_set():
            raise StartupError(child.refused)
        return child.lived_s, child.refused or child.ending

    async def _kill_what_hangs(self) -> None:
        """Ask the current process regularly whether it lives, and kill it when it no longer answers.

        The kernel would go on to give it new clients, which would never be served.
        """
        asked: Child | None = None
        unanswered = 0
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            if self.current is not asked:
                asked, unanswered = self.current, 0
            if asked is None or not self.is_running:
                continue
            unanswered = 0 if await asked.answers_within(ASK_EVERY_S) else unanswered + 1
            if unanswered == UNANSWERED_MAX and asked is self.current and self.is_running:
                log.error("a process of the relay hangs and is killed", extra={"worker": self.name})
                asked.kill()

    async def _begin(self) -> Child:
        """Start a process. Raises OSError if that is not possible, and StartupError if its ports cannot be opened."""
        child = await self._start(self, self._listeners.open())
        self._children = {one for one in self._children if not one.ended.is_set()} | {child}
        if self._stopping.is_set():  # it was called meanwhile
            child.terminate()
        return child

    async def _end(self, child: Child) -> None:
        if not await child.end_within(self._end_within_s):
            log.warning(
                "a process of the relay did not end in time and was killed", extra={"worker": self.name}
            )
