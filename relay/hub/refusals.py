"""Requests that are about to be refused: each is answered at a moment that does not tell whether its task exists. Pure:
time is an argument.

To decide that a listener may not see a task, the database has to load the document. That takes 10 ms and more if the
document is large and not in its memory, and nothing if there is no document. Therefore a refusal is sent a whole number
of steps after its request: at any size within the same step. What is published meanwhile is taken into account.
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.hub.messages import StepFrames
from relay.hub.request import Waiting
from relay.hub.task_subscription import TaskRequest

STEP_S = 0.1  # loading 16 MB from a fast disk takes a part of it; nobody minds waiting so long for a refusal


class Refusal:
    """A request that is refused soon, because a read found no document that its listener may see.

    `keys` stand for the `_id`s for which the taskId of the request may stand.
    """

    __slots__ = ("_appeared", "_is_lost", "_requests", "_rights", "keys")

    def __init__(self, request: TaskRequest, keys: Sequence[bytes]) -> None:
        self.keys = keys
        self._requests = Waiting(request)  # it is empty once the request was withdrawn
        self._rights = request.subscription.listener.keys
        self._appeared: set[bytes] = set()  # the keys of documents that the listener may see by now
        self._is_lost = False

    def requests(self) -> Waiting[TaskRequest]:
        """Return the one request, or nothing if it was withdrawn."""
        return self._requests

    def note(self, frames: StepFrames) -> None:
        key, after = frames.step.key, frames.step.after
        if after is not None and not after.keys.isdisjoint(self._rights):
            self._appeared.add(key)
        else:
            self._appeared.discard(key)

    def note_lost(self) -> None:
        self._is_lost = True

    def is_outdated(self) -> bool:
        """Whether the task has to be read again instead, because it may be visible to the listener by now, or because
        the listener has become subscribed to it and has to be told whether the task was deleted."""
        subscriptions = [request.subscription for request in self._requests]
        return (
            self._is_lost
            or bool(self._appeared)
            or any(one.member or one.listener.keys != self._rights for one in subscriptions)
        )


class Refusals:
    """The requests that are about to be refused, by the keys of the documents for which their taskIds may stand."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Refusal]] = {}

    def is_waiting(self, key: bytes) -> bool:
        return key in self._waiting

    def add(self, refusal: Refusal) -> None:
        for key in refusal.keys:
            self._waiting.setdefault(key, []).append(refusal)

    def remove(self, refusal: Refusal) -> None:
        for key in refusal.keys:
            others = self._waiting[key]
            others.remove(refusal)
            if not others:
                del self._waiting[key]

    def note(self, frames: StepFrames) -> None:
        """Note a step that is published: what one change means for one task."""
        for refusal in self._waiting.get(frames.step.key, ()):
            refusal.note(frames)

    def note_lost(self) -> None:
        """Note that the change stream was lost, so that it is unknown what happened to the tasks."""
        for refusals in self._waiting.values():
            for refusal in refusals:
                refusal.note_lost()


def wait_s(asked_at: float, now: float) -> float:
    """Return after how many seconds a request that was made at `asked_at` is refused. Both are in seconds of the event
    loop's clock."""
    return STEP_S - (now - asked_at) % STEP_S
