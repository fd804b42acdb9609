"""Processes that share cells count as one process does, and count only those names too high that share both cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.auth import shared_counts
from relay.auth.limits import Buckets, Caps, TokenBucket
from relay.auth.shared_cells import CellsOfNames, SharedRates, SharedTally, SharedTotal
from relay.auth.shared_counts import SharedCounts

SLOTS = 3
KEY = b"the key of every run"
NAMES = ("a", "b", "c", "d", "e", "\ud800")  # the last one is half of a surrogate pair
TOTAL, TOTAL_OF_ALL, PER_ADDRESS, PER_USER = 4, 5, 3, 3

slots = st.integers(0, SLOTS - 1)
names = st.sampled_from(NAMES)


def created(row: int) -> SharedCounts:
    """Counts with rows of this many cells, which are the same in every run."""
    with (
        patch.multiple(shared_counts, _SMALLEST_ROW=row, _LARGEST_ROW=row),
        patch("os.urandom", lambda size: KEY[:size]),
    ):
        return SharedCounts.create(SLOTS, connections=1)


class Worker:
    """A process with its caps, and what it has counted: the names of its open connections."""

    def __init__(self, counts: SharedCounts, slot: int) -> None:
        self.caps = Caps(
            total=TOTAL,
            per_address=PER_ADDRESS,
            per_user=PER_USER,
            shared=counts.worker(slot).admission,
            total_of_all=TOTAL_OF_ALL,
        )
        self.addresses: list[str | None] = []
        self.users: list[str] = []


class Workers(RuleBasedStateMachine):
    """Any sequence of connections that begin and end, and of processes that are killed and replaced. The model counts
    the names of each process in a list."""

    row = 2**17

    def __init__(self) -> None:
        super().__init__()
        self.counts = created(self.row)
        self.workers = [Worker(self.counts, slot) for slot in range(SLOTS)]

    def teardown(self) -> None:
        self.counts.close()

    def number(self, name: str, of: Callable[[Worker], Sequence[str | None]]) -> int:
        """How often the processes together count this name. At least as often as it is there."""
        cells_of, number = self.counts._cells_of, 0
        for worker in self.workers:
            counted = [cells_of(other) for other in of(worker) if other is not None]
            number += min(
                sum(cells[row] == cell for cells in counted) for row, cell in enumerate(cells_of(name))
            )
        exact = sum(of(worker).count(name) for worker in self.workers)
        assert number >= exact
        if self.row > 1000:
            assert number == exact
        return number

    def addresses(self, name: str) -> int:
        return self.number(name, lambda worker: worker.addresses)

    def users(self, name: str) -> int:
        return self.number(name, lambda worker: worker.users)

    def total(self) -> int:
        return sum(len(worker.addresses) for worker in self.workers)

    @rule(slot=slots, address=names | st.none())
    def enter(self, slot: int, address: str | None) -> None:
        worker = self.workers[slot]
        permitted = len(worker.addresses) < TOTAL and self.total() < TOTAL_OF_ALL
        if address is not None:
            permitted = permitted and self.addresses(address) < PER_ADDRESS
        assert worker.caps.enter(address) == permitted
        if permitted:
            worker.addresses.append(address)

    @rule(slot=slots, which=st.integers(0, TOTAL))
    def leave(self, slot: int, which: int) -> None:
        worker = self.workers[slot]
        if worker.addresses:
            worker.caps.leave(worker.addresses.pop(which % len(worker.addresses)))

    @rule(slot=slots, user=names)
    def enter_user(self, slot: int, user: str) -> None:
        worker, permitted = self.workers[slot], self.users(user) < PER_USER
        assert worker.caps.enter_user(user) == permitted
        if permitted:
            worker.users.append(user)

    @rule(slot=slots, which=st.integers(0, TOTAL))
    def leave_user(self, slot: int, which: int) -> None:
        worker = self.workers[slot]
        if worker.users:
            worker.caps.leave_user(worker.users.pop(which % len(worker.users)))

    @rule(slot=slots)
    def replace(self, slot: int) -> None:
        self.counts.clear(slot)
        self.workers[slot] = Worker(self.counts, slot)

    @invariant()
    def counts_are_those_of_the_model(self) -> None:
        shared = self.counts.worker(0).admission
        assert shared is not None
        assert shared.users is not None
        assert shared.total.count() == self.total()
        for name in NAMES:
            assert shared.addresses.count(name) == self.addresses(name)
            assert shared.users.count(name) == self.users(name)

    @rule(slot=slots, address=names | st.none())
    def is_crowded(self, slot: int, address: str | None) -> None:
        worker = self.workers[slot]
        crowded = 2 * len(worker.addresses) > TOTAL or 2 * self.total() > TOTAL_OF_ALL
        if address is not None:
            crowded = crowded or 2 * self.addresses(address) > PER_ADDRESS
        assert worker.caps.is_crowded(address) == crowded


class WorkersWithFewCells(Workers):
    """The same with four cells for six names, so that names are counted too high: as often as the names that they share
    both cells with."""

    row = 2


TestWorkers = Workers.TestCase
TestWorkersWithFewCells = WorkersWithFewCells.TestCase


class Interrupted:
    """Cells whose reader or writer is interrupted before and after each access, as the operating system may do."""

    def __init__(self, cells: memoryview[Any], interrupt: Callable[[], None]) -> None:
        self._cells = cells
        self._interrupt = interrupt

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Interrupted(self._cells[at], self._interrupt)
        self._interrupt()
        return self._cells[at]

    def __setitem__(self, at: int, value: float) -> None:
        self._interrupt()
        self._cells[at] = value
        self._interrupt()

    def __iter__(self) -> Iterator[float]:
        return (self[at] for at in range(len(self._cells)))


def cells(kind: str, number: int) -> memoryview[Any]:
    return memoryview(bytearray(8 * number)).cast(kind)


@given(seed=st.integers(0), cap=st.integers(1, 4), row=st.sampled_from((1, 8)))
def test_a_cap_is_never_exceeded_however_processes_interrupt_each_other(
    seed: int, cap: int, row: int
) -> None:
    """While one process counts, others begin and end connections, and are interrupted as well."""
    chance = Random(seed)
    interrupted: set[int] = set()  # the processes that are in the middle of a call
    open_in = [0] * SLOTS

    def act() -> None:
        idle = [slot for slot in range(SLOTS) if slot not in interrupted]
        if not idle or chance.random() < 0.5:
            return
        slot = chance.choice(idle)
        interrupted.add(slot)
        if open_in[slot] and chance.random() < 0.5:
            open_in[slot] -= 1
            leave[slot]()
        elif enter[slot]():
            open_in[slot] += 1
        interrupted.discard(slot)
        assert sum(open_in) <= cap

    shared, cells_of = Interrupted(cells("I", SLOTS * 2 * row), act), CellsOfNames(KEY, row)
    enter: list[Callable[[], bool]] = []
    leave: list[Callable[[], None]] = []
    for slot in range(SLOTS):
        if row == 1:
            total = SharedTotal(shared, 2 * row, slot)  # type: ignore[arg-type]
            enter.append(lambda total=total: total.enter(cap))
            leave.append(total.leave)
        else:
            tally = SharedTally(shared, 2 * row, slot, cells_of)  # type: ignore[arg-type]
            enter.append(lambda tally=tally: tally.enter("a", cap))
            leave.append(lambda tally=tally: tally.leave("a"))

    for _ in range(100):
        act()


# Times, rates and charges whose sums are exact, so that results can be compared exactly.
requests = st.tuples(
    slots, names, st.sampled_from((0, 0, 0, 1 / 8, 3 / 4, 4)), st.sampled_from((0, 0, 1 / 4, 3, 10))
)


def rates(row: int) -> list[SharedRates]:
    shared, cells_of = cells("d", SLOTS * 2 * row), CellsOfNames(KEY, row)
    return [SharedRates(shared, 2 * row, slot, cells_of) for slot in range(SLOTS)]


@given(rate=st.integers(1, 9), burst=st.integers(1, 9), made=st.lists(requests, max_size=60))
def test_processes_limit_rates_together_as_one_process_does(
    rate: int, burst: int, made: list[tuple[int, str, float, float]]
) -> None:
    alone, now = Buckets(rate, burst), 1000.0
    together = [Buckets(rate, burst, shared) for shared in rates(row=2**10)]

    for slot, name, pause, charge in made:
        now += pause
        wait = together[slot].take(name, now, 1 + charge)
        assert wait == alone.take(name, now, 1 + charge)
        if not wait and charge:
            together[slot].charge(name, charge)
            alone.charge(name, charge)


@given(made=st.lists(requests, max_size=60))
def test_a_rate_is_never_exceeded_where_names_share_cells(made: list[tuple[int, str, float, float]]) -> None:
    now, shared = 1000.0, rates(row=2)
    alone = {name: TokenBucket(2, 4, now) for name in NAMES}

    for slot, name, pause, charge in made:
        now += pause
        if not shared[slot].take(name, now, rate=2, burst=4):
            assert alone[name].take(now) == 0.0
            shared[slot].charge(name, charge)
            alone[name].charge(charge)


def test_a_burst_has_its_full_size_at_times_that_are_rounded() -> None:
    shared = rates(row=8)[0]
    for now in (0.1, 86_400.3, 3_000_000.7, 31_536_000.123456789):
        waits = [shared.take("a", now, rate=20, burst=40) for _ in range(41)]
        assert waits[:40] == [0.0] * 40
        assert 0.049 < waits[40] < 0.051


def test_requests_that_are_permitted_at_the_same_moment_count_as_one() -> None:
    """One process is interrupted while it permits a request, and another one uses up the rate meanwhile. When the first
    one writes what it knows, which is old, nothing of what the other one wrote is lost."""
    meanwhile: list[float] = []

    def use_up() -> None:
        if not meanwhile:
            meanwhile.append(-1.0)
            meanwhile.extend(other.take("a", 5.0, rate=1, burst=4) for _ in range(4))

    shared, cells_of = cells("d", SLOTS * 2), CellsOfNames(KEY, 1)
    other = SharedRates(shared, 2, 1, cells_of)
    slow = SharedRates(shared, 2, 0, cells_of)
    slow._raise = lambda *what: (use_up(), SharedRates._raise(slow, *what))  # type: ignore[method-assign]

    assert slow.take("a", 5.0, rate=1, burst=4) == 0.0
    assert meanwhile[1:] == [0.0] * 4
    assert slow.take("a", 5.0, rate=1, burst=4) == 1.0
    assert other.take("a", 5.0, rate=1, burst=4) == 1.0
