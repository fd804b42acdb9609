"""Any frame and any handshake, valid or not, is answered or refused, and the relay goes on."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fake_transport import masked, unframed
from support.relay_fixture import SOON_S, running_in_thread, settings_for, token
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.sync.client import connect

from relay.auth.admission import Admission
from relay.auth.keys import key_source
from relay.auth.limits import Buckets, Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import Verifier
from relay.errors import Refused
from relay.gateway.services import Services
from relay.gateway.session import Opening, Session
from relay.hub.background import Background
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.protocol.frames import Frame
from relay.protocol.types import Close, ErrorCode, Kind, Request
from relay.tasks.mapping import Mapping
from relay.tasks.visibility import Audience

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9
MAX_BYTES = 65_536  # of one message: the default, which `settings_for` keeps
ENVELOPE_BYTES = 1_000  # the size of an answer without what it repeats of the request

# Strings of all characters, lone surrogates included.
texts = st.text(st.characters(exclude_categories=()), max_size=80)
numbers = st.sampled_from(
    [0, -1, 1, 500, 5001, 2**31, 2**53, 2**63, 2**64, 10**400, -(10**400), 0.5, 1e300]
) | st.floats(allow_nan=True)
plain = st.none() | st.booleans() | numbers | texts
trees = st.recursive(
    plain, lambda tree: st.lists(tree, max_size=4) | st.dictionaries(texts, tree, max_size=4), max_leaves=12
)
long = st.sampled_from([1024, 1025]).map(lambda length: "x" * length)
nested = st.just(200).map(lambda depth: '{"a":' * depth + "1" + "}" * depth)
task_ids = (
    long
    | nested
    | st.sampled_from(
        [
            "t",
            "",
            "\0",
            "\ud800",
            "65f0c0ffee65f0c0ffee65f0",
            '{"$numberLong":"5"}',
            '{"$numberDecimal":"NaN"}',
            '{"$oid":"65f0c0ffee65f0c0ffee65f0"}',
            '{"$date":{"$numberLong":"99999999999999999999"}}',
            "true",
            "null",
        ]
    )
)
positions = st.fixed_dictionaries(
    {"taskId": task_ids | trees}, optional={"since": plain, "head": plain | st.just("v1:abc")}
)
lists = st.lists(task_ids | positions | trees, max_size=3) | st.integers(99, 102).map(lambda n: ["t"] * n)
datas = (
    st.fixed_dictionaries(
        {},
        optional={
            "taskId": task_ids | trees,
            "taskIds": lists | trees,
            "tasks": lists | trees,
            "since": plain,
            "head": plain,
            "limit": plain,
            "token": texts | trees | st.just(65_537).map(lambda length: "x" * length),
        },
    )
    | trees
)
kinds = st.sampled_from([*(str(kind) for kind in Request), "dance", ""])
requests = st.fixed_dictionaries(
    {"type": kinds | plain},
    optional={"id": st.text(max_size=64) | texts | trees, "data": datas, "more": trees},
)
deep = st.sampled_from([10, 1_000, 20_000])
frames = (
    requests.map(json.dumps)
    | requests.map(lambda request: json.dumps(request, ensure_ascii=False))
    | trees.map(json.dumps)
    | texts
    # Duplicate names, and a nesting that no parser should follow.
    | st.tuples(requests, requests).map(lambda two: json.dumps(two[0])[:-1] + "," + json.dumps(two[1])[1:])
    | deep.map(lambda depth: '{"type":"ping","data":' + '{"a":' * depth + "1" + "}" * (depth + 1))
    | deep.map(lambda depth: "[" * depth)
)


class Still(Background):
    """Background jobs that are never run: a request is executed up to its first read."""

    def spawn(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        work.close()


class Wired:
    """A session without a connection, authenticated or not. As its carrier, it keeps the answers."""

    def __init__(self, *, authenticated: bool, **overrides: Any) -> None:
        given = settings_for("mongodb://nowhere", "none", **overrides)
        self.metrics = metrics = Metrics()
        hub = Hub(None, None, metrics, list_interval_s=0, background=Still())  # type: ignore[arg-type]
        self.now = 0.0
        self.services = Services(
            given,
            Admission(
                origins=Origins((), metrics),
                caps=Caps(total=9, per_address=9, per_user=9),
                verifier=Verifier(key_source(given)),
                rollout=Rollout(),
            ),
            Audience(Mapping().visibility),
            hub,
            Buckets.of_users(given),
            monotonic=lambda: self.now,
        )
        self.id = "1"
        self.answers: list[dict[str, Any]] = []
        self.bytes = 0
        self.session = Session(self.services, self, Opening())
        if authenticated:
            self.session.authenticate(token("alice"))
            self.answers.clear()

    def send(self, frame: Frame) -> None:
        self.answer(frame)

    def answer(self, frame: Frame) -> None:
        self.bytes += len(frame.body)
        self.answers.append(orjson.loads(frame.body))

    def wake(self) -> None: ...

    def admitted(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("a session is closed by what it raises")


def checked(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        assert answer["type"] in set(Kind)
        if answer["type"] == "error":
            assert answer["data"]["code"] in set(ErrorCode)
            assert 0 < len(answer["data"]["message"]) < 200


@given(frame=frames)
@example(frame='{"type":"task:join","data":{"taskId":"t"}}')
@example(frame='{"type":"task:join","data":{"taskId":"\ud800"}}')
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
async def test_any_frame_is_answered_or_refused(frame: str) -> None:
    wired = Wired(authenticated=True)
    try:
        wired.session.receive(frame)
    except Refused as refused:
        # Only an invalid token ends a session.
        assert refused.code == Close.UNAUTHENTICATED
        assert '"auth"' in frame
    checked(wired.answers)
    # The answer repeats the frame at most once, with each byte as one JSON escape at most.
    assert wired.bytes <= 6 * len(frame.encode(errors="replace")) + ENVELOPE_BYTES
    assert len(wired.answers) <= 1
    wired.session.closed()
    assert not wired.metrics.registry.get_sample_value("relay_rooms")


@given(frame=frames)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_any_frame_without_a_token_is_refused_before_authentication(frame: str) -> None:
    wired = Wired(authenticated=False)
    with pytest.raises(Refused) as refused:
        wired.session.receive(frame)
    assert refused.value.code == Close.UNAUTHENTICATED
    assert not wired.answers


@given(frames=st.lists(frames, min_size=3, max_size=6))
@example(frames=['{"type":"task:join","data":{"taskId":"t"}}'])
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
async def test_malformed_frames_count_for_the_rate(frames: list[str]) -> None:
    wired = Wired(authenticated=True, relay_messages_per_second=1)

    def go_on() -> None:
        for _ in range(200):
            for frame in frames:
                wired.session.receive(frame)

    with pytest.raises(Refused) as refused:
        go_on()
    assert refused.value.code in (Close.RATE_LIMITED, Close.UNAUTHENTICATED)
    checked(wired.answers)


# Over real sockets.


def address_of(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


UPGRADE = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@contextmanager
def bare(url: str) -> Iterator[socket.socket]:
    """A TCP connection after the handshake and the welcome, over which any bytes can be sent."""
    with socket.create_connection(address_of(url), timeout=SOON_S) as tcp:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        authorization = b"Authorization: Bearer " + token("alice").encode()
        tcp.sendall(b"GET /ws HTTP/1.1\r\n" + UPGRADE + authorization + b"\r\n\r\n")
        got = b""
        while b'"type":"welcome"' not in got or not got.endswith(b"}"):
            got += tcp.recv(65_536)
        assert got.startswith(b"HTTP/1.1 101 ")
        yield tcp


def all_of(tcp: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):  # what came before a reset has been read
        while part := tcp.recv(65_536):
            got += part
    return got


def odd_frame(fin: bool, rsv: int, opcode: int, is_masked: bool, length: int | None, data: bytes) -> bytes:
    """A frame, valid or not. `length` is the length that its header claims; None is the true one."""
    declared = len(data) if length is None else length
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    mask = 0x80 if is_masked else 0
    if declared < 126:
        head += bytes((mask | declared,))
    elif declared < 65_536:
        head += bytes((mask | 126,)) + declared.to_bytes(2, "big")
    else:
        head += bytes((mask | 127,)) + declared.to_bytes(8, "big")
    return head + (bytes(4) if is_masked else b"") + data


class Stream(bytes):
    """Bytes of which a failing test shows only the beginning."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes: {self[:500].hex()}"


