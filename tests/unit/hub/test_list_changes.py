"""The latest changes of lists: who is told what from which position, and what is forgotten."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest
from bson import Timestamp
from support.mongo_model import DECODER
from support.steps import translator

from relay.hub import list_changes
from relay.hub.list_changes import IDLE_S, ListChanges
from relay.hub.messages import StepFrames
from relay.source.change import Change, Deleted, Inserted, Operation, Updated, key_of
from relay.tasks.task import Keys, Task

TRANSLATOR = translator()
RED, BLUE = frozenset({"team:s:red"}), frozenset({"team:s:blue"})


class Published:
    """A collection whose changes are recorded, one at each second of cluster time."""

    def __init__(self) -> None:
        self.changes = ListChanges()
        self.tasks: dict[str, Task | None] = {}
        self.time = 10
        self.now = 0.0
        self.changes.keep(self.position, self.now)

    @property
    def position(self) -> Timestamp:
        return Timestamp(self.time, 1)

    def apply(self, task: str, operation: Operation) -> None:
        change = Change(key_of(task), task, Timestamp(self.time + 1, 1), None, operation)
        step = TRANSLATOR.translate(self.tasks.get(task), change)
        assert step is not None
        self.tasks[task] = step.after
        self.changes.record(StepFrames(step, TRANSLATOR.view), Timestamp(self.time + 1, 1), self.now)
        self.time += 1

    def insert(self, task: str, team: str) -> None:
        document = {"_id": task, "teamId": team, "events": [], "status": "new"}
        self.apply(task, Inserted(DECODER.document(bson.encode(document))))

    def set(self, task: str, **fields: Any) -> None:
        self.apply(task, Updated(fields))

    def told(self, keys: Keys, since: Timestamp) -> list[tuple[str, str, str | None]] | None:
        frames = self.changes.after(since, keys, now=self.position)
        if frames is None:
            return None
        told = [orjson.loads(frame.body)["data"] for frame in frames]
        return [(data["change"], data["taskId"], data.get("status")) for data in told]


@pytest.fixture
def published() -> Published:
    return Published()


def test_a_client_is_told_the_newest_of_each_task_that_changed_after_its_position(
    published: Published,
) -> None:
    published.insert("a", "red")
    published.insert("b", "red")
    since = published.position
    published.set("a", status="first")
    published.set("b", status="other")
    published.set("a", status="second")

    assert published.told(RED, since) == [("upserted", "b", "other"), ("upserted", "a", "second")]
    assert published.told(RED, published.position) == []


def test_a_client_is_told_nothing_of_tasks_that_it_may_not_see(published: Published) -> None:
    since = published.position
    published.insert("a", "blue")
    published.set("a", status="changed")
    published.set("a", unseen=1)
    published.apply("a", Deleted())

    assert published.told(RED, since) == []


def test_a_client_that_loses_a_task_is_told_so_and_nothing_of_what_follows(published: Published) -> None:
    published.insert("a", "red")
    since = published.position
    published.set("a", teamId="blue")
    published.set("a", status="a secret")

    assert published.told(RED, since) == [("revoked", "a", None)]
    assert published.told(BLUE, since) == [("upserted", "a", "a secret")]
    published.apply("a", Deleted())
    assert published.told(RED, since) == [("revoked", "a", None)]
    assert published.told(BLUE, since) == [("deleted", "a", None)]


def test_a_change_that_no_list_shows_is_not_kept(published: Published) -> None:
    published.insert("a", "red")
    since = published.position
    published.set("a", unseen=1)

    assert published.told(RED, since) == []


def test_changes_before_the_first_poll_are_not_known(published: Published) -> None:
    fresh = ListChanges()

    assert fresh.after(published.position, RED, now=published.position) is None
    fresh.keep(Timestamp(0, 0), 0.0)  # the stream is not open yet
    assert not fresh.are_kept
    fresh.keep(Timestamp(12, 0), 0.0)
    assert fresh.after(Timestamp(11, 9), RED, now=published.position) is None
    assert fresh.after(Timestamp(12, 0), RED, now=published.position) == []


def test_a_client_that_is_ahead_of_this_instance_misses_nothing(published: Published) -> None:
    published.insert("a", "red")

    assert published.told(RED, Timestamp(published.time + 60, 0)) == []


@pytest.mark.parametrize("limit", [{"MAX_CHANGES": 3}, {"MAX_BYTES": 400}])
def test_the_oldest_changes_are_forgotten_first(
    published: Published, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(list_changes, name, value)
    began = published.position
    for number in range(10):
        published.insert(f"{number}", "red")

    assert published.told(RED, began) is None
    assert published.told(RED, Timestamp(published.time - 1, 1)) == [("upserted", "9", "new")]


def test_nothing_is_kept_after_the_last_poll_was_long_ago(published: Published) -> None:
    published.now = IDLE_S + 1
    published.insert("a", "red")

    assert not published.changes.are_kept


def test_who_waits_is_woken_by_changes_of_tasks_with_their_keys(published: Published) -> None:
    woken: list[str] = []

    def notify() -> None:
        woken.append("red")

    published.changes.wait(RED, notify)
    published.insert("a", "blue")
    assert woken == []
    published.insert("b", "red")
    published.set("b", teamId="blue")
    assert woken == ["red"] * 2
    published.changes.forget()
    assert woken == ["red"] * 3
    published.changes.leave(RED, notify)
    published.changes.forget()
    assert woken == ["red"] * 3


def test_a_client_with_a_list_of_the_future_has_to_read_the_list(published: Published) -> None:
    """A database that was restored from an older copy has earlier cluster times than the client has seen."""
    later = Timestamp(published.time + 3600, 0)
    published.insert("a", "red")

    assert published.told(RED, later) is None
