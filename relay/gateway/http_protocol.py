"""uvicorn's HTTP protocol class, extended by timeouts, detection of stalled clients, and limits on size.

uvicorn has no timer before the first request, while a request arrives slowly, or while a client does not read
its response. httptools limits neither the size of a request's head nor what follows a chunked body. A request for a
WebSocket also arrives at this class, so the same limits apply to its head.

A request to upgrade to any protocol but WebSocket is answered as if it did not ask for the upgrade. httptools stops
parsing such a request after its head, and would treat its body as the next request: a way to smuggle requests past a
proxy.

Rule of this file: a connection that has ended leaves no reference cycle. A cycle would keep the headers and bodies of
the connection's requests until Python's cyclic garbage collector runs, which is seldom (`relay/cli/process.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.auth.addresses import Network, client_address, is_proxy
from relay.auth.limits import Caps
from relay.auth.refusal_log import RefusalLog
from relay.gateway.tls_transport import TlsTransport
from relay.gateway.transports import release
from relay.gateway.websocket.handshake import Handshake
from relay.gateway.websocket.upgrade import RawHeaders, usual_request

MAX_HEAD_BYTES = 32 * 1024  # of the request line and the headers; a token may have 16 KiB
MAX_HEADERS = 256  # proxies forward fewer (most allow 100), so no browser reaches this limit
MAX_REQUEST_BYTES = 160 * 1024  # of head and body together, including whatever follows a chunked body
MAX_PIPELINED = 8  # requests that wait for the response to an earlier one
# How long a connection may be idle between two requests. If we close a connection at the moment when a load balancer
# reuses it, the balancer answers its user with 502. So this must be longer than the balancer's own timeout
# (docs/guides/embedding.md): most have 60 s, Google's have 600 s.
KEEP_ALIVE_S = 75
PROXY_KEEP_ALIVE_S = 620  # for a trusted proxy
# For connections that are opened while more than half of the permitted connections are open. A browser keeps six idle
# connections per page, which would take up places that other clients need.
CROWDED_KEEP_ALIVE_S = 5
INVALID_REQUEST = "Invalid HTTP request received."
TOO_LARGE = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEAD_TOO_LARGE = TOO_LARGE % b"431 Request Header Fields Too Large"
BODY_TOO_LARGE = TOO_LARGE % b"413 Content Too Large"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one HTTP connection.

    `request_within_s`: a request must be complete this many seconds after the connection was opened or, for a later
    request, after its first byte arrived. `stall_s`: a client that reads nothing of a response for this
    many seconds is disconnected. `caps` count each connection until it ends or becomes a WebSocket; a connection that
    exceeds a cap is closed at once. `proxies` are the networks of trusted proxies. The connections of a proxy do not
    count for an address, because they carry the requests of many clients, and they may stay idle longer. `tls` is the
    context of the server's certificate; without it, there is no TLS. Its handshake counts as the beginning of the first
    request. `refusals` logs what is refused here; None: nothing does.
    """

    request_within_s: float
    stall_s: float
    caps: Caps
    proxies: Sequence[Network] = ()
    tls: SSLContext | None = None
    refusals: RefusalLog | None = None