mostly = st.sampled_from([True] * 9 + [False])
payloads = (
    st.binary(max_size=130)
    | requests.map(lambda request: json.dumps(request).encode())
    | st.sampled_from([b'{"type":"ping"}', b"\xff"])
    | st.sampled_from([65_536, 65_537]).map(bytes)
    | st.sampled_from([1000, 999, 1005, 4999, 5000]).map(lambda code: code.to_bytes(2, "big") + b"bye")
)
odd_frames = st.builds(
    odd_frame,
    fin=mostly,
    rsv=st.sampled_from([0] * 15 + [1, 4]),
    opcode=st.sampled_from([1] * 8 + [0, 0, 2, 8, 9, 9, 10, 10, 3, 11, 15]),
    is_masked=mostly,
    length=st.sampled_from([None] * 20 + [0, 125, 126, 65_535, 65_537, 2**32, 2**63, 2**64 - 1]),
    data=payloads,
)
streams = st.lists(odd_frames | odd_frames | st.binary(max_size=20), min_size=1, max_size=6).map(
    lambda parts: Stream(b"".join(parts))
)
RULES = {1002, 1003, 1007, 1008, 1009, 4401}  # close codes for clients that break the rules


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which the relay logs an exception, or very much."""
    with caplog.at_level(logging.INFO):
        yield
    assert not any(record.exc_info for record in caplog.records), caplog.text
    assert "Traceback" not in caplog.text
    assert len(caplog.records) < 100, caplog.text


@pytest.mark.usefixtures("quiet")
def test_a_connection_with_random_frames_goes_on_or_closes_with_a_code(
    mongo_url: str, database_name: str
) -> None:
    with (
        running_in_thread(settings_for(mongo_url, database_name)) as url,
        connect(
            url.replace("http", "ws", 1) + "/ws",
            additional_headers={"Authorization": f"Bearer {token('bob')}"},
            proxy=None,
        ) as neighbour,
    ):
        neighbour.recv(SOON_S)

        @settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
        @given(stream=streams, cuts=st.lists(st.integers(1, 300), max_size=8))
        def play(stream: bytes, cuts: list[int]) -> None:
            reference = ServerProtocol(state=OPEN, max_size=MAX_BYTES)
            reference.receive_data(stream)
            broken = reference.parser_exc is not None
            got = b""
            with bare(url) as tcp:
                left = stream
                # The relay may close the connection before everything is sent.
                with contextlib.suppress(ConnectionError):
                    for cut in cuts:
                        tcp.sendall(left[:cut])
                        left = left[cut:]
                    tcp.sendall(left)
                with contextlib.suppress(OSError):  # the connection may be gone by now
                    tcp.shutdown(socket.SHUT_WR)
                got = all_of(tcp)
            answers = unframed(got)
            closes = [body for opcode, body in answers if opcode == CLOSE]
            assert [opcode for opcode, _ in answers[:-1]].count(CLOSE) == 0, "a frame after a close frame"
            checked([orjson.loads(body) for opcode, body in answers if opcode == TEXT])
            theirs = reference.close_rcvd
            if closes:
                code = int.from_bytes(closes[0][:2], "big") if closes[0] else 1005
                assert code in RULES or (theirs is not None and code == theirs.code)
            else:
                assert (broken, theirs) == (False, None), "an end without a close code"
            # Other clients are still served.
            neighbour.send('{"type":"ping"}')
            while '"pong"' not in str(neighbour.recv(SOON_S)):  # a heartbeat, or the state of the stream
                pass

        play()


@pytest.mark.usefixtures("quiet")
def test_a_frame_that_is_far_too_long_is_refused_while_it_arrives(
    mongo_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.websocket.connection.CLOSE_S", SOON_S)  # for the rest of the frame
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        for _ in range(5):
            with bare(url) as tcp:
                tcp.sendall(masked(TEXT, b"x" * 3_000_000))
                tcp.shutdown(socket.SHUT_WR)
                ((opcode, body),) = unframed(all_of(tcp))
                assert (opcode, body[:2]) == (CLOSE, (1009).to_bytes(2, "big"))


@pytest.mark.usefixtures("quiet")
def test_each_request_for_an_odd_id_is_answered(mongo_url: str, database_name: str) -> None:
    with (
        running_in_thread(settings_for(mongo_url, database_name)) as url,
        connect(
            url.replace("http", "ws", 1) + "/ws",
            additional_headers={"Authorization": f"Bearer {token('alice')}"},
            proxy=None,
        ) as client,
    ):
        client.recv(SOON_S)
        names = ["t", "\0", "x" * 1024, '{"$numberLong":"5"}', '{"a":1}', "true", '{"$x":1}', "null"]
        wanted = [{"taskId": name, "since": 2**63, "head": "v1:abc"} for name in names]
        asked = [
            *({"type": "task:join", "data": {"taskId": name}} for name in names),
            *({"type": "task:join", "data": one} for one in wanted),
            {"type": "task:join", "data": {"tasks": wanted}},
            {"type": "resync_requested", "data": {"taskIds": [*names, *wanted]}},
            {"type": "resync_requested", "data": {"taskIds": []}},
            {"type": "dashboard:join", "data": {"limit": 5000}},
        ]
        leaving = [{"type": "task:leave", "data": {"taskId": name}} for name in names]
        for part in (asked, leaving):  # a client that leaves a task gets no more answers to joining it
            for number, request in enumerate(part):
                client.send(orjson.dumps({**request, "id": str(number)}).decode())
            missing = {str(number) for number in range(len(part))}
            while missing:
                answer = orjson.loads(client.recv(SOON_S))
                checked([answer])
                assert answer["type"] != "error" or answer["data"]["code"] == "forbidden"
                missing.discard(answer.get("replyTo", ""))


HANDSHAKES = [
    b"GET /ws/\xff HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws/tasks/%ff%00%2f HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws/nowhere HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws?limit=%zz&&&= HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws HTTP/1.0\r\n" + UPGRADE,
    b"POST /ws HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nContent-Length: 5\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nSec-WebSocket-Protocol: relay.v1, bearer.\xff,,;\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nSec-WebSocket-Extensions: permessage-deflate; x=\xff\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nOrigin: \xff\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\n" + b"X: x\r\n" * 200 + UPGRADE,
    b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE,
    b"GET /ws HTTP/1.1\r\n" + UPGRADE.replace(b"AAAA", b"A!", 1),
    b"GET /ws HTTP/1.1\r\n" + UPGRADE.replace(b"13", b"12"),
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.usefixtures("quiet")
def test_each_odd_handshake_gets_an_http_response(mongo_url: str, database_name: str) -> None:
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        for request in HANDSHAKES:
            with socket.create_connection(address_of(url), timeout=SOON_S) as tcp:
                # Frames that arrive with the request are not part of it.
                tcp.sendall(request + b"\r\n" + masked(PING, b"early"))
                tcp.shutdown(socket.SHUT_WR)
                try:
                    got = all_of(tcp)
                except ConnectionResetError:
                    continue  # closed before everything was read
            assert got.startswith(b"HTTP/1.1 "), request
