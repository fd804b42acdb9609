"""What a client shows of tasks, held to what there was: every look must find a version of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulation.referee import Referee, grows_to
from simulation.world import Event


class View:
    """The timelines of one client. It may show any version from the last one on that it has shown; not
    content that no version has, such as that of two memberships mixed."""

    def __init__(self, referee: Referee, who: str) -> None:
        self._referee = referee
        self._who = who
        self._shown: dict[str, list[Event]] = {}
        self._partial: set[str] = set()

    def show(self, task_id: str, events: Sequence[Event], summary: Any, *, is_partial: bool = False) -> None:
        """It shows this now; `is_partial`: the rest of a state is still to come."""
        if is_partial:
            self._partial.add(task_id)
            return
        self._partial.discard(task_id)
        held = list(events)
        if self._shown.get(task_id) == held:
            return
        self._shown[task_id] = held
        if self._referee.find(task_id, 0, grows_to(held)) is None:
            self._referee.blame("view", self._who, f"{task_id} shows {len(held)} events that no version has")

    def forget(self, task_id: str) -> None:
        """It shows nothing of the task any more."""
        self._shown.pop(task_id, None)
        self._partial.discard(task_id)
