"""Two streams and a keyboard: notices, colours, broken pipes, Ctrl-C. Does I/O."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from relay.cli.output import READABLE
from relay.cli.process import is_ignored
from relay.cli.tail.options import EXIT_DONE


async def until_an_end(
    follow: Coroutine[Any, Any, int], duration: float | None, sleep: Callable[[float], Awaitable[None]]
) -> int:
    """Follow until its own end, the duration or Ctrl-C; the exit code."""
    interrupted = asyncio.Event()
    with _interrupt_sets(interrupted):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow)
            ends = [following, group.create_task(_until(interrupted.wait()))]
            if duration is not None:
                ends.append(group.create_task(_until(sleep(duration))))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
    return EXIT_DONE if following.cancelled() else following.result()


def prepare(out: TextIO, *, json: bool) -> None:
    """JSON is UTF-8 by definition; for people, what the terminal cannot show is put into ASCII."""
    if isinstance(out, io.TextIOWrapper):
        if json:
            out.reconfigure(encoding="utf-8")
        else:
            out.reconfigure(errors=READABLE)


def wants_color(out: TextIO, color: bool | None) -> bool:
    return is_terminal(out) and "NO_COLOR" not in os.environ if color is None else color


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say(err: TextIO, notice: str) -> None:
    try:
        err.write(notice + "\n")
        err.flush()
    except BrokenPipeError:
        discard(err)  # nobody listens to notices; the messages go on


def discard(stream: TextIO) -> None:
    """Point a stream nobody reads at nothing, so that the flush at exit has nothing to complain about."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


async def _until(end: Awaitable[Any]) -> int:
    await end
    return EXIT_DONE


@contextmanager
def _interrupt_sets(event: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C ends the tail in good order. The second is the usual KeyboardInterrupt: a write into a
    full pipe holds the loop, and must not hold the user. Where SIGINT is ignored, as in the background of a script, it
    stays so."""
    if is_ignored(signal.SIGINT):
        yield
        return
    loop = asyncio.get_running_loop()
    pressed = False

    def press(_signal: int, _frame: types.FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        loop.call_soon_threadsafe(event.set)

    try:
        previous = signal.signal(signal.SIGINT, press)
    except ValueError:  # not in the main thread: Ctrl-C is somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
