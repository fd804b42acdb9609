"""Answers administrators for all workers, each of which is asked over its control channel. Does I/O.

Processes that are being replaced are asked, too: they have connections until they have drained. A worker that does not
answer in time is named in the answer, because its connections are missing there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from relay.errors import Unanswered
from relay.gateway.admin.api import MAX_LIMIT
from relay.gateway.admin.figures import Uptime, state_of
from relay.workers.child import Child
from relay.workers.operations import ANSWER_WITHIN_S, AllWorkers
from relay.workers.slot import Slot

log = logging.getLogger(__name__)

# A worker that is asked to disconnect a user later than that does it, but cannot be waited for.
DISCONNECTED_WITHIN_S = 3.0
COUNTED = ("connections", "polls", "rooms", "knownTasks")

Answer = dict[str, Any]


class _Heard(NamedTuple):
    """What the workers have answered: pairs of the number of a worker and its answer. A worker that is being replaced
    may have two."""

    answers: list[tuple[int, Answer]]
    unanswered: list[int]  # the numbers of those that did not answer in time

    def total(self, name: str) -> int:
        return sum(answer.get(name, 0) for _, answer in self.answers)

    def note(self) -> Answer:
        """Return the field that names those that did not answer, or nothing if all did."""
        return {"unanswered": self.unanswered} if self.unanswered else {}


class WorkersAdministration:
    """Answers administrators for the workers in these slots (`relay.gateway.admin.api.Administration`)."""

    def __init__(self, slots: Sequence[Slot], operations: AllWorkers) -> None:
        self._slots = slots
        self._operations = operations
        self._uptime = Uptime()

    async def connections(self, user: str | None, limit: int) -> Answer:
        heard = await self._ask("connections", {"user": user, "limit": limit})
        rows = [row | {"worker": number} for number, answer in heard.answers for row in answer["connections"]]
        rows.sort(key=lambda row: row["since"])
        return {"connections": rows[:limit], "total": heard.total("total")} | heard.note()

    async def listeners(self, task_id: str) -> Answer:
        heard = await self._ask("listeners", task_id)
        found = [row | {"worker": number} for number, answer in heard.answers for row in answer["listeners"]]
        return {
            "taskId": task_id,
            "listeners": found[:MAX_LIMIT],
            "total": heard.total("total"),
        } | heard.note()

    async def disconnect(self, user: str) -> Answer:
        heard = await self._ask("disconnect", user, within_s=DISCONNECTED_WITHIN_S)
        return {"disconnected": heard.total("disconnected")} | heard.note()

    async def stats(self) -> Answer:
        readiness, heard = await asyncio.gather(self._operations.readiness(), self._ask("census"))
        counted = {name: heard.total(name) for name in COUNTED}
        users = {one for _, answer in heard.answers for one in answer.get("users", ())}
        workers = [
            {"worker": state["worker"]}
            | state_of(state)
            | _sums([answer for number, answer in heard.answers if number == state["worker"]])
            for state in readiness["workers"]
        ]
        figures: Answer = {**counted, "users": len(users), "workers": workers, **heard.note()}
        return self._uptime.head() | state_of(readiness) | figures

    async def _ask(self, what: str, given: Any = None, *, within_s: float = ANSWER_WITHIN_S) -> _Heard:
        """Ask all processes of all workers, and return their answers."""

        async def ask(slot: Slot, child: Child) -> None:
            try:
                answer = await child.channel.ask(what, given, within_s=within_s)
            except Unanswered:
                if child in slot.living and int(slot.name) not in heard.unanswered:
                    heard.unanswered.append(int(slot.name))
                    log.warning("a worker does not answer", extra={"worker": slot.name, "asked": what})
            else:
                heard.answers.append((int(slot.name), answer))

        heard = _Heard([], [])
        await asyncio.gather(*(ask(slot, child) for slot in self._slots for child in slot.living))
        heard.answers.sort(key=lambda one: one[0])
        heard.unanswered.sort()
        return heard


def _sums(answers: list[Answer]) -> Answer:
    """Return the numbers of one worker, whose processes have given these answers."""
    users = {one for answer in answers for one in answer.get("users", ())}
    return {name: sum(answer.get(name, 0) for answer in answers) for name in COUNTED} | {"users": len(users)}
