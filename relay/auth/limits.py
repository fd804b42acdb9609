"""Rate limits (token buckets) and caps on open connections. Pure: the time is an argument."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Self

from relay.config import Settings

BURST_S = 2  # a client may send the requests of this many seconds at once


class TokenBucket:
    """Allows `rate` requests a second on average, and up to `burst` at once.

    `now` is a time in seconds of any clock that does not go back.
    """

    __slots__ = ("_burst", "_filled_at", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled_at = now

    def take(self, now: float) -> float:
        """Take one request from the bucket. Return 0.0 if it may pass, else the seconds until a request may."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate

    def is_full(self, now: float) -> bool:
        """Is the bucket in the state of a new one?"""
        return self._level + (now - self._filled_at) * self._rate >= self._burst

    def charge(self, requests: float) -> None:
        """Let a request that passed count as this many more. The level may become negative, which later requests
        wait for."""
        self._level -= requests


class Buckets:
    """One token bucket for each name.

    Buckets that are full again are removed: a full bucket is no different from a new one. So memory is needed only
    for names that were used in the last moments.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._by_name: OrderedDict[str, TokenBucket] = OrderedDict()  # the most recently used last

    def __len__(self) -> int:
        return len(self._by_name)

    def take(self, name: str, now: float) -> float:
        """Take one request from the bucket of this name: see `TokenBucket.take`."""
        # From the least recently used bucket up to the first that is not full. Full buckets behind it
        # are removed later, when it is full itself: so each call takes constant time on average.
        while self._by_name and next(iter(self._by_name.values())).is_full(now):
            self._by_name.popitem(last=False)
        bucket = self._by_name.pop(name, None) or TokenBucket(self._rate, self._burst, now)
        self._by_name[name] = bucket
        return bucket.take(now)

    def charge(self, name: str, requests: float) -> None:
        """Charge the bucket of this name: see `TokenBucket.charge`. Must follow `take` for the same name."""
        self._by_name[name].charge(requests)


class Caps:
    """Counts open connections, and knows how many there may be: in total, per client address, and per user."""

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
        """Count one more connection, and return True, if the total and the address are below their caps. None as the
        address counts only for the total: the connections of a proxy belong to many clients."""
        if self._open >= self._total:
            return False
        if address is not None:
            if self._addresses.get(address, 0) >= self._per_address:
                return False
            self._addresses[address] += 1
        self._open += 1
        return True

    def is_crowded(self, address: str | None) -> bool:
        """Are more than half of the permitted connections open, in total or from this address?"""
        of_address = self._addresses.get(address, 0) if address is not None else 0
        return self._open * 2 > self._total or of_address * 2 > self._per_address

    def leave(self, address: str | None) -> None:
        """Give back what `enter` counted for this address."""
        self._open -= 1
        if address is not None:
            _decrement(self._addresses, address)

    def enter_user(self, sub: str) -> bool:
        """Count one more connection of this user, and return True, if the user is below the cap."""
        if self._users.get(sub, 0) >= self._per_user:
            return False
        self._users[sub] += 1
        return True

    def leave_user(self, sub: str) -> None:
        """Give back what `enter_user` counted for this user."""
        _decrement(self._users, sub)


def _decrement(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    # Names come from clients: a count of zero would stay in memory forever.
    if not counts[name]:
        del counts[name]
