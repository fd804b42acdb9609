"""The timers of all connections: each is visited when it is due or woken, and what waits for one user is bounded."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from support.fake_transport import TIMEOUTS, Harness, Loop, RecordingConversation, frame
from websockets.frames import Opcode

from relay.gateway.websocket.open_connection import OpenConnection
from relay.gateway.websocket.timers import TICK_S, USER_FACTOR, Timers

MAX_BYTES = 1_000


class CountingConversation(RecordingConversation):
    """A conversation that counts its ticks, and asks for the next one after `every_s` seconds."""

    def __init__(self, every_s: float = 25.0) -> None:
        super().__init__()
        self.every_s, self.ticks = every_s, 0
        self.harness: Harness | None = None

    def tick(self) -> float:
        assert self.harness is not None
        self.ticks += 1
        return self.harness.loop.now + self.every_s


class TimedConnections:
    """Timers over connections without sockets, with a clock that the test sets."""

    def __init__(self) -> None:
        self.timers = Timers(TIMEOUTS, MAX_BYTES)
        self.now = Loop().now
        self.all: list[Harness] = []
        self.entries: dict[Any, OpenConnection] = {}

    def connect(
        self, user: str | None = None, *, every_s: float = 25.0
    ) -> tuple[Harness, CountingConversation]:
        conversation = CountingConversation(every_s)
        conversation.harness = harness = Harness(conversation)
        session: Any = SimpleNamespace(user=user)
        self.entries[harness.connection] = OpenConnection(harness.connection, "/ws", 0.0, "", session)
        harness.connection._owner = self
        self.all.append(harness)
        harness.loop.now = self.now
        self.wake(harness.connection)
        return harness, conversation

    def wake(self, connection: Any) -> None:
        self.timers.wake(self.entries[connection])

    def ending(self, connection: Any, end: Any) -> None: ...

    def lost(self, connection: Any) -> None:
        self.entries.pop(connection).release()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            for harness in self.all:
                harness.loop.now = self.now
            self.timers.tick(self.now)
            for harness in self.all:
                harness.loop.settle()


def pinged(harness: Harness) -> bool:
    return Opcode.PING in [opcode for opcode, _ in harness.frames()]


def test_a_connection_is_visited_only_when_it_is_due() -> None:
    timed = TimedConnections()
    _, often = timed.connect(every_s=1.0)
    _, seldom = timed.connect(every_s=10.0)
    timed.pass_time(15.0)
    assert 11 <= often.ticks <= 16
    assert 2 <= seldom.ticks <= 3


def test_a_connection_is_pinged_and_cut_off_in_time() -> None:
    timed = TimedConnections()
    harness, _ = timed.connect(every_s=3600.0)
    timed.pass_time(19.5)
    assert not pinged(harness)
    timed.pass_time(1.0)
    assert pinged(harness)
    timed.pass_time(TIMEOUTS.pong_within_s + 0.5)
    assert harness.transport.aborted


def test_a_woken_connection_is_visited_at_the_next_tick() -> None:
    timed = TimedConnections()
    harness, conversation = timed.connect(every_s=3600.0)
    timed.pass_time(1.0)
    assert conversation.ticks == 1
    timed.wake(harness.connection)
    timed.pass_time(TICK_S)
    assert conversation.ticks == 2


def test_a_lost_connection_is_neither_visited_nor_kept() -> None:
    timed = TimedConnections()
    harness, conversation = timed.connect(every_s=5.0)
    timed.pass_time(1.0)
    harness.transport.end()
    harness.loop.settle()
    assert not timed.entries
    timed.pass_time(10.0)
    assert conversation.ticks == 1


def test_answers_that_wait_for_one_user_are_bounded() -> None:
    """S22: several connections of one user read nothing, each within the limit of a single one."""
    timed = TimedConnections()
    mine = [timed.connect("mallory")[0] for _ in range(12)]
    other, _ = timed.connect("alice")
    for harness in (*mine, other):
        harness.stop_reading()
    for harness in (*mine, mine[5], other):
        harness.connection.answer(frame(b"x" * (MAX_BYTES * USER_FACTOR // 12)))
    timed.pass_time(1.0)
    assert [harness.transport.aborted for harness in mine] == [harness is mine[5] for harness in mine]
    assert not other.transport.aborted


def test_a_state_may_be_larger_than_the_limit_of_its_user() -> None:
    timed = TimedConnections()
    tabs = [timed.connect("alice")[0] for _ in range(3)]
    for harness in tabs:
        harness.stop_reading()
        harness.connection.answer_pages(iter([frame(b"x")]), MAX_BYTES * USER_FACTOR + 1)
    timed.pass_time(1.0)
    assert not any(harness.transport.aborted for harness in tabs)


def test_what_waits_for_all_connections_is_known_after_a_tick() -> None:
    timed = TimedConnections()
    waiting = [timed.connect(user)[0] for user in ("alice", None)]
    reading, _ = timed.connect("ben")
    for harness in waiting:
        harness.stop_reading()
    timed.pass_time(TICK_S)
    filled = timed.timers.waiting_bytes
    for harness in (*waiting, reading):
        harness.connection.answer(frame(b"x" * 100))
    timed.pass_time(1.0)
    assert timed.timers.waiting_bytes == filled + 2 * 102
    for harness in waiting:
        harness.transport.read()
        harness.loop.settle()
    timed.pass_time(1.0)
    assert timed.timers.waiting_bytes == 0


async def test_the_delay_of_each_tick_is_noted() -> None:
    noted: asyncio.Queue[float] = asyncio.Queue()
    running = asyncio.create_task(Timers(TIMEOUTS, MAX_BYTES, note_delay=noted.put_nowait).run())
    asyncio.get_running_loop().call_later(TICK_S / 2, time.sleep, 3 * TICK_S)
    assert await noted.get() > TICK_S
    assert await noted.get() >= 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
