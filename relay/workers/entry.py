"""The process of a child of the parent: how it begins, receives its assignment, and ends. `python -m MODULE FD`.

FD is the descriptor of its end of the control channel. Everything else, secrets included, comes through the channel: a
command line can be read by every user of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn, Protocol

from relay.cli import logs, loop, output, process
from relay.cli.signals import on_signals
from relay.config import Settings
from relay.errors import StartupError, Unanswered
from relay.workers.assignment import restored
from relay.workers.channel import Answer, Channel

log = logging.getLogger(__name__)

EXIT_CANNOT_START = 3
PARENT_ANSWERS_WITHIN_S = 3.0  # longer than the parent waits for the workers


class Work(Protocol):
    """What a child process does."""

    async def run(self, settings: Settings, assignment: dict[str, Any], channel: Channel) -> None:
        """Do the work until `stop` or `retire` is called, and tell the parent `ready` when it has begun. Raises
        StartupError if the settings or the database do not permit the work."""

    def stop(self) -> None:
        """Ask for the end of the work, and return at once. May be called before `run`."""

    def retire(self) -> None:
        """Ask for the end of the work like `stop`, because another process takes over the listening sockets."""

    async def check(self, settings: Settings) -> None:
        """Raise StartupError if `reload` could not use these settings."""

    async def reload(self, settings: Settings) -> list[str]:
        """Use these settings from now on, except those that need a restart, and return the names of those that have
        changed. Raises StartupError if they cannot be used."""

    def figures(self) -> dict[str, Any]:
        """Return what operators may want to know about this process. May be called before `run`."""

    def answers(self) -> Mapping[str, Answer]:
        """Return what else the parent may ask, by its name in the control channel. May be called before `run`."""

    def orphaned(self) -> None:
        """Tidy up what the parent would have tidied up: the parent is dead."""


def main(work: Work, *, heeds_signals: bool = True) -> NoReturn:
    """Do this work in an event loop until the parent asks for the end, and end this process. With `heeds_signals`, the
    signals that stop a relay ask for the end, too; without, they are ignored."""
    process.leave_on_interrupt()
    # These signals are for the parent. They would end a child that somebody sends them to by mistake.
    for number in (signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    output.prepare()
    logs.begin(os.environ)
    try:
        code = loop.run(_run(work, int(sys.argv[1]), heeds_signals))
    except BaseException:
        log.critical("a process of the relay failed", exc_info=True)
        code = 1
    process.end(code)


async def _run(work: Work, descriptor: int, heeds_signals: bool) -> int:
    """Do the work, with this descriptor of the control channel. Return the exit code."""

    async def figures(_: Any) -> dict[str, Any]:
        return work.figures()

    name = ""

    async def check(given: dict[str, Any]) -> dict[str, Any]:
        return await _answered(work.check(restored(given)))

    async def reload(given: dict[str, Any]) -> dict[str, Any]:
        new = restored(given)
        answer = await _answered(work.reload(new))
        if "refused" not in answer:
            logs.configure(new.relay_log_format, new.relay_log_level, worker=name)
        return answer

    channel = await Channel.over(
        socket.socket(fileno=descriptor),
        answers={"figures": figures, "check": check, "reload": reload, **work.answers()},
        notices={"stop": lambda _: work.stop(), "retire": lambda _: work.retire()},
    )
    connected = asyncio.create_task(channel.run())
    # If the parent is dead, another one may be about to open the same ports.
    connected.add_done_callback(lambda _: work.retire())
    try:
        assignment = await channel.ask("assignment", within_s=PARENT_ANSWERS_WITHIN_S)
    except Unanswered:
        return 0
    settings, name = restored(assignment["settings"]), assignment["name"]
    logs.configure(settings.relay_log_format, settings.relay_log_level, worker=name)
    process.tune_garbage_collection()
    process.give_memory_back()
    on_signals(work.stop if heeds_signals else lambda: None)
    code = 0
    try:
        await work.run(settings, assignment, channel)
        channel.tell("figures", work.figures())
    except StartupError as failure:
        channel.tell("refused", str(failure))
        code = EXIT_CANNOT_START
    if connected.done():
        work.orphaned()
    await channel.flush()
    return code


async def _answered(work: Coroutine[Any, Any, list[str] | None]) -> dict[str, Any]:
    """Return what a part of a reload has changed, or the sentence of its StartupError, as an answer for the parent."""
    try:
        return {"changed": await work or []}
    except StartupError as failure:
        return {"refused": str(failure)}
