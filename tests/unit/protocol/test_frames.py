"""Encoded messages: what a carrier may ask of one, and how many listeners share one encoding."""

from __future__ import annotations

import orjson
import pytest
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from relay.protocol.frames import Batch, Frame, encode, error, websocket_message
from relay.protocol.types import ErrorCode, Kind


def test_a_frame_says_of_itself_what_its_body_says() -> None:
    frame = encode(Kind.REVOKED, {"taskId": "t1"}, at="2026-01-02T03:04:05.678Z", reply_to="7")

    assert orjson.loads(frame.body) == {
        "type": "task:revoked",
        "data": {"taskId": "t1"},
        "at": "2026-01-02T03:04:05.678Z",
        "replyTo": "7",
    }
    assert (frame.kind, frame.task_id, frame.last) == (Kind.REVOKED, "t1", True)


@pytest.mark.parametrize("more", [True, False])
def test_only_the_last_page_of_a_state_is_its_last_frame_also_as_an_answer(more: bool) -> None:
    page = encode(Kind.DASHBOARD_STATE, {"tasks": b'[{"taskId":"t1"}]', "reset": True, "more": more})

    assert page.last is page.with_reply_to("7").last is not more
    assert page.task_id is None


def test_json_that_is_already_encoded_is_copied_as_it_is() -> None:
    frame = encode(Kind.EVENT_ADDED, {"taskId": "t1", "event": b'{"z":1, "a":2}'})

    assert frame.body == b'{"type":"task:event_added","data":{"taskId":"t1","event":{"z":1, "a":2}}}'
    assert frame.data["event"] == b'{"z":1, "a":2}'


def test_what_is_not_json_cannot_be_encoded() -> None:
    with pytest.raises(TypeError):
        encode(Kind.PONG, {"serverTime": object()})


def test_an_answer_shares_the_encoding_and_adds_the_id_of_its_request() -> None:
    page = encode(Kind.TASK_LEFT, {"taskId": "t1"})

    assert page.with_reply_to(None) is page
    assert page.with_reply_to('7"\n').body == encode(Kind.TASK_LEFT, {"taskId": "t1"}, reply_to='7"\n').body


def test_an_error_says_whether_it_is_worth_trying_again() -> None:
    frame = error(ErrorCode.UNAVAILABLE, "away", task_id="t1", retry_after_ms=1000, reply_to="7")

    assert frame.data == {
        "code": "unavailable",
        "message": "away",
        "temporary": True,
        "taskId": "t1",
        "retryAfterMs": 1000,
    }
    assert error(ErrorCode.FORBIDDEN, "no").data["temporary"] is False


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_websocket_message_is_written_as_websockets_writes_it(length: int) -> None:
    body = b"x" * length

    assert websocket_message(body) == WebSocketFrame(Opcode.TEXT, body).serialize(mask=False)


def test_a_batch_is_one_message_after_the_other_made_once() -> None:
    frames = [Frame(Kind.PONG, b"x" * length, {}) for length in (1, 200, 70_000)]
    batch = Batch(frames)

    assert batch.websocket == b"".join(websocket_message(frame.body) for frame in frames)
    assert batch.websocket is batch.websocket
