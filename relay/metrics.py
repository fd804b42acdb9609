"""Counters, gauges and histograms in the text format of Prometheus.

Rules of this file: no label carries a user or a task, because their number has no limit. All values of a label are
known, and every series exists from the start: a series that begins with its first event hides this event from
`increase`. Nothing is done for each connection when the metrics are asked for.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from mmap import PAGESIZE
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The times at which counters were created would double the number of series, and nobody asks for them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_STARTED_AT = time.time()  # about the start of the process: this module is imported then
_STATM = Path("/proc/self/statm")

# The upper bounds of the histograms, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# The values of the labels. Those that other modules define, too, are written here once more, because this module is
# shared by all stages and imports none; tests/unit/test_metrics.py compares them.
OTHER = "other"
TRANSPORTS = ("websocket", "poll", "config")
REFUSALS = (
    *("origin_not_allowed", "at_capacity", "rate_limited", "bad_handshake", "token_in_query"),
    *("unauthenticated", "token_expired", "keys_unavailable", "auth_timeout", "feature_disabled"),
    *("disconnected", "restart", OTHER),
)
REQUESTS = (
    *("auth", "dashboard:join", "dashboard:leave", "task:join", "task:leave", "resync_requested", "ping"),
    "unknown",
)
ERRORS = (
    *("bad_message", "unknown_type", "bad_request", "forbidden", "rate_limited", "too_many_tasks"),
    *("feature_disabled", "unavailable", "internal"),
)
CLOSE_CODES = (
    *("1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1011"),
    *("4401", "4403", "4408", "4429", "4430", "4500", "4502", OTHER),
)
Verified = Literal["cached", "ok", "expired", "invalid", "no_keys"]
Joined = Literal["task", "list"]
DatabaseError = Literal[
    "no_answer",  # no server answered that can be followed, or the connection broke
    "time_limit",  # the server gave up after the time that it was given
    "passing",  # the server refused for now: a primary that steps down, a secondary that lags
    "position_lost",  # the change stream cannot be continued where it was
    "moment_lost",  # a moment of the past can no longer be read
    "refused",  # a right, a command or a plain collection is missing
    "unusable",  # an answer that the relay cannot use
]
ResyncCause = Literal[
    "position_lost",  # the database no longer has the changes after the position
    "other_database",  # another database, or an older copy
    "collection_dropped",  # dropped or renamed
    "collection_replaced",  # it was a view, a time series or capped in between
    "change_unreadable",
    "change_late",  # it came after its cluster time had been given out
    "not_translated",  # an error of the relay
    "not_sent",  # an error of the relay
    "other",
]

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
    """The metrics of one relay, in a registry of its own, so that several relays may run in one process.

    `ready`, `stale`, `lag`, `known_tasks`, `users` and `outbox_bytes` are given a function, which returns the value
    whenever it is asked for.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        registry.register(ProcessFigures())
        build = Gauge(
            "relay_build_info",
            "1; the labels say which version of the relay runs on which Python.",
            ["version", "python"],
            registry=registry,
        )
        build.labels(version("task-relay"), platform.python_version()).set(1)
        self.ready = Gauge(
            "relay_ready", "1 if the relay is ready for clients, as /readyz says.", registry=registry
        )
        self.stale = Gauge(
            "relay_stale", "1 if the database has not answered for 5 s, or not yet.", registry=registry
        )
        self.lag = Gauge(
            "relay_lag_seconds",
            "Seconds since the database last answered that the change stream is up to date.",
            registry=registry,
        )
        self.queued = Histogram(
            "relay_delivery_queued_seconds",
            "From the moment that the database wrote down for a change, by its own clock, until its messages "
            "were queued for their readers; one observation for each change. 0 if the database's clock is ahead.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.written = Histogram(
            "relay_delivery_written_seconds",
            "From the moment that the database wrote down for a change, by its own clock, until its messages "
            "were written to the sockets that accept data; samples, one at a time. 0 if the database's clock is ahead.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.joins = Histogram(
            "relay_join_seconds",
            "From the request for a task or for the list until its state was queued.",
            ["what"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.loop_delay = Histogram(
            "relay_loop_delay_seconds",
            "How late the event loop called a timer, four times a second.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.changes = Counter("relay_changes", "Changes read from the stream.", registry=registry)
        self.loads = Counter(
            "relay_task_loads",
            "Tasks read because they changed and were not in the cache.",
            registry=registry,
        )
        self.known_tasks = Gauge("relay_known_tasks", "Tasks in memory.", registry=registry)
        self.reopened = Counter(
            "relay_stream_reopened",
            "Times the stream lost its position and listeners were resynced.",
            registry=registry,
        )
        self.resyncs = Counter(
            "relay_resyncs",
            "Times all listeners were brought up to date from the documents, by cause.",
            ["cause"],
            registry=registry,
        )
        self.database_errors = Counter(
            "relay_database_errors",
            "Failures of the change stream and of reads of the database, by kind.",
            ["kind"],
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
        self.bytes = Counter("relay_bytes_sent", "Bytes written to WebSockets.", registry=registry)
        self.outbox_bytes = Gauge(
            "relay_outbox_bytes", "Bytes that wait for sockets that accept no data.", registry=registry
        )
        self.lagging = Counter(
            "relay_lagging",
            "Times a slow connection lost live messages and was sent states instead.",
            registry=registry,
        )
        self.dropped = Counter(
            "relay_messages_dropped",
            "Live messages that slow connections lost, and were sent states for instead.",
            registry=registry,
        )
        self.reads = Counter("relay_state_reads", "Reads of the database to make states.", registry=registry)
        self.connections = Gauge("relay_connections", "Open connections.", registry=registry)
        self.connections_limit = Gauge(
            "relay_connections_limit", "Connections that may be open, polls included.", registry=registry
        )
        self.polls = Gauge("relay_polls", "Polls that wait for something to send.", registry=registry)
        self.users = Gauge("relay_users", "Users with an open connection or a poll.", registry=registry)
        self.rooms = Gauge("relay_rooms", "Tasks with at least one subscriber.", registry=registry)
        self.received = Counter(
            "relay_messages_received",
            "Messages of clients over WebSocket, by type.",
            ["type"],
            registry=registry,
        )
        self.errors = Counter(
            "relay_errors_sent",
            "Messages of the type error, also as answers to polls, by code.",
            ["code"],
            registry=registry,
        )
        self.refusals = Counter(
            "relay_refusals",
            "Clients that were refused, or closed for the same reasons later, by transport and reason.",
            ["transport", "reason"],
            registry=registry,
        )
        self.unknown_origins = Counter(
            "relay_unknown_origins",
            "Requests of pages whose origin may not connect, by transport.",
            ["transport"],
            registry=registry,
        )
        self.tokens = Counter(
            "relay_tokens_verified", "Tokens that were examined, by result.", ["result"], registry=registry
        )
        self.closed = Counter("relay_closed", "Connections closed, by code.", ["code"], registry=registry)
        for metric, values in (
            (self.joins, get_args(Joined)),
            (self.resyncs, get_args(ResyncCause)),
            (self.database_errors, get_args(DatabaseError)),
            (self.errors, ERRORS),
            (self.unknown_origins, TRANSPORTS),
            (self.tokens, get_args(Verified)),
            (self.closed, CLOSE_CODES),
        ):
            for value in values:
                metric.labels(value)
        self._received = {value: self.received.labels(value) for value in REQUESTS}
        for transport in TRANSPORTS:
            for reason in REFUSALS:
                self.refusals.labels(transport, reason)

    def note_refusal(self, transport: str, reason: str) -> None:
        """Count a client that is refused with this close reason, such as `rate_limited:300`."""
        self.refusals.labels(transport, _one_of(REFUSALS, reason.partition(":")[0])).inc()

    def note_close(self, code: int | None) -> None:
        """Count a connection that was closed with this code, which the client may have chosen."""
        self.closed.labels(_one_of(CLOSE_CODES, str(code))).inc()

    def note_request(self, type: str) -> None:
        """Count a message of a client; `type` is what the client has written there, or empty if it wrote none."""
        (self._received.get(type) or self._received["unknown"]).inc()

    def note_token(self, result: Verified) -> None:
        """Count a token that was examined."""
        self.tokens.labels(result).inc()

    def show(self, shared: Callable[[], SharedStream]) -> None:
        """Add the figures of a shared change stream, which `shared` returns whenever it is called."""
        self.registry.register(_SharedStreamCollector(shared))

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


def _one_of(known: Sequence[str], value: str) -> str:
    """Return the value if it is a known one: clients could make endlessly many series otherwise."""
    return value if value in known else OTHER


class WorkerMetrics:
    """The metrics that a relay with several workers has in addition, about the workers themselves."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        # Of all workers together, in place of those of each worker, because they are no sums.
        self.ready = Gauge(
            "relay_ready", "1 if the relay is ready for clients, as /readyz says.", registry=registry
        )
        self.stale = Gauge(
            "relay_stale", "1 if a running worker has not heard of the database for 5 s.", registry=registry
        )
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


class ProcessFigures(Collector):
    """CPU time, memory and start of this process, under the usual names.

    The collector of the library also counts the open files, for which it lists them: 16 ms at 20,000 connections. So
    this one does without, and `relay_connections_limit` says how many connections the open files allow.
    """

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time of the process, in seconds.", time.process_time()
        )
        yield GaugeMetricFamily("process_start_time_seconds", "When the process began.", _STARTED_AT)
        if _STATM.exists():  # only on Linux
            resident = int(_STATM.read_bytes().split()[1]) * PAGESIZE
            yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", resident)


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
