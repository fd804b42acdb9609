"""A service that writes tasks, as existing ones do: with pymongo, `$push` and `$set`, and without knowing the relay.

Rule of this file: it imports nothing of the relay, which gives it nothing but a database.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

Tasks = Collection[dict[str, Any]]
Pause = Callable[[float], None]  # waits for the duration of this number of steps
Clock = Callable[[], datetime]

REPOSITORY = "https://github.com/example/shop"
LIVES_AT_ONCE = 4
HISTORY = 10

TITLES = (
    "Fix payment bug at checkout",
    "Add a dark theme to the settings page",
    "Export invoices as PDF",
    "Search ignores accents",
    "Speed up the product list",
    "Retry failed webhooks",
    "Show delivery times in the basket",
    "Two-factor sign-in for staff",
    "Round prices in the right currency",
    "Send a mail when stock runs low",
    "Remember the chosen language",
    "Upgrade the image resizer",
)
QUESTIONS = (
    "Should guests be able to do this as well?",
    "Which of the two price lists is the right one?",
    "May the old address be switched off?",
)
ERRORS = ("The test suite timed out after 30 minutes.", "The branch has conflicts that need a person.")
CHATTER = (
    ("log", "Read 14 files around the change."),
    ("log", "Wrote a failing test first."),
    ("commit_pushed", "Handle the empty case."),
    ("commit_pushed", "Cover it with tests."),
    ("checks_passed", "All 212 checks are green."),
    ("comment", "Looks small enough for one review."),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One update of a task: an event with its data, the fields that are set beside it, and the number of steps to wait
    before it."""

    event: str
    sets: dict[str, Any] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)
    wait: float = 1.0


def plot(kind: str, rng: random.Random) -> Iterator[Step]:
    """Yield the steps of one task's life: `merged`, `clarified` (a question, an answer, then merged) or `failed`."""
    number = rng.randrange(100, 1000)
    yield Step("analysis_started", {"status": "analyzing"}, {"message": "Reading the request."})
    yield _chat(rng)
    if kind == "clarified":
        questions = rng.sample(QUESTIONS, 2)
        yield Step(
            "clarification_needed", {"status": "clarification_needed", "questions": questions}, wait=3.0
        )
        yield Step("clarification_answered", {"status": "analyzing"}, {"message": "Yes, for everyone."})
    issue = {"issueUrl": f"{REPOSITORY}/issues/{number}", "issueNumber": number}
    yield Step("issue_created", {"status": "dispatched", **issue}, issue)
    for _ in range(rng.randrange(1, 4)):
        yield _chat(rng)
    if kind == "failed":
        error = rng.choice(ERRORS)
        yield Step("failed", {"status": "failed", "error": error}, {"message": error})
        return
    pull = {"prUrl": f"{REPOSITORY}/pull/{number + 1}", "prNumber": number + 1}
    yield Step("pr_opened", {"status": "pr_opened", **pull}, pull, wait=2.0)
    yield _chat(rng)
    sha = f"{rng.getrandbits(160):040x}"
    yield Step("pr_merged", {"status": "merged", "mergeCommitSha": sha}, {"mergeCommitSha": sha})


def _chat(rng: random.Random) -> Step:
    event, message = rng.choice(CHATTER)
    return Step(event, says={"message": message}, wait=0.6)


def the_time() -> datetime:
    """Return the time that events are stamped with."""
    return datetime.now(UTC)


def create(
    tasks: Tasks, rng: random.Random, *, owner: str | None = None, clock: Clock = the_time
) -> ObjectId:
    """Insert a new task, as when a user submits one, and return its id."""
    owner = owner or rng.choice(("alice", "bob"))
    now = clock()
    task = {
        "title": rng.choice(TITLES),
        "status": "created",
        "createdBy": owner,
        "teamId": "red" if owner == "alice" else "blue",
        "members": ["carol"] if rng.random() < 0.4 else [],
        "createdAt": now,
        "updatedAt": now,
        "events": [],
    }
    identifier: ObjectId = tasks.insert_one(task).inserted_id
    return identifier


def play(
    tasks: Tasks, task: ObjectId, steps: Iterator[Step], pause: Pause, *, clock: Clock = the_time
) -> None:
    """Apply the steps to a task, one update each."""
    for step in steps:
        pause(step.wait)
        now = clock()
        event = {"type": step.event, "at": now, **step.says}
        tasks.update_one({"_id": task}, {"$push": {"events": event}, "$set": {**step.sets, "updatedAt": now}})


def one_life(tasks: Tasks, *, rng: random.Random, pause: Pause, owner: str = "alice") -> ObjectId:
    """Write one task from its creation to its merge, and return its id."""
    tasks = _durable(tasks)
    pause(1)
    task = create(tasks, rng, owner=owner)
    play(tasks, task, plot("merged", rng), pause)
    return task


def seed_history(tasks: Tasks, rng: random.Random) -> None:
    """Insert some older tasks, of which some are finished and some are not."""
    for index in range(HISTORY):
        steps = list(plot(("merged", "clarified", "failed")[index % 3], rng))
        kept = len(steps) if index % 3 == 2 or index % 2 else rng.randrange(2, len(steps))
        minutes = itertools.count(-37 * (HISTORY - index), 2)

        def clock(minutes: Iterator[int] = minutes) -> datetime:
            return the_time() + timedelta(minutes=next(minutes))

        play(tasks, create(tasks, rng, clock=clock), iter(steps[:kept]), lambda _: None, clock=clock)


def run(url: str, database: str, collection: str, stop: threading.Event, pace: float) -> None:
    """Write several tasks at the same time, with `pace` seconds for a step, until `stop` is set."""
    with (
        MongoClient[dict[str, Any]](url) as client,
        ThreadPoolExecutor(LIVES_AT_ONCE, "writer") as lives,
    ):
        tasks = _durable(client[database][collection])
        seed_history(tasks, random.Random())
        for number in range(LIVES_AT_ONCE):
            lives.submit(_live_on, tasks, random.Random(), stop, pace, delay=number * 2.5)


def _live_on(tasks: Tasks, rng: random.Random, stop: threading.Event, pace: float, *, delay: float) -> None:
    def pause(steps: float) -> None:
        if stop.wait(pace * steps * rng.uniform(0.5, 1.5)):
            raise _Stopped

    try:
        pause(delay)
        while True:
            kind = rng.choices(("merged", "clarified", "failed"), (5, 3, 2))[0]
            # If the database is unreachable, only this task is abandoned: the next one tries again.
            with contextlib.suppress(PyMongoError):
                play(tasks, create(tasks, rng), plot(kind, rng), pause)
            pause(3)
    except _Stopped:
        pass


class _Stopped(Exception):
    pass


def _durable(tasks: Tasks) -> Tasks:
    return tasks.with_options(write_concern=WriteConcern("majority"))
