"""When connections write: immediately while little happens, together in a burst."""

from __future__ import annotations

from typing import Any

import pytest

from relay.gateway.websocket import pacing as pacing
from relay.gateway.websocket.pacing import (
    BURST_FACTOR,
    BURST_MAX_PAUSE_S,
    BURST_MESSAGES,
    FETCH_S,
    MAX_PAUSE_S,
    PART_S,
    WritePacer,
)


class Clock:
    """An event loop whose time the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Any) -> None:
        self.calls.append((self.now, call))

    def call_at(self, when: float, call: Any) -> None:
        self.calls.append((when, call))

    def run(self) -> float:
        """Make the next scheduled call, at its time. Return that time."""
        ((when, call),) = self.calls
        self.calls.clear()
        self.now = max(self.now, when)
        call()
        return when


class SlowConnection:
    """A connection whose writes take `takes_s` seconds, with this number of messages."""

    def __init__(self, clock: Clock, takes_s: float = 0.0, messages: int = 1) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.messages = messages
        self.written_at: list[float] = []

    def flush(self) -> int:
        self.written_at.append(self.clock.now)
        self.clock.now += self.takes_s
        return self.messages

    def fail(self) -> None: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing.asyncio, "get_running_loop", lambda: clock)
    return clock


def test_a_write_does_not_wait_while_little_happens(clock: Clock) -> None:
    pacer, connection = WritePacer(), SlowConnection(clock, 0.001)
    for moment in (100.0, 101.0, 102.0):
        clock.now = moment
        pacer.schedule(connection)
        assert clock.run() == moment
    assert connection.written_at == [100.0, 101.0, 102.0]


def written_s(pacer: WritePacer) -> list[float]:
    """How many seconds after their changes the watched messages were written: their number, and the sum."""
    value = pacer.metrics.registry.get_sample_value
    return [value(f"relay_delivery_written_seconds_{what}") or 0.0 for what in ("count", "sum")]


def test_a_change_counts_as_written_when_the_last_part_of_its_round_has_ended(clock: Clock) -> None:
    pacer = WritePacer(wall=lambda: clock.now)
    # Given three connections of which each fills a part of a round, the last of which is scheduled in between,
    first, second, third = (SlowConnection(clock, PART_S) for _ in range(3))
    pacer.schedule(first)
    pacer.schedule(second)
    clock.run()
    pacer.schedule(third)
    # when a change is watched that was committed a second ago, and a further one while it is,
    pacer.watch(clock.now - 1.0)
    pacer.watch(clock.now - 5.0)
    clock.run()
    assert written_s(pacer) == [0, 0]
    # then the first of them counts, when everything is written that was scheduled by then.
    clock.run()
    assert written_s(pacer) == [1, pytest.approx(1.0 + 2 * PART_S)]
    pacer.schedule(first)
    clock.run()
    assert written_s(pacer)[0] == 1


def test_a_change_of_which_nobody_is_told_is_not_watched(clock: Clock) -> None:
    pacer = WritePacer(wall=lambda: clock.now)
    pacer.watch(clock.now)
    pacer.schedule(SlowConnection(clock))
    clock.run()
    assert written_s(pacer) == [0, 0]


def test_a_change_from_the_future_counts_as_written_at_once(clock: Clock) -> None:
    """The clock of the database may be ahead."""
    pacer = WritePacer(wall=lambda: clock.now)
    pacer.schedule(SlowConnection(clock))
    pacer.watch(clock.now + 60.0)
    clock.run()
    assert written_s(pacer) == [1, 0]


def test_the_next_round_waits_as_long_as_the_last_one_took(clock: Clock) -> None:
    pacer, connections = WritePacer(), [SlowConnection(clock, 0.002), SlowConnection(clock, 0.003)]
    for connection in connections:
        pacer.schedule(connection)
    clock.run()
    assert clock.now == pytest.approx(100.005)
    for connection in connections:  # both are scheduled in the same next round
        pacer.schedule(connection)
    assert clock.run() == pytest.approx(100.010)


def test_the_next_round_waits_longer_in_a_burst(clock: Clock) -> None:
    pacer = WritePacer()
    connections = [SlowConnection(clock, 0.001), SlowConnection(clock, 0.002, BURST_MESSAGES)]
    for connection in connections:
        pacer.schedule(connection)
    clock.run()
    pacer.schedule(connections[0])
    assert clock.run() == pytest.approx(100.003 + 0.003 * BURST_FACTOR)


@pytest.mark.parametrize(("messages", "longest_s"), [(1, MAX_PAUSE_S), (BURST_MESSAGES, BURST_MAX_PAUSE_S)])
def test_a_round_waits_no_longer_than_the_limit(clock: Clock, messages: int, longest_s: float) -> None:
    pacer, slow = WritePacer(), SlowConnection(clock, 5.0, messages)
    pacer.schedule(slow)
    clock.run()
    pacer.schedule(slow)
    assert clock.run() == pytest.approx(105.0 + longest_s)


def test_a_round_that_takes_long_is_written_in_parts_with_one_pause_after_the_last(clock: Clock) -> None:
    pacer, slow, quick = WritePacer(), SlowConnection(clock, PART_S), SlowConnection(clock, 0.001)
    late = SlowConnection(clock)
    for connection in (slow, quick):
        pacer.schedule(connection)
    clock.run()
    assert not quick.written_at

    pacer.schedule(late)  # what comes in between is written with the rest
    assert clock.run() == pytest.approx(100.0 + PART_S)
    assert (quick.written_at, late.written_at) == (
        [pytest.approx(100.0 + PART_S)],
        [pytest.approx(100.001 + PART_S)],
    )
    pacer.schedule(late)
    assert clock.run() == pytest.approx(100.0 + 2 * (PART_S + 0.001))


def test_a_connection_that_writes_more_while_a_round_goes_on_is_written_to_once_more(clock: Clock) -> None:
    pacer = WritePacer()

    class Continues(SlowConnection):
        def flush(self) -> int:
            if not self.written_at:
                pacer.schedule(self)
            return super().flush()

    continues, other = Continues(clock, PART_S), SlowConnection(clock)
    pacer.schedule(continues)
    pacer.schedule(other)
    clock.run()
    clock.run()
    assert len(other.written_at) == 1
    assert len(continues.written_at) == 2
    assert not clock.calls


def test_a_connection_that_fails_does_not_keep_others_from_writing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        failed = False

        def flush(self) -> int:
            raise OSError("gone")

        def fail(self) -> None:
            self.failed = True

    pacer, broken, connection = WritePacer(), Broken(), SlowConnection(clock)
    pacer.schedule(broken)
    pacer.schedule(connection)
    clock.run()
    assert connection.written_at
    assert broken.failed
    assert caplog.messages == ["a connection could not write"]


async def test_changes_are_fetched_shortly_before_a_round_or_with_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pacing.asyncio, "sleep", sleep)
    pacer = WritePacer()
    await pacer.wait_for_room()
    pacer.schedule(SlowConnection(clock, 0.005, BURST_MESSAGES))
    clock.run()
    await pacer.wait_for_room()
    clock.now += BURST_MAX_PAUSE_S - FETCH_S
    await pacer.wait_for_room()
    clock.now += FETCH_S
    await pacer.wait_for_room()
    assert slept == pytest.approx([BURST_MAX_PAUSE_S - FETCH_S, FETCH_S])
