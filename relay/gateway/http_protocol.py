"""The door: uvicorn's HTTP protocol, with an end to what takes too long and a bound on what comes in.

uvicorn has no timer before the first request, none while one drips in or an answer is not read, and
httptools bounds nothing: not a head, not what may follow a chunked body. A request for a WebSocket comes through
the same door, and its head has the same bounds. A request that asks for another protocol is answered as if it did not:
to httptools its head is the end of it, and what is its body would be taken for the next request.

Rule of this file: a connection that ended leaves no cycle of references. It would keep the headers and the
bodies of its requests until Python's collector comes, and that is seldom (`relay/cli/garbage.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.auth.addresses import Network, client_address, is_proxy
from relay.auth.limits import Caps
from relay.gateway.transports import release
from relay.gateway.websocket.connection import Wire
from relay.gateway.websocket.framing import upgrade_request

MAX_HEAD_BYTES = 32 * 1024  # of the request line and the headers; a token may have 16 KiB
MAX_HEADERS = 256  # more than proxies pass on (most allow 100), so that only what is no browser meets it
MAX_REQUEST_BYTES = 160 * 1024  # with the body, and whatever follows a chunked one
MAX_PIPELINED = 8  # requests that wait for the answer to an earlier one
# How long a connection may lie idle between two requests. A balancer that reuses one the moment it is closed
# answers its user with a 502, so this has to be longer than the balancer's own timeout (docs/guides/embedding.md). Most
# have 60 s; Google's have 600 s.
KEEP_ALIVE_S = 75
PROXY_KEEP_ALIVE_S = 620  # of a trusted proxy
CROWDED_KEEP_ALIVE_S = 5  # of one that comes when half the connections are taken: browsers hold six a page
NOT_HTTP = "Invalid HTTP request received."
TOO_LARGE = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEAD_TOO_LARGE = TOO_LARGE % b"431 Request Header Fields Too Large"
BODY_TOO_LARGE = TOO_LARGE % b"413 Content Too Large"


def door(
    timeout_s: float, *, stall_s: float, caps: Caps, proxies: Sequence[Network] = ()
) -> type[HttpToolsProtocol]:
    """The protocol class: a request has to be there `timeout_s` after it could begin; a peer that takes
    nothing of an answer for `stall_s` is cut off; and so is at once who comes when `caps` are reached, which
    count connections until they end or become WebSockets."""

    class Door(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _watch: asyncio.TimerHandle | None = None
        _unread = 0  # bytes of answers that waited for the peer when it was last looked at
        _bytes = 0  # of the request that is coming in
        _in_head = True
        _end_of_head = b""  # its last bytes so far, where the end may be split between two reads
        _head_bytes = 0  # of the headers of the request that is being parsed
        _head_is_too_large = False
        _address: str | None = None  # that it counts for
        _counted = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            peer = self.client[0] if self.client else ""
            proxied = is_proxy(peer, proxies)
            self._address = None if proxied else client_address(peer, (), ())
            self._counted = caps.enter(self._address)
            if not self._counted:
                transport.abort()
                return
            self.timeout_keep_alive = PROXY_KEEP_ALIVE_S if proxied else KEEP_ALIVE_S
            if caps.is_crowded(self._address):
                self.timeout_keep_alive = CROWDED_KEEP_ALIVE_S
            self._expect()
            self._watch = self.loop.call_later(stall_s, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            self._leave()
            super().connection_lost(exc)
            self._let_go()
            release(self.transport)

        def data_received(self, data: bytes) -> None:
            if self._deadline is None:  # any byte ends uvicorn's own wait for another request
                self._expect()
                self._end_of_head = b""
            head_left = max(0, MAX_HEAD_BYTES - self._bytes)
            self._bytes += len(data)
            beginning, self._end_of_head = self._end_of_head, (self._end_of_head + data[-3:])[-3:]
            if self._in_head and len(data) > head_left and b"\r\n\r\n" not in beginning + data[:head_left]:
                self._refuse(HEAD_TOO_LARGE)
            elif self._bytes > MAX_REQUEST_BYTES:
                self._refuse(BODY_TOO_LARGE)
            else:
                self._unset_keepalive_if_required()
                self._parse(data)

        def _parse(self, data: bytes) -> None:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                elif self.parser.get_method() == b"CONNECT":
                    self.send_400_response(NOT_HTTP)
                else:
                    head = self._head_without_upgrade()
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                    self._parse(head + data[upgrade.args[0] :])
            except httptools.HttpParserError:  # also what a method below raises
                self.send_400_response(NOT_HTTP)

        def _head_without_upgrade(self) -> bytes:
            lines = [
                b"%s %s HTTP/%s"
                % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            ]
            lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            return b"\r\n".join([*lines, b"", b""])

        def on_message_begin(self) -> None:
            if len(self.pipeline) >= MAX_PIPELINED:
                raise ValueError("too many requests at once")  # becomes a 400
            super().on_message_begin()
            self._head_bytes, self._in_head = 0, True
            if self._deadline is None:  # another request within the same bytes
                self._expect()

        def on_header(self, name: bytes, value: bytes) -> None:
            if not self._in_head:
                return  # it follows a chunked body, and would be believed like one that a proxy has set
            self._head_bytes += len(name) + len(value)
            # The second bound is for heads that came in one read with a request before them.
            if len(self.headers) < MAX_HEADERS and self._head_bytes <= MAX_HEAD_BYTES:
                super().on_header(name, value)
            else:
                self._head_is_too_large = True

        def send_400_response(self, msg: str) -> None:
            if self._head_is_too_large:
                self._refuse(HEAD_TOO_LARGE)
            else:
                super().send_400_response(msg)

        def on_headers_complete(self) -> None:
            if self._head_is_too_large:  # not sooner: closed over bytes nobody read, a socket is reset
                raise ValueError("too many headers")  # becomes a 431, above
            codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
            if codings not in ([], [b"chunked"]):
                raise ValueError("a body in a coding that nobody here decodes")
            self._in_head = False
            if not self._asks_for_another_protocol():
                super().on_headers_complete()

        def on_message_complete(self) -> None:
            if not self._asks_for_another_protocol():
                self._arrived()
                super().on_message_complete()

        def _asks_for_another_protocol(self) -> bool:
            return bool(self.parser.should_upgrade()) and not self._should_upgrade()

        def handle_websocket_upgrade(self) -> None:
            answering = self.cycle is not None and not self.cycle.response_complete
            low, _ = self.transport.get_write_buffer_limits()
            if answering or self.transport.get_write_buffer_size() > low:
                # The transport would tell neither the answer that it may go on, nor the WebSocket that it
                # may not: that one would fill a buffer without end. (With less it has not paused anybody, or
                # has said that it goes on; over TLS something may always wait.)
                self.transport.abort()
                return
            try:
                request = upgrade_request(
                    self.scope["method"], self.url, self.scope["http_version"], self.headers
                )
            except ValueError:
                self.send_400_response(NOT_HTTP)
                return
            self._leave()
            self.connections.discard(self)
            wire = cast(type[Wire], self.ws_protocol_class)(self.config, self.server_state, self.app_state)
            wire.connection_made(self.transport)
            wire.begin(request)
            self.transport.set_protocol(wire)
            self._let_go()

        def _expect(self) -> None:
            self._bytes, self._in_head = 0, True
            self._deadline = self.loop.call_later(timeout_s, self._too_late)

        def _arrived(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _refuse(self, answer: bytes) -> None:
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(answer)
            self.transport.close()

        def _too_late(self) -> None:
            self._deadline = None
            self.transport.abort()

        def _look(self) -> None:
            """Also after a close, which waits for the peer to take what was written."""
            unread = self.transport.get_write_buffer_size()
            if unread and unread == self._unread:
                self.transport.abort()
                return
            self._unread = unread
            self._watch = self.loop.call_later(stall_s, self._look)

        def _let_go(self) -> None:
            """Drop what refers to this connection in return: nothing more comes through it."""
            self._unset_keepalive_if_required()  # which uvicorn leaves running after an error
            self.parser = None  # type: ignore[assignment]
            self.cycle = None  # type: ignore[assignment]
            self.pipeline.clear()  # requests that nobody will begin to answer

        def _leave(self) -> None:
            if self._counted:
                self._counted = False
                caps.leave(self._address)
            self._arrived()
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None

    return Door
