"""Counters and gauges, as Prometheus text. Labels never carry a user or a task."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One relay's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.changes = Counter("relay_changes", "Changes read from the stream.", registry=registry)
        self.loads = Counter(
            "relay_task_loads", "Tasks read because a change met one not known.", registry=registry
        )
        self.reopened = Counter(
            "relay_stream_reopened", "Times the place in the stream was lost and healed.", registry=registry
        )
        self.undecodable = Counter(
            "relay_undecodable_values",
            "Values that the driver cannot decode, counted at every read of a document or change.",
            registry=registry,
        )
        self.left_out = Counter(
            "relay_documents_left_out",
            "Documents left out of a read because they are no BSON.",
            registry=registry,
        )
        self.frames = Counter("relay_frames_sent", "Frames queued for listeners.", registry=registry)
        self.lagging = Counter(
            "relay_lagging", "Times a reader fell behind and was given states instead.", registry=registry
        )
        self.reads = Counter("relay_state_reads", "Reads of the database for states.", registry=registry)
        self.connections = Gauge("relay_connections", "Open connections.", registry=registry)
        self.polls = Gauge("relay_polls", "Polls that wait for an answer.", registry=registry)
        self.rooms = Gauge("relay_rooms", "Tasks somebody listens to.", registry=registry)
        self.unknown_origins = Counter(
            "relay_unknown_origins",
            "Requests of pages that may not connect, by how they asked.",
            ["transport"],
            registry=registry,
        )
        self.closed = Counter("relay_closed", "Connections closed, by code.", ["code"], registry=registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)
