"""What breaks first under a load, and what to do about it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from relay.source.shared.redis_stream import KEPT_S
from scripts.capacity_figures import Figures
from scripts.capacity_plan import GB, MB, Load, Plan, default


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that breaks when `now` exceeds `most`, and what to do about it."""

    name: str
    now: float
    most: float
    unit: str
    remedy: str

    @property
    def used(self) -> float:
        """Return the share of the limit that is used: above 1 it breaks."""
        return self.now / self.most


def limits(load: Load, plan: Plan, figures: Figures) -> list[Limit]:
    """Return the limits that this plan comes near to, the one that breaks first at the beginning."""
    connections = math.ceil(load.connections / plan.hosts)
    busy = figures["busy_share"]
    found = [
        Limit(
            "RELAY_MAX_CONNECTIONS of one host, by default",
            connections,
            default("relay_max_connections"),
            "connections",
            f"set it to {_rounded(1.5 * connections):,} and raise the limit on open files",
        ),
        Limit(
            "ports between one proxy address and one listener",
            connections,
            figures["proxy_ports"],
            "connections",
            "give each worker an address of its own (RELAY_WORKER_PORTS), best a Unix socket, or the proxy several",
        ),
        Limit(
            "one worker, which follows every change",
            plan.worker_follow_cores,
            busy,
            "cores",
            "more workers do not help; split the tasks into collections with relays of their own",
        ),
        Limit(
            "the process that reads the change stream",
            plan.tailer_cores,
            busy,
            "cores",
            "split the tasks into collections with relays of their own",
        ),
        Limit(
            "mongod, when everybody comes back",
            plan.return_mongod_cores,
            load.mongod_cores,
            "cores",
            "read from secondaries (readPreference), or let clients come back more slowly",
        ),
        Limit(
            "the workers, when everybody comes back",
            plan.return_relay_cores,
            plan.free_cores,
            "cores",
            "run more workers, or let clients come back more slowly",
        ),
    ]
    if plan.uses_redis:
        found += [
            Limit(
                "RELAY_REDIS_MAX_BYTES, by default",
                plan.redis_gb * GB,
                default("relay_redis_max_bytes"),
                "bytes",
                f"set it to {_rounded(1.5 * plan.redis_gb * GB):,}; "
                f"until then entries are kept for less than {KEPT_S} s",
            ),
            Limit(
                "the network of Redis",
                plan.redis_mb_per_s,
                figures["network_bytes_per_s"] / MB,
                "MB/s",
                "give Redis a faster network, or use fewer and larger hosts",
            ),
        ]
    return sorted(found, key=lambda one: one.used, reverse=True)


def _rounded(number: float) -> int:
    """Round up to two digits."""
    scale = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return math.ceil(number / scale) * scale
