"""The service of the demo that writes tasks: which updates it makes, and that it does not know the relay."""

from __future__ import annotations

import ast
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from relay.cli.demo import writer


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Collection[dict[str, Any]]:
    return mongo[database_name]["tasks"]


def statuses(kind: str) -> list[str]:
    steps = writer.plot(kind, random.Random(1))
    return [step.sets["status"] for step in steps if "status" in step.sets]


def test_the_demo_writer_imports_nothing_of_the_relay() -> None:
    for node in ast.walk(ast.parse(Path(writer.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "relay" for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert (node.module or "").split(".")[0] != "relay"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("merged", ["analyzing", "dispatched", "pr_opened", "merged"]),
        (
            "clarified",
            ["analyzing", "clarification_needed", "analyzing", "dispatched", "pr_opened", "merged"],
        ),
        ("failed", ["analyzing", "dispatched", "failed"]),
    ],
)
def test_a_task_goes_through_the_steps_of_its_kind(kind: str, expected: list[str]) -> None:
    assert statuses(kind) == expected


def test_the_same_random_seed_writes_the_same_steps() -> None:
    first, second = (list(writer.plot("clarified", random.Random(7))) for _ in range(2))
    assert first == second


def test_one_task_ends_merged_with_every_field_that_a_page_shows(tasks: Collection[dict[str, Any]]) -> None:
    waits: list[float] = []
    identifier = writer.one_life(tasks, rng=random.Random(1), pause=waits.append)
    task = tasks.find_one({"_id": identifier})
    assert task is not None
    assert (task["status"], task["createdBy"], task["teamId"]) == ("merged", "alice", "red")
    assert task["issueUrl"].endswith(str(task["issueNumber"]))
    assert task["prUrl"].endswith(str(task["prNumber"]))
    assert len(task["mergeCommitSha"]) == 40
    assert task["updatedAt"] >= task["createdAt"]
    assert task["events"][0]["type"] == "analysis_started"
    assert task["events"][-1]["type"] == "pr_merged"
    assert len(waits) == len(task["events"]) + 1  # it waits only by calling `pause`


def test_the_history_has_finished_and_unfinished_tasks(
    tasks: Collection[dict[str, Any]],
) -> None:
    writer.seed_history(tasks, random.Random(1))
    found = {task["status"] for task in tasks.find()}
    assert tasks.count_documents({}) == writer.HISTORY
    assert {"merged", "failed"} < found


def test_the_writer_writes_until_it_is_stopped(
    mongo: MongoClient[dict[str, Any]], mongo_url: str, database_name: str
) -> None:
    stop = threading.Event()
    with mongo[database_name]["tasks"].watch() as changes:
        running = threading.Thread(target=writer.run, args=(mongo_url, database_name, "tasks", stop, 0.01))
        running.start()
        try:
            lives = (change for change in changes if change["operationType"] == "insert")
            for _ in range(writer.HISTORY + writer.LIVES_AT_ONCE + 1):
                next(lives)
        finally:
            stop.set()
            running.join(30)
    assert not running.is_alive()


def test_a_database_that_is_unreachable_for_a_moment_does_not_end_the_writer() -> None:
    """Each such moment ended one thread of the writer, until the demo wrote nothing any more, without an error."""
    stop = threading.Event()

    class Away:
        tries = 0

        def insert_one(self, _: object) -> None:
            self.tries += 1
            if self.tries == 3:
                stop.set()
            raise AutoReconnect("the primary steps down")

    away: Any = Away()
    writer._live_on(away, random.Random(1), stop, 0.001, delay=0)
    assert away.tries == 3
