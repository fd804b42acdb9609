"""The terminal of `relay tail`: notices, colours, broken pipes and Ctrl-C. Does I/O."""

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
    """Run `follow` until it ends, for `duration` seconds, or until Ctrl-C. Return the exit code."""
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
    """Set the encoding of the output: UTF-8 for JSON, which is defined so. For people it stays that of the terminal,
    and characters that this cannot show are replaced by ASCII."""
    if isinstance(out, io.TextIOWrapper):
        if json:
            out.reconfigure(encoding="utf-8")
        else:
            out.reconfigure(errors=READABLE)


def wants_color(out: TextIO, color: bool | None) -> bool:
    """Shall the output have colours? `color` decides; None leaves it to the terminal and NO_COLOR."""
    return is_terminal(out) and "NO_COLOR" not in os.environ if color is None else color


def is_terminal(stream: TextIO) -> bool:
    """Does the stream lead to a terminal that understands ANSI sequences?"""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say(err: TextIO, notice: str) -> None:
    """Print a notice on one line of standard error."""
    try:
        err.write(notice + "\n")
        err.flush()
    except BrokenPipeError:
        discard(err)  # nobody reads the notices; the messages continue


def discard(stream: TextIO) -> None:
    """Redirect a stream that nobody reads to /dev/null, so that the flush at exit does not fail."""
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
    """Make the first Ctrl-C set the event, which ends the tail in good order. Where SIGINT is ignored, as in the
    background of a script, it stays ignored.

    The second Ctrl-C raises KeyboardInterrupt: a write into a full pipe blocks the loop, and would ignore the event.
    """
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
    except ValueError:  # not in the main thread, which alone handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
