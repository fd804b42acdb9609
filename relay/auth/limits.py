"""Rate limits (token buckets) and caps on open connections. Pure: the time is an argument."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Self

from relay.config import Settings

BURST_S = 2  # a client may send at once as many requests as its rate permits in this many seconds


class TokenBucket:
    """A rate limit: permits `rate` requests per second on average, and up to `burst` requests at once.

    `now` is always a time in seconds, of any clock that never goes back.
    """

    __slots__ = ("_burst", "_filled_at", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled_at = now

    def take(self, now: float) -> float:
        """Count one request and return 0.0 if it may pass now. Otherwise count nothing, and return after how many
        seconds a request may pass."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is full, which means that it permits exactly what a new bucket would permit."""
        return self._level + (now - self._filled_at) * self._rate >= self._burst

    def charge(self, requests: float) -> None:
        """Charge `requests` further requests for a request that has passed. The level of the bucket may become
        negative; then later requests have to wait until it has risen again."""
        self._level -= requests


class Buckets:
    """One token bucket (rate limit) for each name, such as a user.

    Each bucket permits `rate` requests per second, and up to `burst` at once. A bucket that is full again is removed,
    because a full bucket permits the same as a new one. So only names that were used recently need memory.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._by_name: OrderedDict[str, TokenBucket] = OrderedDict()  # the most recently used last

    def __len__(self) -> int:
        return len(self._by_name)

    def take(self, name: str, now: float) -> float:
        """Count one request for this name and return 0.0 if it may pass now. Otherwise count nothing, and return after
        how many seconds a request for this name may pass."""
        # Remove full buckets, from the least recently used one up to the first that is not full. Full buckets after
        # that one are removed later, when it is full itself. So each call takes constant time on average.
        while self._by_name and next(iter(self._by_name.values())).is_full(now):
            self._by_name.popitem(last=False)
        bucket = self._by_name.pop(name, None) or TokenBucket(self._rate, self._burst, now)
        self._by_name[name] = bucket
        return bucket.take(now)

    def charge(self, name: str, requests: float) -> None:
        """Charge `requests` further requests for the request that `take` has just permitted for this name. To be called
        right after `take` for the same name."""
        self._by_name[name].charge(requests)


class Caps:
    """Counts open connections in total, per client address and per user, and limits each of these numbers to its
    cap."""

    def __init__(self, *, total: int, per_address: int, per_user: int) -> None:
        self._total = total
        self._per_address = per_address
        self._per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._open = 0

    @classmethod
    def of(cls, settings: Settings, total: int) -> Self:
        """Return the caps that the settings contain, with `total` as the maximum number of connections altogether."""
        return cls(
            total=total,
            per_address=settings.relay_max_connections_per_address,
            per_user=settings.relay_max_connections_per_user,
        )

    def enter(self, address: str | None) -> bool:
        """If the total and this address are below their caps, count one more connection and return True. Otherwise
        count nothing and return False.

        With None as the address, the connection counts only for the total. This is for the connections of a trusted
        proxy, which belong to many clients.
        """
        if self._open >= self._total:
            return False
        if address is not None:
            if self._addresses.get(address, 0) >= self._per_address:
                return False
            self._addresses[address] += 1
        self._open += 1
        return True

    def is_crowded(self, address: str | None) -> bool:
        """Return whether more than half of the permitted connections are open, in total or from this address."""
        of_address = self._addresses.get(address, 0) if address is not None else 0
        return self._open * 2 > self._total or of_address * 2 > self._per_address

    def leave(self, address: str | None) -> None:
        """Stop counting one connection that `enter` counted for this address."""
        self._open -= 1
        if address is not None:
            _decrement(self._addresses, address)

    def enter_user(self, sub: str) -> bool:
        """If this user is below the cap per user, count one more connection and return True; else return False."""
        if self._users.get(sub, 0) >= self._per_user:
            return False
        self._users[sub] += 1
        return True

    def leave_user(self, sub: str) -> None:
        """Stop counting one connection that `enter_user` counted for this user."""
        _decrement(self._users, sub)


def _decrement(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    # Names come from clients: a count of zero would stay in memory forever.
    if not counts[name]:
        del counts[name]
