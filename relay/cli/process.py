"""The process of a command: what signals do before and after its event loop, and how the process ends.

Rule of this file: it imports only modules that load at once, because `relay.__main__` calls it before anything else.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130
# Objects allocated before the youngest generation is looked at. CPython's default of 700 is reached with every 50
# changes, and the relay makes next to no reference cycles: each look would find nothing.
YOUNG_OBJECTS = 10_000
# The parameters of mallopt(3), and their values here. An object of at least MAPPED_BYTES gets memory of its own, which
# goes back to the system with the object. The GNU C library raises the limit to the size of the largest object that was
# freed, up to 32 MB, and then keeps twice as much: after one reply of 16 MB, as the database sends them, 60 MB more.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
MAPPED_BYTES = 512 * 1024
KEPT_BYTES = 4 * 1024 * 1024  # that are free at the end of the heap: a burst need not ask for them again


def leave_on_interrupt() -> None:
    """Make Ctrl-C end this process at once, printing nothing. For the time before and after the event loop.

    If SIGINT was ignored when the process started, as for a background job of a script, it stays ignored.
    """
    _on_interrupt(_leave)


def raise_on_interrupt() -> None:
    """Make Ctrl-C raise KeyboardInterrupt, on which asyncio cancels what runs. Ignored, it stays ignored.

    Python cannot raise it in the callback of a weak reference or in a destructor: there Ctrl-C ends the process.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable
    _on_interrupt(signal.default_int_handler)


def is_ignored(number: signal.Signals) -> bool:
    """Does this process ignore the signal?"""
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def interrupt_held(meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Delay Ctrl-C until this block ends, so that what the block creates or removes is never left half done.

    Each Ctrl-C during the block calls `meanwhile`; after the block it takes effect. Outside of the main thread nothing
    is delayed, because only the main thread is interrupted.
    """
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


def tune_garbage_collection() -> None:
    """Make CPython's cyclic garbage collector run seldom, as suits a process that runs for days. The objects that
    exist now (modules, classes) are never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 5, 5)


def give_memory_back() -> None:
    """Make the C library give the memory of large objects back to the system when they are freed. Where the C library
    cannot do that, or the environment says what it shall do, nothing is changed."""
    import ctypes

    if "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


def end(code: int) -> NoReturn:
    """End this process with this exit code. From here on SIGTERM and SIGHUP are ignored, and Ctrl-C ends it at once.

    Python itself would wait for every thread. A thread that resolves the name of a host cannot be stopped, so a name
    server that does not answer would delay the end for minutes. Here all threads end, whatever they are doing.
    Functions that were registered with `atexit` are called; the caller has flushed standard output.
    """
    leave_on_interrupt()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    os._exit(code)


def _on_interrupt(handler: Callable[[int, FrameType | None], object]) -> None:
    if not is_ignored(signal.SIGINT):
        signal.signal(signal.SIGINT, handler)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_type is KeyboardInterrupt:
        # Python would print its traceback and go on, as if Ctrl-C had not been pressed. A further Ctrl-C is ignored:
        # the functions registered with `atexit` may still have a program to stop and files to remove.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end(EXIT_INTERRUPTED)
    sys.__unraisablehook__(unraisable)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_INTERRUPTED)
