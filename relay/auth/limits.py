"""Rate limits (token buckets) and caps on open connections. Pure: the time is an argument."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Collection
from typing import Self

from relay.auth.shared_cells import SharedCaps, SharedRates, SharedTally
from relay.config import Settings

# A connection may send at once as many requests as its rate permits in BURST_S seconds. All connections and polls of a
# user together may send as many requests that cost reads as their rate permits in USER_BURST_S seconds. With 20 a
# second these are 100: ten tabs of a dashboard, which all come back after a restart, each with its handshake (1), a
# list of 500 (1) and 70 tasks (8).
BURST_S, USER_BURST_S = 2, 5


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

    With `shared`, the buckets are those of all worker processes together, in memory that they share.
    """

    def __init__(self, rate: float, burst: float, shared: SharedRates | None = None) -> None:
        self._rate = rate
        self._burst = burst
        self._shared = shared
        self._by_name: OrderedDict[str, TokenBucket] = OrderedDict()  # the most recently used last

    def __len__(self) -> int:
        return len(self._by_name)

    @classmethod
    def of_users(cls, settings: Settings, shared: SharedRates | None = None) -> Self:
        """Return the buckets of all users: for the requests of a user that cost reads, over all transports. With
        `shared`, they count the requests of all worker processes together."""
        rate = settings.relay_messages_per_second
        return cls(rate, rate * USER_BURST_S, shared)

    def change(self, settings: Settings) -> None:
        """Use the rate of these settings from now on. Every bucket begins full."""
        self._rate = settings.relay_messages_per_second
        self._burst = self._rate * USER_BURST_S
        self._by_name.clear()

    def take(self, name: str, now: float, requests: float = 1.0) -> float:
        """Count a request for this name that costs as much as `requests` ordinary ones (at least 1), and return 0.0 if
        it may pass now. It may pass if one ordinary request may; later requests have to wait for the rest. Otherwise
        count nothing, and return after how many seconds a request for this name may pass."""
        wait_s = self._take(name, now)
        if not wait_s and requests > 1:
            self.charge(name, requests - 1)
        return wait_s

    def _take(self, name: str, now: float) -> float:
        if self._shared is not None:
            return self._shared.take(name, now, rate=self._rate, burst=self._burst)
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
        if self._shared is not None:
            self._shared.charge(name, requests)
        else:
            self._by_name[name].charge(requests)


class Caps:
    """Counts open connections in total, per client address and per user, and limits each of these numbers to its
    cap.

    With `shared`, the caps hold for the connections of all worker processes together, and `total_of_all` is the maximum
    number of them. `total` is always the maximum of this process, because the limit on open files is one of a process.
    """

    def __init__(
        self,
        *,
        total: int,
        per_address: int,
        per_user: int,
        shared: SharedCaps | None = None,
        total_of_all: int = sys.maxsize,
    ) -> None:
        self._total = total
        self._open = 0
        self._addresses = _Tally(per_address, shared.addresses if shared is not None else None)
        self._users = _Tally(per_user, shared.users if shared is not None else None)
        self._shared_total = shared.total if shared is not None else None
        self._total_of_all = total_of_all

    @classmethod
    def of(cls, settings: Settings, total: int, shared: SharedCaps | None = None) -> Self:
        """Return the caps that the settings contain, with `total` as the maximum number of connections of this process.
        With `shared`, the caps of the settings are those of all worker processes together."""
        return cls(
            total=total,
            per_address=settings.relay_max_connections_per_address,
            per_user=settings.relay_max_connections_per_user,
            shared=shared,
            total_of_all=settings.relay_max_connections,
        )

    def change(self, settings: Settings) -> None:
        """Use the caps per user and per address of these settings from now on. Connections that exceed them stay."""
        self._addresses.cap = settings.relay_max_connections_per_address
        self._users.cap = settings.relay_max_connections_per_user

    def enter(self, address: str | None) -> bool:
        """If the total and this address are below their caps, count one more connection and return True. Otherwise
        count nothing and return False.

        With None as the address, the connection counts only for the total. This is for the connections of a trusted
        proxy, which belong to many clients.
        """
        if self._open >= self._total:
            return False
        if address is not None and not self._addresses.enter(address):
            return False
        if self._shared_total is not None and not self._shared_total.enter(self._total_of_all):
            if address is not None:
                self._addresses.leave(address)
            return False
        self._open += 1
        return True

    def is_crowded(self, address: str | None) -> bool:
        """Return whether more than half of the permitted connections are open, in total or from this address."""
        if self._open * 2 > self._total:
            return True
        if self._shared_total is not None and self._shared_total.count() * 2 > self._total_of_all:
            return True
        return address is not None and self._addresses.is_crowded(address)

    def leave(self, address: str | None) -> None:
        """Stop counting one connection that `enter` counted for this address."""
        self._open -= 1
        if self._shared_total is not None:
            self._shared_total.leave()
        if address is not None:
            self._addresses.leave(address)

    def enter_user(self, sub: str) -> bool:
        """If this user is below the cap per user, count one more connection and return True; else return False."""
        return self._users.enter(sub)

    def leave_user(self, sub: str) -> None:
        """Stop counting one connection that `enter_user` counted for this user."""
        self._users.leave(sub)

    def users(self) -> Collection[str]:
        """Return the users who have connections in this process."""
        return self._users.names()


class _Tally:
    """Counts open connections by name, and limits the number of each name to `cap`. With `shared`, the connections of
    all worker processes count."""

    def __init__(self, cap: int, shared: SharedTally | None) -> None:
        self.cap = cap
        self._own: Counter[str] = Counter()  # the connections of this process
        self._shared = shared

    def __len__(self) -> int:
        return len(self._own)

    def names(self) -> Collection[str]:
        return self._own.keys()

    def enter(self, name: str) -> bool:
        if self._own.get(name, 0) >= self.cap:
            return False
        if self._shared is not None and not self._shared.enter(name, self.cap):
            return False
        self._own[name] += 1
        return True

    def leave(self, name: str) -> None:
        if self._shared is not None:
            self._shared.leave(name)
        self._own[name] -= 1
        # Names come from clients: a count of zero would stay in memory forever.
        if not self._own[name]:
            del self._own[name]

    def is_crowded(self, name: str) -> bool:
        count = self._shared.count(name) if self._shared is not None else self._own.get(name, 0)
        return count * 2 > self.cap
