"""The process of a command: what signals do before and after its event loop, and how it ends.

Imports only what is there at once: `relay.__main__` needs this before anything else.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130


def leave_on_interrupt() -> None:
    """Let Ctrl-C end this process at once and without a word: for as long as no event loop hears it. Where SIGINT
    was ignored at the start, as for a background job of a script, it stays ignored."""
    _on_interrupt(_leave)


def raise_on_interrupt() -> None:
    """Let Ctrl-C be a KeyboardInterrupt, which asyncio turns into the end of what runs; ignored stays ignored."""
    _on_interrupt(signal.default_int_handler)


def is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def interrupt_held(meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold Ctrl-C back while this block runs, so that what it began is there as a whole or gone as a whole; each
    one calls `meanwhile`. After the block it counts. In another thread than the main one nothing interrupts."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = False

    def hold(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        meanwhile()

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def end(code: int) -> NoReturn:
    """End this process with this exit code. What asked for the end changes nothing any more, but for Ctrl-C, which
    ends it at once.

    Python itself would wait for every thread, and one that asks for the address of a host cannot be stopped: a name
    server that does not answer would hold us for minutes. So all threads end here, whatever they do. What is
    registered with `atexit` is called; standard output has been flushed by then.
    """
    leave_on_interrupt()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    os._exit(code)


def _on_interrupt(handler: Callable[[int, FrameType | None], object]) -> None:
    if not is_ignored(signal.SIGINT):
        signal.signal(signal.SIGINT, handler)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_INTERRUPTED)
