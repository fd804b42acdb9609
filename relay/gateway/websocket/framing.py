"""The WebSocket protocol (RFC 6455), with the help of the library `websockets`: requests for an upgrade, a parser for
the frames of clients, and the control frames that the relay sends.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence

import httptools
from websockets.datastructures import Headers
from websockets.frames import Close as CloseFrame
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, Protocol, State
from websockets.server import ServerProtocol

_quiet = logging.getLogger("relay.websockets")  # the library would log every connection
_quiet.setLevel(logging.ERROR)

PING = b"\x89\x00"  # without a payload


def upgrade_request(
    method: str, target: bytes, http_version: str, headers: Sequence[tuple[bytes, bytes]]
) -> Request:
    """Build the request for an upgrade to a WebSocket, as `websockets` represents it, from the parts of an HTTP
    request.

    `target` is the request's path with its query, or an absolute URL, as in a request to a proxy. The `path` of the
    result is the path and the query of `target`. Raises ValueError if the target is neither of the two, or if the
    request has a body: `websockets` would not accept such a request either if it parsed the bytes itself.
    """
    try:
        address = httptools.parse_url(target)
    except httptools.HttpParserError as failure:
        raise ValueError("no URL") from failure
    if not address.path:
        raise ValueError("a URL without a path")
    path = address.path + (b"" if address.query is None else b"?" + address.query)
    found = Headers()
    for name, value in headers:
        found[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    if "Transfer-Encoding" in found or not set(found.get_all("Content-Length")) <= {"0"}:
        raise ValueError("a request for an upgrade has no body")
    return Request(path.decode("ascii"), found, method, f"HTTP/{http_version}")


class Parser(ServerProtocol):
    """The sans-I/O protocol of `websockets` (a parser that does no I/O itself), without its HTTP part.

    The parser never parses an HTTP request, but is given one by `accept`. The reason is that the library's limits for
    the head of a request are lower than the relay's: a browser whose cookies exceeded them would be refused, and would
    fall back to polling forever.

    `idle` is True while no message has begun to arrive and the parser holds no bytes. An idle parser can be dropped,
    and a new parser, created with the state OPEN, parses the next message: so an idle connection needs no parser. (An
    empty buffer alone would not prove this, because the beginning of a frame may have been taken from the buffer
    already.)

    Pings are reported as events and not answered here, so that the caller can queue each pong in order with its own
    messages.
    """

    idle = False

    def __init__(self, *, max_size: int, state: State = CONNECTING) -> None:
        super().__init__(state=state, max_size=max_size, logger=_quiet)
        self.opcode = Opcode.TEXT  # the opcode of the message whose first frames are in `fragments`
        self.fragments: list[bytes] = []

    def parse(self) -> Generator[None]:
        yield from Protocol.parse(self)  # not ServerProtocol's, which parses a request first

    def accept(self, request: Request) -> Response:
        response = super().accept(request)
        # If the parser refuses the request, it keeps the exception. The traceback of the exception refers to stack
        # frames that refer to the parser: a reference cycle, which would stay until Python's garbage collector runs.
        failure: BaseException | None = self.handshake_exc
        while failure is not None:
            failure.__traceback__ = None
            failure = failure.__cause__ or failure.__context__
        return response

    def receive_data(self, data: bytes | bytearray) -> None:
        self.idle = False
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self.events.append(frame)
        else:
            super().recv_frame(frame)
        self.idle = self.current_size is None and not self.reader.buffer

    def assemble(self, frame: Frame) -> bytes | None:
        """Add this data frame to the message that is arriving. Return the whole message if the frame completes it, or
        None if further fragments are still missing."""
        if frame.opcode is not Opcode.CONT:
            self.opcode = frame.opcode
        self.fragments.append(bytes(frame.data))
        if not frame.fin:
            return None
        message, self.fragments = b"".join(self.fragments), []
        return message

    def free(self) -> None:
        """Break the reference cycles of this parser, so that the parser and everything it received are freed at once,
        not only when Python's garbage collector runs. The parser must not be used after this."""
        self.parser.close()
        self.handshake_exc = self.parser_exc = None


def close_frame(code: int, reason: str) -> bytes:
    """Encode the close frame with this close code and reason, as a server sends it (unmasked)."""
    body = CloseFrame(int(code), reason).serialize()
    return bytes((0x88, len(body))) + body
