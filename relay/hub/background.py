"""Background jobs: work that its owner starts, does not wait for, and ends when it closes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Background:
    """The jobs of one owner. A job that fails is logged under its name, and ends no other."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        """Start this work under the name `job`, which the log shows."""
        task = asyncio.get_running_loop().create_task(work, name=job)
        self._tasks.add(task)  # the loop keeps only weak references to its tasks
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Cancel every job and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a background job failed", extra={"job": task.get_name()}, exc_info=failure)
