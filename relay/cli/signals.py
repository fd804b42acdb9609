"""What signals do while a command's event loop runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from relay.cli.process import is_ignored, raise_on_interrupt


def on_signals(stop: Callable[[], None], reload: Callable[[], None] | None = None) -> None:
    """Call `stop` in the running loop on SIGTERM, on SIGINT and when the terminal closes (SIGHUP).

    With `reload`, SIGHUP calls that instead, unless the process was started from a terminal that is gone by then.
    A second SIGINT is Python's own KeyboardInterrupt. Any other further signal changes nothing, also after the loop is
    closed. SIGINT and SIGHUP stay ignored where they are ignored, as in the background of a script or under nohup.
    """
    had_terminal = has_terminal()

    def hang_up() -> None:
        if reload is None or (had_terminal and not has_terminal()):
            stop()
        else:
            reload()

    for number, call in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, hang_up)):
        if number is signal.SIGTERM or not is_ignored(number):
            on_signal(number, call)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal. It has none any more once that terminal has closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def on_signal(number: signal.Signals, call: Callable[[], None]) -> None:
    """Call `call` in the running loop each time this signal comes, until the loop is closed; then ignore the signal. A
    second SIGINT is Python's own KeyboardInterrupt."""
    loop = asyncio.get_running_loop()

    # Not the loop's own handlers: closing the loop would restore the default ones, which kill the process.
    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            raise_on_interrupt()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(call)

    signal.signal(number, handle)
