"""Hardening: handshakes, frames and requests that break the rules end or are answered within their limits.

Each docstring begins with the rows of the security checklist (S1 to S38) that its test covers. Close codes are those
of PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from typing import Any

import orjson
import pytest
from support.hostile_client import bearer, get, text_frame
from support.raw_client import BINARY, CLOSE, CONT, PING, TEXT, frame, handshake, tcp_connection, upgraded
from support.relay_fixture import SOON_S, connected, running, token
from support.relay_metrics import becomes, metric

from relay.gateway.websocket.connection import MAX_FRAGMENTS, Connection


def fragments(count: int, payload: bytes) -> bytes:
    return frame(TEXT, payload, fin=False) + frame(CONT, payload, fin=False) * count


@pytest.mark.parametrize("sub", [None, "alice"])
async def test_a_message_that_is_too_large_or_has_too_many_fragments_closes_the_connection(
    with_: Any, sub: str | None
) -> None:
    """S19, S20: 64 KiB + 1 in one frame or in several: 1009; 20,001 empty or one-byte fragments: 1008."""
    too_long = b"x" * 65_537
    cases = [
        (1009, frame(TEXT, too_long)),
        (1009, frame(TEXT, too_long, masked=True)[:14]),  # the header of the frame is enough
        (1009, frame(TEXT, b"x" * 65_536, fin=False) + frame(CONT, b"x")),
        (1009, frame(TEXT, b"x" * 30_000, fin=False) + frame(CONT, b"x" * 30_000, fin=False) * 2),
        (1009, bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big")),
        (1008, fragments(20_001, b"")),
        (1008, fragments(20_001, b"x")),
        (1008, fragments(MAX_FRAGMENTS + 1, b"")),
    ]
    async with running(with_()) as relay:
        for code, sent in cases:
            async with upgraded(relay.url, sub=sub) as peer:
                peer.send(sent)
                assert await peer.ending() == code
        async with upgraded(relay.url) as peer:  # the permitted number of fragments is one message
            text = orjson.dumps({"type": "ping", "id": "i" * 20})
            peer.send(frame(TEXT, text, fin=False), frame(CONT, fin=False) * (MAX_FRAGMENTS - 2))
            peer.send(frame(PING), frame(CONT))
            while b'"pong"' not in (await peer.frame())[1]:
                pass


@pytest.mark.parametrize("sub", [None, "alice"])
async def test_a_flood_of_pings_fills_no_buffer(
    with_: Any, monkeypatch: pytest.MonkeyPatch, sub: str | None
) -> None:
    """S21: a flood of pings of 125 bytes from a client that does not read: 1008, and no buffer grows."""
    monkeypatch.setattr("relay.gateway.websocket.connection.CLOSE_S", 0.5)
    async with running(with_()) as relay, upgraded(relay.url, sub=sub, receive_buffer=4096) as peer:
        flood = frame(PING, b"p" * 125) * 500
        largest = sent = 0
        try:
            async with asyncio.timeout(SOON_S):
                while await metric(relay, 'relay_closed_total{code="1008"}') < 1:
                    if peer.writer.transport.get_write_buffer_size() < len(flood):
                        peer.send(flood)
                        sent += len(flood)
                    open_ = [one for one in gc.get_objects() if issubclass(type(one), Connection)]
                    largest = max([largest, *(one._transport.get_write_buffer_size() for one in open_)])
        except ConnectionError:
            pass
        assert sent >= len(flood)
        assert largest < 512 * 1024  # twice what one read can hold


async def test_compression_is_neither_negotiated_nor_accepted(with_: Any) -> None:
    """S22: permessage-deflate is not negotiated. A compressed frame: 1002. Of the answers of HTTP, only files are
    compressed, which are the same for everybody."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate"
    async with running(with_()) as relay, tcp_connection(relay.url) as peer:
        peer.send(handshake("/ws", offer, bearer(token("alice"))))
        status, head_ = await peer.answer()
        assert status == 101
        assert b"extensions" not in head_.lower()
        bomb = b"\xec\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7\x4f\x6d\x0e\x37\xa0"
        peer.send(frame(TEXT, bomb, rsv=0b100))
        assert await peer.ending() == 1002
        for path, status in (("/config", 200), ("/config?x", 200), ("/nothing", 404), ("/healthz", 200)):
            answer = await get(
                relay.url + path, Accept_Encoding="gzip, br", Authorization=f"Bearer {token('alice')}"
            )
            assert (answer[0], answer[1]["content-encoding"]) == (status, None)


