"""An open WebSocket over a transport without a socket: order, bounds, ends."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.fake_transport import (
    HIGH_WATER,
    TIMEOUTS,
    Notes,
    Played,
    batch,
    frame,
    masked,
)

from relay.errors import Refused
from relay.gateway.websocket.connection import (
    CLOSE_S,
    CONTROL_FRAMES,
    CONTROL_WINDOW_S,
    MAX_FRAGMENTS,
    Connection,
)
from relay.gateway.websocket.outbox import ANSWERS_FACTOR, BURST_FACTOR
from relay.protocol.frames import Frame
from relay.protocol.types import Close

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def close_body(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


# Sending.


def test_what_is_sent_in_one_turn_leaves_in_one_write() -> None:
    played = Played()
    played.connection.send(batch(b"1"))
    played.connection.answer(frame(b"2"))
    played.connection.send(batch(b"3"))
    assert not played.transport.writes
    played.loop.turn()
    assert len(played.transport.writes) == 1
    assert played.frames() == [(TEXT, b"1"), (TEXT, b"2"), (TEXT, b"3")]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_every_length_is_framed_as_it_should_be(length: int) -> None:
    played = Played(max_bytes=1_000_000)
    payload = b"x" * length
    played.connection.send(batch(payload))
    played.connection.answer(frame(payload))
    played.loop.settle()
    assert played.frames() == [(TEXT, payload)] * 2
    header = 2 if length < 126 else 4 if length < 65_536 else 10
    assert len(played.transport.sent()) == 2 * (header + length)


def test_what_a_full_socket_does_not_take_leaves_when_it_does() -> None:
    played = Played()
    played.stop_reading()
    assert (played.notes.told, played.transport.reading) == (["paused"], False)
    played.connection.send(batch(b"1"))
    played.connection.answer(frame(b"2"))
    played.loop.settle()
    assert len(played.transport.writes) == 1
    played.transport.read()
    played.loop.settle()
    assert (len(played.transport.writes), played.transport.reading) == (2, True)
    assert played.frames()[1:] == [(TEXT, b"1"), (TEXT, b"2")]


def test_live_messages_past_the_bound_are_dropped_and_the_rest_is_kept() -> None:
    played = Played(max_bytes=100)
    played.stop_reading()
    for number in range(20):
        played.connection.send(batch(b"live message %02d" % number))
        played.connection.answer(frame(b"%d" % number))
    played.loop.settle()
    assert played.notes.told == ["paused", "lag since pause"]
    played.connection.send(batch(b"too late"))
    played.transport.read()
    played.loop.settle()
    assert played.notes.told == ["paused", "lag since pause", "drained"]
    played.connection.send(batch(b"live again"))
    played.loop.settle()
    assert played.frames()[1:] == [*((TEXT, b"%d" % number) for number in range(20)), (TEXT, b"live again")]


def test_a_burst_the_socket_may_well_take_is_told_to_lag_before_it_is_told_to_catch_up() -> None:
    played = Played(max_bytes=100)
    for _ in range(BURST_FACTOR + 1):
        played.connection.send(batch(b"x" * 100))
    played.loop.settle()
    assert played.notes.told == ["lag", "drained"]
    assert played.frames() == []


def test_a_socket_that_drains_in_the_very_turn_of_the_drop_does_not_lag_for_ever() -> None:
    played = Played(max_bytes=100)
    played.stop_reading()
    played.connection.send(batch(b"x" * 101))
    played.transport.read()
    played.loop.settle()
    assert played.notes.told == ["paused", "lag since pause", "drained"]


def test_a_pause_brought_by_a_pong_does_not_pass_what_was_queued_before() -> None:
    played = Played(max_bytes=100)
    played.transport.taking = False
    played.transport.buffer = b"x" * (HIGH_WATER - 5)
    played.connection.send(batch(b"live"))
    played.transport.feed(masked(PING, b"ping"))
    played.loop.settle()
    # `paused` says that all until here is on its way: then it must be.
    assert played.notes.told == ["paused"]
    assert played.frames() == [(TEXT, b"live"), (PONG, b"ping")]


def test_too_many_answers_end_the_connection_and_none_of_them_leaves_out_of_order() -> None:
    played = Played(max_bytes=100)
    for number in range(ANSWERS_FACTOR + 10):
        played.connection.answer(frame(b"%099d" % number))
    played.connection.send(batch(b"live"))
    played.loop.settle()
    assert played.transport.aborted
    assert played.transport.writes == []
    assert (played.connection.code, played.notes.told, played.gone) == (Close.TIMEOUT, ["closed"], 1)


# States in pages.


def test_a_state_larger_than_every_bound_leaves_page_by_page_as_the_socket_takes_it() -> None:
    played = Played(max_bytes=100)
    made: list[int] = []

    def pages() -> Iterator[Frame]:
        for number in range(200):
            made.append(number)
            yield frame(b"%0900d" % number)

    played.transport.taking = False
    played.connection.answer_pages(pages(), 200 * 900)
    played.connection.answer(frame(b"after"))
    played.loop.settle()
    assert len(made) == 2  # the second one filled the socket
    while len(made) < 200:
        before = len(made)
        played.transport.read(1_000)
        played.loop.settle()
        assert len(made) <= before + 2
    played.transport.read()
    played.loop.settle()
    assert played.frames() == [*((TEXT, b"%0900d" % number) for number in range(200)), (TEXT, b"after")]
    assert played.connection.code is None


def test_a_socket_that_fills_in_the_midst_of_a_state_is_not_told_paused() -> None:
    # `paused` says that all until here is on its way, and behind the pages wait live messages.
    played = Played(max_bytes=100)
    played.transport.taking = False
    played.connection.answer_pages(iter([frame(b"x" * HIGH_WATER), frame(b"last page")]), HIGH_WATER)
    played.connection.send(batch(b"live"))
    played.loop.settle()
    assert (played.transport.paused, played.notes.told) == (True, [])
    played.connection.send(batch(b"x" * 101))
    played.transport.read()
    played.loop.settle()
    assert played.notes.told == ["lag since pause", "drained"]
    assert [payload for _, payload in played.frames()[1:]] == [b"last page"]


def test_another_state_has_room_when_the_one_before_has_left() -> None:
    played = Played(max_bytes=100)
    played.stop_reading()
    assert played.connection.has_room()
    played.connection.answer_pages(iter([frame(b"x" * 5_000)] * 2), 10_000)
    assert not played.connection.has_room()
    played.transport.read()
    played.loop.settle()
    assert played.notes.told == ["paused", "drained"]
    assert played.connection.has_room()


def test_what_is_pinned_is_not_dropped() -> None:
    played = Played(max_bytes=100)
    played.stop_reading()
    played.connection.send(batch(b"1"))
    played.connection.pin()
    played.connection.send(batch(b"2"))
    played.connection.send(batch(b"x" * 101))
    played.transport.read()
    played.loop.settle()
    assert played.frames()[1:] == [(TEXT, b"1")]


def test_until_the_conversation_knows_of_what_was_dropped_nothing_can_continue_from_it() -> None:
    played = Played(max_bytes=10)
    assert played.connection.pin()
    played.connection.send(batch(b"x" * 1000))
    assert not played.connection.pin()
    played.loop.settle()
    assert played.connection.pin()


# Receiving.


@given(
    messages=st.lists(st.binary(max_size=300).map(lambda data: data.hex().encode()), max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=50),
    fragment=st.integers(1, 400),
)
def test_messages_are_whole_however_the_network_cuts_them(
    messages: list[bytes], cuts: list[int], fragment: int
) -> None:
    played = Played()
    data = b""
    for message in messages:
        parts = [message[at : at + fragment] for at in range(0, len(message), fragment)] or [b""]
        for at, part in enumerate(parts):
            data += masked(CONT if at else TEXT, part, fin=at == len(parts) - 1) + masked(PING, b"!")
    turn = 0
    while data:
        cut = cuts[turn % len(cuts)]
        played.say(data[:cut])
        played.loop.now += CONTROL_WINDOW_S
        data, turn = data[cut:], turn + 1
    assert played.notes.told == [message.decode() for message in messages]
    assert played.connection.code is None


def test_no_parser_is_kept_between_messages_and_none_waits_for_the_collector() -> None:
    played = Played()
    assert played.connection._parser is None
    hello = masked(TEXT, b"hello")
    gc.disable()
    try:
        for end in (lambda: played.say(hello[2:]), lambda: played.connection.connection_lost(None)):
            played.say(hello[:2])
            assert played.connection._parser is not None, "the header of a frame is in there"
            parser = weakref.ref(played.connection._parser)
            end()
            assert (played.connection._parser, parser()) == (None, None)
    finally:
        gc.enable()
    assert played.notes.told == ["hello", "closed"]


def test_an_end_frees_what_waits_and_the_conversation() -> None:
    played = Played()
    played.stop_reading()
    played.connection.answer(frame(b"x" * 1_000))
    played.connection.abort(Close.TIMEOUT)
    played.loop.settle()
    assert played.gone == 1
    assert len(played.connection._outbox) == 0
    assert played.server_state.connections == set()
    conversation, played.notes = weakref.ref(played.notes), None
    gc.collect()
    assert conversation() is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode of nothing
        (masked(CONT, b"more"), 1002),  # of what?
        (masked(TEXT, b"a", fin=False) + masked(TEXT, b"b"), 1002),
        (b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126, 1002),  # a ping too long
        (b"\x09\x80\0\0\0\0", 1002),  # a ping in fragments
        (masked(CLOSE, b"\x03"), 1002),  # half a code
        (masked(CLOSE, close_body(1005)), 1002),
        (masked(CLOSE, close_body(999)), 1002),
        (masked(CLOSE, b"\x03\xe8\xff"), 1007),
        (masked(TEXT, b"\xff"), 1007),
        (masked(TEXT, "ä".encode()[:1], fin=False) + masked(CONT, b"!"), 1007),
        (masked(BINARY, b"0"), 1003),
        (masked(BINARY, b"0", fin=False), 1003),
        (b"\x81\xff" + (2**63).to_bytes(8, "big"), 1009),
        (b"\x81\xff" + (100_001).to_bytes(8, "big") + b"\0\0\0\0", 1009),
        (masked(TEXT, b"x" * 99_999, fin=False) + masked(CONT, b"xx"), 1009),
    ],
)
def test_who_breaks_the_rules_is_told_which(said: bytes, code: int) -> None:
    played = Played()
    played.connection.answer(frame(b"queued before"))
    (before, (opcode, body)) = played.say(said)
    assert before == (TEXT, b"queued before")
    assert (opcode, int.from_bytes(body[:2], "big")) == (CLOSE, code)
    assert (played.connection.code, played.notes.told) == (code, ["closed"])
    # What it says now is not heard, and it is cut off in the end.
    assert played.say(masked(TEXT, b"hello") + masked(PING)) == []
    played.tick(after_s=CLOSE_S)
    assert played.transport.aborted
    assert played.gone == 1


def test_a_violation_leaves_the_peer_time_to_read_why() -> None:
    played = Played()
    played.say(b"\x81\x02hi")
    assert (played.transport.eof, played.transport.closing) == (True, False)
    played.transport.end()
    played.loop.settle()
    assert (played.gone, played.transport.aborted) == (1, False)


def test_a_message_in_too_many_fragments_ends_the_connection() -> None:
    played = Played()
    assert played.say(masked(TEXT, fin=False) + masked(CONT, fin=False) * (MAX_FRAGMENTS - 1)) == []
    assert played.say(masked(CONT, fin=False)) == [(CLOSE, close_body(1008, "too many fragments"))]
    assert played.connection._parser.fragments == []


def test_a_flood_of_control_frames_ends_the_connection() -> None:
    played = Played()
    for _ in range(3):
        assert len(played.say(masked(PING, b"?") * CONTROL_FRAMES)) == CONTROL_FRAMES
        played.loop.now += CONTROL_WINDOW_S
    flood = played.say(masked(PING, b"?") * 10 * CONTROL_FRAMES)
    assert len(flood) == CONTROL_FRAMES + 1
    assert flood[-1] == (CLOSE, close_body(1008, "too many control frames"))


@pytest.mark.parametrize("body", [b"", close_body(1000), close_body(1000, "done"), close_body(4999, "x")])
def test_a_close_of_the_peer_is_given_back_behind_what_was_queued(body: bytes) -> None:
    played = Played()
    played.connection.send(batch(b"live"))
    assert played.say(masked(CLOSE, body)) == [(TEXT, b"live"), (CLOSE, body)]
    assert played.connection.code == (int.from_bytes(body[:2], "big") if body else 1005)
    assert (played.transport.closing, played.gone) == (True, 1)
    assert played.notes.told == ["closed"]


class Echo(Notes):
    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection

    def receive(self, text: str) -> None:
        self.connection.answer(frame(text.encode()))


def echoing() -> Played:
    played = Played(Echo())
    played.notes.connection = played.connection
    return played


def test_a_ping_is_answered_in_its_place_among_the_messages() -> None:
    said = [masked(TEXT, b"1"), masked(TEXT, b"2", fin=False), masked(PING, b"?"), masked(CONT, b"2")]
    assert echoing().say(b"".join(said)) == [(TEXT, b"1"), (PONG, b"?"), (TEXT, b"22")]


def test_a_request_and_a_close_in_one_segment_are_both_answered() -> None:
    said = masked(TEXT, b"hello") + masked(PING, b"?") + masked(CLOSE, close_body(1000))
    assert echoing().say(said) == [(TEXT, b"hello"), (PONG, b"?"), (CLOSE, close_body(1000))]


def test_a_violation_and_a_close_in_one_segment_end_with_our_code() -> None:
    played = echoing()
    assert played.say(masked(BINARY, b"0") + masked(CLOSE, close_body(1000))) == [
        (CLOSE, close_body(1003, "text frames only"))
    ]
    assert (played.connection.code, played.gone) == (1003, 1)


# Ending.


def test_a_close_comes_after_all_that_is_queued_and_only_once() -> None:
    played = Played()
    played.connection.send(batch(b"1"))
    played.connection.answer(frame(b"2"))
    played.connection.close(4401, "token_expired")
    played.connection.close(1011, "internal error")
    played.connection.send(batch(b"3"))
    played.connection.answer(frame(b"4"))
    played.loop.settle()
    ours = (CLOSE, close_body(4401, "token_expired"))
    assert played.frames() == [(TEXT, b"1"), (TEXT, b"2"), ours]
    # Nothing follows it, and the peer's own ends it.
    assert played.say(masked(PING) + masked(TEXT, b"hello")) == []
    assert not played.transport.closing
    assert played.say(masked(CLOSE, close_body(4401))) == []
    assert (played.transport.closing, played.transport.aborted, played.gone) == (True, False, 1)
    assert (played.connection.code, played.notes.told) == (4401, ["closed"])


@pytest.mark.parametrize("reads", [True, False])
def test_a_close_that_nobody_answers_is_cut_off(reads: bool) -> None:
    played = Played()
    if not reads:
        played.stop_reading()
    played.connection.close(1001, "restart")
    assert played.transport.reading
    played.tick(after_s=CLOSE_S - 0.1)
    assert not played.transport.aborted
    played.tick(after_s=0.2)
    assert (played.transport.aborted, played.gone) == (True, 1)


def test_a_close_while_the_socket_is_full_keeps_its_place() -> None:
    played = Played()
    played.stop_reading()
    played.connection.answer(frame(b"1"))
    played.connection.close(1001, "restart")
    played.transport.feed(masked(CLOSE, close_body(1001)))  # it says so itself meanwhile
    played.connection.shutdown()
    played.loop.settle()
    assert not played.transport.closing
    played.transport.read()
    played.loop.settle()
    assert played.frames()[1:] == [(TEXT, b"1"), (CLOSE, close_body(1001, "restart"))]
    assert (played.transport.closing, played.gone) == (True, 1)


def test_a_peer_that_says_no_more_is_gone_even_if_it_reads_nothing_either() -> None:
    played = Played()
    played.stop_reading()
    played.transport.reading = True
    played.transport.end()
    played.loop.settle()
    assert (played.connection.code, played.notes.told, played.gone) == (1006, ["paused", "closed"], 0)
    played.tick(after_s=CLOSE_S)
    assert played.gone == 1


def test_what_a_conversation_raises_ends_it_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    for method in ("receive", "tick", "paused", "lag", "drained", "closed"):
        caplog.clear()
        played = Played(max_bytes=100)
        setattr(played.notes, method, failing)
        played.say(masked(TEXT, b"hello"))
        played.tick()
        if method == "paused":
            played.stop_reading()
        played.transport.taking = method != "lag"
        for _ in range(2 * BURST_FACTOR):
            played.connection.send(batch(b"x" * 100))
        played.loop.settle()
        played.transport.read()
        played.loop.settle()
        if method == "closed":
            played.connection.close(1011, "internal error")
            played.loop.settle()
        assert played.frames()[-1] == (CLOSE, close_body(1011, "internal error")), method
        assert len(caplog.records) == 1, method
        played.transport.abort()
        played.loop.settle()
        assert played.gone == 1


def failing(*_: Any, **__: Any) -> None:
    raise RuntimeError("a bug")


def test_a_conversation_may_refuse_to_go_on(caplog: pytest.LogCaptureFixture) -> None:
    played = Played()

    def refuse() -> None:
        raise Refused(4401, "token_expired")

    played.notes.tick = refuse
    played.tick()
    assert played.frames() == [(CLOSE, close_body(4401, "token_expired"))]
    assert not caplog.records


# Time.


def test_who_is_silent_is_pinged_and_who_does_not_answer_is_gone() -> None:
    played = Played()
    played.tick(after_s=19.9)
    assert played.frames() == []
    played.tick(after_s=0.1)
    assert played.frames() == [(PING, b"")]
    played.tick(after_s=7.9)
    assert played.say(masked(PONG)) == []
    played.tick(after_s=0.2)
    assert played.connection.code is None
    played.tick(after_s=20)
    played.tick(after_s=8)
    assert (played.transport.aborted, played.connection.code, played.gone) == (True, Close.TIMEOUT, 1)


def test_who_reads_nothing_is_gone_and_who_reads_little_stays() -> None:
    played = Played()
    played.stop_reading()
    for _ in range(5):
        played.tick(after_s=20)
        played.transport.read(1)
        played.tick()
    assert not played.transport.aborted
    played.tick(after_s=30)
    assert (played.transport.aborted, played.connection.code) == (True, Close.TIMEOUT)


def test_who_reads_again_is_not_gone_for_the_pong_nobody_could_hear() -> None:
    played = Played()
    played.tick(after_s=20)
    assert played.frames() == [(PING, b"")]
    played.stop_reading()  # and so it is not read either
    played.tick(after_s=10)
    played.transport.read()
    played.tick()
    assert not played.transport.aborted


# Anything, in any order.


class AnyOrder(RuleBasedStateMachine):
    """What is delivered is what was sent, in order; live messages are missing only between `lag` and
    `drained`; nothing waits for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.played = Played(max_bytes=150)
        self.log: list[Any] = self.played.notes.told
        self.count, self.states, self.early = 0, 0, False
        self.played.notes.drained = self.drained
        self.accepted: dict[bytes, bool] = {}  # is it kept?

    def drained(self) -> None:
        self.early = self.early or self.played.transport.paused  # raised here it would reach nobody
        self.log.append("drained")
        self.put(kept=True, size=10)  # the state that replaces what was dropped

    def put(self, *, kept: bool, size: int) -> None:
        self.count += 1
        payload = b"%d:" % self.count + b"x" * size
        if self.played.connection.code is None:
            self.log.append(payload)
            self.accepted[payload] = kept
        if kept:
            self.played.connection.answer(frame(payload))
        else:
            self.played.connection.send(batch(payload))

    @rule(size=st.sampled_from([1, 60, 160, 700]), times=st.integers(1, 4))
    def send(self, size: int, times: int) -> None:
        for _ in range(times):
            self.put(kept=False, size=size)

    @rule(size=st.sampled_from([1, 230]))  # all the steps together stay below the bound of answers
    def answer(self, size: int) -> None:
        self.put(kept=True, size=size)

    @precondition(lambda self: self.played.connection.code is None and self.count < 100)
    @rule(pages=st.integers(1, 4), size=st.sampled_from([1, 700]))
    def state(self, pages: int, size: int) -> None:
        if not self.played.connection.has_room():
            self.log.append("no room")
            return
        self.states += 1
        payloads = [b"%d.%d:" % (self.states, page) + b"x" * size for page in range(pages)]
        self.log += payloads
        self.accepted |= dict.fromkeys(payloads, True)
        self.played.connection.answer_pages(map(frame, payloads), pages * size)

    @rule()
    def stop_reading(self) -> None:
        self.played.transport.taking = False

    @rule(count=st.sampled_from([100, 900, None]))
    def read(self, count: int | None) -> None:
        self.played.transport.read(count)

    @rule()
    def turn(self) -> None:
        self.played.loop.turn()

    @rule()
    def tick(self) -> None:
        self.played.connection.tick(self.played.loop.now, TIMEOUTS)

    @precondition(lambda self: self.played.transport.reading)
    @rule(said=st.sampled_from([masked(PING, b"?"), masked(TEXT, b"hi"), masked(TEXT, b"hi")[:3]]))
    def hear(self, said: bytes) -> None:
        self.played.transport.feed(said)

    @precondition(lambda self: self.count > 20)
    @rule(how=st.sampled_from(["close", "shutdown", "peer", "violation"]))
    def end(self, how: str) -> None:
        match how:
            case "close":
                self.played.connection.close(4401, "token_expired")
            case "shutdown":
                self.played.connection.shutdown()
            case "peer" if self.played.transport.reading:
                self.played.transport.feed(masked(CLOSE, close_body(1000)))
            case "violation" if self.played.transport.reading:
                self.played.transport.feed(b"\xff\xff")

    @invariant()
    def what_waits_is_bounded(self) -> None:
        outbox = self.played.connection._outbox
        # A socket that fills in the midst of a state has behind it what was sent while it was not full.
        strict = self.played.transport.paused and not self.states
        assert outbox.live_bytes <= 150 * (1 if strict else BURST_FACTOR)

    def teardown(self) -> None:
        played = self.played
        played.loop.settle()
        for _ in range(3):
            played.transport.read()
            played.loop.settle()
        assert not self.early, "`drained` while the socket is full"
        assert not played.transport.aborted
        assert len(played.connection._outbox) == 0
        frames = played.frames()
        closes = [at for at, (opcode, _) in enumerate(frames) if opcode == CLOSE]
        assert closes in ([], [len(frames) - 1])
        assert bool(closes) == (played.connection.code is not None)
        got = [payload for opcode, payload in frames if opcode == TEXT]
        assert got == [payload for payload in self.accepted if payload in set(got)], "another order"
        missing = set(self.accepted) - set(got)
        assert not any(self.accepted[payload] for payload in missing), "one that must not be dropped"
        self._check_lags(missing)

    def _check_lags(self, missing: set[bytes]) -> None:
        """Go through all that happened, the way the conversation saw it."""
        unexplained: list[bytes] = []  # dropped since the last `drained`
        since_pause: list[bytes] = []  # live, sent since the last `paused`
        lagging, dropping, awaited = False, False, False
        for entry in self.log:
            if entry == "paused":
                since_pause.clear()
            elif entry == "no room":
                awaited = True
            elif entry in ("lag", "lag since pause"):
                assert not lagging
                lagging = True
                if entry != "lag":
                    assert set(unexplained) <= set(since_pause), "one that was sent before the pause"
            elif entry == "drained":
                assert lagging or awaited, "`drained` that nobody waits for"
                lagging = dropping = awaited = False
                unexplained.clear()
            elif isinstance(entry, bytes):
                if not self.accepted[entry]:
                    since_pause.append(entry)
                if entry in missing:
                    unexplained.append(entry)
                    dropping = True
                elif not self.accepted[entry]:
                    assert not dropping, "a live message after a dropped one"
        if self.played.connection.code is None:
            assert not lagging
            assert not awaited
            assert not unexplained


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_library_tells_of_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Played().say(masked(CLOSE))
    assert not caplog.records
