"""Passes new settings on to all children of the parent: first all of them check the settings, then all use them. Does
I/O.

A child that could not use what it has checked, because a file or the database has changed its mind in between, is ended
and started again, with the new settings. So in the end all processes have the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from relay.config import Settings
from relay.errors import StartupError, Unanswered
from relay.workers.assignment import plain
from relay.workers.child import Child, first_of
from relay.workers.slot import Slot

log = logging.getLogger(__name__)

CHECKED_WITHIN_S = 20.0  # keys may have to be fetched
USED_WITHIN_S = (
    60.0  # a new mapping waits for the database, and a process that is starting has to start first
)
GONE_WITHIN_S = 1.0


async def check(slots: Sequence[Slot], settings: Settings) -> None:
    """Raise StartupError, with the sentence of the first child that refuses, if the current child of one of these slots
    could not use the settings."""
    children = [slot.current for slot in slots if slot.is_running and slot.current is not None]
    for answer in await asyncio.gather(*(_ask(child, "check", settings) for child in children)):
        if answer is None:
            raise StartupError("A process of the relay does not answer.")
        if "refused" in answer:
            raise StartupError(answer["refused"])


async def use(slots: Sequence[Slot], settings: Settings) -> set[str]:
    """Let all children of these slots use the settings, and return the names of those that have changed, as the
    children say. A child that cannot use them is ended; its slot starts another one."""

    async def of(slot: Slot, child: Child) -> list[str]:
        answer = await _ask(child, "reload", settings)
        if answer is not None and "refused" not in answer:
            changed: list[str] = answer["changed"]
            return changed
        if not child.ended.is_set():
            reason = "it does not answer" if answer is None else answer["refused"]
            log.error(
                "a process of the relay cannot use the new settings and is started again",
                extra={"worker": slot.name, "reason": reason},
            )
            child.terminate()
        return []

    answers = await asyncio.gather(*(of(slot, child) for slot in slots for child in slot.living))
    return {name for answer in answers for name in answer}


async def _ask(child: Child, what: str, settings: Settings) -> dict[str, Any] | None:
    within_s = CHECKED_WITHIN_S if what == "check" else USED_WITHIN_S
    try:
        answer: dict[str, Any] = await child.channel.ask(what, plain(settings), within_s=within_s)
    except Unanswered:
        # One that is gone is known to have ended a moment later.
        await first_of(child.ended, seconds=GONE_WITHIN_S)
        return None
    return answer
