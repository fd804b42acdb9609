"""Transactions of a sharded cluster, which reads may see before the cluster time of their changes. Without a server.

Such a transaction wrote to several shards. It is visible from its commit timestamp on, and each change has the later
time at which the shard has heard of the commit. Until then no other write can change the documents.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import orjson
import pytest
from bson import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.collector import Collector, stored
from support.hub_in_memory import AUDIENCE, TRANSLATOR, HubFixture, Receiver, settled
from support.mongo_model import WRITES, Group, Model, ModelReads, ModelSource

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics
from relay.source.change import Change
from relay.source.stream import Batch
from relay.tasks.visibility import Principal

TASKS = ("t0", "t1", "t2")
INSERT: Group = [("insert", task, [{"type": "log", "n": 0}], "new") for task in TASKS]
# Each group of writes, and for how many groups before it a transaction is visible; None if it is no transaction.
HISTORIES = st.lists(
    st.tuples(st.lists(WRITES, min_size=1, max_size=3), st.none() | st.integers(0, 3)),
    min_size=1,
    max_size=12,
)
JOINS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(TASKS)), max_size=6)


class EarlyModel(Model):
    """A model of a sharded cluster. `early` has for each transaction when it is visible, and its documents."""

    def __init__(self) -> None:
        super().__init__()
        self.early: list[tuple[Timestamp, Timestamp, dict[str, dict[str, Any] | None]]] = []
        self._in_transaction = False

    def commit(self, group: Group, groups_before: int) -> Batch:
        """Make these writes in a transaction that is visible before the last `groups_before` groups, or as many of them
        as change other documents."""
        self._in_transaction = True
        batch = self.write(group)
        self._in_transaction = False
        changed = {change.id for change in batch.changes}
        visible = len(self.batches) - 1
        while (
            groups_before
            and visible > 1
            and changed.isdisjoint(change.id for change in self.batches[visible - 1].changes)
        ):
            visible, groups_before = visible - 1, groups_before - 1
        at = Timestamp(self.batches[visible].start.time, 5)
        documents = {task: copy.deepcopy(self.documents.get(task)) for task in changed}
        self.early.append((at, batch.position, documents))
        return batch

    def at(self, position: Timestamp) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any] | None] = {**super().at(position)}
        for visible, time, documents in self.early:
            if visible <= position < time:
                found |= documents
        return {task: document for task, document in found.items() if document is not None}

    def _change(self, time: Timestamp, operation: str, task: str, more: dict[str, Any]) -> Change:
        more = {**more, "txnNumber": 1} if self._in_transaction else more
        return super()._change(time, operation, task, more)


class RoutedReads(ModelReads):
    is_routed = True


class Viewer(Receiver):
    """A client: it keeps what it is sent of a task and of the list."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Any] = {}
        self.events: list[Any] | None = None

    def view(self) -> None:
        for message in self.messages:
            data = message["data"]
            match message["type"]:
                case "dashboard:state":
                    self.rows = {row["taskId"]: row for row in data["tasks"]}
                case "dashboard:task_list_updated" if data["change"] == "upserted":
                    self.rows[data["taskId"]] = {name: one for name, one in data.items() if name != "change"}
                case "dashboard:task_list_updated":
                    self.rows.pop(data["taskId"], None)
                case "task:state":
                    held = self.events or []
                    assert data["from"] <= len(held)
                    self.events = [*held[: data["from"]], *data["events"]]
                    assert data["next"] == len(self.events)
                case "task:event_added":
                    assert self.events is not None
                    assert data["index"] == len(self.events), "a gap or a repeat"
                    self.events.append(data["event"])
                case "task:deleted" | "task:revoked" | "error":
                    self.events = None
        self.messages.clear()


async def played(history: Sequence[tuple[Group, int | None]], joins: Sequence[tuple[int, str]]) -> None:
    """Play a history with clients that join a task, and the list, after the given numbers of groups. Check that in the
    end each has what the documents say."""
    fixture = HubFixture()
    fixture.is_routed = True
    fixture.model = model = EarlyModel()
    fixture.model.write(INSERT)
    for group, early in history:
        if early is None:
            model.write(group)
        else:
            model.commit(group, early)
    fixture.hub.move_to(model.batches[0].position)
    viewers: list[tuple[str, str, Viewer]] = []

    class Source:
        async def batches(self) -> AsyncGenerator[Batch]:
            for number, batch in enumerate(model.batches[1:]):
                for at, task in joins:
                    if at == number:
                        for user in ("alice", "bob"):
                            viewer = Viewer()
                            listener = fixture.listener(user, viewer)
                            fixture.hub.join_task(listener, task, None, None, "1")
                            fixture.hub.join_list(listener, 100, "2", caught_up=True)
                            viewers.append((user, task, viewer))
                await settled()
                yield batch
                await settled()

        def reopen(self, reason: str) -> None:
            raise AssertionError(reason)

    cache = TaskCache(1000, fixture.hub.is_listened)
    pump = Pump(Source(), RoutedReads(model), TRANSLATOR, cache, fixture.hub, Metrics())
    async with fixture.hub:
        await pump.run()
    for user, task, viewer in viewers:
        viewer.view()
        visible = AUDIENCE.keys_for(Principal(user, {"sub": user}, 0))
        rows = {
            one: TRANSLATOR.read(document).summary
            for one, document in model.documents.items()
            if AUDIENCE.keys_of(document) & visible
        }
        assert viewer.rows == orjson.loads(orjson.dumps(rows))
        if viewer.events is not None:
            assert viewer.events == [orjson.loads(event) for event in stored(model.documents[task])]


@settings(max_examples=300)
@given(HISTORIES, JOINS)
@example([([("push", "t0", [{"type": "log", "n": 1}], None)], 0)], [(0, "t0")])
@example([([("fields", "t0", "new", "bob")], 0)], [(0, "t0")])
@example([([("delete", "t0")], 0)], [(0, "t0")])
@example(
    [([("fields", "t1", "new", "alice")], None), ([("push", "t0", [{"type": "merged"}], None)], 1)],
    [(1, "t0")],
)
def test_everybody_has_the_documents_after_a_transaction_that_is_visible_early(
    history: list[tuple[Group, int | None]], joins: list[tuple[int, str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.hub.registry.REWRITE_INTERVAL_S", 0.0)
        asyncio.run(played(history, joins))


async def test_a_task_that_moves_to_another_shard_is_not_deleted() -> None:
    """MongoDB moves a document whose shard key is updated with a transaction: it deletes the document on one shard and
    inserts it on the other, and either change may come first."""
    for order in (("insert", "delete"), ("delete", "insert")):
        model = EarlyModel()
        model.write(INSERT)
        moved = {**model.documents["t0"], "region": "eu"}
        start, model._in_transaction = model.batches[0].position, True
        batches = []
        for number, operation in enumerate(order):
            time = Timestamp(20 + number, 1)
            more = {"fullDocument": moved} if operation == "insert" else {}
            changes = [model._change(time, operation, "t0", more)]
            batches.append(Batch(changes, [b""], start, time, b""))
            start = time
        model.documents["t0"] = moved
        model.snapshots.append((Timestamp(15, 1), copy.deepcopy(model.documents)))
        collector = Collector({task: stored(document) for task, document in model.documents.items()})
        cache = TaskCache(1000, lambda key: False)

        await Pump(
            ModelSource(batches, [1]), RoutedReads(model), TRANSLATOR, cache, collector, Metrics()
        ).run()

        assert [one[1] for one in collector.published] == ["t0", "t0"]
        assert all(shows is not None for *_, shows in collector.published)
        assert collector.timelines["t0"] == stored(moved)
