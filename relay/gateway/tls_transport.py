"""TLS on a connection that was accepted without it: a transport for the protocol above, over the transport below.

asyncio has TLS of its own (`asyncio.sslproto`). It is not used, because an idle connection takes 279 KB there and 19 KB
here, and because it does not say how much of what was written still waits below it, which is how the relay notices a
client that reads nothing (docs/explanation/design.md).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, cast

from relay.gateway.transports import release

READ_BYTES = 16 * 1024  # what one record of TLS may contain
# A client may ask for new keys with a record of 27 bytes, and to make them takes about 20 µs, in which nobody else is
# served. A client that means well does it once in millions of records. So a connection is cut off when it has brought
# BARREN_BYTES in a row without data (a record that has not arrived in full may have half of that), or when TLS itself
# has answered ANSWERED_BYTES since the handshake (an answer has about 30).
BARREN_BYTES = 2 * READ_BYTES
ANSWERED_BYTES = 4 * 1024


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The server's end of TLS on one connection.

    It takes the place of `above` as the protocol of the transport `below`, and `above` uses this object as its
    transport. The handshake begins with the first bytes that arrive; `above` sees nothing of it and is called with
    decrypted data only. A connection whose handshake fails is closed, and `above.connection_lost` is called then as at
    every other end. How long the handshake may take is for `above` to limit.

    Nothing that is written waits here: flow control is that of `below`, in encrypted bytes.
    """

    __slots__ = (
        "_above",
        "_answered",
        "_barren",
        "_context",
        "_incoming",
        "_is_open",
        "_is_shut",
        "_outgoing",
        "_tls",
        "below",
    )

    def __init__(self, below: asyncio.Transport, context: ssl.SSLContext, above: asyncio.Protocol) -> None:
        self.below = below
        self._context = context
        self._above: asyncio.Protocol | None = above
        self._tls: ssl.SSLObject | None = (
            None  # made when data arrives: a silent connection does not pay for it
        )
        self._is_open = False  # the handshake is over
        self._is_shut = False  # we have told the peer that nothing follows
        self._barren = 0  # bytes that have arrived since the last data
        self._answered = 0  # bytes that TLS itself has answered since the handshake
        below.set_protocol(self)

    # What `below` calls: asyncio.Protocol.

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        chunks, is_end = [], False
        try:
            for start in range(0, len(data), READ_BYTES):
                chunk, is_end = self._decrypted(self._tls, data[start : start + READ_BYTES])
                chunks.append(chunk)
                self._send()  # what TLS itself has to say, such as tickets
                if self._barren > BARREN_BYTES or self._answered > ANSWERED_BYTES:
                    self.below.abort()
                    return
        except ssl.SSLError:
            self._send()  # the alert that says why
            self.below.close()
            return
        if (read := b"".join(chunks)) and self._above is not None:
            self._above.data_received(read)
        if is_end and not self.is_closing() and self._above is not None:
            self._above.eof_received()
            self.close()

    def _decrypted(self, tls: ssl.SSLObject, data: bytes) -> tuple[bytes, bool]:
        """Return what is in this part of what has arrived, as `_read` does, and count what is not data."""
        self._incoming.write(data)
        was_open = self._is_open
        if not was_open:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                return b"", False
            self._is_open = True
        read, is_end = _read(tls)
        if was_open:
            self._barren = 0 if read else self._barren + len(data)
            self._answered += self._outgoing.pending
        return read, is_end

    def eof_received(self) -> None:
        if self._is_open and self._above is not None:
            self._above.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        above, self._above = self._above, None
        if above is not None:
            above.connection_lost(exc)
        release(self.below)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # What `above` calls: asyncio.Transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_open or self._is_shut or self.is_closing():
            return
        assert self._tls is not None
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(cast(bytes, rest)) :]
        self._send()

    def can_write_eof(self) -> bool:
        return self.below.can_write_eof()

    def write_eof(self) -> None:
        self._shut()
        self.below.write_eof()

    def close(self) -> None:
        if not self.is_closing():
            self._shut()
            self.below.close()

    def abort(self) -> None:
        self.below.abort()

    def is_closing(self) -> bool:
        return self.below.is_closing()

    def pause_reading(self) -> None:
        self.below.pause_reading()

    def resume_reading(self) -> None:
        self.below.resume_reading()

    def is_reading(self) -> bool:
        return self.below.is_reading()

    def get_write_buffer_size(self) -> int:
        return self.below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.below.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.below.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._above = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self._above)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._context if name == "sslcontext" else self.below.get_extra_info(name, default)

    def _send(self) -> None:
        if self._outgoing.pending and not self.is_closing():
            self.below.write(self._outgoing.read())

    def _shut(self) -> None:
        """Tell the peer that nothing follows (`close_notify`). Its answer is not waited for."""
        if self._is_open and not self._is_shut and self._tls is not None:
            self._is_shut = True
            with suppress(ssl.SSLError):  # it wants the answer
                self._tls.unwrap()
            self._send()


def _read(tls: ssl.SSLObject) -> tuple[bytes, bool]:
    """Return what has arrived and is decrypted, and whether the peer said that nothing follows. Raises SSLError for
    what is no TLS or was damaged."""
    chunks = []
    try:
        while chunk := tls.read(READ_BYTES):
            chunks.append(chunk)
    except ssl.SSLWantReadError:
        return b"".join(chunks), False
    except ssl.SSLZeroReturnError:
        pass
    return b"".join(chunks), True
