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
    Harness,
    RecordingConversation,
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
from relay.protocol.frames import Frame, error
from relay.protocol.types import Close, ErrorCode

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def close_body(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


# Sending.


def test_messages_of_one_turn_leave_in_one_write() -> None:
    harness = Harness()
    harness.connection.send(batch(b"1"))
    harness.connection.answer(frame(b"2"))
    harness.connection.send(batch(b"3"))
    assert not harness.transport.writes
    harness.loop.turn()
    assert len(harness.transport.writes) == 1
    assert harness.frames() == [(TEXT, b"1"), (TEXT, b"2"), (TEXT, b"3")]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_a_message_of_any_length_is_framed_correctly(length: int) -> None:
    harness = Harness(max_bytes=1_000_000)
    payload = b"x" * length
    harness.connection.send(batch(payload))
    harness.connection.answer(frame(payload))
    harness.loop.settle()
    assert harness.frames() == [(TEXT, payload)] * 2
    header = 2 if length < 126 else 4 if length < 65_536 else 10
    assert len(harness.transport.sent()) == 2 * (header + length)


def test_messages_wait_while_the_socket_is_full() -> None:
    harness = Harness()
    harness.stop_reading()
    assert (harness.conversation.calls, harness.transport.reading) == (["paused"], False)
    harness.connection.send(batch(b"1"))
    harness.connection.answer(frame(b"2"))
    harness.loop.settle()
    assert len(harness.transport.writes) == 1
    harness.transport.read()
    harness.loop.settle()
    assert (len(harness.transport.writes), harness.transport.reading) == (2, True)
    assert harness.frames()[1:] == [(TEXT, b"1"), (TEXT, b"2")]


def test_live_messages_above_the_limit_are_dropped_and_answers_are_kept() -> None:
    harness = Harness(max_bytes=100)
    harness.stop_reading()
    for number in range(20):
        harness.connection.send(batch(b"live message %02d" % number))
        harness.connection.answer(frame(b"%d" % number))
    harness.loop.settle()
    assert harness.conversation.calls == ["paused", "lag since pause"]
    harness.connection.send(batch(b"too late"))
    harness.transport.read()
    harness.loop.settle()
    assert harness.conversation.calls == ["paused", "lag since pause", "drained"]
    harness.connection.send(batch(b"live again"))
    harness.loop.settle()
    assert harness.frames()[1:] == [*((TEXT, b"%d" % number) for number in range(20)), (TEXT, b"live again")]


def test_a_connection_counts_the_messages_of_both_sides_and_no_control_frames() -> None:
    harness = Harness(max_bytes=1_000)
    for text in (b"1", b"2"):
        harness.transport.feed(masked(TEXT, text))
    harness.transport.feed(masked(PING, b"ping"))
    harness.connection.answer(frame(b"an answer"))
    harness.connection.send(batch(b"live", b"live too"))
    harness.connection.answer_pages(iter([frame(b"page 1"), frame(b"page 2")]), 12)
    harness.connection.send(batch(b"live after the pages"))
    harness.loop.settle()
    assert (harness.connection.messages_in, harness.connection.messages_out) == (2, 6)
    assert [opcode for opcode, _ in harness.frames()].count(TEXT) == 6


def test_dropped_live_messages_are_not_counted_as_sent() -> None:
    harness = Harness(max_bytes=100)
    harness.stop_reading()
    before = harness.connection.messages_out
    harness.connection.send(batch(b"x" * 101))
    harness.transport.read()
    harness.loop.settle()
    assert harness.connection.messages_out == before


def counted(name: str, **labels: str) -> float:
    return Harness.metrics.registry.get_sample_value(name, labels) or 0.0


def test_dropped_messages_are_counted_when_the_connection_lags_and_when_it_no_longer_does() -> None:
    harness, before = Harness(max_bytes=100), counted("relay_messages_dropped_total")
    harness.stop_reading()
    harness.connection.send(batch(b"x" * 50, b"x" * 50))
    harness.connection.send(batch(b"too much"))
    harness.loop.settle()
    assert counted("relay_messages_dropped_total") == before + 3
    harness.connection.send(batch(b"too late", b"as well"))
    harness.transport.read()
    harness.loop.settle()
    assert counted("relay_messages_dropped_total") == before + 5
    # A connection that ends while it lags has dropped what came meanwhile, too.
    harness.stop_reading()
    for _ in range(2):
        harness.connection.send(batch(b"x" * 101))
        harness.loop.settle()
    harness.connection.abort(Close.TIMEOUT, "stalled")
    harness.loop.settle()
    assert counted("relay_messages_dropped_total") == before + 7


def test_bytes_errors_and_refusals_are_counted() -> None:
    harness = Harness()
    errors = counted("relay_errors_sent_total", code="unavailable")
    refused = counted("relay_refusals_total", transport="websocket", reason="token_expired")
    harness.bytes = 0

    def refuse() -> None:
        raise Refused(4401, "token_expired")

    harness.connection.answer(error(ErrorCode.UNAVAILABLE, "Later."))
    harness.conversation.tick = refuse
    harness.tick()
    assert harness.bytes == len(harness.transport.sent())
    assert counted("relay_errors_sent_total", code="unavailable") == errors + 1
    assert counted("relay_refusals_total", transport="websocket", reason="token_expired") == refused + 1


def test_a_burst_above_the_limit_calls_lag_before_drained() -> None:
    harness = Harness(max_bytes=100)
    for _ in range(BURST_FACTOR + 1):
        harness.connection.send(batch(b"x" * 100))
    harness.loop.settle()
    assert harness.conversation.calls == ["lag", "drained"]
    assert harness.frames() == []


def test_a_socket_that_drains_in_the_turn_of_the_drop_does_not_lag_forever() -> None:
    harness = Harness(max_bytes=100)
    harness.stop_reading()
    harness.connection.send(batch(b"x" * 101))
    harness.transport.read()
    harness.loop.settle()
    assert harness.conversation.calls == ["paused", "lag since pause", "drained"]


def test_a_pong_that_fills_the_socket_leaves_after_earlier_messages() -> None:
    harness = Harness(max_bytes=100)
    harness.transport.taking = False
    harness.transport.buffer = b"x" * (HIGH_WATER - 5)
    harness.connection.send(batch(b"live"))
    harness.transport.feed(masked(PING, b"ping"))
    harness.loop.settle()
    # `paused` promises that everything sent before is on its way.
    assert harness.conversation.calls == ["paused"]
    assert harness.frames() == [(TEXT, b"live"), (PONG, b"ping")]


def test_too_many_answers_end_the_connection_and_none_leaves_out_of_order() -> None:
    harness = Harness(max_bytes=100)
    for number in range(ANSWERS_FACTOR + 10):
        harness.connection.answer(frame(b"%099d" % number))
    harness.connection.send(batch(b"live"))
    harness.loop.settle()
    assert harness.transport.aborted
    assert harness.transport.writes == []
    assert (harness.connection.code, harness.conversation.calls, harness.losses) == (
        Close.TIMEOUT,
        ["closed"],
        1,
    )


# States in pages.


def test_a_state_above_every_limit_leaves_page_by_page_as_the_socket_takes_it() -> None:
    harness = Harness(max_bytes=100)
    made: list[int] = []

    def pages() -> Iterator[Frame]:
        for number in range(200):
            made.append(number)
            yield frame(b"%0900d" % number)

    harness.transport.taking = False
    harness.connection.answer_pages(pages(), 200 * 900)
    harness.connection.answer(frame(b"after"))
    harness.loop.settle()
    assert len(made) == 2  # the second one filled the socket
    while len(made) < 200:
        before = len(made)
        harness.transport.read(1_000)
        harness.loop.settle()
        assert len(made) <= before + 2
    harness.transport.read()
    harness.loop.settle()
    assert harness.frames() == [*((TEXT, b"%0900d" % number) for number in range(200)), (TEXT, b"after")]
    assert harness.connection.code is None


def test_a_socket_that_fills_within_a_state_does_not_call_paused() -> None:
    # `paused` promises that everything sent before is on its way, but live messages wait behind the pages.
    harness = Harness(max_bytes=100)
    harness.transport.taking = False
    harness.connection.answer_pages(iter([frame(b"x" * HIGH_WATER), frame(b"last page")]), HIGH_WATER)
    harness.connection.send(batch(b"live"))
    harness.loop.settle()
    assert (harness.transport.paused, harness.conversation.calls) == (True, [])
    harness.connection.send(batch(b"x" * 101))
    harness.transport.read()
    harness.loop.settle()
    assert harness.conversation.calls == ["lag since pause", "drained"]
    assert [payload for _, payload in harness.frames()[1:]] == [b"last page"]


def test_a_second_state_has_room_when_the_first_has_left() -> None:
    harness = Harness(max_bytes=100)
    harness.stop_reading()
    assert harness.connection.has_room()
    harness.connection.answer_pages(iter([frame(b"x" * 5_000)] * 2), 10_000)
    assert not harness.connection.has_room()
    harness.transport.read()
    harness.loop.settle()
    assert harness.conversation.calls == ["paused", "drained"]
    assert harness.connection.has_room()


def test_pinned_messages_are_not_dropped() -> None:
    harness = Harness(max_bytes=100)
    harness.stop_reading()
    harness.connection.send(batch(b"1"))
    harness.connection.pin()
    harness.connection.send(batch(b"2"))
    harness.connection.send(batch(b"x" * 101))
    harness.transport.read()
    harness.loop.settle()
    assert harness.frames()[1:] == [(TEXT, b"1")]


def test_pin_says_no_until_the_conversation_knows_of_the_drop() -> None:
    harness = Harness(max_bytes=10)
    assert harness.connection.pin()
    harness.connection.send(batch(b"x" * 1000))
    assert not harness.connection.pin()
    harness.loop.settle()
    assert harness.connection.pin()


# Receiving.


@given(
    messages=st.lists(st.binary(max_size=300).map(lambda data: data.hex().encode()), max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=50),
    fragment=st.integers(1, 400),
)
def test_messages_arrive_whole_however_the_network_splits_them(
    messages: list[bytes], cuts: list[int], fragment: int
) -> None:
    harness = Harness()
    data = b""
    for message in messages:
        parts = [message[at : at + fragment] for at in range(0, len(message), fragment)] or [b""]
        for at, part in enumerate(parts):
            data += masked(CONT if at else TEXT, part, fin=at == len(parts) - 1) + masked(PING, b"!")
    turn = 0
    while data:
        cut = cuts[turn % len(cuts)]
        harness.client_sends(data[:cut])
        harness.loop.now += CONTROL_WINDOW_S
        data, turn = data[cut:], turn + 1
    assert harness.conversation.calls == [message.decode() for message in messages]
    assert harness.connection.code is None


def test_the_parser_is_freed_between_messages_without_the_garbage_collector() -> None:
    harness = Harness()
    assert harness.connection._parser is None
    hello = masked(TEXT, b"hello")
    gc.disable()
    try:
        for end in (
            lambda: harness.client_sends(hello[2:]),
            lambda: harness.connection.connection_lost(None),
        ):
            harness.client_sends(hello[:2])
            assert harness.connection._parser is not None, "the header of a frame is in there"
            parser = weakref.ref(harness.connection._parser)
            end()
            assert (harness.connection._parser, parser()) == (None, None)
    finally:
        gc.enable()
    assert harness.conversation.calls == ["hello", "closed"]


def test_an_ended_connection_frees_its_outbox_and_its_conversation() -> None:
    harness = Harness()
    harness.stop_reading()
    harness.connection.answer(frame(b"x" * 1_000))
    harness.connection.abort(Close.TIMEOUT, "stalled")
    harness.loop.settle()
    assert harness.losses == 1
    assert len(harness.connection._outbox) == 0
    assert harness.server_state.connections == set()
    conversation, harness.conversation = weakref.ref(harness.conversation), None
    gc.collect()
    assert conversation() is None


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode of nothing
        (masked(CONT, b"more"), 1002),  # continues nothing
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
def test_a_violation_is_answered_with_its_close_code(sent: bytes, code: int) -> None:
    harness = Harness()
    harness.connection.answer(frame(b"queued before"))
    (before, (opcode, body)) = harness.client_sends(sent)
    assert before == (TEXT, b"queued before")
    assert (opcode, int.from_bytes(body[:2], "big")) == (CLOSE, code)
    assert (harness.connection.code, harness.conversation.calls) == (code, ["closed"])
    # What the client sends now is ignored, and it is cut off in the end.
    assert harness.client_sends(masked(TEXT, b"hello") + masked(PING)) == []
    harness.tick(after_s=CLOSE_S)
    assert harness.transport.aborted
    assert harness.losses == 1


def test_a_client_that_violates_the_protocol_has_time_to_read_the_close() -> None:
    harness = Harness()
    harness.client_sends(b"\x81\x02hi")
    assert (harness.transport.eof, harness.transport.closing) == (True, False)
    harness.transport.end()
    harness.loop.settle()
    assert (harness.losses, harness.transport.aborted) == (1, False)


def test_a_message_in_too_many_fragments_ends_the_connection() -> None:
    harness = Harness()
    assert harness.client_sends(masked(TEXT, fin=False) + masked(CONT, fin=False) * (MAX_FRAGMENTS - 1)) == []
    assert harness.client_sends(masked(CONT, fin=False)) == [(CLOSE, close_body(1008, "too many fragments"))]
    assert harness.connection._parser.fragments == []


def test_a_flood_of_control_frames_ends_the_connection() -> None:
    harness = Harness()
    for _ in range(3):
        assert len(harness.client_sends(masked(PING, b"?") * CONTROL_FRAMES)) == CONTROL_FRAMES
        harness.loop.now += CONTROL_WINDOW_S
    flood = harness.client_sends(masked(PING, b"?") * 10 * CONTROL_FRAMES)
    assert len(flood) == CONTROL_FRAMES + 1
    assert flood[-1] == (CLOSE, close_body(1008, "too many control frames"))


@pytest.mark.parametrize("body", [b"", close_body(1000), close_body(1000, "done"), close_body(4999, "x")])
def test_a_close_of_the_client_is_echoed_after_what_was_queued(body: bytes) -> None:
    harness = Harness()
    harness.connection.send(batch(b"live"))
    assert harness.client_sends(masked(CLOSE, body)) == [(TEXT, b"live"), (CLOSE, body)]
    assert harness.connection.code == (int.from_bytes(body[:2], "big") if body else 1005)
    assert (harness.transport.closing, harness.losses) == (True, 1)
    assert harness.conversation.calls == ["closed"]


class Echo(RecordingConversation):
    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection

    def receive(self, text: str) -> None:
        self.connection.answer(frame(text.encode()))


def echoing() -> Harness:
    harness = Harness(Echo())
    harness.conversation.connection = harness.connection
    return harness


def test_a_pong_keeps_its_place_among_the_messages() -> None:
    sent = [masked(TEXT, b"1"), masked(TEXT, b"2", fin=False), masked(PING, b"?"), masked(CONT, b"2")]
    assert echoing().client_sends(b"".join(sent)) == [(TEXT, b"1"), (PONG, b"?"), (TEXT, b"22")]


def test_a_request_and_a_close_that_arrive_together_are_both_answered() -> None:
    sent = masked(TEXT, b"hello") + masked(PING, b"?") + masked(CLOSE, close_body(1000))
    assert echoing().client_sends(sent) == [(TEXT, b"hello"), (PONG, b"?"), (CLOSE, close_body(1000))]


def test_a_violation_and_a_close_that_arrive_together_end_with_our_code() -> None:
    harness = echoing()
    assert harness.client_sends(masked(BINARY, b"0") + masked(CLOSE, close_body(1000))) == [
        (CLOSE, close_body(1003, "text frames only"))
    ]
    assert (harness.connection.code, harness.losses) == (1003, 1)


# Ending.


def test_a_close_leaves_once_and_after_everything_queued() -> None:
    harness = Harness()
    harness.connection.send(batch(b"1"))
    harness.connection.answer(frame(b"2"))
    harness.connection.close(4401, "token_expired")
    harness.connection.close(1011, "internal error")
    harness.connection.send(batch(b"3"))
    harness.connection.answer(frame(b"4"))
    harness.loop.settle()
    ours = (CLOSE, close_body(4401, "token_expired"))
    assert harness.frames() == [(TEXT, b"1"), (TEXT, b"2"), ours]
    # Nothing follows the close, and the client's own close ends the connection.
    assert harness.client_sends(masked(PING) + masked(TEXT, b"hello")) == []
    assert not harness.transport.closing
    assert harness.client_sends(masked(CLOSE, close_body(4401))) == []
    assert (harness.transport.closing, harness.transport.aborted, harness.losses) == (True, False, 1)
    assert (harness.connection.code, harness.conversation.calls) == (4401, ["closed"])


@pytest.mark.parametrize("reads", [True, False])
def test_a_connection_whose_close_is_not_answered_is_cut_off(reads: bool) -> None:
    harness = Harness()
    if not reads:
        harness.stop_reading()
    harness.connection.close(1001, "restart")
    assert harness.transport.reading
    harness.tick(after_s=CLOSE_S - 0.1)
    assert not harness.transport.aborted
    harness.tick(after_s=0.2)
    assert (harness.transport.aborted, harness.losses) == (True, 1)


def test_a_close_while_the_socket_is_full_keeps_its_place() -> None:
    harness = Harness()
    harness.stop_reading()
    harness.connection.answer(frame(b"1"))
    harness.connection.close(1001, "restart")
    harness.transport.feed(masked(CLOSE, close_body(1001)))  # the client closes at the same time
    harness.connection.shutdown()
    harness.loop.settle()
    assert not harness.transport.closing
    harness.transport.read()
    harness.loop.settle()
    assert harness.frames()[1:] == [(TEXT, b"1"), (CLOSE, close_body(1001, "restart"))]
    assert (harness.transport.closing, harness.losses) == (True, 1)


def test_a_client_that_ends_its_side_and_reads_nothing_is_cut_off() -> None:
    harness = Harness()
    harness.stop_reading()
    harness.transport.reading = True
    harness.transport.end()
    harness.loop.settle()
    assert (harness.connection.code, harness.conversation.calls, harness.losses) == (
        1006,
        ["paused", "closed"],
        0,
    )
    harness.tick(after_s=CLOSE_S)
    assert harness.losses == 1


def test_an_exception_of_a_conversation_ends_only_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    for method in ("receive", "tick", "paused", "lag", "drained", "closed"):
        caplog.clear()
        harness = Harness(max_bytes=100)
        setattr(harness.conversation, method, failing)
        harness.client_sends(masked(TEXT, b"hello"))
        harness.tick()
        if method == "paused":
            harness.stop_reading()
        harness.transport.taking = method != "lag"
        for _ in range(2 * BURST_FACTOR):
            harness.connection.send(batch(b"x" * 100))
        harness.loop.settle()
        harness.transport.read()
        harness.loop.settle()
        if method == "closed":
            harness.connection.close(1011, "internal error")
            harness.loop.settle()
        assert harness.frames()[-1] == (CLOSE, close_body(1011, "internal error")), method
        assert len(caplog.records) == 1, method
        harness.transport.abort()
        harness.loop.settle()
        assert harness.losses == 1


def failing(*_: Any, **__: Any) -> None:
    raise RuntimeError("a bug")


def test_a_connection_that_the_relay_cannot_serve_is_closed_after_what_is_queued_and_not_at_once() -> None:
    harness = Harness()
    harness.connection.answer(frame(b"1"))

    harness.connection.fail()
    harness.connection.fail()

    assert harness.connection.code is None  # the caller serves other connections now
    harness.loop.settle()
    assert harness.conversation.calls == ["closed"]
    assert harness.frames() == [(TEXT, b"1"), (CLOSE, close_body(1011, "internal error"))]


def test_a_conversation_can_end_its_connection_by_raising_refused(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()

    def refuse() -> None:
        raise Refused(4401, "token_expired")

    harness.conversation.tick = refuse
    harness.tick()
    assert harness.frames() == [(CLOSE, close_body(4401, "token_expired"))]
    assert not caplog.records


# Time.


def test_a_silent_client_is_pinged_and_cut_off_without_a_pong() -> None:
    harness = Harness()
    harness.tick(after_s=19.9)
    assert harness.frames() == []
    harness.tick(after_s=0.1)
    assert harness.frames() == [(PING, b"")]
    harness.tick(after_s=7.9)
    assert harness.client_sends(masked(PONG)) == []
    harness.tick(after_s=0.2)
    assert harness.connection.code is None
    harness.tick(after_s=20)
    harness.tick(after_s=8)
    assert (harness.transport.aborted, harness.connection.code, harness.losses) == (True, Close.TIMEOUT, 1)


def test_a_client_that_reads_nothing_is_cut_off_and_one_that_reads_little_stays() -> None:
    harness = Harness()
    harness.stop_reading()
    for _ in range(5):
        harness.tick(after_s=20)
        harness.transport.read(1)
        harness.tick()
    assert not harness.transport.aborted
    harness.tick(after_s=30)
    assert (harness.transport.aborted, harness.connection.code) == (True, Close.TIMEOUT)


def test_a_client_that_resumes_reading_is_not_cut_off_for_a_missing_pong() -> None:
    harness = Harness()
    harness.tick(after_s=20)
    assert harness.frames() == [(PING, b"")]
    harness.stop_reading()  # so the relay stops reading, too, and cannot receive the pong
    harness.tick(after_s=10)
    harness.transport.read()
    harness.tick()
    assert not harness.transport.aborted


# Anything, in any order.


class AnyOrder(RuleBasedStateMachine):
    """A connection in any order of events. It delivers what was sent, in order; live messages are missing only between
    `lag` and `drained`; nothing waits forever."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness(max_bytes=150)
        self.log: list[Any] = self.harness.conversation.calls
        self.count, self.states, self.early = 0, 0, False
        self.harness.conversation.drained = self.drained
        self.accepted: dict[bytes, bool] = {}  # True for messages that may not be dropped

    def drained(self) -> None:
        self.early = (
            self.early or self.harness.transport.paused
        )  # checked at the end: an exception raised here would be caught
        self.log.append("drained")
        self.put(kept=True, size=10)  # stands for the state that replaces dropped messages

    def put(self, *, kept: bool, size: int) -> None:
        self.count += 1
        payload = b"%d:" % self.count + b"x" * size
        if self.harness.connection.code is None:
            self.log.append(payload)
            self.accepted[payload] = kept
        if kept:
            self.harness.connection.answer(frame(payload))
        else:
            self.harness.connection.send(batch(payload))

    @rule(size=st.sampled_from([1, 60, 160, 700]), times=st.integers(1, 4))
    def send(self, size: int, times: int) -> None:
        for _ in range(times):
            self.put(kept=False, size=size)

    @rule(size=st.sampled_from([1, 230]))  # all steps together stay below the limit of answers
    def answer(self, size: int) -> None:
        self.put(kept=True, size=size)

    @precondition(lambda self: self.harness.connection.code is None and self.count < 100)
    @rule(pages=st.integers(1, 4), size=st.sampled_from([1, 700]))
    def state(self, pages: int, size: int) -> None:
        if not self.harness.connection.has_room():
            self.log.append("no room")
            return
        self.states += 1
        payloads = [b"%d.%d:" % (self.states, page) + b"x" * size for page in range(pages)]
        self.log += payloads
        self.accepted |= dict.fromkeys(payloads, True)
        self.harness.connection.answer_pages(map(frame, payloads), pages * size)

    @rule()
    def stop_reading(self) -> None:
        self.harness.transport.taking = False

    @rule(count=st.sampled_from([100, 900, None]))
    def read(self, count: int | None) -> None:
        self.harness.transport.read(count)

    @rule()
    def turn(self) -> None:
        self.harness.loop.turn()

    @rule()
    def tick(self) -> None:
        self.harness.connection.tick(self.harness.loop.now, TIMEOUTS)

    @precondition(lambda self: self.harness.transport.reading)
    @rule(sent=st.sampled_from([masked(PING, b"?"), masked(TEXT, b"hi"), masked(TEXT, b"hi")[:3]]))
    def client_sends(self, sent: bytes) -> None:
        self.harness.transport.feed(sent)

    @precondition(lambda self: self.count > 20)
    @rule(how=st.sampled_from(["close", "shutdown", "peer", "violation"]))
    def end(self, how: str) -> None:
        match how:
            case "close":
                self.harness.connection.close(4401, "token_expired")
            case "shutdown":
                self.harness.connection.shutdown()
            case "peer" if self.harness.transport.reading:
                self.harness.transport.feed(masked(CLOSE, close_body(1000)))
            case "violation" if self.harness.transport.reading:
                self.harness.transport.feed(b"\xff\xff")

    @invariant()
    def live_messages_that_wait_are_bounded(self) -> None:
        outbox = self.harness.connection._outbox
        # If the socket fills within a state, messages wait that were sent when it was not full.
        strict = self.harness.transport.paused and not self.states
        assert outbox.live_bytes <= 150 * (1 if strict else BURST_FACTOR)

    def teardown(self) -> None:
        harness = self.harness
        harness.loop.settle()
        for _ in range(3):
            harness.transport.read()
            harness.loop.settle()
        assert not self.early, "`drained` while the socket is full"
        assert not harness.transport.aborted
        assert len(harness.connection._outbox) == 0
        frames = harness.frames()
        closes = [at for at, (opcode, _) in enumerate(frames) if opcode == CLOSE]
        assert closes in ([], [len(frames) - 1])
        assert bool(closes) == (harness.connection.code is not None)
        got = [payload for opcode, payload in frames if opcode == TEXT]
        assert got == [payload for payload in self.accepted if payload in set(got)], "another order"
        missing = set(self.accepted) - set(got)
        assert not any(self.accepted[payload] for payload in missing), "a message that must not be dropped"
        self._check_lags(missing)

    def _check_lags(self, missing: set[bytes]) -> None:
        """Check every call of the conversation against the messages that were missing by then."""
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
                    assert set(unexplained) <= set(since_pause), "a message that was sent before the pause"
            elif entry == "drained":
                assert lagging or awaited, "`drained` was not awaited"
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
        if self.harness.connection.code is None:
            assert not lagging
            assert not awaited
            assert not unexplained


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_websockets_library_logs_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Harness().client_sends(masked(CLOSE))
    assert not caplog.records
