"""The metrics of all workers together, while workers die, are replaced, or do not answer."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from relay.metrics import Metrics
from relay.workers.metric_sums import MetricSums, families_of, value_of


def metrics(*, connections: int = 0, changes: int = 0, closed: dict[str, int] | None = None) -> Metrics:
    made = Metrics()
    made.connections.set(connections)
    made.changes.inc(changes)
    for code, count in (closed or {}).items():
        made.closed.labels(code).inc(count)
    return made


def families(**given: Any) -> Any:
    """The metrics of one worker, as they come over the control channel."""
    return json.loads(json.dumps(families_of(metrics(**given).registry)))


def read(text: bytes) -> dict[tuple[str, str], float]:
    """All samples, by their name and the values of their labels."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_samples_are_added_by_name_and_labels() -> None:
    sums = MetricSums()
    sums.heard("one", families(connections=3, changes=10, closed={"1001": 1, "4401": 2}))
    sums.heard("two", families(connections=4, changes=20, closed={"1001": 5}))
    said = read(sums.text(["one", "two"]))
    assert said["relay_connections", ""] == 7
    assert said["relay_changes_total", ""] == 30
    assert (said["relay_closed_total", "1001"], said["relay_closed_total", "4401"]) == (6, 2)


def test_of_gauges_in_seconds_the_greatest_counts() -> None:
    sums = MetricSums()
    for worker, lag in (("one", 0.5), ("two", 7.0), ("three", 0.25)):
        gauge = {"name": "relay_lag_seconds", "help": "Lag.", "type": "gauge"}
        sums.heard(worker, [{**gauge, "samples": [["relay_lag_seconds", {}, lag]]}])
    assert read(sums.text(["one", "two", "three"]))["relay_lag_seconds", ""] == 7
    assert read(sums.text(["one", "three"]))["relay_lag_seconds", ""] == 0.5  # the other does not answer


def test_the_sums_of_one_worker_are_its_own_metrics() -> None:
    one, sums = metrics(connections=3, changes=10, closed={"1001": 1}), MetricSums()
    sums.heard("one", families_of(one.registry))
    assert read(sums.text(["one"])).keys() == read(one.text()).keys()
    alike = {key: value for key, value in read(one.text()).items() if not key[0].startswith("process_")}
    assert alike.items() <= read(sums.text(["one"])).items()


def test_what_a_dead_worker_counted_stays_and_its_gauges_do_not() -> None:
    sums = MetricSums()
    sums.heard("one", families(connections=3, changes=10))
    sums.heard("two", families(connections=4, changes=20))
    sums.ended("one")
    sums.heard("its successor", families(connections=1, changes=2))
    said = read(sums.text(["two", "its successor"]))
    assert said["relay_connections", ""] == 5
    assert said["relay_changes_total", ""] == 32
    # Once more: the dead are not counted twice.
    sums.ended("its successor")
    sums.ended("its successor")
    assert read(sums.text(["two"]))["relay_changes_total", ""] == 32


def test_the_counters_of_a_silent_worker_are_those_it_last_answered() -> None:
    sums = MetricSums()
    sums.heard("one", families(connections=3, changes=10))
    sums.heard("silent", families(connections=4, changes=20))
    said = read(sums.text(["one"]))
    assert said["relay_changes_total", ""] == 30
    assert said["relay_connections", ""] == 3


def test_the_start_of_the_oldest_process_counts() -> None:
    sums = MetricSums()
    for worker, started in (("one", 200.0), ("two", 100.0), ("three", 300.0)):
        gauge = {"name": "process_start_time_seconds", "help": "Start.", "type": "gauge"}
        sums.heard(worker, [{**gauge, "samples": [["process_start_time_seconds", {}, started]]}])
    assert read(sums.text(["one", "two", "three"]))["process_start_time_seconds", ""] == 100
    assert read(sums.text(["one", "three"]))["process_start_time_seconds", ""] == 200


def test_histograms_are_added_bucket_by_bucket() -> None:
    sums = MetricSums()
    for worker, took in (("one", (0.002, 3.0)), ("two", (0.2, 100.0))):
        made = Metrics()
        for seconds in took:
            made.queued.observe(seconds)
            made.joins.labels("list").observe(seconds)
        sums.heard(worker, json.loads(json.dumps(families_of(made.registry))))
    sums.ended("two")
    said = read(sums.text(["one"]))
    buckets = {
        key[1]: value for key, value in said.items() if key[0] == "relay_delivery_queued_seconds_bucket"
    }
    assert [buckets[most] for most in ("0.001", "0.0025", "0.25", "2.5", "5.0", "60.0", "+Inf")] == [
        *(0, 1, 2, 2, 3, 3, 4)
    ]
    assert said["relay_delivery_queued_seconds_count", ""] == 4
    assert said["relay_delivery_queued_seconds_sum", ""] == 103.202
    assert said["relay_join_seconds_count", "list"] == 4


def test_the_version_of_all_workers_is_said_once() -> None:
    sums = MetricSums()
    for worker in ("one", "two"):
        sums.heard(worker, families())
    assert [
        value for key, value in read(sums.text(["one", "two"])).items() if key[0] == "relay_build_info"
    ] == [1]


def test_a_metric_that_is_no_sum_is_left_out() -> None:
    sums = MetricSums(["relay_ready"])
    sums.heard("one", families(connections=1))
    said = read(sums.text(["one"]))
    assert ("relay_ready", "") not in said
    assert said["relay_connections", ""] == 1


def test_a_metric_that_only_some_workers_know_is_included() -> None:
    """While workers are replaced, two versions may run side by side."""
    sums, newer = MetricSums(), families(connections=1)
    newer.append({"name": "relay_new", "help": "New.", "type": "gauge", "samples": [["relay_new", {}, 2.0]]})
    sums.heard("old", families(connections=1))
    sums.heard("new", newer)
    said = read(sums.text(["old", "new"]))
    assert (said["relay_new", ""], said["relay_connections", ""]) == (2, 2)


def test_without_workers_there_are_no_samples() -> None:
    assert MetricSums().text([]) == b""


def test_the_value_of_a_metric_is_the_sum_of_its_samples() -> None:
    made = families(connections=3, closed={"1001": 1, "4401": 2})
    assert value_of(made, "relay_connections") == 3
    assert value_of(made, "relay_closed_total") == 3
    assert value_of([], "relay_connections") == 0
