"""Faults of the hub and the wire that were mended, as they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relay.gateway.websocket.connection import Wire
from relay.hub.dashboards import Dashboards
from relay.hub.hub import Hub
from relay.hub.members import DashboardJoiner, DashboardReading, Joiner
from relay.hub.rooms import Rooms
from relay.hub.throttle import ListThrottle
from relay.protocol.frames import Batch, Frame
from simulation.mutation import Mutation, replaced
from simulation.plan import TROUBLES


def _does_nothing(_: Any) -> Any:
    return lambda *_, **__: None


def _does_not_wait(join: Any) -> Any:
    return lambda *args, **options: join(*args, **options | {"caught_up": True})


def _forgets_membership(refuse: Any) -> Any:
    def refuses(self: Rooms, joiner: Joiner, answer: Any, *, exists: bool) -> None:
        refuse(self, joiner, answer, exists=exists)
        pending = joiner.listener.pending.get(joiner.task_id)
        if answer == "unavailable" and pending is not None:
            pending.inside = False

    return refuses


def _makes_all_pages(_: Any) -> Any:
    def answers(self: Wire, pages: Iterable[Frame], size: int) -> None:
        for page in pages:
            self.answer(page)

    return answers


def _replays_whatever_came(_: Any) -> Any:
    def replays(self: Dashboards, reading: DashboardReading, joiner: DashboardJoiner) -> None:
        listener, sent = joiner.listener, set[object]()
        for frame, step in reading.since:
            if step is None:
                listener.send(Batch((frame,)))
            elif step in sent or listener not in step.told:
                sent.add(step)
                step.told.add(listener)
                listener.send(Batch((frame,)))

    return replays


def _pins_nothing(_: Any) -> Any:
    return lambda _: True


def _says_nothing_of_drops(pin: Any) -> Any:
    def pins(self: Wire) -> bool:
        pin(self)
        return True

    return pins


def _all_but(*troubles: str) -> list[str]:
    return [trouble for trouble in TROUBLES if trouble not in troubles]


HUB: dict[str, Mutation] = {
    "4-list-update-outlives-resync": Mutation(
        "4: a list update that waits is sent after the place was lost, of a task that is gone",
        "back",
        python=replaced(ListThrottle, "clear", _does_nothing),
    ),
    "10-step-back": Mutation(
        "10: a position of an instance that is ahead is answered with an older state",
        "back",
        python=replaced(Rooms, "ask", _does_not_wait),
    ),
    "11-member-forgotten": Mutation(
        "11: a member whose resync fails is not a member any more",
        "kept",
        python=replaced(Rooms, "_refuse", _forgets_membership),
        without=_all_but("lost", "unavailable"),
    ),
    "12-dropped-before-a-state": Mutation(
        "12: a state continues from live messages that are dropped",
        "gap",
        python=replaced(Wire, "pin", _pins_nothing),
        without=_all_but("stalls", "lost", "large"),
    ),
    "dropped-and-not-told": Mutation(
        "a state continues from live messages that were dropped a moment before",
        "gap",
        python=replaced(Wire, "pin", _says_nothing_of_drops),
        without=_all_but("overflow", "lost", "pages", "slow", "stalls"),
        seed=9,
    ),
    "13-state-too-large": Mutation(
        "13: all pages of a state are made at once, and count as answers that wait",
        "closed",
        python=replaced(Wire, "answer_pages", _makes_all_pages),
    ),
    "14-lifecycle-late": Mutation(
        "14: a lifecycle message held for the list is sent after a later one of the room",
        "lifecycle",
        python=replaced(Dashboards, "_replay", _replays_whatever_came),
        seed=3,
    ),
    "state-after-refusal": Mutation(
        "a member that was refused gets the states that were still being read for it",
        "uninvited",
        python=replaced(Hub, "forget_healing", _does_nothing),
    ),
}
