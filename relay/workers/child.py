"""One child process of the parent, and its end of the control channel. Does I/O."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from relay.errors import AnswerFailed, Unanswered
from relay.workers.channel import Answer, Channel


class Child:
    """A running child process. It has begun its work once `ready` is set, and is gone once `ended` is.

    `refused` is the sentence of a child that could not start because of its settings or the database (StartupError).
    `last_figures` is what the child said about itself just before it ended; None if it was killed.
    """

    channel: Channel

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        on_ready: Callable[[], None],
        on_ended: Callable[[Child], None],
    ) -> None:
        self._process = process
        self._on_ready = on_ready
        self._on_ended = on_ended
        self._started_at = time.monotonic()
        self._running: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.refused: str | None = None
        self.last_figures: dict[str, Any] | None = None

    @classmethod
    async def start(
        cls,
        module: str,
        descriptors: Sequence[int],
        answers: Mapping[str, Answer],
        *,
        on_ready: Callable[[], None] = lambda: None,
        on_ended: Callable[[Child], None] = lambda _: None,
    ) -> Self:
        """Start `python -m module` and return it. It inherits these descriptors, and may ask for what `answers` names.

        `on_ready` and `on_ended` are called once each, when the child has begun its work and when it is gone. Raises
        OSError if no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(module, theirs.fileno(), descriptors)
            except BaseException:
                ours.close()
                raise
        child = cls(process, on_ready, on_ended)
        notices = {"ready": child._note_ready, "refused": child._note_refused, "figures": child._note_figures}
        try:
            child.channel = await Channel.over(ours, answers=answers, notices=notices)
        except BaseException:  # above all a cancellation: nobody else knows the process yet, and could end it
            ours.close()
            process.kill()
            process.wait()
            raise
        child._running = asyncio.create_task(child._run())
        return child

    async def _run(self) -> None:
        try:
            # The channel ends with the process. Reading it to its end makes sure that no last note is missed.
            await self.channel.run()
            await asyncio.to_thread(self._process.wait)
        finally:  # also if the parent ends at once, after a second Ctrl-C: then nobody may wait for this any longer
            self.ended.set()
            self._on_ended(self)

    def _note_ready(self, _: Any) -> None:
        if not self.ready.is_set():
            self.ready.set()
            self._on_ready()

    def _note_refused(self, sentence: Any) -> None:
        self.refused = str(sentence)

    def _note_figures(self, figures: Any) -> None:
        self.last_figures = figures

    @property
    def lived_s(self) -> float:
        """The seconds since its start."""
        return time.monotonic() - self._started_at

    @property
    def ending(self) -> str:
        """How the process ended: the name of a signal, or its exit code."""
        code = self._process.returncode
        if code is None:
            return "not yet"
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    async def is_ready_within(self, seconds: float) -> bool:
        """Wait until the child is ready, for at most `seconds`. Return False if it is not, or if it ended before."""
        await first_of(self.ready, self.ended, seconds=seconds)
        return self.ready.is_set() and not self.ended.is_set()

    async def answers_within(self, seconds: float) -> bool:
        """Ask the child about itself, and return whether it answers anything within `seconds`."""
        try:
            await self.channel.ask("figures", within_s=seconds)
        except AnswerFailed:
            return True
        except Unanswered:
            return False
        return True

    def retire(self) -> None:
        """Ask the child to leave its listening sockets to its successor, to end its work and then itself."""
        self.channel.tell("retire")

    def terminate(self) -> None:
        """Ask the child to end its work and then itself."""
        self.channel.tell("stop")
        self._process.terminate()  # ends it at once if it has not begun

    def kill(self) -> None:
        """End the child at once (SIGKILL)."""
        self._process.kill()

    async def end_within(self, seconds: float) -> bool:
        """Wait until the child has ended. If that takes longer than `seconds`, kill it and return False."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            self.kill()
            await self.ended.wait()
            return False
        return True


def _spawn(module: str, channel: int, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start `python -m module channel`, which inherits these descriptors and that of its end of the channel.

    Not by asyncio: its processes print a warning if a signal is sent to one that has just died, and do not know how it
    ended then.
    """
    return subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
        [sys.executable, "-P", "-m", module, str(channel)],
        stdin=subprocess.DEVNULL,
        pass_fds=(channel, *descriptors),
        env=os.environ | {"PYTHONPATH": _import_path()},
        # A session of its own keeps the signals of a terminal (Ctrl-C, hang-up) away from the child: the parent
        # receives them, and stops its children in order.
        start_new_session=True,
    )


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until one of these events is set, for at most `seconds` (None: forever)."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _import_path() -> str:
    """Return the value of PYTHONPATH with which a child imports the same modules as this process.

    A child runs with the option -P, because `python -m` would otherwise import from the current directory first. An
    empty entry stands for this directory, where this process imports from it."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)
