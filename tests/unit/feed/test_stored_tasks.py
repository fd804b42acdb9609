"""The pump reads the tasks of a batch: no task twice, and the next ones while it works on those before them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from bson import Timestamp
from support.collector import TRANSLATOR, Collector, stored
from support.hub_in_memory import settled, until
from support.mongo_model import Group, Model, ModelReads, ModelSource

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.feed.stored_tasks import WHOLE_PER_READ
from relay.metrics import Metrics

MANY = [f"t{n}" for n in range(3 * WHOLE_PER_READ)]


class Reads(ModelReads):
    """Notes each read: how many tasks it asks for, and whether it asks for whole documents. The reads from number
    `held` on wait for `gate`."""

    def __init__(self, model: Model, held: int | None = None) -> None:
        super().__init__(model)
        self.asked: list[tuple[int, bool]] = []
        self.cancelled = 0
        self._held = held
        self.gate = asyncio.Event()

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], *, projection: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        self.asked.append((len(filter["_id"]["$in"]), projection is None))
        if self._held is not None and len(self.asked) > self._held:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().read_at(position, filter, projection=projection)


class Given:
    """A pump that is given all later changes of a collection with tasks in one batch."""

    def __init__(self, tasks: list[str], later: list[Group], *, held: int | None = None) -> None:
        inserts: list[Group] = [[("insert", task, [{"n": 0}, {"n": 1}], "new") for task in tasks]]
        self.model = Model([*inserts, *later])
        self.reads = Reads(self.model, held)
        batches = self.model.batches[1:]
        before = self.model.at(batches[0].start).values()
        self.publisher = Collector({one["_id"]: stored(one) for one in before})
        source, memory = ModelSource(batches, [len(batches)]), TaskCache(1000, lambda key: False)
        self.pump = Pump(source, self.reads, TRANSLATOR, memory, self.publisher, Metrics())

    def check_published(self) -> None:
        assert self.publisher.timelines == {one["_id"]: stored(one) for one in self.model.documents.values()}


def reversal(task: str) -> Group:
    return [("array", task, "reversed", None)]


def push(task: str) -> Group:
    return [("push", task, [{"n": 2}], None)]


async def test_a_task_whose_array_comes_whole_is_read_once_and_then_kept_with_its_array() -> None:
    given = Given(["t0", "t1"], [reversal("t0"), push("t1"), reversal("t0")])
    await given.pump.run()
    given.check_published()
    # The one that is appended to needs no array.
    assert given.reads.asked == [(1, False), (1, True)]


@pytest.mark.parametrize(
    "change", [("insert", "t9", [{"n": 0}], "new"), ("delete", "t0"), ("replace", "t0", [], "new")]
)
async def test_an_array_that_comes_whole_is_compared_whatever_else_happens_to_its_task(change: Any) -> None:
    given = Given(["t0"], [[change], reversal(change[1]), push(change[1]), reversal(change[1])])
    await given.pump.run()
    given.check_published()


async def test_the_next_tasks_are_read_while_those_before_them_are_translated() -> None:
    given = Given(MANY, [reversal(task) for task in MANY], held=1)
    running = asyncio.ensure_future(given.pump.run())
    await until(lambda: len(given.reads.asked) == 2)
    await settled()
    assert (
        given.reads.asked == [(WHOLE_PER_READ, True)] * 2
    )  # and no third one: that may be much to keep in memory
    given.reads.gate.set()
    await running
    given.check_published()
    assert given.reads.asked == [(WHOLE_PER_READ, True)] * 3


async def test_a_read_that_is_under_way_ends_with_the_pump() -> None:
    given = Given(MANY, [reversal(task) for task in MANY], held=1)
    running = asyncio.ensure_future(given.pump.run())
    await until(lambda: len(given.reads.asked) == 2)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert given.reads.cancelled == 1
