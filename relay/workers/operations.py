"""Answers operators for all workers: whether the relay is ready, and the sums of the metrics. Does I/O.

The relay is ready if at least one worker is running and every running worker is ready. A worker that is starting, and
one that died and waits to be started again, do not count: the kernel gives their clients to others, or they wait for a
second. A running worker that does not answer counts as not ready, because clients may be connected to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from relay.cli import output
from relay.errors import Unanswered
from relay.metrics import DroppedLines, ProcessFigures, WorkerMetrics
from relay.workers.child import Child
from relay.workers.metric_sums import MetricSums, families_of, value_of
from relay.workers.slot import Slot

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 1.0
OF_ALL = ("relay_ready", "relay_stale")  # what is said of all workers together, and is no sum
PARENT = "parent"  # the name of this process among those whose metrics are added up


class AllWorkers:
    """Answers for the workers in the slots that `answer_for` is called with (`relay.gateway.http.Operations`)."""

    def __init__(self) -> None:
        self._slots: Sequence[Slot] = ()  # of the workers
        self._asked: Sequence[Slot] = ()  # of the workers and the tailer
        self._own = WorkerMetrics()
        # What is counted here, in the parent, and added to the same of the others.
        self._added = CollectorRegistry()
        self._added.register(DroppedLines(output.dropped))
        self._added.register(ProcessFigures())
        self._sums = MetricSums(OF_ALL)
        self._asking: asyncio.Task[dict[Child, dict[str, Any]]] | None = None

    def answer_for(self, slots: Sequence[Slot], tailer: Slot) -> None:
        """Answer for the workers in these slots from now on. The metrics of the tailer are added to theirs."""
        self._slots, self._asked = slots, (*slots, tailer)
        for slot in self._asked:
            self._own.restarts.labels(slot.name)  # so that its counter is there before the first restart

    async def readiness(self) -> dict[str, Any]:
        """Return the body of /readyz.

        `ready` is as the head of this module says. `stale` says that a running worker has not heard of the database for
        some seconds, or that no worker is running. `lastReplyMs` is the longest time that any of them has not heard of
        it. `workers` has the same for each worker, in their order.
        """
        return self._readiness(await self._figures())

    def _readiness(self, answers: Mapping[Child, dict[str, Any]]) -> dict[str, Any]:
        of_slot = {slot: answers.get(slot.current, {}) if slot.current else {} for slot in self._slots}
        workers = [
            {"worker": number, "ready": False, **of_slot[slot].get("readiness", {})}
            for number, slot in enumerate(self._slots, 1)
        ]
        running = [state for slot, state in zip(self._slots, workers, strict=True) if slot.is_running]
        state: dict[str, Any] = {
            "ready": bool(running) and all(one["ready"] for one in running),
            "stale": not running or any(one.get("stale", True) for one in running),
        }
        replies = [one["lastReplyMs"] for one in running if "lastReplyMs" in one]
        if replies:
            state["lastReplyMs"] = max(replies)
        return state | {"workers": workers}

    async def metrics(self) -> bytes:
        """Return the metrics of all workers together, and those about the workers, in the text format of Prometheus."""
        answers = await self._figures()
        state = self._readiness(answers)
        self._own.ready.set(state["ready"])
        self._own.stale.set(state["stale"])
        self._own.workers.set(sum(slot.is_running for slot in self._slots))
        self._own.connections.clear()
        for slot in self._slots:
            answered = [answers[child]["metrics"] for child in slot.serving if child in answers]
            if answered:
                connections = sum(value_of(families, "relay_connections") for families in answered)
                self._own.connections.labels(slot.name).set(connections)
        self._sums.heard(PARENT, families_of(self._added))
        return self._sums.text([PARENT, *answers]) + self._own.text()

    def restarts(self, slot: Slot) -> None:
        """Count that a worker, or the tailer, is started again."""
        self._own.restarts.labels(slot.name).inc()

    def ended(self, child: Child) -> None:
        """Note that a worker is gone: what it counted stays in the sums."""
        if child.last_figures is not None:
            self._sums.heard(child, child.last_figures["metrics"])
        self._sums.ended(child)

    async def _figures(self) -> dict[Child, dict[str, Any]]:
        """Ask all processes that may have clients, and the tailer, about themselves, and return the answers. Requests
        that come together share the answers, so that many of them do not keep the workers from their work."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> dict[Child, dict[str, Any]]:
        async def ask(slot: Slot, child: Child) -> None:
            try:
                figures = await child.channel.ask("figures", within_s=ANSWER_WITHIN_S)
            except Unanswered:
                if slot.is_running and slot.current is child:
                    log.warning("a worker does not answer", extra={"worker": slot.name})
                return
            if not child.ended.is_set():
                self._sums.heard(child, figures["metrics"])
                answers[child] = figures

        answers: dict[Child, dict[str, Any]] = {}
        await asyncio.gather(*(ask(slot, child) for slot in self._asked for child in slot.serving))
        return answers
