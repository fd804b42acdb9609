"""What a load needs: workers, hosts, memory and cores. Pure.

All costs come from the figures, and all limits of the relay from its settings. Sums round up, and where a cost depends
on how the load comes, the higher one is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from relay.config import Settings
from relay.source.shared.redis_stream import KEPT_S
from scripts.capacity_figures import Figures

MB, GB = 1e6, 1e9
US = 1e6  # microseconds in a second


def default(setting: str) -> float:
    """Return the default of a setting of the relay."""
    return float(Settings.model_fields[setting].default)


PINGS_PER_S = 1000 / default("relay_ping_interval_ms") + 1000 / default("relay_heartbeat_ms")
RANGES = {  # of the members of a load: the lowest and the highest value, and what a value is
    "connections": (1, 1e9, "open connections"),
    "writes": (0.001, 1e7, "writes a second"),
    "listeners": (0, 1e9, "connections that receive a change, on average"),
    "change_bytes": (1, 16e6, "bytes that a write adds"),
    "tls": (0, 1, "share of the connections that use TLS"),
    "joins": (0, 200, "joins of each connection"),
    "return_minutes": (0.01, 1440, "minutes within which everybody comes back"),
    "cores": (2, 1024, "cores of one host"),
    "mongod_cores": (0.1, 1024, "cores that mongod has for the relay"),
}


class Impossible(Exception):
    """No number of workers is enough. The text says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the relay. Raises ValueError if a value is not in its range.

    `listeners`: connections that receive a change, on average. `change_bytes`: what a write adds to a document.
    `return_minutes`: how long it takes until everybody is back after a broken network.
    """

    connections: int
    writes: float
    listeners: float
    change_bytes: float = 100
    tls: float = 1.0
    joins: float = 1.0
    return_minutes: float = 2.0
    cores: int = 8
    mongod_cores: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            lowest, highest, what = RANGES[field.name]
            if not lowest <= getattr(self, field.name) <= highest:  # also refuses what is not a number
                raise ValueError(f"{what}: must be from {lowest:,g} to {highest:,.15g}")
        if self.listeners > self.connections:
            raise ValueError(
                f"{self.listeners:,g} connections cannot receive a change when only {self.connections:,} are open"
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs, on all hosts together unless a comment says otherwise. Cores are averages, not rounded."""

    workers: int
    hosts: int
    workers_per_host: int
    uses_redis: bool
    delivery_cores: float  # to make messages and to send them
    ping_cores: float  # for pings and heartbeats
    follow_cores: float  # of the workers, for the changes
    tail_cores: float  # of what reads the changes and passes them on to the workers
    free_cores: float  # what the workers have left
    worker_follow_cores: float  # of one worker
    tailer_cores: float  # of the process that reads the change stream
    relay_gb: float
    kernel_gb: float
    tls_gb: float  # of the TLS proxies
    host_gb: float  # of one host: relay and kernel
    sent_mb_per_s: float  # to clients
    mongod_tail_cores: float
    redis_cores: float
    redis_mb_per_s: float  # written and read
    redis_gb: float
    return_relay_s: float  # CPU time when everybody comes back
    return_mongod_s: float  # CPU time
    return_tls_s: float  # CPU time
    return_relay_cores: float  # when everybody comes back within the minutes of the load
    return_mongod_cores: float
    return_shortest_s: float  # in less time everybody cannot be back


