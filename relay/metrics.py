"""Counters and gauges in the text format of Prometheus.

Rule of this file: no label carries a user or a task, because their number has no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# How a relay gets the changes of a stream that several processes share: `leading` also passes them on to the others.
Role = Literal["leading", "following", "alone"]


class SharedStream(NamedTuple):
    """The figures of a change stream that several processes share, as one of them sees it."""

    role: Role
    lag_s: float | None  # seconds since the last sign that it is up to date; None before the first
    bridged: int  # times that lost entries were read from the database
    skipped: int  # entries that were known already
    leads: int  # times that this process became the one that leads


class Metrics:
    """The metrics of one relay, in a registry of its own, so that several relays may run in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.changes = Counter("relay_changes", "Changes read from the stream.", registry=registry)
        self.loads = Counter(
            "relay_task_loads",
            "Tasks read because they changed and were not in the cache.",
            registry=registry,
        )
        self.reopened = Counter(
            "relay_stream_reopened",
            "Times the stream lost its position and listeners were resynced.",
            registry=registry,
        )
        self.undecodable = Counter(
            "relay_undecodable_values",
            "Values that the driver cannot decode, counted at every read of a document or change.",
            registry=registry,
        )
        self.left_out = Counter(
            "relay_documents_left_out",
            "Documents left out of a read because they are not valid BSON.",
            registry=registry,
        )
        self.frames = Counter("relay_frames_sent", "Frames queued for listeners.", registry=registry)
        self.lagging = Counter(
            "relay_lagging",
            "Times a slow connection lost live messages and was sent states instead.",
            registry=registry,
        )
        self.reads = Counter("relay_state_reads", "Reads of the database to make states.", registry=registry)
        self.connections = Gauge("relay_connections", "Open connections.", registry=registry)
        self.polls = Gauge("relay_polls", "Polls that wait for something to send.", registry=registry)
        self.rooms = Gauge("relay_rooms", "Tasks with at least one subscriber.", registry=registry)
        self.unknown_origins = Counter(
            "relay_unknown_origins",
            "Requests of pages whose origin may not connect, by transport.",
            ["transport"],
            registry=registry,
        )
        self.closed = Counter("relay_closed", "Connections closed, by code.", ["code"], registry=registry)

    def show(self, shared: Callable[[], SharedStream]) -> None:
        """Add the figures of a shared change stream, which `shared` returns whenever it is called."""
        self.registry.register(_SharedStreamCollector(shared))

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class WorkerMetrics:
    """The metrics that a relay with several workers has in addition, about the workers themselves."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.workers = Gauge("relay_workers", "Workers that are running.", registry=registry)
        self.connections = Gauge(
            "relay_worker_connections", "Open connections of one worker.", ["worker"], registry=registry
        )
        self.restarts = Counter(
            "relay_worker_restarts",
            "Times a worker or the tailer ended and was started again.",
            ["worker"],
            registry=registry,
        )

    def text(self) -> bytes:
        """Return these metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class DroppedLines(Collector):
    """The number of lines that one process has dropped because standard error could not be written, as a metric.
    `dropped` returns it whenever it is called."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "relay_log_lines_dropped",
            "Lines of the log that were dropped because standard error could not be written.",
            self._dropped(),
        )


class _SharedStreamCollector(Collector):
    def __init__(self, shared: Callable[[], SharedStream]) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        shared = self._shared()
        role = GaugeMetricFamily(
            "relay_shared_role",
            "How this relay gets the shared change stream: 1 for its role.",
            labels=["role"],
        )
        for name in get_args(Role):
            role.add_metric([name], float(name == shared.role))
        yield role
        if shared.lag_s is not None:
            yield GaugeMetricFamily(
                "relay_shared_lag_seconds",
                "Seconds since the change stream was last known to be up to date.",
                shared.lag_s,
            )
        for counter, help, value in (
            (
                "bridged",
                "Times lost entries of the shared change stream were read from the database.",
                shared.bridged,
            ),
            ("skipped", "Entries of the shared change stream that were known already.", shared.skipped),
            ("leads", "Times this relay became the one that leads the shared change stream.", shared.leads),
        ):
            yield CounterMetricFamily(f"relay_shared_{counter}", help, value)
