"""What makes a history the same whenever it is played, and small enough that limits are met.

The relay keeps listeners in sets, whose order is that of their addresses in memory. Here they are told apart
by identity as ever, but all have one hash, so that a set keeps the order in which they came.
Names are in sets as well: so the simulation runs in a process of its own with PYTHONHASHSEED=0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from relay.errors import BadRequest
from relay.gateway.polling import poll
from relay.hub import fragment_reads, listener, registry, snapshot
from relay.protocol import requests
from relay.protocol.messages import Resync, TaskPosition, TaskPositions
from relay.protocol.polls import Poll
from relay.protocol.types import ErrorCode


def keep_order() -> None:
    """Make the order of sets that of what was put in, and let no work pause because the machine is busy; for the rest
    of the process."""
    fragment_reads.SLICE_S = float("inf")
    for kind in (listener.Listener, registry.Group):
        kind.__hash__ = _same  # type: ignore[method-assign, assignment]


@contextmanager
def small_pages(page_bytes: int, answer_bytes: int) -> Iterator[None]:
    """Let states leave in pages of this size, and polls be answered with so much at once."""
    with (
        patch.object(snapshot, "PAGE_BYTES", page_bytes),
        patch.object(poll, "MAX_ANSWER_BYTES", answer_bytes),
    ):
        yield


@contextmanager
def refusing(task_id: str) -> Iterator[None]:
    """Let the relay call this id a bad request, as one of another version may do: this one takes every text that
    fits into a frame."""
    validated = requests._validated

    def refusing(adapter: Any, json: Any, *code: Any) -> Any:
        if task_id in _tasks_asked_for(valid := validated(adapter, json, *code)):
            raise BadRequest(ErrorCode.BAD_REQUEST, "simulated")
        return valid

    with patch.object(requests, "_validated", refusing):
        yield


def _tasks_asked_for(request: Any) -> set[str]:
    match request:
        case TaskPosition(task_id):
            return {task_id}
        case TaskPositions(tasks) | Poll(tasks=tasks):
            return {task.task_id for task in tasks}
        case Resync():
            return {task.task_id for task in request.positions()}
    return set()


def _same(_: Any) -> int:
    return 1
