"""Limit how fast a client sends requests. Pure."""

from __future__ import annotations


class Pace:
    """A token bucket that keeps one connection's requests within the relay's limit: `rate` a second, bursts of `rate`.

    A request that exceeds the limit costs a round trip, and the relay closes the connection after a hundred of them.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = rate
        self._at = now

    def spend(self, cost: float, now: float) -> float:
        """Count a request that weighs `cost` ordinary requests. Return the seconds until the next may be sent."""
        self._left = min(self._rate, self._left + (now - self._at) * self._rate) - cost
        self._at = now
        return max(0.0, (1 - self._left) / self._rate)
