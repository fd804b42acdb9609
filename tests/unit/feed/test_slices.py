"""The pump works a batch off in slices, between which everything else runs, and publishes it exactly all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, pairwise
from typing import Any

import bson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.collector import TRANSLATOR, Collector, stored
from support.mongo_model import DECODER, Group, Model, ModelReads, ModelSource

from relay.feed import slices
from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.feed.slices import SLICE_S, Slices, is_heavy, parts
from relay.metrics import Metrics
from relay.source.change import Change, Inserted, Replaced, Updated, key_of
from relay.tasks.step import Step
from relay.tasks.task import Task

TASKS = [f"t{n}" for n in range(6)]


class Publisher(Collector):
    """Notes before each call how often something else has run."""

    def __init__(self, turns: list[int]) -> None:
        super().__init__({})
        self.calls: list[tuple[Timestamp, list[str], int]] = []
        self._turns = turns

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        super().publish(steps, position)
        self.calls.append((position, [step.id for step in steps], self._turns[0]))


async def published(model: Model, clock: Callable[[], float]) -> Publisher:
    """Return what is published of a model whose groups all come in one batch."""
    turns = [0]
    publisher = Publisher(turns)
    memory = TaskCache(1000, lambda key: False)
    source = ModelSource(model.batches, [len(model.batches)])
    pumping = asyncio.ensure_future(
        Pump(source, ModelReads(model), TRANSLATOR, memory, publisher, Metrics(), clock=clock).run()
    )
    while not pumping.done():
        turns[0] += 1
        await asyncio.sleep(0)
    await pumping
    return publisher


def writes() -> list[Group]:
    inserts: list[Group] = [[("insert", task, [{"n": 0}], "new")] for task in TASKS]
    return [*inserts, [("push", task, [{"type": "log", "n": 1}], None) for task in TASKS]]


async def test_everything_else_runs_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "STEPS", 1)
    model = Model(writes())

    publisher = await published(model, partial(next, count(0.0, SLICE_S)))

    turns = [turn for *_, turn in publisher.calls]
    assert len(turns) > 1
    assert all(later > earlier for earlier, later in pairwise(turns))
    assert turns[0] > len(TASKS)  # also between two changes that are translated


async def test_a_batch_is_published_at_once_if_it_takes_no_time() -> None:
    publisher = await published(Model(writes()), lambda: 0.0)
    assert [len(ids) for _, ids, _ in publisher.calls] == [2 * len(TASKS)]


async def test_the_position_moves_with_each_slice_and_never_between_changes_of_one_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "STEPS", 1)
    model = Model(writes())

    publisher = await published(model, partial(next, count(0.0, SLICE_S)))

    assert [len(ids) for _, ids, _ in publisher.calls] == [1, 1, 1, 1, 1, 1, 6]
    assert [position for position, *_ in publisher.calls] == [batch.position for batch in model.batches]
    assert publisher.timelines == {task: stored(one) for task, one in model.documents.items()}


def test_a_slice_has_as_many_steps_as_the_time_allows() -> None:
    now = [0.0]
    chosen, sizes = Slices(lambda: now[0]), []
    for some in chosen.of_steps([step_at(time) for time in range(1, 501)]):
        sizes.append(len(some))
        now[0] += len(some) * SLICE_S / 50
    assert sizes[0] == 100
    assert set(sizes[1:-1]) <= {49, 50}


async def test_a_heavy_batch_is_published_in_parts_that_end_between_two_cluster_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "PART", 4)
    model = Model(writes())

    publisher = await published(model, lambda: 0.0)

    assert [len(ids) for _, ids, _ in publisher.calls] == [4, 2, 6]
    times = [batch.position for batch in model.batches]
    assert [position for position, *_ in publisher.calls] == [times[3], times[5], times[6]]
    assert publisher.timelines == {task: stored(one) for task, one in model.documents.items()}


async def test_a_heavy_change_is_translated_in_a_thread_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Model([*writes(), [("push", task, [{"type": "failed"}, {"n": 2}], "failed") for task in TASKS]])
    usual = await published(model, lambda: 0.0)
    monkeypatch.setattr(slices, "HEAVY", 0)
    monkeypatch.setattr("relay.tasks.translate.HEAVY_ARRAY", 0)
    monkeypatch.setattr(slices, "HEAVY_BYTES", 0)

    threaded = await published(model, lambda: 0.0)

    assert threaded.published == usual.published


def step_at(time: int) -> Step:
    change = change_of(time, 1)
    return Step(change, change.key, "t", None, None, None, lambda *_: ())


def change_of(time: int, paths: int) -> Change:
    fields: dict[str, Any] = {f"events.{n}.v": n for n in range(paths)}
    return Change(key_of("t"), "t", Timestamp(time, 1), None, Updated(fields))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=12))
def test_parts_are_small_or_of_one_time_and_hold_every_change_in_order(
    weights: list[tuple[bool, int]],
) -> None:
    time, changes = 1, []
    for is_later, weight in weights:
        time += is_later
        changes.append(change_of(time, weight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "PART", 10)
        found = [*parts(changes, "events")]
    assert [change for part, _ in found for change in part] == changes
    for part, weight in found:
        assert weight == sum(len(change.operation.fields) for change in part)  # type: ignore[union-attr]
    times = [{change.time for change in part} for part, _ in found]
    assert all(one.isdisjoint(other) for one, other in pairwise(times))
    for part, weight in found:
        last = [change for change in part if change.time == part[-1].time]
        before = weight - sum(len(change.operation.fields) for change in last)  # type: ignore[union-attr]
        assert weight <= 10 or before <= 10


@pytest.mark.parametrize(
    ("operation", "heavy"),
    [
        (Updated({"events.7.v": 1}), True),
        (Updated({}, ["events.7.v"]), True),
        (Updated({}, [], [("events", 100)]), True),
        (Updated({"events.60000": {}}), False),
        (Updated({"title": "New"}), False),
    ],
)
def test_an_edit_of_one_event_weighs_as_much_as_the_array_in_memory(operation: Updated, heavy: bool) -> None:
    document = {"_id": "t", "events": [{"n": number} for number in range(60_000)]}

    def task(**fields: Any) -> Task:
        return TRANSLATOR.read(DECODER.document(bson.encode(document | fields)))

    change = Change(key_of("t"), "t", Timestamp(2, 1), None, operation)

    assert is_heavy(task(), change, "events") is heavy
    assert not is_heavy(task(events=[{}]), change, "events")


@pytest.mark.parametrize(
    "make", [Inserted, Replaced, lambda document: Updated({"members": document["members"]})]
)
def test_a_change_that_brings_a_list_of_very_many_ids_is_applied_in_a_thread(make: Any) -> None:
    for count_of_ids, heavy in ((20_000, False), (200_000, True)):
        operation = make({"_id": "t", "members": ["a"] * count_of_ids})
        change = Change(key_of("t"), "t", Timestamp(2, 1), None, operation)
        assert is_heavy(None, change, "events") is heavy
