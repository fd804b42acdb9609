"""RFC 6455 by `websockets`: the request for an upgrade, a parser of frames that can be put away between two
messages, and what we send, framed."""

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

_quiet = logging.getLogger("relay.websockets")  # the library would tell of every connection
_quiet.setLevel(logging.ERROR)

PING = b"\x89\x00"


def upgrade_request(
    method: str, target: bytes, http_version: str, headers: Sequence[tuple[bytes, bytes]]
) -> Request:
    """A request for an upgrade as the library knows it, made of what the HTTP parser found.

    Its `path` is the path and the query of `target`, which may also be a whole address, as in a request to a
    proxy. Raises ValueError for what `websockets`, were it to parse the bytes itself, would not accept: another
    target, or a body.
    """
    try:
        address = httptools.parse_url(target)
    except httptools.HttpParserError as failure:
        raise ValueError("no address") from failure
    if not address.path:
        raise ValueError("an address without a path")
    path = address.path + (b"" if address.query is None else b"?" + address.query)
    found = Headers()
    for name, value in headers:
        found[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    if "Transfer-Encoding" in found or not set(found.get_all("Content-Length")) <= {"0"}:
        raise ValueError("a request for an upgrade has no body")
    return Request(path.decode("ascii"), found, method, f"HTTP/{http_version}")


class Parser(ServerProtocol):
    """The protocol of `websockets` from the answer to a request on, for one message after the other.

    Is given the request (`accept`) and never parses one: the library's limits for heads are lower than those
    that the door has for every request, and a browser that is refused for its cookies would poll forever. Knows when it is between two messages: then another one can go on in its place. An empty buffer alone says
    nothing, because the beginning of a frame may have been taken from it. And leaves it to us to answer a ping
    in its place among the messages.
    """

    idle = False

    def __init__(self, *, max_size: int, state: State = CONNECTING) -> None:
        super().__init__(state=state, max_size=max_size, logger=_quiet)

    def parse(self) -> Generator[None]:
        yield from Protocol.parse(self)  # past the method of the server's side, which begins with a request

    def accept(self, request: Request) -> Response:
        response = super().accept(request)
        # The request keeps why it was refused; by its traceback that would keep the request in return.
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

    def free(self) -> None:
        """Free what it holds at once: its generator and its exceptions refer to it in return, and would wait
        for Python's collector with everything that was received."""
        self.parser.close()
        self.handshake_exc = self.parser_exc = None


def close_frame(code: int, reason: str) -> bytes:
    """The close of an established connection."""
    body = CloseFrame(int(code), reason).serialize()
    return bytes((0x88, len(body))) + body
