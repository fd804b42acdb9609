"""The sweep: each connection is visited when it is due or asked for it, and no user's answers wait without end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from support.fake_transport import TIMEOUTS, Loop, Notes, Played, frame
from websockets.frames import Opcode

from relay.gateway.websocket.timers import TICK_S, USER_FACTOR, OpenConnection, Timers

MAX_BYTES = 1_000


class Visited(Notes):
    """A conversation that counts its ticks, and wants the next one after `every_s`."""

    def __init__(self, every_s: float = 25.0) -> None:
        super().__init__()
        self.every_s, self.ticks = every_s, 0
        self.played: Played | None = None

    def tick(self) -> float:
        assert self.played is not None
        self.ticks += 1
        return self.played.loop.now + self.every_s


class Swept:
    """A sweep over played connections, whose clock is turned by hand."""

    def __init__(self) -> None:
        self.timers = Timers(TIMEOUTS, MAX_BYTES)
        self.now = Loop().now
        self.all: list[Played] = []
        self.entries: dict[Any, OpenConnection] = {}

    def connect(self, user: str | None = None, *, every_s: float = 25.0) -> tuple[Played, Visited]:
        visited = Visited(every_s)
        visited.played = played = Played(visited)
        session: Any = SimpleNamespace(user=user)
        self.entries[played.connection] = OpenConnection(played.connection, session, None)
        played.connection._owner = self
        self.all.append(played)
        played.loop.now = self.now
        self.wake(played.connection)
        return played, visited

    def wake(self, connection: Any) -> None:
        self.timers.wake(self.entries[connection])

    def lost(self, connection: Any) -> None:
        self.entries.pop(connection).release()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            for played in self.all:
                played.loop.now = self.now
            self.timers.tick(self.now)
            for played in self.all:
                played.loop.settle()


def pinged(played: Played) -> bool:
    return Opcode.PING in [opcode for opcode, _ in played.frames()]


def test_who_is_not_due_is_not_visited() -> None:
    swept = Swept()
    _, often = swept.connect(every_s=1.0)
    _, seldom = swept.connect(every_s=10.0)
    swept.pass_time(15.0)
    assert 11 <= often.ticks <= 16
    assert 2 <= seldom.ticks <= 3


def test_what_a_connection_needs_itself_it_gets_in_time() -> None:
    swept = Swept()
    played, _ = swept.connect(every_s=3600.0)
    swept.pass_time(19.5)
    assert not pinged(played)
    swept.pass_time(1.0)
    assert pinged(played)
    swept.pass_time(TIMEOUTS.pong_within_s + 0.5)
    assert played.transport.aborted


def test_who_asks_is_visited_at_the_next_sweep() -> None:
    swept = Swept()
    played, visited = swept.connect(every_s=3600.0)
    swept.pass_time(1.0)
    assert visited.ticks == 1
    swept.wake(played.connection)
    swept.pass_time(TICK_S)
    assert visited.ticks == 2


def test_who_is_gone_is_not_visited_and_not_kept() -> None:
    swept = Swept()
    played, visited = swept.connect(every_s=5.0)
    swept.pass_time(1.0)
    played.transport.end()
    played.loop.settle()
    assert not swept.entries
    swept.pass_time(10.0)
    assert visited.ticks == 1


def test_answers_of_one_user_do_not_wait_without_end() -> None:
    """S22: over several connections that nobody reads, each within what one may have."""
    swept = Swept()
    mine = [swept.connect("mallory")[0] for _ in range(12)]
    other, _ = swept.connect("alice")
    for played in (*mine, other):
        played.stop_reading()
    for played in (*mine, mine[5], other):
        played.connection.answer(frame(b"x" * (MAX_BYTES * USER_FACTOR // 12)))
    swept.pass_time(1.0)
    assert [played.transport.aborted for played in mine] == [played is mine[5] for played in mine]
    assert not other.transport.aborted


def test_states_may_be_larger_than_what_may_wait_for_their_user() -> None:
    swept = Swept()
    tabs = [swept.connect("alice")[0] for _ in range(3)]
    for played in tabs:
        played.stop_reading()
        played.connection.answer_pages(iter([frame(b"x")]), MAX_BYTES * USER_FACTOR + 1)
    swept.pass_time(1.0)
    assert not any(played.transport.aborted for played in tabs)
