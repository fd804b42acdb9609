"""How long to wait before a child process is started again. Pure."""

from __future__ import annotations

FIRST_S = 0.1
LONGEST_S = 10.0
STEADY_S = 30.0  # a child that lived this long counts as healthy: its end is the first failure again


class Backoff:
    """Counts the failures of one child process in a row, and says how long to wait after each of them."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, lived_s: float) -> float:
        """Count the end of a child that lived for `lived_s` seconds. Return how many seconds to wait before the next
        start: FIRST_S after the first failure, and twice as long after each further one, up to LONGEST_S."""
        self.failures = 1 if lived_s >= STEADY_S else self.failures + 1
        exponent = min(
            self.failures - 1, 30
        )  # far beyond LONGEST_S; without a limit, the number would grow forever
        return float(min(LONGEST_S, FIRST_S * 2**exponent))
