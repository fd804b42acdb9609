"""The process of a command: what Ctrl-C does where Python cannot raise KeyboardInterrupt."""

from __future__ import annotations

import subprocess
import sys

import pytest

PRELUDE = """
import atexit
import signal
import weakref

from relay.cli import process

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a script in the background ignores
process.raise_on_interrupt()


def interrupt(_=None):
    signal.raise_signal(signal.SIGINT)


@atexit.register
def clean_up():
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        interrupt()  # Ctrl-C is pressed once more
    print("cleaned up", flush=True)


class Thing:
    pass


"""
CALLBACK = """
thing = Thing()
reference = weakref.ref(thing, interrupt)
"""
DESTRUCTOR = """
Thing.__del__ = interrupt
thing = Thing()
"""


@pytest.mark.parametrize("prepare", [CALLBACK, DESTRUCTOR], ids=["weak reference", "destructor"])
def test_ctrl_c_in_a_callback_that_python_runs_ends_the_process_without_a_traceback(prepare: str) -> None:
    """Regression: repeated Ctrl-C at the end of `relay mongod` printed "Exception ignored in" and a traceback."""
    code = f"{PRELUDE}{prepare}\ndel thing\nprint('went on', flush=True)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "cleaned up\n", "")


def test_another_failure_in_such_a_callback_is_still_reported() -> None:
    code = f"{PRELUDE}{CALLBACK}reference = weakref.ref(thing, lambda _: 1 / 0)\ndel thing"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "cleaned up\n")
    assert "ZeroDivisionError" in ended.stderr
