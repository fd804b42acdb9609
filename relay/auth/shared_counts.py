"""The memory in which worker processes count connections and requests together: one file without a name, which the
parent process makes before it starts workers. Each worker inherits its descriptor and maps it.

`shared_cells.py` describes what is in this memory, and why no locks are needed.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from relay.auth.shared_cells import CellsOfNames, SharedCaps, SharedRates, SharedTally, SharedTotal

# The file begins with what all processes must agree on: the key of the hash, the number of slots, and the number of
# cells in a row. Then follow the slots' counts, 4 bytes each, and then their rates, 8 bytes each.
_HEADER = struct.Struct("=16sII")
_HEADER_BYTES = 64  # a cache line, as is everything below: so cells are aligned
_COUNT_BYTES, _RATE_BYTES = 4, 8

# The counts of one slot: two totals, and then three tables of two rows each.
_ADMISSION_TOTAL, _HTTP_TOTAL, _TOTALS = 0, 1, 16
_ADMISSION_ADDRESSES, _ADMISSION_USERS, _HTTP_ADDRESSES, _TABLES = range(4)

# A row has at least four cells for each permitted connection, so that names seldom share cells. The largest row is long
# enough for 250,000 connections, which is more than one process can serve. With 20,000 connections, a slot takes 5 MB;
# with the largest row, 40 MB.
_CELLS_PER_CONNECTION = 4
_SMALLEST_ROW, _LARGEST_ROW = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """What one worker process counts together with the others.

    `admission` and `http` are for the caps of `Admission` and of the HTTP protocol, which count the same connections at
    different times. `reads` is for the rate limit of users on requests that cost reads. Each of them is None in a
    process that counts alone.
    """

    admission: SharedCaps | None = None
    http: SharedCaps | None = None
    reads: SharedRates | None = None


class SharedCounts:
    """The shared memory of a parent process and its workers.

    The parent calls `create`, passes `descriptor` to each worker that it starts (`pass_fds`), and calls `clear` when a
    worker has ended. The worker calls `attach` and then `worker`, with a slot that no other living process has.

    Slots are numbered from 0. A worker that is being replaced still runs while its successor starts, so both need a
    slot: a parent that replaces one worker at a time needs one slot more than workers.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor  # of the file; a process that the parent starts may inherit it
        self._file = mmap.mmap(descriptor, 0)
        key, self.slots, self._row = _HEADER.unpack_from(self._file)
        self._cells_of = CellsOfNames(key, self._row)
        self._stride = _stride(self._row)
        rates_at = _HEADER_BYTES + self.slots * self._stride * _COUNT_BYTES
        with memoryview(self._file) as cells:
            self._counts = cells[_HEADER_BYTES:rates_at].cast("I")
            self._rates = cells[rates_at:].cast("d")

    @classmethod
    def create(cls, slots: int, connections: int) -> Self:
        """Make the memory for this many processes. `connections` is the number of connections that may be open at once,
        of all processes together. The system provides a page of the memory when something in it is counted.

        Raises OSError if the system refuses the file.
        """
        wanted = (connections * _CELLS_PER_CONNECTION - 1).bit_length()
        row = min(_LARGEST_ROW, max(_SMALLEST_ROW, 1 << wanted))
        descriptor = _nameless_file()
        slot_bytes = _stride(row) * _COUNT_BYTES + 2 * row * _RATE_BYTES
        os.ftruncate(descriptor, _HEADER_BYTES + slots * slot_bytes)  # the new bytes are 0
        os.pwrite(descriptor, _HEADER.pack(os.urandom(16), slots, row), 0)
        return cls(descriptor)

    @classmethod
    def attach(cls, descriptor: int) -> Self:
        """Map the memory that the parent has made, from the inherited descriptor of its file."""
        return cls(descriptor)

    def worker(self, slot: int) -> WorkerCounts:
        """Return the counts of the worker process with this slot. Raises ValueError if there is no such slot."""
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot {slot} of {self.slots}")
        counts, stride, cells_of = self._counts, self._stride, self._cells_of

        def tally(table: int) -> SharedTally:
            return SharedTally(counts[_TOTALS + table * 2 * self._row :], stride, slot, cells_of)

        return WorkerCounts(
            admission=SharedCaps(
                SharedTotal(counts[_ADMISSION_TOTAL:], stride, slot),
                tally(_ADMISSION_ADDRESSES),
                tally(_ADMISSION_USERS),
            ),
            http=SharedCaps(SharedTotal(counts[_HTTP_TOTAL:], stride, slot), tally(_HTTP_ADDRESSES)),
            reads=SharedRates(self._rates, 2 * self._row, slot, cells_of),
        )

    def clear(self, slot: int) -> None:
        """Forget the connections that the process of this slot has counted. To be called when that process has ended
        (not sooner), and before another one uses the slot. What it has counted for rate limits stays."""
        size = self._stride * _COUNT_BYTES
        begin = _HEADER_BYTES + slot * size
        self._file[begin : begin + size] = bytes(size)

    def close(self) -> None:
        """Close the descriptor. This object stays usable, because the memory is mapped, but no further process can
        attach to it by this descriptor."""
        os.close(self.descriptor)


def _stride(row: int) -> int:
    """Return the number of counts in a slot."""
    return _TOTALS + _TABLES * 2 * row


def _nameless_file() -> int:
    """Return the descriptor of a new file without a name, whose space is freed when no process uses it. It is in memory
    if the system permits it."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):  # a sandbox may refuse it
            return os.memfd_create("relay-counts")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
