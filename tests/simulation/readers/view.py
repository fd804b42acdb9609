"""What a client shows of tasks, held to what there was: every look must find a version of the task."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.referee import Fits, Referee, grows_to
from simulation.world import Event, Version

_BEFORE: Event = {"type": "before", "at": None, "data": None}  # an event that the client does not hold


class View:
    """The timelines of one client. It may show any version from the last one on that it has shown; not
    content that no version has, such as that of two memberships mixed."""

    def __init__(self, referee: Referee, who: str) -> None:
        self._referee = referee
        self._who = who
        self._shown: dict[str, list[Event]] = {}
        self._partial: dict[str, list[Event]] = {}  # what it showed after a page of which the rest is to come

    def show(
        self, task_id: str, events: Sequence[Event], *, start: int = 0, is_partial: bool = False
    ) -> None:
        """It shows these events now, of which the first has the index `start`; `is_partial`: the rest of a
        state is still to come."""
        held = [_BEFORE] * start + list(events)
        if is_partial:
            self._partial[task_id] = held
            return
        if self._partial.get(task_id) == held:
            return  # joined once more, it waits for that answer in place of the rest
        self._partial.pop(task_id, None)
        if self._shown.get(task_id) == held:
            return
        self._shown[task_id] = held
        fits = grows_to(held) if start == 0 else continues(start, list(events))
        if self._referee.find(task_id, 0, fits) is None:
            what = f"{task_id} shows events {start} to {len(held)} as no version has them"
            self._referee.blame("view", self._who, what)

    def forget(self, task_id: str) -> None:
        """It shows nothing of the task any more."""
        self._shown.pop(task_id, None)
        self._partial.pop(task_id, None)


def continues(start: int, events: list[Event]) -> Fits:
    """Whether it is a part of this version."""

    def fits(version: Version, _: Version | None) -> bool:
        return version.events[start : start + len(events)] == events

    return fits
