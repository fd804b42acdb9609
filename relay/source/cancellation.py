"""Notice a cancellation that a driver has swallowed. Does no I/O."""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """Raise CancelledError if the current task was asked to end. To be called after waiting for a driver.

    The drivers of MongoDB and Redis send with `asyncio.wait_for`. On Python 3.11, it swallows a cancellation that comes
    at the moment in which the sending ends; without this check the task would go on forever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
