"""What must never happen, at any moment of a history, and who is to blame when it does.

The referee knows every version of every task, and finds what somebody was shown among them. What is shown
is never older than what the same reader was shown before of the same instance, and never of a version that
it may not see. Where several versions look the same the oldest possible one counts, so no blame is unjust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulation.world import Event, Version, World, lasting

CATCH_UP_S = 1.0  # how long an answer may wait for the relay to catch up (PROTOCOL.md 6.8)

# The kinds of violations, each a word that a run can look for.
KINDS = {
    "gap": "an index that does not follow, or a state that continues from what was never sent",
    "back": "an older state than the reader had",
    "flicker": "a state older than what this instance had shown, though what came since follows at once",
    "leak": "content of a version that the reader may not see",
    "wrong": "content that no version has",
    "view": "a client that shows what no version has",
    "uninvited": "a message of a room that the reader is not in, or not any more",
    "lifecycle": "lifecycle messages out of order, or one of them twice",
    "pages": "something between the pages of one answer",
    "answers": "an answer to nothing, or a second one",
    "unanswered": "a request that is never answered",
    "refused": "an error that the request did not deserve",
    "closed": "a connection that the relay ended for no fault of the reader",
    "differs": "a timeline or summary that is not the document's in the end",
    "list": "a list that is not that of the documents in the end",
    "hidden": "a task that is not shown in the end, and may be seen",
    "loading": "a view that still waits in the end",
    "ended": "a view that ended for a reason it did not deserve",
    "kept": "a room that was left, and is served to the end",
    "status": "a client that has given up, or has no connection in the end",
    "died": "something of the relay or a client that failed",
    "moment": "a poll that gives an older moment than it was given",
}


# Whether this version, given with the one before it, is what was shown.
Fits = Callable[[Version, Version | None], bool]


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    who: str
    what: str
    time: float

    def __str__(self) -> str:
        return f"{self.kind}: {self.who} at {self.time:.3f}: {self.what}"


class Referee:
    """Notes violations, and with `show` everything that happened.

    `is_strict`: whether a `flicker` is a violation.
    """

    def __init__(self, world: World, *, show: bool = False, is_strict: bool = False) -> None:
        self.world = world
        self.is_strict = is_strict
        self.violations: list[Violation] = []
        self.trace: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._shows = show
        self.noted = 0  # how much was noted; two runs of one history note as much

    @property
    def now(self) -> float:
        return self._loop.time() - self._began

    def blame(self, kind: str, who: str, what: str) -> None:
        assert kind in KINDS
        self.violations.append(Violation(kind, who, what, self.now))
        self.note(who, f"VIOLATION {kind}: {what}")

    def note(self, who: str, what: str | Callable[[], str]) -> None:
        self.noted += 1
        if self._shows:
            self.trace.append(f"{self.now:9.4f}  {who:18}  {what if isinstance(what, str) else what()}")

    # Finding what was shown among what there was.

    def find(self, task_id: str, floor: int, fits: Fits) -> int | None:
        """The oldest version from `floor` on that fits; it is given with the one before it."""
        versions = self.world.versions(task_id)
        for number in range(max(floor, 0), len(versions)):
            version = versions[number]
            if version.moment > self.world.written:
                break
            if version.summary is not None and fits(version, versions[number - 1] if number else None):
                return number
        return None

    def judge(
        self,
        who: str,
        task_id: str,
        keys: frozenset[str],
        floor: int,
        what: str,
        fits: Fits,
    ) -> int | None:
        """Return the version that was shown. Report a violation if it may not be seen, or is too old."""
        found = self.find(
            task_id, floor, lambda version, before: version.is_for(keys) and fits(version, before)
        )
        if found is not None:
            return found
        if (hidden := self.find(task_id, floor, fits)) is not None:
            self.blame("leak", who, f"{what} of {task_id} is version {hidden}, which it may not see")
        elif (older := self.find(task_id, 0, fits)) is not None:
            self.blame("back", who, f"{what} of {task_id} is version {older}, it had {floor}")
        else:
            self.blame("wrong", who, f"{what} of {task_id} is no version from {floor} on")
        return None


@dataclass(slots=True)
class Position:
    """What `(next, head)` stands for: these events, which each instance showed at this version or later."""

    events: list[Event]
    versions: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What one reader was shown, over all of its connections. Floors are numbers of versions by instance
    and task; `listed` are moments by instance."""

    positions: dict[tuple[str, int, str], Position] = field(default_factory=dict)
    events: dict[tuple[int, str], int] = field(default_factory=dict)
    summaries: dict[tuple[int, str], int] = field(default_factory=dict)
    rows: dict[tuple[int, str], int] = field(default_factory=dict)
    listed: dict[int, int] = field(default_factory=dict)


def shows(events: Sequence[Event], summary: Any) -> Fits:
    """Whether it is exactly this version."""
    wanted = lasting(summary)
    return lambda version, _: version.events == events and version.lasting() == wanted


def grows_to(events: Sequence[Event]) -> Fits:
    """Whether it is this version, or on the way to it from the one before, one event at a time."""
    count = len(events)

    def fits(version: Version, before: Version | None) -> bool:
        if len(version.events) < count or version.events[:count] != events:
            return False
        if len(version.events) == count:
            return True
        held = before.events if before is not None else []
        return len(held) <= count and version.events[: len(held)] == held

    return fits


def summed_up(summary: Any) -> Fits:
    """Whether its summary is this one, except for what a room is not sent."""
    wanted = lasting(summary)
    return lambda version, _: version.lasting() == wanted


def listed_as(summary: Any) -> Fits:
    return lambda version, _: version.summary == summary