async def test_a_handshake_that_takes_too_long_is_cut(with_: Any) -> None:
    """S23: silence, and a header that arrives byte by byte: cut; a head that is too large: 431. More of this is in
    tests/unit/gateway/test_http_protocol.py."""
    async with (
        running(with_(relay_handshake_timeout_ms=1_000)) as relay,
        tcp_connection(relay.url) as silent,
        tcp_connection(relay.url) as dripping,
        tcp_connection(relay.url) as large,
    ):
        large.send(handshake("/ws", *["X-Padding: " + "x" * 1_000] * 40))
        assert (await large.answer())[0] == 431
        async with asyncio.timeout(SOON_S):
            await dripping.drip(handshake("/ws", "X-Padding: " + "x" * 8_000), 0.05)
        assert await silent.answer() == (0, b"")


async def test_requests_above_the_rate_and_too_many_tasks_are_refused(with_: Any) -> None:
    """S25: 1,000 requests at once: rate_limited, then 4429; more tasks than permitted: too_many_tasks. A refresh of the
    token counts as well."""
    settings = with_(relay_messages_per_second=10, relay_max_tasks_per_connection=50)
    async with running(settings) as relay:
        for kind, data in (
            ("task:join", {"taskId": "t"}),
            ("resync_requested", {"taskIds": ["t"]}),
            ("auth", {"token": token("alice")}),
            ("nonsense", {}),
        ):
            async with upgraded(relay.url) as peer:
                peer.send(text_frame(kind, data) * 1_000)
                assert await peer.ending() == 4429
        async with upgraded(relay.url) as peer:
            peer.send(frame(TEXT, b"nonsense") * 1_000)
            assert await peer.ending() == 4429
        async with connected(relay) as client:
            names = [{"taskId": str(number)} for number in range(101)]
            for many, code in ((names, "bad_request"), (names[:51], "too_many_tasks")):
                await client.send("task:join", {"tasks": many})
                assert (await client.next())["data"]["code"] == code


FRAMES = [
    pytest.param(1002, frame(TEXT, b"{}", masked=False), id="unmasked"),
    pytest.param(1002, frame(TEXT, b"{}", rsv=0b010), id="a reserved bit"),
    *[pytest.param(1002, frame(opcode), id=f"opcode {opcode}") for opcode in (3, 7, 0xB, 0xF)],
    pytest.param(1002, frame(CONT, b"x"), id="a continuation of nothing"),
    pytest.param(1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), id="a message within another"),
    pytest.param(1002, frame(PING, b"x", fin=False), id="a fragmented ping"),
    pytest.param(1002, frame(PING, b"x" * 126), id="a ping that is too long"),
    pytest.param(1009, bytes([0x81, 0xFF]) + b"\xff" * 8, id="a length of 2^64"),
    pytest.param(1002, frame(CLOSE, b"x"), id="half a close code"),
    *[
        pytest.param(1002, frame(CLOSE, code.to_bytes(2, "big")), id=f"close {code}")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ],
    pytest.param(1002, frame(CLOSE, b"\x03\xe8" + b"r" * 124), id="a reason that is too long"),
    pytest.param(1007, frame(CLOSE, b"\x03\xe8\xff"), id="a reason that is not UTF-8"),
    pytest.param(1007, frame(TEXT, b'{"type":"\xff"}'), id="not UTF-8"),
    pytest.param(1007, frame(TEXT, b"\xed\xa0\x80"), id="a surrogate"),
    pytest.param(1007, frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONT), id="a character cut short"),
    pytest.param(1003, frame(BINARY, b"{}"), id="binary"),
    pytest.param(1003, frame(BINARY, b"{}", fin=False), id="fragmented binary"),
    pytest.param(1000, frame(CLOSE, b"\x03\xe8bye"), id="a clean close"),
    pytest.param(1005, frame(CLOSE), id="a close without a code"),
    pytest.param(4999, frame(CLOSE, b"\x13\x87"), id="a private code"),
]


