"""The frames of a WebSocket (RFC 6455), with the help of the library `websockets`: a parser for the frames of clients,
and the control frames that the relay sends.
"""

from __future__ import annotations

import logging

from websockets.frames import Close as CloseFrame
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # this platform has no compiled part of the library
    from websockets.utils import apply_mask

QUIET = logging.getLogger("relay.websockets")  # the library would log every connection
QUIET.setLevel(logging.ERROR)

_USUAL = {0x81: Opcode.TEXT, 0x88: Opcode.CLOSE}  # by the first byte of the last frame of a message
PING = b"\x89\x00"  # without a payload


_USUAL_CLOSES = (b"", (1000).to_bytes(2, "big"), (1001).to_bytes(2, "big"))  # without a reason


def usual_frame(data: bytes) -> Frame | None:
    """Return the frame that this is, if `data` is exactly one short frame of a client: a whole text message of at most
    125 bytes, or a close frame without a reason. Return None for everything else, which a `Parser` has to parse."""
    length = len(data) - 6
    if not 0 <= length < 126 or data[1] != 0x80 | length:
        return None
    opcode = _USUAL.get(data[0])
    if opcode is None:
        return None
    payload = apply_mask(data[6:], data[2:6])
    if opcode is Opcode.CLOSE and payload not in _USUAL_CLOSES:
        return None
    return Frame(opcode, payload)


class Parser(Protocol):
    """The sans-I/O protocol of `websockets` (a parser that does no I/O itself), for the frames that a server receives.

    `idle` is True while no message has begun to arrive and the parser holds no bytes. An idle parser can be dropped,
    and a new parser parses the next message: so an idle connection needs no parser. (An empty buffer alone would not
    prove this, because the beginning of a frame may have been taken from the buffer already.)

    Pings are reported as events and not answered here, so that the caller can queue each pong in order with its own
    messages.
    """

    idle = False

    def __init__(self, *, max_size: int) -> None:
        super().__init__(SERVER, max_size=max_size, logger=QUIET)
        self.opcode = Opcode.TEXT  # the opcode of the message whose first frames are in `fragments`
        self.fragments: list[bytes] = []

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
        self.parser_exc = None


def close_frame(code: int, reason: str) -> bytes:
    """Encode the close frame with this close code and reason, as a server sends it (unmasked)."""
    body = CloseFrame(int(code), reason).serialize()
    return bytes((0x88, len(body))) + body
