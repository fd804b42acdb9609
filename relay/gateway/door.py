"""The door: uvicorn's HTTP protocol, with an end to what takes too long and a bound on what comes in.

uvicorn has no timer before the first request and none while one drips in, and httptools does not bound
a request's head (FAILURES.md S13, S23).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 32 * 1024  # of the request line and the headers; a token may have 16 KiB
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def door(timeout_s: float) -> type[HttpToolsProtocol]:
    """The protocol class: a request's head has to be there `timeout_s` after it could begin."""

    class Door(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arrived()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._deadline is not None:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES:
                    self.transport.write(TOO_LARGE)
                    self.transport.close()
                    return
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._deadline is None:  # another request over the same connection
                self._expect()

        def on_headers_complete(self) -> None:
            self._arrived()
            super().on_headers_complete()

        def _expect(self) -> None:
            self._head_bytes = 0
            self._deadline = self.loop.call_later(timeout_s, self._too_late)

        def _arrived(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_late(self) -> None:
            self._deadline = None
            self.transport.abort()

    return Door
