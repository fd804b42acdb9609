"""A server that ends with this process."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any


def spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program as subprocess.Popen does with these options. On Linux it is killed when this process ends,
    however that happens. Ctrl-C in the terminal does not reach it."""
    options["start_new_session"] = True
    if sys.platform == "linux":
        options["preexec_fn"] = _die_with_parent()
    started: Future[subprocess.Popen[bytes]] = Future()

    def keep() -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - the server the user installed, our own arguments
                command, stdin=subprocess.DEVNULL, **options
            )
        except BaseException as failure:
            started.set_exception(failure)
        else:
            started.set_result(process)
            process.wait()

    # Linux kills the child when the thread that spawned it ends, not the process. `spawn` may be called in a thread
    # that ends early, so a thread of its own spawns the server and waits for it.
    threading.Thread(target=keep, name=command[0], daemon=True).start()
    return started.result()


def _die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_pdeathsig = 1

    def in_child() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)

    return in_child
