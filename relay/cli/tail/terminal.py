"""The terminal of `relay tail`: notices, colours, broken pipes and Ctrl-C. Does I/O."""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import signal
import stat
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from relay.cli.output import READABLE
from relay.cli.process import is_ignored
from relay.cli.tail.options import EXIT_DONE, Selection


async def until_an_end(
    follow: Coroutine[Any, Any, int],
    wanted: Selection,
    out: TextIO,
    sleep: Callable[[float], Awaitable[None]],
) -> int:
    """Run `follow` until it ends, for as long as it is wanted, or until Ctrl-C or the reader of `out` leaves.

    Return the exit code.
    """
    interrupted = asyncio.Event()
    with _interrupt_sets(interrupted):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow)
            ends = [following, group.create_task(_until(interrupted.wait()))]
            ends.append(group.create_task(_until(reader_left(out))))
            if wanted.duration is not None:
                ends.append(group.create_task(_until(sleep(wanted.duration))))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
    return wanted.ended_early if following.cancelled() else following.result()


async def reader_left(out: TextIO) -> None:
    """Return when the program that reads `out` closes it. Without a pipe, wait forever.

    A write would say so too, but the next message may come hours later, and `| head -1` has to end now.
    """
    left = asyncio.Event()
    try:
        descriptor = out.fileno()
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            await left.wait()
        # Of the writing end of a pipe, only this is reported as an event.
        asyncio.get_running_loop().add_reader(descriptor, left.set)
    except (OSError, ValueError, NotImplementedError):
        await left.wait()
    try:
        await left.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
    discard(out)


def prepare(out: TextIO) -> None:
    """Have characters that the encoding of the output does not have replaced by ASCII."""
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors=READABLE)


def is_ascii_only(out: TextIO) -> bool:
    """Does JSON have to be ASCII for this output, because its encoding has not every character?"""
    try:
        return not codecs.lookup(getattr(out, "encoding", None) or "utf-8").name.startswith("utf")
    except LookupError:
        return True


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
