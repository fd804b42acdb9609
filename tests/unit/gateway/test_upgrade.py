"""A request to open a WebSocket is accepted exactly if the library `websockets` accepts it, whichever way it goes."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from http import HTTPStatus

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.http11 import Request
from websockets.server import ServerProtocol

from relay.gateway.websocket import upgrade
from relay.gateway.websocket.upgrade import (
    NotAnUpgrade,
    RawHeaders,
    accept_key,
    accepting,
    path_and_query,
    rejecting,
    usual_request,
)

USUAL = [
    (b"host", b"x"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),  # RFC 6455, 1.3
    (b"sec-websocket-protocol", b"relay.v1, bearer.a.b-c_d"),
    (b"origin", b"https://example.com"),
]
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def of_library(method: str, version: str, headers: RawHeaders) -> bytes | int:
    """What the library makes of a request: the value of `Sec-WebSocket-Accept`, or the status that refuses it."""
    found = Headers()
    try:
        for name, value in headers:
            found[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    except (InvalidHeader, UnicodeDecodeError):
        return 400
    if "Transfer-Encoding" in found or set(found.get_all("Content-Length")) - {"0"}:
        return 400
    response = ServerProtocol().accept(Request("/ws", found, method, f"HTTP/{version}"))
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        return response.status_code
    return response.headers["Sec-WebSocket-Accept"].encode()


def of_relay(method: str, version: str, headers: RawHeaders) -> bytes | int:
    try:
        return accept_key(method, version, headers)
    except NotAnUpgrade as refused:
        return int(refused.answer.split(b" ")[1])
    except ValueError:
        return 400


def test_the_usual_form_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "ServerProtocol", None)
    for connection in (b"Upgrade", b"upgrade", b"keep-alive, Upgrade"):  # Chromium, Node and Python, Firefox
        assert accept_key("GET", "1.1", [(b"connection", connection), *USUAL[:1], *USUAL[2:]]) == ACCEPT
    assert accept_key("GET", "1.1", USUAL[:5]) == ACCEPT


KEYS = [
    *(b"", b"AAAA", b"dGhlIHNhbXBsZSBub25jZR==", b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZQ"),
    *(b"dGhlIHNhbXBsZSBub25jZQ===", b"dGhlIHNhbXBsZSBub25jZQ==\xff", b"dGhl*HNhbXBsZSBub25jZQ==", b"=" * 24),
    *(b"dGhlIHNhbXBsZSBub25jZ-==", b" dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZSBtb3Jl"),
]
OTHERS = {
    b"connection": [
        b"",
        b"close",
        b"upgrade, close",
        b"UPGRADE",
        b"Upgrade,",
        b'"Upgrade"',
        b"Upgrade close",
    ],
    b"upgrade": [b"", b"WebSocket", b"websocket, h2c", b"websocket/13", b"h2c", b"websocket,"],
    b"sec-websocket-version": [b"", b"12", b"013", b"13 ", b"13, 8"],
    b"sec-websocket-key": KEYS,
    b"sec-websocket-protocol": [
        b"",
        b",",
        b"a,,b",
        b"a;b",
        b"a\tb",
        b"a , b",
        b"b\xc3\xa9",
        b"a,b",
        b"a,  b",
    ],
    b"origin": [b"", b"null"],
    b"content-length": [b"0", b"5", b""],
    b"transfer-encoding": [b"chunked", b"identity"],
    b"sec-websocket-extensions": [b"permessage-deflate", b"=;"],
    b"cookie": [b"a=b", b"\xff"],
}


def requests() -> Iterator[tuple[str, str, RawHeaders]]:
    """Requests that differ from the usual one in one place: a header is missing, repeated or has another value."""
    yield "POST", "1.1", USUAL
    yield "GET", "1.0", USUAL
    for at, header in enumerate(USUAL):
        yield "GET", "1.1", [*USUAL[:at], *USUAL[at + 1 :]]
        yield "GET", "1.1", [*USUAL, header]
    for name, values in OTHERS.items():
        for value in values:
            without = [header for header in USUAL if header[0] != name]
            yield "GET", "1.1", [*without, (name, value)]
            yield "GET", "1.1", [*USUAL, (name, value)]


def test_a_request_is_accepted_exactly_if_the_library_accepts_it() -> None:
    outcomes = set()
    for method, version, headers in requests():
        outcome = of_relay(method, version, headers)
        assert outcome == of_library(method, version, headers), (method, version, headers)
        outcomes.add(outcome)
    assert {ACCEPT, 400, 405, 426, 505} <= outcomes


NAMES = st.sampled_from([*OTHERS, *(name for name, _ in USUAL)])
VALUES = st.one_of(
    st.sampled_from(
        [value for _, value in USUAL] + [value for values in OTHERS.values() for value in values]
    ),
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
    ).map(lambda text: text.encode("latin-1").strip(b" \t")),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.booleans())
def test_any_request_is_accepted_exactly_if_the_library_accepts_it(
    more: list[tuple[bytes, bytes]], replaces: bool
) -> None:
    replaced = {name for name, _ in more} if replaces else set()
    headers = [*(header for header in USUAL if header[0] not in replaced), *more]
    assert of_relay("GET", "1.1", headers) == of_library("GET", "1.1", headers)


def test_a_refused_request_leaves_no_reference_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Kept(ServerProtocol):
        def __init__(self, **more: object) -> None:
            super().__init__(**more)  # type: ignore[arg-type]
            made.append(weakref.ref(self))

    monkeypatch.setattr(upgrade, "ServerProtocol", Kept)
    gc.disable()
    try:
        for headers in (USUAL[1:4], [(b"connection", b"x, upgrade"), *USUAL[2:]], [*USUAL, USUAL[6]]):
            of_relay("GET", "1.1", headers)
        assert [one() for one in made] == [None, None, None]
    finally:
        gc.enable()


class Parsed:
    """What httptools makes of a head, as uvicorn keeps it."""

    def __init__(self, data: bytes) -> None:
        self.target, self.headers, self.is_complete = b"", [], False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgraded:
            self.is_complete = upgraded.args[0] == len(data)
        except httptools.HttpParserError:
            self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))


def head(target: bytes = b"/ws", more: bytes = b"", end: bytes = b"\r\n") -> bytes:
    lines = [b"GET " + target + b" HTTP/1.1", *(name.title() + b": " + value for name, value in USUAL)]
    return b"\r\n".join([*lines, more + end])


HEADS = [
    head(),
    head(b"/ws/tasks/a%20b?since=5&head=x"),
    *(head(more=b"Cookie: a=b \t\r\n"), head(more=b"Empty:\r\n"), head(more=b"X:\t\xff\x80 y\r\n")),
    *(head(b"/ws#x"), head(b"*"), head(b"http://host/ws"), head(b""), head(b"/w s"), head(b"/\xff")),
    *(head(end=b""), head(end=b"\r\nX"), head(end=b"\r\n\r\n"), head().replace(b"\r\n", b"\n"), head()[:-1]),
    head(end=b"\r\nGET /ws HTTP/1.1\r\n\r\n"),
    *(head(more=b"X : y\r\n"), head(more=b"X\r\n"), head(more=b": y\r\n"), head(more=b" folded\r\n")),
    *(
        head(more=b"X: a\rb\r\n"),
        head(more=b"X: a\nb\r\n"),
        head(more=b"X: a\0b\r\n"),
        head(more=b"X: \x7f\r\n"),
    ),
    *(head(more=b"X: y\r\n z\r\n"), head(more=b"Content-Length: 5\r\n"), head(more=b"Content-Length: 0\r\n")),
    head(more=b"Transfer-Encoding: chunked\r\n"),
    *(
        head().replace(b"GET", b"POST"),
        head().replace(b"HTTP/1.1", b"HTTP/1.0"),
        head().replace(b"GET ", b"get "),
    ),
    *(head().replace(b" HTTP", b"  HTTP"), head().replace(b"HTTP/1.1", b"HTTP/1.1 "), b"\r\n" + head(), b""),
    head().replace(b"websocket", b"h2c"),
]


def test_a_request_that_no_parser_parses_is_read_as_the_parser_would_read_it() -> None:
    accepted = [data for data in HEADS if usual_request(data) is not None]
    assert accepted == [*HEADS[:2], *HEADS[3:5], head(b"/ws#x")]
    for data in accepted:
        parsed = Parsed(data)
        assert parsed.is_complete
        assert usual_request(data) == (parsed.target, parsed.headers)


@given(
    st.lists(st.tuples(st.integers(0, len(head()) - 1), st.binary(max_size=3), st.integers(0, 3)), max_size=3)
)
def test_any_bytes_that_no_parser_parses_are_read_as_the_parser_would_read_them(
    edits: list[tuple[int, bytes, int]],
) -> None:
    data = head(more=b"Cookie: a=b\r\n")
    for at, new, removed in edits:
        data = data[:at] + new + data[at + removed :]
    usual = usual_request(data)
    if usual is not None:
        parsed = Parsed(data)
        assert parsed.is_complete
        assert usual == (parsed.target, parsed.headers)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/ws", ("/ws", b"")),
        (b"/ws?limit=5&x", ("/ws", b"limit=5&x")),
        (b"/ws/tasks/a%20b?", ("/ws/tasks/a%20b", b"")),
        (b"http://host/ws?a=b", ("/ws", b"a=b")),
        (b"http://host", None),
        (b"/\xff", None),
        (b"/ws?\xff", None),
        (b"", None),
    ],
)
def test_a_target_is_a_path_with_a_query_or_an_absolute_url(
    target: bytes, found: tuple[str, bytes] | None
) -> None:
    if found is not None:
        assert path_and_query(target) == found
    else:
        with pytest.raises(ValueError, match=r"URL|ASCII|ascii|path"):
            path_and_query(target)


def test_the_answers_are_http() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Accept: k=\r\n"
    assert accepting(b"k=", None) == head + b"\r\n"
    assert accepting(b"k=", "relay.v1") == head + b"Sec-WebSocket-Protocol: relay.v1\r\n\r\n"
    refused = rejecting(HTTPStatus.FORBIDDEN)
    assert refused.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"\r\nConnection: close\r\n" in refused
    assert b"\r\nContent-Length: 10\r\n" in refused
    assert refused.endswith(b"\r\n\r\nForbidden\n")


@pytest.mark.parametrize("blank", [b" ", b"\t"])
@pytest.mark.parametrize("end", [b"\0", b"\x7f", b"\n", b"", b"x"])
def test_a_long_line_of_blanks_takes_no_long_time(blank: bytes, end: bytes) -> None:
    """A stranger may send it. If all its parts were tried, a single one would take seconds of CPU."""
    began = time.process_time()
    for _ in range(10):
        usual_request(b"GET /ws HTTP/1.1\r\na:" + 32_000 * blank + end + b"\r\n\r\n")
    assert time.process_time() - began < 5


def test_a_value_with_blanks_after_it_is_left_to_the_general_parser() -> None:
    head = b"GET /ws HTTP/1.1\r\n%s\r\n\r\n" % b"\r\n".join(b"%s: %s" % header for header in USUAL)
    assert usual_request(head) is not None
    assert usual_request(head.replace(b"websocket", b"websocket\t")) is None
