"""Adds up the metrics of several workers, those of the dead included. Pure.

The metrics of one process travel as *families* (see `families_of`): a list of objects with the name, the help, the type
and the samples of each metric.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Families = list[dict[str, Any]]
Key = tuple[str, tuple[tuple[str, str], ...]]  # the name of a sample and its labels


def families_of(registry: CollectorRegistry) -> Families:
    """Return the metrics of this registry as values that JSON can carry."""
    return [
        {
            "name": metric.name,
            "help": metric.documentation,
            "type": metric.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in metric.samples],
        }
        for metric in registry.collect()
    ]


def value_of(families: Families, name: str) -> float:
    """Return the sum of all samples with this name. 0.0 if there are none."""
    samples = [sample for family in families for sample in family["samples"]]
    return float(sum(value for sample, _, value in samples if sample == name))


class MetricSums:
    """The sums of the metrics of all workers, for each name and each set of labels.

    A gauge is the sum over the workers that answered the last time, with three exceptions, which its name tells: of a
    time in seconds the greatest value counts, of the start of a process the earliest, and a gauge that only has labels
    to show (`_info`) is 1. A counter or a histogram never goes down, or a monitoring system would take that for a
    restart: it includes what a dead worker had counted when it last answered, and what a silent one had.

    A worker is named by any value; its successor has another name. The metrics named in `without` are left out.
    """

    def __init__(self, without: Collection[str] = ()) -> None:
        self._without = without
        self._known: dict[Hashable, Families] = {}  # what each living worker answered last
        self._dead: dict[str, dict[Key, float]] = {}  # the counters of the dead, by the name of the metric
        self._described: dict[str, dict[str, Any]] = {}  # one family of each name that was ever seen

    def heard(self, worker: Hashable, families: Families) -> None:
        """Note what this worker has answered."""
        self._known[worker] = families = [one for one in families if one["name"] not in self._without]
        for family in families:
            self._described.setdefault(family["name"], family)

    def ended(self, worker: Hashable) -> None:
        """Note that this worker is dead. What it counted stays in the sums, and its gauges no longer count."""
        for family in self._known.pop(worker, ()):
            if not _is_gauge(family):
                _add(self._dead.setdefault(family["name"], {}), family)

    def text(self, answered: Iterable[Hashable]) -> bytes:
        """Return the sums in the text format of Prometheus. Only the gauges of the workers `answered` are included."""
        registry = CollectorRegistry()
        registry.register(_Collected(self._metrics(set(answered))))
        return generate_latest(registry)

    def _metrics(self, answered: set[Hashable]) -> list[Metric]:
        sums = {name: dict(self._dead.get(name, {})) for name in self._described}
        for worker, families in self._known.items():
            for family in families:
                if worker in answered or not _is_gauge(family):
                    _add(sums[family["name"]], family)
        metrics = []
        for name, described in self._described.items():
            metric = Metric(name, described["help"], described["type"])
            for (sample, labels), value in sums[name].items():
                metric.add_sample(sample, dict(labels), value)
            metrics.append(metric)
        return metrics


class _Collected(Collector):
    """Makes metrics known to a registry."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _is_gauge(family: dict[str, Any]) -> bool:
    return bool(family["type"] == "gauge")


def _add(sums: dict[Key, float], family: dict[str, Any]) -> None:
    """Add the samples of a family to these sums."""
    for name, labels, value in family["samples"]:
        key = (name, tuple(sorted(labels.items())))
        if name.endswith("_start_time_seconds"):
            sums[key] = min(value, sums.get(key, value))
        elif name.endswith(("_seconds", "_info")) and _is_gauge(family):
            sums[key] = max(value, sums.get(key, value))
        else:
            sums[key] = value + sums.get(key, 0.0)
