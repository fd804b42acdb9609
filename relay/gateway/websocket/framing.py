"""RFC 6455 with the help of `websockets`: requests for an upgrade, a parser for what clients send, control frames."""

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
    """The request for an upgrade as `websockets` represents it, from what the HTTP parser found.

    Its `path` is the path and the query of `target`, which may also be an absolute URL, as in a request to a proxy.
    Raises ValueError for what `websockets` would not accept if it parsed the bytes itself: any other target, or a
    body.
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
    """The sans-I/O protocol of `websockets`, without its HTTP part.

    It is given the request (`accept`) and never parses one: the library's limits for a request's head are lower than
    the relay's, and a browser whose cookies exceeded them would be refused, and poll forever.

    `idle` says that it is between two messages and holds no bytes. Then it can be dropped, and a new one, made with
    the state OPEN, takes the next message: an idle connection needs no parser. (That its buffer is empty would not
    say so, because the beginning of a frame may have been taken from the buffer already.)

    Pings are passed on as events, not answered here, so that their pongs keep their place among our messages.
    """

    idle = False

    def __init__(self, *, max_size: int, state: State = CONNECTING) -> None:
        super().__init__(state=state, max_size=max_size, logger=_quiet)
        self.opcode = Opcode.TEXT  # of the message that `fragments` are the beginning of
        self.fragments: list[bytes] = []

    def parse(self) -> Generator[None]:
        yield from Protocol.parse(self)  # not ServerProtocol's, which parses a request first

    def accept(self, request: Request) -> Response:
        response = super().accept(request)
        # The parser keeps the exception it refused the request for. Its traceback refers to frames that refer to the
        # parser: a cycle, which would wait for Python's garbage collector.
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
        """The whole message that this data frame completes; None if fragments of it are still missing."""
        if frame.opcode is not Opcode.CONT:
            self.opcode = frame.opcode
        self.fragments.append(bytes(frame.data))
        if not frame.fin:
            return None
        message, self.fragments = b"".join(self.fragments), []
        return message

    def free(self) -> None:
        """Break the reference cycles of this parser, so that it is freed at once with all it received, and does not
        wait for Python's garbage collector."""
        self.parser.close()
        self.handshake_exc = self.parser_exc = None


def close_frame(code: int, reason: str) -> bytes:
    """The close of an established connection."""
    body = CloseFrame(int(code), reason).serialize()
    return bytes((0x88, len(body))) + body
