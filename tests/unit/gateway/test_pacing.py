"""When connections write: at once in quiet, together in a burst."""

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
    WritePacer,
)


class Clock:
    """A loop whose time is turned by hand."""

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
        """The next call, at its time."""
        ((when, call),) = self.calls
        self.calls.clear()
        self.now = max(self.now, when)
        call()
        return when


class Pen:
    """A connection whose writing takes so long, of so many messages."""

    def __init__(self, clock: Clock, takes_s: float = 0.0, messages: int = 1) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.messages = messages
        self.written_at: list[float] = []

    def flush(self) -> int:
        self.written_at.append(self.clock.now)
        self.clock.now += self.takes_s
        return self.messages


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing.asyncio, "get_running_loop", lambda: clock)
    return clock


def test_where_it_is_quiet_nothing_waits(clock: Clock) -> None:
    pacer, pen = WritePacer(), Pen(clock, 0.001)
    for moment in (100.0, 101.0, 102.0):
        clock.now = moment
        pacer.schedule(pen)
        assert clock.run() == moment
    assert pen.written_at == [100.0, 101.0, 102.0]


def test_what_follows_gathers_for_as_long_as_the_last_round_took(clock: Clock) -> None:
    pacer, pens = WritePacer(), [Pen(clock, 0.002), Pen(clock, 0.003)]
    for pen in pens:
        pacer.schedule(pen)
    clock.run()
    assert clock.now == pytest.approx(100.005)
    for pen in pens:  # what comes right after waits, and all of it is one round
        pacer.schedule(pen)
    assert clock.run() == pytest.approx(100.010)


def test_a_burst_gathers_longer(clock: Clock) -> None:
    pacer, pens = WritePacer(), [Pen(clock, 0.001), Pen(clock, 0.002, BURST_MESSAGES)]
    for pen in pens:
        pacer.schedule(pen)
    clock.run()
    pacer.schedule(pens[0])
    assert clock.run() == pytest.approx(100.003 + 0.003 * BURST_FACTOR)


@pytest.mark.parametrize(("messages", "longest_s"), [(1, MAX_PAUSE_S), (BURST_MESSAGES, BURST_MAX_PAUSE_S)])
def test_nothing_waits_longer_than_the_bound(clock: Clock, messages: int, longest_s: float) -> None:
    pacer, slow = WritePacer(), Pen(clock, 5.0, messages)
    pacer.schedule(slow)
    clock.run()
    pacer.schedule(slow)
    assert clock.run() == pytest.approx(105.0 + longest_s)


def test_one_that_fails_keeps_nobody_from_writing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def flush(self) -> None:
            raise OSError("gone")

    pacer, pen = WritePacer(), Pen(clock)
    pacer.schedule(Broken())
    pacer.schedule(pen)
    clock.run()
    assert pen.written_at
    assert caplog.messages == ["a connection could not write"]


async def test_more_is_fetched_shortly_before_a_round_or_with_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pacing.asyncio, "sleep", sleep)
    pacer = WritePacer()
    await pacer.wait_for_room()
    pacer.schedule(Pen(clock, 0.005, BURST_MESSAGES))
    clock.run()
    await pacer.wait_for_room()
    clock.now += BURST_MAX_PAUSE_S - FETCH_S
    await pacer.wait_for_room()
    clock.now += FETCH_S
    await pacer.wait_for_room()
    assert slept == pytest.approx([BURST_MAX_PAUSE_S - FETCH_S, FETCH_S])