@pytest.mark.parametrize(("code", "sent"), FRAMES)
async def test_a_frame_that_breaks_the_protocol_closes_with_its_code(
    with_: Any, caplog: pytest.LogCaptureFixture, code: int, sent: bytes
) -> None:
    """S26: unmasked, RSV, opcode 3, bad UTF-8, close 1005/999, a long reason, binary: the right code, no traceback."""
    async with running(with_()) as relay:
        for sub in (None, "alice"):
            async with upgraded(relay.url, sub=sub) as peer:
                peer.send(sent)
                assert await peer.ending() == code
        await becomes(relay, "relay_connections ", lambda count: count == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


BAD_JSON = [
    *("NaN", '{"type":NaN}', "[" * 10_000, "{" * 10_000, '{"a":' * 5_000, '"' + "\\u0000" * 5_000 + '"'),
    *('{"type":"ping","data":{"x":1e400}}', '{"type":"\\ud800"}', "{'type':'ping'}", '{"type":"ping",}', ""),
    *("null", "true", "5", "-", "\ufeff{}", '{"type":"ping"}{"type":"ping"}', '{"type":null}', " " * 60_000),
]


STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**18, 2**64, -(2**63), 1e308, "", "x", "\0", "$ne", "x" * 2_000),
    *([], [None], [[]], [{}], {}, {"$gt": ""}, {"taskId": {}}, ["x"] * 101),
]


FIELDS = {
    "task:join": ("taskId", "since", "head", "tasks"),
    "task:leave": ("taskId",),
    "resync_requested": ("taskIds",),
    "dashboard:join": ("limit",),
    "dashboard:leave": ("x",),
    "ping": ("x",),
    "auth": ("x",),
    "__class__": ("x",),
}


async def test_malformed_and_unexpected_json_is_answered_with_an_error(
    with_: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S27: NaN, 10,000 levels, 10^400, a surrogate, duplicate names, wrong types of each field: an error, quickly."""
    async with running(with_(relay_messages_per_second=100_000)) as relay, connected(relay) as client:
        for text in BAD_JSON:
            began = time.process_time()
            await client.socket.send(text)
            answer = await client.next()
            assert (
                time.process_time() - began < 1
            )  # of client and server together; it takes far less than 5 ms
            assert (answer["type"], answer["data"]["code"]) in (
                ("error", "bad_message"),
                ("error", "unknown_type"),
            ), text[:40]
        # The last of two equal names counts, as in orjson. No second parser could read it differently.
        await client.socket.send('{"type":"task:leave","type":"ping","id":"a","id":"b"}')
        assert ((await client.next())["type"], client.frames[-1]["replyTo"]) == ("pong", "b")
        for kind, names in FIELDS.items():
            for name in names:
                for value in STRANGE:
                    data = {"taskId": "t"} if name in ("since", "head") else {}
                    await client.socket.send(json.dumps({"type": kind, "data": {**data, name: value}}))
        for value in STRANGE:
            await client.socket.send(json.dumps({"type": "ping", "id": value}))
            await client.socket.send(json.dumps({"type": value}))
            await client.socket.send(json.dumps({"type": "ping", "data": value}))
        await client.send("task:join", {"taskId": "the last"})
        await client.until("error", taskId="the last")
        codes = {frame["data"]["code"] for frame in client.frames if frame["type"] == "error"}
        assert codes <= {"bad_message", "bad_request", "unknown_type", "forbidden"}
        client.socket.transport.abort()  # a clean close would wait until everything is read
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
