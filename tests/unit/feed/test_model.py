"""Hundreds of generated histories of a collection, against a model of the database. Without a server.

The messages rebuild the documents. They depend on the changes only: not on what a relay has in its cache, not on when
it started, and not on how the stream was split into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.collector import TRANSLATOR, Collector, run_to_the_end, stored
from support.mongo_model import GROUPS, Group, Model, ModelReads, ModelSource

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics
from relay.source.change import key_of

METRICS = Metrics()
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def published_by(
    model: Model,
    *,
    start: int = 0,
    known: int = 1000,
    array_bytes: int = 10_000,
    sizes: Sequence[int] = (1,),
    second: float = 0.0,
) -> Collector:
    """Return what a relay publishes that starts after the first `start` groups of writes.

    `second` is the time that passes between two looks at the clock of the pump.
    """
    memory = TaskCache(known, lambda key: False, array_bytes=array_bytes)
    collector = Collector({task: stored(document) for task, document in model.snapshots[start][1].items()})
    pump = Pump(
        ModelSource(model.batches[start:], sizes),
        ModelReads(model),
        TRANSLATOR,
        memory,
        collector,
        METRICS,
        clock=partial(next, count(0.0, second)),
    )
    run_to_the_end(pump)
    return collector


@settings(max_examples=400)
@given(GROUPS, SIZES)
def test_the_messages_rebuild_the_documents(groups: list[Group], sizes: list[int]) -> None:
    model = Model(groups)
    collector = published_by(model, sizes=sizes)
    assert collector.timelines == {task: stored(document) for task, document in model.documents.items()}


@settings(max_examples=400)
@given(GROUPS, SIZES, st.integers(0, 25))
def test_every_relay_sends_the_same_messages(groups: list[Group], sizes: list[int], start: int) -> None:
    model, start = Model(groups), min(start, len(groups))
    first = published_by(model)
    later = [one[1:] for one in first.published if one[0] > model.snapshots[start][0]]
    kinds: tuple[dict[str, Any], ...] = ({"known": 1, "array_bytes": 0}, {"known": 2, "second": 1.0}, {})
    for memory in kinds:
        other = published_by(model, start=start, sizes=sizes, **memory)
        assert [one[1:] for one in other.published] == later
        assert other.timelines == first.timelines


def test_a_cache_for_one_task_keeps_one() -> None:
    memory = TaskCache(1, lambda key: False)
    for name in ("a", "b"):
        memory.remember(key_of(name), TRANSLATOR.read({"_id": name, "events": [1, 2]}), with_array=True)
    memory.shrink()
    assert (len(memory), memory.get(key_of("a"))) == (1, None)
    assert memory.get(key_of("b")) is not None
