"""Faults of the hub and of the WebSocket connection that were fixed: each mutation brings one of them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.gateway.websocket.connection import Connection
from relay.hub.fragments import Fragment, Fragments, Load
from relay.hub.list_subscription import ListSubscription
from relay.hub.messages import StepFrames
from relay.hub.refusals import Refusal
from relay.hub.registry import Room
from relay.hub.subscription import Lagged
from relay.hub.task_subscription import TaskSubscription
from relay.hub.throttle import ListThrottle
from relay.protocol.frames import Frame
from simulation.mutation import Mutation, replaced
from simulation.plan import TROUBLES


def _does_nothing(_: Any) -> Any:
    return lambda *_, **__: None


def _does_not_wait(join: Any) -> Any:
    return lambda *args, **options: join(*args, **options | {"caught_up": True})


def _forgets_membership(unavailable: Any) -> Any:
    def fails(self: TaskSubscription, event: Any) -> Any:
        outcome = unavailable(self, event)
        self.member = False
        return outcome

    return fails


def _makes_all_pages(_: Any) -> Any:
    def answers(self: Connection, pages: Iterable[Frame], size: int) -> None:
        for page in pages:
            self.answer(page)

    return answers


def _replays_whatever_came(_: Any) -> Any:
    def missed(self: ListSubscription, since: Sequence[tuple[Frame, StepFrames | None]]) -> list[Frame]:
        found, sent = [], set[object]()
        for frame, step in since:
            if step is None:
                found.append(frame)
            elif step in sent or self.listener not in step.lifecycle_sent_to:
                sent.add(step)
                step.note_lifecycle_sent((self.listener,))
                found.append(frame)
        return found

    return missed


def _pins_nothing(_: Any) -> Any:
    return lambda _: True


def _forgets_drops(react: Any) -> Any:
    def reacts(self: TaskSubscription, event: Any) -> Any:
        room = self.room
        outcome = react(self, event)
        if isinstance(event, Lagged) and isinstance(room, Room):
            self.sent = room.progress
        return outcome

    return reacts


def _takes_any(_: Any) -> Any:
    def valid(self: Fragments, keys: Sequence[bytes], at: int) -> Sequence[bytes | None]:
        held = map(self._held.get, keys)
        return [one.json if one is not None else None for one in held]

    return valid


def _keeps_whatever_was_read(_: Any) -> Any:
    def finish(self: Fragments, load: Load, made: Mapping[bytes, bytes]) -> None:
        load.made = made
        for key, json in made.items():
            self._keep(key, Fragment(load.at, json))
        self.end(load)

    return finish


def _all_but(*troubles: str) -> list[str]:
    return [trouble for trouble in TROUBLES if trouble not in troubles]


HUB: dict[str, Mutation] = {
    "4-list-update-outlives-resync": Mutation(
        "4: a list update that waited is sent after a resync, although its task was deleted",
        "back",
        python=replaced(ListThrottle, "clear", _does_nothing),
    ),
    "10-step-back": Mutation(
        "10: a position from an instance that is ahead is answered with an older state",
        "back",
        python=replaced(TaskSubscription, "_ask", _does_not_wait),
        seed=5,
    ),
    "11-member-forgotten": Mutation(
        "11: a member whose resync fails stops being a member",
        "differs",
        python=replaced(TaskSubscription, "_unavailable", _forgets_membership),
        without=_all_but("lost", "unavailable"),
        seed=6,
    ),
    "12-dropped-before-a-state": Mutation(
        "12: a state continues from live messages that are dropped",
        "gap",
        python=replaced(Connection, "pin", _pins_nothing),
        without=_all_but("stalls", "lost", "large"),
        seed=61,
    ),
    "dropped-unreported": Mutation(
        "a state continues from live messages that were dropped a moment ago",
        "gap",
        python=replaced(TaskSubscription, "_react", _forgets_drops),
    ),
    "13-state-too-large": Mutation(
        "13: all pages of a state are made at once, and count as answers that wait",
        "closed",
        python=replaced(Connection, "answer_pages", _makes_all_pages),
        seed=4,
    ),
    "14-lifecycle-late": Mutation(
        "14: a lifecycle message buffered for the list is sent after a later one of the room",
        "lifecycle",
        python=replaced(ListSubscription, "_missed", _replays_whatever_came),
        seed=5,
    ),
    "state-after-refusal": Mutation(
        "a member that was refused is sent the states that were still being read for it",
        "uninvited",
        python=replaced(TaskSubscription, "_end_membership", _does_nothing),
    ),
    "refused-although-it-appeared": Mutation(
        "a task that comes into view before its refusal is sent is refused",
        "refused",
        python=replaced(Refusal, "note", _does_nothing),
    ),
    "summary-from-the-future": Mutation(
        "a list takes the summary of a task that is newer than the position of the list",
        "wrong",
        python=replaced(Fragments, "valid", _takes_any),
    ),
    "summary-from-the-past": Mutation(
        "a summary that was read is kept for other lists, although the task has changed since",
        "wrong",
        python=replaced(Fragments, "finish", _keeps_whatever_was_read),
    ),
}
