"""Counters and gauges in the text format of Prometheus.

Rule of this file: no label carries a user or a task, because their number has no limit.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
