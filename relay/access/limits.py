"""Token buckets. Pure: time comes in as an argument."""

from __future__ import annotations


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
