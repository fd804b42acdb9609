"""A request to open a WebSocket: whether it is valid (RFC 6455, 4.2.1), and the answer that accepts or refuses it.

The library `websockets` decides. It takes 50 µs, so the form in which browsers and most other clients send the request
is recognised first. Every other form, and everything that is not valid, goes to the library.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Sequence
from email.utils import formatdate
from http import HTTPStatus

import httptools
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from relay.gateway.websocket.framing import QUIET

RawHeaders = Sequence[tuple[bytes, bytes]]  # names in lower case, and values

_REQUEST_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
# The first blanks are matched possessively (`*+`): otherwise a line of blanks that ends in a forbidden byte would take
# seconds, because both repetitions match blanks.
_HEADER = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*+([\t -~\x80-\xff]*)")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_USUAL_CONNECTIONS: Collection[bytes] = (b"Upgrade", b"upgrade", b"keep-alive, Upgrade")
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_TOKENS = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+(, ?[-!#$%&'*+.^_`|~0-9a-zA-Z]+)*")
# Of each of these headers, a request in the usual form has at most one, and none of the last two.
_LOOKED_AT = frozenset(
    (
        *(b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-version"),
        *(b"sec-websocket-protocol", b"origin", b"transfer-encoding", b"content-length"),
    )
)


class NotAnUpgrade(Exception):
    """The request is not a valid handshake. `answer` has the bytes of the response that refuses it, with the HTTP
    status `status`."""

    def __init__(self, answer: bytes, status: int) -> None:
        super().__init__()
        self.answer = answer
        self.status = status


def path_and_query(target: bytes) -> tuple[str, bytes]:
    """Return the path and the query of a request's target, which is the two of them, or an absolute URL, as in a
    request to a proxy. Raises ValueError if the target is neither, or not ASCII."""
    try:
        address = httptools.parse_url(target)
    except httptools.HttpParserError as failure:
        raise ValueError("no URL") from failure
    if not address.path:
        raise ValueError("a URL without a path")
    query: bytes = address.query or b""
    if not query.isascii():
        raise ValueError("a query that is not ASCII")
    return address.path.decode("ascii"), query


def usual_request(data: bytes) -> tuple[bytes, RawHeaders] | None:
    """Return the target and the headers of a request to open a WebSocket, if `data` is exactly its head, in the usual
    form. Return None for everything else, which an HTTP parser has to parse.

    For what is accepted here, the parser would return the same.
    """
    if not data.endswith(b"\r\n\r\n"):
        return None
    first, *lines = data[:-4].split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        return None
    headers = []
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None or header[2].endswith((b" ", b"\t")):
            return None
        headers.append((header[1].lower(), header[2]))
    return (request[1], headers) if _usual_key("GET", "1.1", headers) is not None else None


def accept_key(method: str, http_version: str, headers: RawHeaders) -> bytes:
    """Return the value of `Sec-WebSocket-Accept` for this request to open a WebSocket.

    Raises NotAnUpgrade if the request is not a valid handshake. Raises ValueError if it has a body: `websockets` would
    not accept such a request either if it parsed the bytes itself.
    """
    key = _usual_key(method, http_version, headers)
    if key is None:
        return _examined(method, http_version, headers)
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def accepting(accept: bytes, subprotocol: str | None) -> bytes:
    """Return the response that opens the WebSocket. `accept` is what `accept_key` has returned."""
    chosen = b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %s\r\n" % subprotocol.encode("ascii")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n%s\r\n" % (accept, chosen)
    )


def rejecting(status: HTTPStatus) -> bytes:
    """Return a response with this status, after which the connection ends."""
    body = f"{status.phrase}\n".encode()
    headers = Headers(
        (
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        )
    )
    return Response(status.value, status.phrase, headers, body).serialize()


def _usual_key(method: str, http_version: str, headers: RawHeaders) -> bytes | None:
    """Return the `Sec-WebSocket-Key` of a request in the usual form, and None for every other request."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _LOOKED_AT:
            if name in found:
                return None
            found[name] = value
    key = found.get(b"sec-websocket-key", b"")
    is_usual = (
        (method, http_version) == ("GET", "1.1")
        and found.get(b"connection") in _USUAL_CONNECTIONS
        and found.get(b"upgrade") == b"websocket"
        and found.get(b"sec-websocket-version") == b"13"
        and _KEY.fullmatch(key)
        and (b"sec-websocket-protocol" not in found or _TOKENS.fullmatch(found[b"sec-websocket-protocol"]))
        and b"transfer-encoding" not in found
        and b"content-length" not in found
    )
    return key if is_usual else None


def _examined(method: str, http_version: str, headers: RawHeaders) -> bytes:
    """Do what `accept_key` does, with the library."""
    found = Headers()
    try:
        for name, value in headers:
            found[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    except InvalidHeader:
        raise ValueError("a header with an invalid value") from None
    if "Transfer-Encoding" in found or not set(found.get_all("Content-Length")) <= {"0"}:
        raise ValueError("a request for an upgrade has no body")
    protocol = ServerProtocol(logger=QUIET)
    try:
        response = protocol.accept(Request("/", found, method, f"HTTP/{http_version}"))
    finally:
        # Break the reference cycles of this object. If the library refuses the request, it keeps the exception, and the
        # traceback of the exception refers to stack frames that refer to the object.
        protocol.parser.close()
        failure: BaseException | None = protocol.handshake_exc
        protocol.handshake_exc = None
        while failure is not None:
            failure.__traceback__ = None
            failure = failure.__cause__ or failure.__context__
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        raise NotAnUpgrade(response.serialize(), int(response.status_code))
    return response.headers["Sec-WebSocket-Accept"].encode("ascii")
