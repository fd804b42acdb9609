"""A frame that needs no parser is read as the parser of the library would read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_transport import Harness, masked
from websockets.frames import Frame, Opcode

from relay.gateway.websocket import connection
from relay.gateway.websocket.framing import Parser, usual_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, GOING_AWAY = (1000).to_bytes(2, "big"), (1001).to_bytes(2, "big")


def with_mask(frame: bytes, mask: bytes) -> bytes:
    """A short frame with this mask in place of one of zeros."""
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(frame[6:]))
    return frame[:2] + mask + payload


USUAL = [
    *(masked(TEXT), masked(TEXT, b"{}"), masked(TEXT, b"x" * 125), masked(TEXT, b"\xff")),
    *(with_mask(masked(TEXT, b'{"type":"ping"}'), b"\x01\x02\xf3\x04"), masked(CLOSE), masked(CLOSE, NORMAL)),
    with_mask(masked(CLOSE, GOING_AWAY), b"abcd"),
]
OTHERS = [
    *(b"", b"\x81", masked(TEXT)[:-1], masked(TEXT, b"{}")[:-1], masked(TEXT, b"{}") + b"x"),
    *(masked(TEXT, b"{}") * 2, masked(TEXT, b"x" * 126), masked(TEXT, b"x" * 70_000)),
    *(b"\x81\x02{}....", b"\x81\xfe\x00\x02\0\0\0\0{}", masked(TEXT, b"{}", fin=False)),
    *(masked(BINARY, b"{}"), masked(CONTINUATION, b"{}"), masked(PING), masked(PONG), b"\xc1\x80\0\0\0\0"),
    *(masked(CLOSE, b"\x03"), masked(CLOSE, NORMAL + b"bye"), masked(CLOSE, (1005).to_bytes(2, "big"))),
    *(masked(CLOSE, (4000).to_bytes(2, "big")), b"\x83\x80\0\0\0\0", b"\x8b\x80\0\0\0\0"),
]


def parsed(data: bytes) -> list[object]:
    parser = Parser(max_size=100_000)
    parser.receive_data(data)
    return list(parser.events_received())


def test_whole_short_messages_and_closes_without_a_reason_need_no_parser() -> None:
    for data in USUAL:
        frame = usual_frame(data)
        assert frame is not None
        assert parsed(data) == [frame]


@pytest.mark.parametrize("data", OTHERS, ids=lambda data: data[:12].hex())
def test_everything_else_is_left_to_the_parser(data: bytes) -> None:
    assert usual_frame(data) is None


@given(st.binary(min_size=2, max_size=12))
def test_whatever_needs_no_parser_is_read_as_the_parser_reads_it(data: bytes) -> None:
    for first in (data[:1], b"\x81", b"\x88"):
        shaped = first + bytes((0x80 | max(0, len(data) - 6),)) + data[2:]
        frame = usual_frame(shaped)
        assert frame is None or parsed(shaped) == [frame]


@pytest.mark.parametrize("data", [*USUAL, masked(TEXT, b"a") + masked(CLOSE, NORMAL)])
def test_a_connection_does_the_same_with_and_without_a_parser(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome() -> tuple[object, ...]:
        harness = Harness()
        answers = harness.client_sends(data)
        ours, transport = harness.connection, harness.transport
        return answers, harness.conversation.calls, ours.code, transport.closing, transport.aborted

    shortened = outcome()
    monkeypatch.setattr(connection, "usual_frame", lambda _: None)
    assert outcome() == shortened


def test_a_close_that_answers_ours_is_not_answered_again() -> None:
    harness = Harness()
    harness.connection.close(4408, "gone")
    harness.loop.settle()
    assert harness.client_sends(masked(CLOSE, NORMAL)) == []
    assert harness.transport.closing
    assert harness.connection.code == 4408


def test_a_short_message_may_still_be_too_long() -> None:
    harness = Harness()
    harness.connection._max_message_bytes = 10
    assert [opcode for opcode, _ in harness.client_sends(masked(TEXT, b"x" * 11))] == [CLOSE]
    assert harness.conversation.calls == ["closed"]


def test_a_message_that_is_arriving_is_not_interrupted() -> None:
    """The rest of a message may look like a whole frame."""
    inner = with_mask(b"\x81\x82\0\0\0\0{}", b"abcd")
    harness = Harness()
    outer = with_mask(masked(TEXT, b"x" + bytes(len(inner))), bytes(4))[: -len(inner)] + inner
    assert usual_frame(inner) == Frame(Opcode.TEXT, b"{}")
    harness.client_sends(outer[: -len(inner)])
    harness.client_sends(inner)
    assert harness.conversation.calls == ["closed"], "a message that is not UTF-8"
    assert harness.connection.code == 1007