def plan(load: Load, figures: Figures) -> Plan:
    """Return what this load needs with these figures. Raises Impossible if no number of workers is enough."""

    def cores(name: str) -> float:
        return figures.per_change(name).per_second(load.writes) / US

    busy = figures["busy_share"]
    delivery = load.writes * load.listeners * figures["delivery_us"] / US
    pings = load.connections * PINGS_PER_S * figures["ping_us"] / US
    messages = load.writes * _message_us(load, figures) / US  # in each worker that has a listener
    follow, tail = cores("worker_us"), cores("tailer_us")
    if max(follow, tail) >= busy:
        raise Impossible(
            f"{load.writes:,.0f} writes a second take {follow:.2f} cores of each worker and {tail:.2f} of the process "
            f"that reads the stream, of {busy:g} at most; split the tasks into collections with relays of their own"
        )
    workers = max(
        _workers(delivery + pings, follow, messages, load.listeners, busy),
        math.ceil(load.connections / figures["worker_connections"]),
    )
    if workers == 1 and delivery + pings + messages * min(1, load.listeners) + follow + tail > busy:
        workers = 2  # because a relay without workers also reads the stream in its only process
    hosts = math.ceil(
        workers / (load.cores - 1)
    )  # one core is for the tailer, the kernel and everything else
    messages *= min(load.listeners, workers)
    further = (hosts - 1) * cores("mongod_further_us")
    # Whatever leads a stream in Redis needs more time for each change than a process that only reads the database's.
    uses_redis = further > figures["streams_mongod_cores"] and cores("leader_us") < busy
    tails = cores("leader_us") + (hosts - 1) * cores("follower_us") if uses_redis else hosts * tail
    free = workers - delivery - messages - pings - workers * follow
    relay_bytes = _relay_bytes(load, figures, workers, hosts)
    kernel_bytes = load.connections * figures["kernel_bytes"]
    redis_bytes = _redis_bytes(load, figures) if uses_redis else 0.0
    return_relay_s = load.connections * (figures["connect_us"] + load.joins * figures["join_us"]) / US
    return_mongod_s = load.connections * load.joins * figures["mongod_join_us"] / US
    return Plan(
        workers=workers,
        hosts=hosts,
        workers_per_host=math.ceil(workers / hosts),
        uses_redis=uses_redis,
        delivery_cores=delivery + messages,
        ping_cores=pings,
        follow_cores=workers * follow,
        tail_cores=tails,
        free_cores=free,
        worker_follow_cores=follow,
        tailer_cores=cores("leader_us") if uses_redis else tail,
        relay_gb=relay_bytes / GB,
        kernel_gb=kernel_bytes / GB,
        tls_gb=load.connections * load.tls * figures["tls_bytes"] / GB,
        host_gb=(relay_bytes + kernel_bytes) / hosts / GB,
        sent_mb_per_s=load.writes * load.listeners * _frame_bytes(load, figures) / MB,
        mongod_tail_cores=cores("mongod_first_us") + (0.0 if uses_redis else further),
        redis_cores=hosts * cores("redis_us") if uses_redis else 0.0,
        redis_mb_per_s=(1 + hosts) * redis_bytes / MB,
        redis_gb=redis_bytes * KEPT_S / GB,
        return_relay_s=return_relay_s,
        return_mongod_s=return_mongod_s,
        return_tls_s=load.connections * load.tls * figures["tls_handshake_us"] / US,
        return_relay_cores=return_relay_s / load.return_minutes / 60,
        return_mongod_cores=return_mongod_s / load.return_minutes / 60,
        return_shortest_s=max(return_relay_s / free, return_mongod_s / load.mongod_cores),
    )


def most_writes(figures: Figures, *, through_redis: bool = False) -> float:
    """Return the writes a second from which on no number of workers is enough. `through_redis`: if the hosts share one
    change stream."""
    budget = figures["busy_share"] * US
    reads = "leader_us" if through_redis else "tailer_us"
    return min(figures.per_change(name).writes_within(budget) for name in ("worker_us", reads))


def _workers(shared: float, follow: float, messages: float, listeners: float, busy: float) -> int:
    """Return the least number of workers for `shared` cores that they divide among them, `follow` cores that each of
    them needs, and `messages` cores that each worker with a listener needs: at most `listeners` of them."""
    enough = (shared + messages * listeners) / (busy - follow)
    if busy - follow > messages:
        enough = min(enough, shared / (busy - follow - messages))
    return max(1, math.ceil(enough))


def _message_us(load: Load, figures: Figures) -> float:
    longer = max(0.0, load.change_bytes - figures["event_bytes"])
    return figures["message_us"] + longer * figures["message_us_per_byte"]


def _frame_bytes(load: Load, figures: Figures) -> float:
    return max(1.0, figures["frame_bytes"] + load.change_bytes - figures["event_bytes"])


def _redis_bytes(load: Load, figures: Figures) -> float:
    """Return the bytes a second. The measured events are alike, so they vanish in the compression; what a write adds
    therefore counts once more, as if nothing of it could be compressed."""
    return figures.per_change("redis_bytes").per_second(load.writes) + load.writes * load.change_bytes


def _relay_bytes(load: Load, figures: Figures, workers: int, hosts: int) -> float:
    processes = workers * figures["worker_bytes"]
    if workers > hosts:
        processes += hosts * (figures["tailer_bytes"] + figures["parent_bytes"])
    join = max(0.0, figures["joined_bytes"] - figures["connection_bytes"])
    return processes + load.connections * (figures["connection_bytes"] + load.joins * join)
