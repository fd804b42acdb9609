"""Background jobs: coroutines that an owner starts without waiting for them, and cancels when it closes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Background:
    """The background jobs of one owner. A job that fails is logged with its name, and the other jobs continue."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        """Start the coroutine `work` in the background. `job` is its name, which the log shows if it fails."""
        task = asyncio.get_running_loop().create_task(work, name=job)
        self._tasks.add(task)  # the loop keeps only weak references to its tasks
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Cancel every job, and wait until all of them have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a background job failed", extra={"job": task.get_name()}, exc_info=failure)
