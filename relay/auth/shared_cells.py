"""Counts and rates that several worker processes share, in memory that all of them map. Pure: no I/O, no clock.

The memory is an array of cells (numbers), divided into one slot for each process. Rules of this file:

- A process writes only the cells of its own slot, and reads those of all slots. So there is no lock, no message, and
  no write that another process could overwrite. (Python reads and writes one aligned cell with one instruction of the
  processor, so no process sees half of a number.)
- A process counts a connection first, then looks at all slots, and takes the connection back if a cap is exceeded.

It follows from the second rule that a cap is never exceeded. Assume that more connections are open than the cap
permits, and take the one that was counted last. All others were counted before it and did not end while its process
looked. So that look found all of them, and the connection was refused. (The processor may complete a write after a
later read of the same process, but Python executes far more instructions between the two than a processor can delay.
Even then, each process could exceed the cap by only one connection: the bound would be cap + processes - 1.)

The price is that processes which count at the same moment may refuse each other: a connection may be refused although
up to (processes - 1) places are free. A connection that ends in one process and is replaced by one of another process
during a look, which takes a microsecond, may also be counted twice by that look.

Names come from clients, and there are more of them than cells. A keyed hash chooses two cells for each name, one in
each of two rows (a count-min sketch). Both count the name, and the smaller one is its count in this slot. It is too
large only if other names share both cells. If a process has connections of n other names and a row has r cells, the
probability of this is (n / r)² for each name and process: 0.15 % for 5,000 names and 131,072 cells. Then the
connections of those names count for this one too, and it reaches its cap earlier by their number. Clients cannot cause
this, because the key is random and secret. A count is never too small.

Processor time of `Caps.enter` and `leave` together, in µs (Python 3.11): 0.6 in a process that counts alone, 3.0 if 4
processes count together, 3.2 for 8, 5.1 for 32.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

_TWO_NUMBERS = struct.Struct("=QQ")


class CellsOfNames:
    """Chooses two cells for each name: one in each of two rows with `row` cells. The first row begins at cell 0, the
    second one at cell `row`.

    All processes must use the same `key`, at most 64 bytes that no client knows.
    """

    def __init__(self, key: bytes, row: int) -> None:
        # To copy a hash with its key takes half of the time that making one takes.
        self._keyed = hashlib.blake2b(key=key, digest_size=_TWO_NUMBERS.size)
        self._row = row

    def __call__(self, name: str) -> tuple[int, int]:
        """Return the two cells of this name."""
        hashed = self._keyed.copy()
        # A name from a JSON string may contain half of a surrogate pair, which is not valid in UTF-8.
        hashed.update(name.encode("utf-8", "surrogatepass"))
        first, second = _TWO_NUMBERS.unpack(hashed.digest())
        return first % self._row, self._row + second % self._row


class SharedTotal:
    """The number of open connections of all processes. The slots are `stride` cells long, each one has this number in
    its first cell, and this process writes to `slot`."""

    def __init__(self, cells: memoryview[int], stride: int, slot: int) -> None:
        self._all = cells[::stride]
        self._slot = slot

    def enter(self, cap: int) -> bool:
        """If fewer than `cap` connections are open, count one more and return True. Otherwise count nothing and return
        False."""
        self._all[self._slot] += 1
        if sum(self._all) <= cap:
            return True
        self._all[self._slot] -= 1
        return False

    def leave(self) -> None:
        """Stop counting one connection that `enter` counted in this process."""
        self._all[self._slot] -= 1

    def count(self) -> int:
        """Return the number of open connections of all processes."""
        return sum(self._all)


class SharedTally:
    """The number of open connections of all processes for each name, such as an address or a user. The slots are
    `stride` cells long, each one begins with the two rows of these names, and this process writes to `slot`."""

    def __init__(self, cells: memoryview[int], stride: int, slot: int, cells_of: CellsOfNames) -> None:
        self._cells = cells
        self._stride = stride
        self._own = slot * stride
        self._cells_of = cells_of

    def enter(self, name: str, cap: int) -> bool:
        """If fewer than `cap` connections of this name are open, count one more and return True. Otherwise count
        nothing and return False."""
        first, second = self._cells_of(name)
        self._add(first, second, 1)
        if self._sum(first, second) <= cap:
            return True
        self._add(first, second, -1)
        return False

    def leave(self, name: str) -> None:
        """Stop counting one connection that `enter` counted for this name in this process."""
        first, second = self._cells_of(name)
        self._add(first, second, -1)

    def count(self, name: str) -> int:
        """Return the number of open connections of this name, of all processes."""
        first, second = self._cells_of(name)
        return self._sum(first, second)

    def _add(self, first: int, second: int, number: int) -> None:
        self._cells[self._own + first] += number
        self._cells[self._own + second] += number

    def _sum(self, first: int, second: int) -> int:
        return sum(map(min, self._cells[first :: self._stride], self._cells[second :: self._stride]))


class SharedRates:
    """One token bucket (rate limit) over all processes for each name, equivalent to `limits.TokenBucket`. The slots are
    `stride` cells long, each one begins with the two rows of the names, and this process writes to `slot`.

    All processes must pass the same rates, and times of the same clock, such as CLOCK_MONOTONIC, which the processes of
    one machine have in common.

    A bucket is one number: the time at which it will be full again, times the rate. (This is the generic cell rate
    algorithm, with its "theoretical arrival time" in requests instead of seconds: a request always adds exactly 1, so
    sums are not rounded.) Each process writes the newest number that it knows, and the largest one of all slots counts.
    So if several processes permit a request for one name at the same moment, only the most expensive of these counts:
    at most (processes - 1) requests too many pass, each time that this happens. The moment is as long as one call of
    `take`, a few microseconds.

    A cell that several names share has the largest of their numbers. The smaller one of a name's two cells counts. So a
    name has to wait for others only if both of its cells are shared with names that have used up their rates.
    """

    def __init__(self, cells: memoryview[float], stride: int, slot: int, cells_of: CellsOfNames) -> None:
        self._cells = cells
        self._stride = stride
        self._own = slot * stride
        self._cells_of = cells_of

    def take(self, name: str, now: float, *, rate: float, burst: float) -> float:
        """Count one request for this name and return 0.0 if it may pass now. Otherwise count nothing, and return after
        how many seconds a request for this name may pass. `rate` requests per second are permitted on average, and up
        to `burst` at once."""
        first, second = self._cells_of(name)
        due = now * rate
        full_at = max(self._full_at(first, second), due)
        level = burst - (full_at - due)
        if level < 1:
            return (1 - level) / rate
        self._raise(first, second, full_at + 1)
        return 0.0

    def charge(self, name: str, requests: float) -> None:
        """Charge `requests` further requests for the request that `take` has just permitted for this name. To be called
        right after `take` for the same name. Later requests may have to wait for it."""
        first, second = self._cells_of(name)
        self._raise(first, second, self._full_at(first, second) + requests)

    def _full_at(self, first: int, second: int) -> float:
        return min(max(self._cells[first :: self._stride]), max(self._cells[second :: self._stride]))

    def _raise(self, first: int, second: int, full_at: float) -> None:
        for cell in (self._own + first, self._own + second):
            self._cells[cell] = max(self._cells[cell], full_at)


@dataclass(frozen=True, slots=True)
class SharedCaps:
    """The counts that the caps of one kind share over all processes. `users` is None if that kind counts no users."""

    total: SharedTotal
    addresses: SharedTally
    users: SharedTally | None = None