def http_protocol(limits: Limits) -> type[HttpProtocol]:
    """Return a subclass of `HttpProtocol` with these limits, for uvicorn's parameter `http=`. It is a class and not an
    instance, because uvicorn creates the instances, and passes only its own arguments."""
    return type("HttpProtocol", (HttpProtocol,), {"limits": limits})


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection, until it ends or becomes a WebSocket."""

    limits: Limits

    _is_new = True  # nothing has arrived yet
    _deadline: asyncio.TimerHandle | None = None  # for the request that is arriving
    _stall_timer: asyncio.TimerHandle | None = None
    _unread = 0  # bytes that waited to be sent when the stall timer last fired
    _bytes = 0  # the size so far of the request that is arriving
    _in_head = True
    _end_of_head = b""  # its last bytes so far: the blank line after it may be split between two reads
    _head_bytes = 0  # the size so far of the headers that are being parsed
    _head_is_too_large = False
    _address: str | None = None  # the client address whose cap counts this connection
    _counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self.limits.tls is not None:
            transport = TlsTransport(transport, self.limits.tls, self)
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        proxied = is_proxy(peer, self.limits.proxies)
        self._address = None if proxied else client_address(peer, (), ())
        caps = self.limits.caps
        self._counted = caps.enter(self._address)
        if not self._counted:
            self._log_refused(0, "at_capacity")
            transport.abort()
            return
        self.timeout_keep_alive = PROXY_KEEP_ALIVE_S if proxied else KEEP_ALIVE_S
        if caps.is_crowded(self._address):
            self.timeout_keep_alive = CROWDED_KEEP_ALIVE_S
        self._begin_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_counting()
        self._stop_timers()
        super().connection_lost(exc)
        self._break_cycles()
        release(self.transport)

    def data_received(self, data: bytes) -> None:
        if self._is_new:
            self._is_new = False
            # httptools and uvicorn take 40 µs for a request to open a WebSocket, and nearly all of them are alike.
            if len(data) <= MAX_HEAD_BYTES and (usual := usual_request(data)) is not None:
                target, headers = usual
                if len(headers) <= MAX_HEADERS:
                    self._open_websocket("GET", target, "1.1", headers)
                    return
        # The first bytes after an idle time stop uvicorn's timer, however few bytes arrive. So our own timer starts
        # here.
        if self._deadline is None:
            self._begin_request()
            self._end_of_head = b""
        head_left = max(0, MAX_HEAD_BYTES - self._bytes)
        self._bytes += len(data)
        beginning, self._end_of_head = self._end_of_head, (self._end_of_head + data[-3:])[-3:]
        if self._in_head and len(data) > head_left and b"\r\n\r\n" not in beginning + data[:head_left]:
            self._refuse(HEAD_TOO_LARGE, 431)
        elif self._bytes > MAX_REQUEST_BYTES:
            self._refuse(BODY_TOO_LARGE, 413)
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
                self.send_400_response(INVALID_REQUEST)
            else:
                head = self._head_without_upgrade()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                self._parse(head + data[upgrade.args[0] :])
        except httptools.HttpParserError:  # also what a method below raises
            self.send_400_response(INVALID_REQUEST)

    def _head_without_upgrade(self) -> bytes:
        """Return the head of the request that is being parsed, without its `Upgrade` header, so that it can be parsed
        again as a request that does not ask for another protocol."""
        lines = [
            b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")  # becomes a 400
        super().on_message_begin()
        self._head_bytes, self._in_head = 0, True
        if self._deadline is None:  # it arrived in one read with the request before it
            self._begin_request()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer of a chunked body: kept, it would be trusted like a header that a proxy set
        self._head_bytes += len(name) + len(value)
        # The limit in `data_received` does not see a head that arrives in one read with the request before it.
        if len(self.headers) < MAX_HEADERS and self._head_bytes <= MAX_HEAD_BYTES:
            super().on_header(name, value)
        else:
            self._head_is_too_large = True

    def send_400_response(self, msg: str) -> None:
        if self._head_is_too_large:
            self._refuse(HEAD_TOO_LARGE, 431)
        else:
            self._log_refused(400, "invalid_request")
            super().send_400_response(msg)

    def on_headers_complete(self) -> None:
        # Not sooner: if a socket is closed before all that arrived is read, the kernel resets it, and the client
        # may never see the response.
        if self._head_is_too_large:
            raise ValueError("too many headers")  # becomes a 431, above
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise ValueError("an unsupported transfer coding")  # becomes a 400
        self._in_head = False
        if not self._asks_for_another_protocol():
            self._watch_for_stall()  # from here on there may be a response that the client does not read
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._asks_for_another_protocol():
            self._end_request()
            super().on_message_complete()

    def _asks_for_another_protocol(self) -> bool:
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        low, _ = self.transport.get_write_buffer_limits()
        if answering or self.transport.get_write_buffer_size() > low:
            # The transport may have paused us. It would resume the WebSocket instead of the response that waits, and
            # the WebSocket, which does not know of the pause, would fill a buffer without end. (Below the low mark
            # nobody is paused.)
            self.transport.abort()
            return
        # httptools keeps trailing blanks.
        headers = [(name, value.rstrip(b" \t")) for name, value in self.headers]
        self._open_websocket(self.scope["method"], self.url, self.scope["http_version"], headers)

    def _open_websocket(self, method: str, target: bytes, http_version: str, headers: RawHeaders) -> None:
        made_by = cast(type[Handshake], self.ws_protocol_class)
        handshake = made_by(self.config, self.server_state)
        try:
            handshake.begin(self.transport, method, target, http_version, headers, self.client)
        except ValueError:
            self.send_400_response(INVALID_REQUEST)
            return
        if self.transport.get_protocol() is self:
            if handshake.invalid_status:
                self._log_refused(handshake.invalid_status, "invalid_handshake")
            # The request is refused. The transport closes once the client has read everything, also the responses
            # before this one; until then this protocol counts the connection, and ends it if it stalls.
            self._watch_for_stall()
            return
        self._stop_counting()
        self._stop_timers()
        self.connections.discard(self)
        self._break_cycles()

    def _watch_for_stall(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.limits.stall_s, self._check_for_stall)

    def _begin_request(self) -> None:
        self._bytes, self._in_head = 0, True
        self._deadline = self.loop.call_later(self.limits.request_within_s, self._time_out)

    def _end_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, answer: bytes, status: int) -> None:
        self._log_refused(status, "too_large")
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(answer)
        self.transport.close()

    def _log_refused(self, status: int, reason: str) -> None:
        """Log that this connection is refused, before a request of it was understood. With status 0 it was cut
        without a response. A proxy is logged by its own address, because nobody can say whose request it was."""
        if self.limits.refusals is not None:
            address = self._address or (self.client[0] if self.client else "")
            self.limits.refusals.say("request refused", address, status=status or None, reason=reason)

    def _time_out(self) -> None:
        self._deadline = None
        if self._bytes:
            self._log_refused(0, "request_timeout")
        self.transport.abort()

    def _check_for_stall(self) -> None:
        """Disconnect the client if data waits for it and it has read nothing since the last call; else schedule the
        next call. The calls continue after `transport.close`, which waits until the client has read everything."""
        unread = self.transport.get_write_buffer_size()
        if unread and unread == self._unread:
            self.transport.abort()
            return
        self._unread = unread
        self._stall_timer = self.loop.call_later(self.limits.stall_s, self._check_for_stall)

    def _break_cycles(self) -> None:
        """Drop the references to objects that refer back to this connection. No data is received after this call."""
        self._unset_keepalive_if_required()  # uvicorn leaves this timer running after an error
        self.parser = None  # type: ignore[assignment]
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()  # requests that will not be answered

    def _stop_counting(self) -> None:
        if self._counted:
            self._counted = False
            self.limits.caps.leave(self._address)

    def _stop_timers(self) -> None:
        self._end_request()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
