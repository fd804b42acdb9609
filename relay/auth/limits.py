"""Limits on what a peer may do: token buckets, and caps on connections. Pure: time comes in as an argument."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Self

from relay.config import Settings

BURST_S = 2  # requests of this many seconds may come at once


class TokenBucket:
    """`rate` requests a second, `burst` at once."""

    __slots__ = ("_burst", "_filled_at", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled_at = now

    def take(self, now: float) -> float:
        """0.0 when the request may pass, else the seconds until one may."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate

    def is_full(self, now: float) -> bool:
        return self._level + (now - self._filled_at) * self._rate >= self._burst

    def charge(self, requests: float) -> None:
        """A request that passed costs so many more; what is not there is owed."""
        self._level -= requests


class Buckets:
    """A token bucket for each name. One that is full again is forgotten, which changes nothing for its
    name, so only those are remembered who asked a moment ago."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._by_name: OrderedDict[str, TokenBucket] = OrderedDict()  # who asked last stands last

    def __len__(self) -> int:
        return len(self._by_name)

    def take(self, name: str, now: float) -> float:
        """As of a bucket."""
        while self._by_name and next(iter(self._by_name.values())).is_full(now):
            self._by_name.popitem(last=False)
        bucket = self._by_name.pop(name, None) or TokenBucket(self._rate, self._burst, now)
        self._by_name[name] = bucket
        return bucket.take(now)

    def charge(self, name: str, requests: float) -> None:
        """As of a bucket of which was taken just now."""
        self._by_name[name].charge(requests)


class Caps:
    """How many connections are open: in all, from one address, of one user."""

    def __init__(self, *, total: int, per_address: int, per_user: int) -> None:
        self._total = total
        self._per_address = per_address
        self._per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._open = 0

    @classmethod
    def of(cls, settings: Settings, total: int) -> Self:
        """Return the caps of these settings, with room for `total` connections."""
        return cls(
            total=total,
            per_address=settings.relay_max_connections_per_address,
            per_user=settings.relay_max_connections_per_user,
        )

    def enter(self, address: str | None) -> bool:
        """Count one more, if it may come in; an address of None is not that of one client."""
        if self._open >= self._total:
            return False
        if address is not None:
            if self._addresses.get(address, 0) >= self._per_address:
                return False
            self._addresses[address] += 1
        self._open += 1
        return True

    def is_crowded(self, address: str | None) -> bool:
        """Are more than half as many open as there may be, in all or from this address?"""
        of_address = self._addresses.get(address, 0) if address is not None else 0
        return self._open * 2 > self._total or of_address * 2 > self._per_address

    def leave(self, address: str | None) -> None:
        self._open -= 1
        if address is not None:
            _less(self._addresses, address)

    def enter_user(self, sub: str) -> bool:
        """Count one more of this user, if there may be one more."""
        if self._users.get(sub, 0) >= self._per_user:
            return False
        self._users[sub] += 1
        return True

    def leave_user(self, sub: str) -> None:
        _less(self._users, sub)


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
