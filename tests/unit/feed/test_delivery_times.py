"""How long changes took until they were published, by the clock of the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.collector import TRANSLATOR, Collector, run_to_the_end
from support.mongo_model import Group, Model, ModelReads, ModelSource

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics


def test_each_change_is_measured_and_a_clock_that_is_ahead_counts_as_no_time() -> None:
    # Given four changes, each of which the database committed a second after the one before, in two batches,
    groups: list[Group] = [
        [("insert", "a", [], "new")],
        *([("push", "a", [{"n": n}], None)] for n in range(3)),
    ]
    model = Model(groups)
    seconds = [batch.position.time for batch in model.batches]
    committed = [(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=one)).timestamp() for one in seconds]
    # when they are published half a second after the third of them, by the clock of the relay,
    metrics, watched = Metrics(), list[float]()
    run_to_the_end(
        Pump(
            ModelSource(model.batches, [2]),
            ModelReads(model),
            TRANSLATOR,
            TaskCache(10, lambda key: False),
            Collector({}),
            metrics,
            clock=lambda: 0.0,
            wall=lambda: committed[2] + 0.5,
            published=watched.append,
        )
    )
    # then the delay of each change is measured, and the last took no time.
    value = metrics.registry.get_sample_value
    assert value("relay_delivery_queued_seconds_count") == 4
    assert value("relay_delivery_queued_seconds_sum") == sum(
        committed[2] + 0.5 - one for one in committed[:3]
    )
    assert value("relay_delivery_queued_seconds_bucket", {"le": "0.001"}) == 1
    # Of each batch, the first change is watched until it is written.
    assert watched == [committed[0], committed[2]]
