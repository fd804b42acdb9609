"""Starts the children of the parent: gives each its assignment, and answers what it asks. Does I/O."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from relay.auth.shared_counts import SharedCounts
from relay.config import Settings
from relay.errors import StartupError
from relay.workers.assignment import TailerAssignment, WorkerAssignment, plain
from relay.workers.channel import Answer
from relay.workers.child import Child
from relay.workers.operations import AllWorkers
from relay.workers.slot import Slot

WORKER, TAILER = "relay.workers.worker", "relay.workers.tailer"  # the modules that the children run


class Starter:
    """Starts workers and the tailer with these settings. `feed` is the path of the tailer's Unix socket. Raises
    StartupError if the system refuses the memory that the workers share."""

    def __init__(self, settings: Settings, operations: AllWorkers, feed: Path) -> None:
        self._settings = settings
        self._operations = operations
        self._feed = feed
        # One slot more than workers, for the successor of the one that is being replaced.
        slots = settings.relay_workers + 1
        try:
            self._counts = SharedCounts.create(slots, settings.relay_max_connections)
        except OSError as failure:
            reason = failure.strerror or str(failure)
            raise StartupError(f"The workers can get no memory to count together in: {reason}.") from failure
        self._free = list(range(slots))  # the slots of `_counts` that no living process has

    async def worker(self, slot: Slot, sockets: list[int]) -> Child:
        """Start a worker that serves the listening sockets with these descriptors. Raises OSError if that fails."""
        counts_slot = self._free.pop(0)
        assignment = WorkerAssignment(
            settings=plain(self._settings),
            name=slot.name,
            sockets=sockets,
            counts=self._counts.descriptor,
            counts_slot=counts_slot,
            feed=str(self._feed),
        )

        async def readiness(_: Any) -> dict[str, Any]:
            return await self._operations.readiness()

        async def metrics(_: Any) -> str:
            return (await self._operations.metrics()).decode()

        def ended(child: Child | None) -> None:
            self._counts.clear(counts_slot)
            self._free.append(counts_slot)
            if child is not None:
                self._operations.ended(child)

        answers = {"assignment": self._answer(assignment), "readiness": readiness, "metrics": metrics}
        inherited = (*sockets, self._counts.descriptor)
        try:
            return await Child.start(WORKER, inherited, answers, on_ready=slot.was_ready.set, on_ended=ended)
        except BaseException:
            ended(None)
            raise

    async def tailer(self, slot: Slot, sockets: list[int]) -> Child:
        """Start the tailer, which listens on the Unix socket with this descriptor. Raises OSError if that fails."""
        (listening,) = sockets
        assignment = TailerAssignment(plain(self._settings), slot.name, listening, str(self._feed.parent))
        answers = {"assignment": self._answer(assignment)}
        on_ready, on_ended = slot.was_ready.set, self._operations.ended
        return await Child.start(TAILER, sockets, answers, on_ready=on_ready, on_ended=on_ended)

    def use(self, settings: Settings) -> None:
        """Start further processes with these settings."""
        self._settings = settings

    def _answer(self, assignment: WorkerAssignment | TailerAssignment) -> Answer:
        async def handler(_: Any) -> dict[str, Any]:
            # With the settings of now: a reload does not reach a process that has not begun.
            return asdict(assignment) | {"settings": plain(self._settings)}

        return handler

    def close(self) -> None:
        """Free what the workers share. They keep their own share until they end."""
        self._counts.close()
