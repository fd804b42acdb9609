"""Run the coroutine of a command in an event loop, which Ctrl-C ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from relay.cli import process


def run(work: Coroutine[Any, Any, int | None]) -> int:
    """Run the coroutine to its end and return its exit code: None is 0, and Ctrl-C gives 130."""
    process.raise_on_interrupt()
    try:
        return asyncio.run(_with_executor(work)) or 0
    except KeyboardInterrupt:
        return process.EXIT_INTERRUPTED
    finally:
        process.leave_on_interrupt()


async def _with_executor(work: Coroutine[Any, Any, int | None]) -> int | None:
    asyncio.get_running_loop().set_default_executor(_Unawaited(thread_name_prefix="asyncio"))
    return await work


class _Unawaited(ThreadPoolExecutor):
    """An executor whose shutdown does not wait for its threads: one that resolves the name of a host cannot be
    stopped, and a name server that does not answer would delay the end for minutes."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)
