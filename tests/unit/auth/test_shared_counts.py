"""Real processes count connections together in the memory that their parent has made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path

import pytest

from relay.auth.shared_counts import SharedCounts, WorkerCounts

ROOT = Path(__file__).parents[3]
PROCESSES, CAP = 4, 5

# Usage: <descriptor> <slot> <cap> <number of attempts> <number of connections>. Waits for a line before the attempts
# and before the end. If it must end a number of connections, it goes on until it has, and then ends all that are open.
# Prints two times for each connection that it ended, which was open at least from the one to the other, and how many
# are open.
WORKER = """
import json, random, sys, time

from relay.auth.limits import Caps
from relay.auth.shared_counts import SharedCounts

descriptor, slot, cap, attempts, to_end = map(int, sys.argv[1:])
shared = SharedCounts.attach(descriptor).worker(slot).admission
caps = Caps(total=10**6, per_address=cap, per_user=cap, shared=shared, total_of_all=10**6)
chance, began, times = random.Random(slot), [], []
print("ready", flush=True)
sys.stdin.readline()
while attempts > 0 or len(times) < to_end:
    attempts -= 1
    if chance.random() < 0.6:
        if caps.enter("one address"):
            began.append(time.monotonic_ns())
    elif began:
        times.append((began.pop(), time.monotonic_ns()))
        caps.leave("one address")
while to_end and began:
    times.append((began.pop(), time.monotonic_ns()))
    caps.leave("one address")
print(json.dumps([times, len(began)]), flush=True)
sys.stdin.readline()
"""


class Process(subprocess.Popen[str]):
    """A process that enters and leaves for one address with the cap CAP."""

    def __init__(self, counts: SharedCounts, slot: int, attempts: int, to_end: int = 0) -> None:
        command = [sys.executable, "-c", WORKER, *map(str, (counts.descriptor, slot, CAP, attempts, to_end))]
        super().__init__(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[counts.descriptor],
        )

    def __exit__(self, *failure: object) -> None:
        self.kill()
        super().__exit__(*failure)

    def read(self) -> str:
        assert self.stdout is not None
        return self.stdout.readline()

    def wait_until_ready(self) -> None:
        assert self.read() == "ready\n"

    def go_on(self) -> None:
        assert self.stdin is not None
        self.stdin.write("\n")
        self.stdin.flush()


@pytest.fixture(params=["in memory", "temporary file"])
def counts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedCounts]:
    if request.param == "temporary file":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    made = SharedCounts.create(PROCESSES, connections=20_000)
    yield made
    made.close()


def of_address(worker: WorkerCounts, address: str = "one address") -> int:
    assert worker.admission is not None
    return worker.admission.addresses.count(address)


def test_the_cap_holds_over_four_processes_that_count_at_once(counts: SharedCounts) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Process(counts, slot, attempts=20_000, to_end=200))
            for slot in range(PROCESSES)
        ]
        for process in processes:
            process.wait_until_ready()
        for process in processes:
            process.go_on()
        times = [json.loads(process.read())[0] for process in processes]

    spans = [span for of_one in times for span in of_one]
    changes = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    assert max(accumulate(change for _, change in changes)) == CAP


def test_what_a_killed_process_counted_is_gone_when_its_slot_is_cleared(counts: SharedCounts) -> None:
    observer = counts.worker(0)
    with Process(counts, 1, attempts=10**9) as killed:
        killed.wait_until_ready()
        killed.go_on()
        while not of_address(observer):
            time.sleep(0.001)
        killed.kill()
        killed.wait()

    counts.clear(1)

    assert of_address(observer) == 0
    with Process(counts, 1, attempts=1_000) as successor:
        successor.wait_until_ready()
        successor.go_on()
        _, still_open = json.loads(successor.read())
        assert of_address(observer) == still_open > 0


def test_to_clear_a_slot_changes_no_other_one_and_no_rate(counts: SharedCounts) -> None:
    workers = [counts.worker(slot) for slot in range(PROCESSES)]
    names = [f"name {number}" for number in range(5)]
    for worker in workers:
        assert worker.admission is not None
        assert worker.admission.users is not None
        assert worker.http is not None
        for name in names:
            for caps in (worker.admission, worker.http):
                assert caps.total.enter(10**6)
                assert caps.addresses.enter(name, 10**6)
            assert worker.admission.users.enter(name, 10**6)
    assert workers[1].reads is not None
    assert workers[1].reads.take("alice", 1.0, rate=1, burst=1) == 0.0

    for slot, left in ((1, 3), (0, 2), (3, 1), (2, 0)):
        counts.clear(slot)
        for worker in workers:
            assert worker.admission.total.count() == worker.http.total.count() == 5 * left
            for tally in (worker.admission.addresses, worker.admission.users, worker.http.addresses):
                assert [tally.count(name) for name in names] == [left] * 5
            assert worker.reads.take("alice", 1.0, rate=1, burst=1) == 1.0


def test_counts_are_separate_for_admission_and_http(counts: SharedCounts) -> None:
    worker = counts.worker(0)
    assert worker.admission.total.enter(1)
    assert worker.admission.addresses.enter("a", 1)
    assert worker.admission.users.enter("a", 1)
    assert worker.http.total.enter(1)
    assert worker.http.addresses.enter("a", 1)
    assert not counts.worker(1).http.addresses.enter("a", 1)


@pytest.mark.parametrize("slot", [-1, PROCESSES])
def test_a_slot_that_does_not_exist_is_refused(counts: SharedCounts, slot: int) -> None:
    with pytest.raises(ValueError, match="slot"):
        counts.worker(slot)


@pytest.mark.parametrize(("connections", "row"), [(1, 2**10), (20_000, 2**17), (10_000_000, 2**20)])
def test_rows_are_long_enough_for_the_permitted_connections(connections: int, row: int) -> None:
    counts = SharedCounts.create(2, connections)
    counts.close()
    assert counts._row == row
