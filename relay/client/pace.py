"""How fast requests may follow each other. Pure."""

from __future__ import annotations


class Pace:
    """Keeps the requests of one connection to what its relay allows: `rate` a second, and as many at once.

    What is refused for its rate costs a round trip and counts against us; a hundred refusals end the connection.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = rate
        self._at = now

    def spend(self, cost: float, now: float) -> float:
        """Count a request that costs `cost` ordinary ones. Returns the seconds until the next may be sent."""
        self._left = min(self._rate, self._left + (now - self._at) * self._rate) - cost
        self._at = now
        return max(0.0, (1 - self._left) / self._rate)
