"""One open WebSocket: receives messages, sends messages, and finds out whether the client is still there.

Messages are encoded before they are passed to a connection. Everything that is sent during one turn of the event loop
is written to the socket in one call. What the socket does not accept waits in a bounded outbox. The sans-I/O protocol
of `websockets` parses what arrives. An idle connection has no asyncio task and no parser.

A *live message* reports a change as it happens. It may be dropped, because a *state* (a snapshot of a task's timeline
or of the list, sent in one or more *pages*) can replace it. A connection is *paused* while its socket accepts no data.

Rules of this file: every byte goes through the outbox, and only `flush` writes, which only the event loop calls. This
has three effects. Messages stay in order. Neither a sender nor the transport is called back during its own call. When
the transport calls `pause_writing`, the outbox is empty, unless a page of a state has filled the socket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from websockets.frames import Close as CloseFrame
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN, SEND_EOF

from relay.errors import Refused
from relay.gateway.transports import release
from relay.gateway.websocket.conversation import Conversation
from relay.gateway.websocket.framing import PING, Parser, close_frame, usual_frame
from relay.gateway.websocket.outbox import Outbox
from relay.gateway.websocket.owner import End, Owner
from relay.gateway.websocket.pacing import WritePacer
from relay.protocol.frames import Batch, Frame
from relay.protocol.types import ABNORMAL, Close, Kind

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_S = 5.0  # how long a client may take to answer a close
MAX_FRAGMENTS = 1000  # in one message: each fragment costs memory, however short it is
CONTROL_FRAMES, CONTROL_WINDOW_S = 100, 0.25  # the pings and pongs a client may send within this many seconds


@dataclass(frozen=True, slots=True)
class Timeouts:
    """After how many seconds a client counts as gone, and is disconnected with 4408.

    A client that has sent nothing for `ping_every_s` is sent a ping, and is disconnected if it sends nothing within
    `pong_within_s` after that. While data waits to be sent, a client is disconnected if its socket accepts no data for
    `stall_s`.
    """

    ping_every_s: float
    pong_within_s: float
    stall_s: float


class Connection(asyncio.Protocol):
    """One open WebSocket connection, from the answer to its handshake until the socket is closed."""

    # If False, the first frame of a binary message closes the connection with 1003. Tests set it to True, so that a
    # test suite for all of RFC 6455 can run against this class.
    takes_binary = False

    # There are tens of thousands of connections, most of them idle. So this class has few attributes: the parser and
    # the outbox keep what only matters while data arrives or waits.
    __slots__ = (
        "_control_frames",
        "_control_since",
        "_conversation",
        "_deadline",
        "_finished",
        "_heard_at",
        "_lingers",
        "_loop",
        "_max_message_bytes",
        "_outbox",
        "_owner",
        "_pacer",
        "_parser",
        "_paused",
        "_pinged_at",
        "_progress_at",
        "_registry",
        "_scheduled",
        "_transport",
        "_unread_bytes",
        "code",
        "id",
        "messages_in",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        owner: Owner,
        pacer: WritePacer,
        *,
        registry: set[Any],
        max_message_bytes: int,
    ) -> None:
        """Create the connection; `begin` starts it.

        `registry` is uvicorn's set of open protocols: the server calls `shutdown` of each when it stops.
        `max_message_bytes` bounds one message of the client.
        """
        self._transport = transport
        self._owner: Owner | None = owner
        self._pacer = pacer
        self._registry = registry
        self._max_message_bytes = max_message_bytes  # of one message from the client
        self._loop = asyncio.get_running_loop()
        self._parser: Parser | None = None  # None while no message is arriving
        self._conversation: Conversation | None = None
        self._outbox = Outbox()
        self._scheduled = False  # True while a call of `flush` is pending
        self._paused = False  # True while the socket accepts no data
        self._finished = False  # if True, the connection ends when everything queued has been written
        self._lingers = False  # if True, only our side is closed: the client may still be sending
        self._deadline = 0.0  # when the connection is cut off, by the loop's time; 0: never
        self._heard_at = self._loop.time()  # when the client last sent or read anything
        self._pinged_at = 0.0
        # While paused: how many bytes the transport still held when that number last changed, and when it last changed.
        self._unread_bytes, self._progress_at = 0, self._heard_at
        self._control_frames, self._control_since = 0, 0.0
        self.code: int | None = None  # the close code; None while the connection is open
        self.id = secrets.token_hex(8)  # the name of this connection, for the client and for operators
        self.messages_in = 0  # messages of the client that have arrived

    # Beginning.

    def begin(self, answer: bytes) -> None:
        """Send `answer`, the bytes of the response to the handshake, and start to receive. The handshake calls this
        once."""
        self._registry.add(self)
        self._keep(answer)
        self._transport.resume_reading()

    def serve(self, conversation: Conversation, *, max_bytes: int) -> None:
        """Pass the client's messages to this conversation from now on. At most `max_bytes` bytes of live messages may
        wait while the socket accepts no data; if more wait, all of them are dropped (see `Outbox`)."""
        self._conversation, self._outbox.max_bytes = conversation, max_bytes

    def abort_if_unserved(self) -> None:
        """Cut off the connection if neither `serve` nor `close` was called, because then nothing would ever end it."""
        if self._conversation is None and self.code is None:
            self.abort(Close.INTERNAL, "internal error")

    # asyncio.Protocol methods.

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.discard(self)
        self._end(None, by_client=True)
        self._count_dropped()
        self._outbox.clear()
        self._drop_parser()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.lost(self)
        release(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._heard_at = self._loop.time()
        parser = self._parser
        if parser is None:
            # Nearly every client sends only such frames, and to make a parser for one takes longer than to parse it.
            usual = usual_frame(data)
            if usual is not None and self.code is None and len(usual.data) <= self._max_message_bytes:
                self._take_usual(usual)
                return
            parser = self._parser = Parser(max_size=self._max_message_bytes)
        parser.receive_data(data)
        for frame in parser.events_received():
            if self.code is None:
                self._take(parser, cast(WebSocketFrame, frame))
        self._answer_for(parser)

    def eof_received(self) -> None:
        # After this method returns, the transport sends what it was given, and then closes. So write what is queued
        # now. The deadline is for a client that never reads this data.
        self.flush()
        self._end(None, by_client=True)
        self._cut_off_in(CLOSE_S)

    def pause_writing(self) -> None:
        self._paused = True
        self._progress_at, self._unread_bytes = self._loop.time(), self._transport.get_write_buffer_size()
        self.wake()
        if self._conversation is not None:
            # Do not read from a client that does not read: the answers to its requests would only pile up.
            self._transport.pause_reading()
            # Live messages that wait in the outbox behind the pages of a state may still be dropped. So `paused`, which
            # promises that everything sent is on its way, is called only if the outbox is empty.
            if not self._outbox:
                self._call(self._conversation.paused)

    def resume_writing(self) -> None:
        self._paused = False
        # The client reads. This counts like the answer to a ping, which we could not have received: reading was paused.
        self._heard_at = self._loop.time()
        self._transport.resume_reading()
        self._schedule()

    # What arrives.

    def _take(self, parser: Parser, frame: WebSocketFrame) -> None:
        match frame.opcode:
            case Opcode.BINARY if not self.takes_binary:
                self.close(Close.BINARY, "text frames only")
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                message = parser.assemble(frame)
                if message is not None:
                    self.message(parser.opcode, message)
                elif len(parser.fragments) > MAX_FRAGMENTS:
                    self.close(Close.PROTOCOL_ABUSE, "too many fragments")
            case Opcode.CLOSE:
                self._end_by_client(frame)
            case _:
                self._take_control(frame)

    def _take_usual(self, frame: WebSocketFrame) -> None:
        if frame.opcode is Opcode.TEXT:
            self.message(frame.opcode, bytes(frame.data))
        else:
            self._end_by_client(frame)
            self._keep(bytes((0x88, len(frame.data))) + frame.data)
            self._finish()

    def _take_control(self, frame: WebSocketFrame) -> None:
        if self._heard_at - self._control_since >= CONTROL_WINDOW_S:
            self._control_frames, self._control_since = 0, self._heard_at
        self._control_frames += 1
        if self._control_frames > CONTROL_FRAMES:
            self.close(Close.PROTOCOL_ABUSE, "too many control frames")
        elif frame.opcode is Opcode.PING:
            self._keep(bytes((0x8A, len(frame.data))) + frame.data)  # its pong

    def message(self, opcode: Opcode, data: bytes) -> None:
        """Pass one complete message from the client to the conversation. `opcode` is TEXT, or also BINARY if the class
        sets `takes_binary`. A message that is not UTF-8 closes the connection with 1007."""
        self.messages_in += 1
        if self._conversation is None:
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(Close.INVALID_TEXT, "invalid UTF-8")
        else:
            self._call(self._conversation.receive, text)

    def _call(self, method: Callable[..., T], *args: Any, **named: Any) -> T | None:
        """Call a method of the conversation and return its result. If the method raises an exception, close the
        connection (with the code of a `Refused`, otherwise with 1011) and return None."""
        try:
            return method(*args, **named)
        except Refused as refused:
            self._pacer.metrics.note_refusal("websocket", refused.reason)
            self.close(refused.code, refused.reason, refused)
        except Exception:
            log.exception("a conversation failed")
            self.close(Close.INTERNAL, "internal error")
        return None

    def _answer_for(self, parser: Parser) -> None:
        """Queue what the parser answers by itself: the echo of the client's close frame, or a close frame for a
        violation of the protocol. Drop the parser if no message is arriving."""
        if parser.parser_exc is not None:
            sent = parser.close_sent
            self._end(*((sent.code, sent.reason) if sent is not None else (None,)))
        data = parser.data_to_send()
        answer = b"".join(data)
        if (
            answer and not self._deadline
        ):  # if there is a deadline, a close frame is queued already, and must stay the last frame
            self._keep(answer)
        if SEND_EOF in data:
            # A client that broke the rules may still be sending. If a socket is closed over bytes that nobody has
            # read, the kernel resets it, and the client may never see our close frame. So only our side is closed.
            self._lingers = parser.parser_exc is not None
            self._finish()
        elif parser.idle and parser.state is OPEN:
            self._drop_parser()

    def _drop_parser(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.free()

    # What leaves. (The first six methods implement `hub.listener.Receiver`.)

    def send(self, batch: Batch) -> None:
        """Queue live messages. If too many bytes of live messages wait then, all that wait are dropped, including these
        and except those that `pin` protects. From then on all live messages are dropped until everything else has been
        written. Does nothing after the connection has begun to close."""
        if self.code is None:
            if not self._outbox.add_live(batch, paused=self._paused):
                # Report it later: the hub is iterating over its listeners now, and must not be called back.
                self._loop.call_soon(self._report_lag)
            self._schedule()

    def answer(self, frame: Frame) -> None:
        """Queue a message that must not be dropped. If too many bytes of such messages wait, the connection is cut off
        with 4408. Does nothing after the connection has begun to close."""
        if self.code is None and not self._outbox.is_overflowed:
            if frame.kind is Kind.ERROR:
                self._pacer.metrics.errors.labels(frame.data["code"]).inc()
            if not self._outbox.add_answer(frame):
                self._loop.call_soon(self.abort, Close.TIMEOUT, "outbox_overflow")
            self._schedule()

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue the pages of a state (a snapshot of a task or of the list) of about `size` bytes. Each page is taken
        from the iterable when the socket has room for it. Does nothing after the connection has begun to close."""
        if self.code is None:
            self._outbox.add_state(pages, size)
            self._schedule()

    def pin(self) -> bool:
        """Protect everything that is queued now from being dropped, because the state that will be queued next
        continues from it. Return False if live messages were dropped before and `Conversation.lag` has not been called
        for them yet, else True."""
        return self._outbox.pin()

    def has_room(self) -> bool:
        """Return whether another state may be queued. After False, `Conversation.drained` is called when everything
        queued has been written."""
        return self._outbox.has_room(paused=self._paused)

    def fail(self) -> None:
        """Close the connection with 1011 soon, and not at once: the hub is serving other listeners now, and must not be
        called back."""
        self._loop.call_soon(self.close, Close.INTERNAL, "internal error")

    def _keep(self, data: bytes) -> None:
        self._outbox.add(data)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._pacer.schedule(self)

    def flush(self) -> int:
        """Write what is queued, until the socket accepts no more. Return the number of live messages that were queued,
        or 0 if nothing could be written."""
        self._scheduled = False
        # Report dropped messages before anything is written, because writing may cause a call of `paused`, and before
        # `drained`: both calls would concern messages that were sent after the dropped ones.
        outbox = self._outbox
        if outbox.unreported_lag is not None:
            self._report_lag()
        if self._paused or outbox.is_overflowed or self._transport.is_closing():
            return 0
        count = outbox.live_messages
        while data := outbox.take():
            written = data[0] if len(data) == 1 else b"".join(data)
            self._pacer.bytes += len(written)
            self._transport.write(written)
            if self._paused:
                break
        if self._finished and not outbox:
            self._hang_up()
        elif (outbox.is_lagging or outbox.room_awaited) and not self._paused:
            self._count_dropped()
            outbox.end_lag()
            if self._conversation is not None:
                self._call(self._conversation.drained)
        return count

    def _report_lag(self) -> None:
        outbox = self._outbox
        since_pause, outbox.unreported_lag = outbox.unreported_lag, None
        self._count_dropped()
        if since_pause is not None and self._conversation is not None:
            self._call(self._conversation.lag, since_pause=since_pause)

    def _count_dropped(self) -> None:
        outbox = self._outbox
        if outbox.dropped:
            self._pacer.metrics.dropped.inc(outbox.dropped)
            outbox.dropped = 0

    # Ending.

    def close(self, code: int, reason: str, refused: Refused | None = None) -> None:
        """Close the connection with this code and reason after everything queued has been written. A client that does
        not answer within CLOSE_S seconds is cut off. Does nothing if the connection is closing already. `refused` is
        the refusal that is the cause, if one is."""
        if self.code is None:
            self._keep(close_frame(code, reason))
            self._end(code, reason, refused=refused)
            self._cut_off_in(CLOSE_S)

    def abort(self, code: int, reason: str) -> None:
        """Cut off the connection at once, without a close frame, and drop what is queued. `code` is recorded as its
        close code and `reason` is logged, unless the connection was closing already."""
        self._outbox.clear()
        self._end(code, reason)
        self._transport.abort()

    def shutdown(self) -> None:
        """Close the connection, because the server stops: uvicorn calls this for every open protocol."""
        if self._conversation is not None:
            self.close(Close.GOING_AWAY, "restart")
        else:
            self._lingers = False
            self._finish()

    def _end_by_client(self, frame: WebSocketFrame) -> None:
        close = CloseFrame.parse(frame.data)
        self._end(close.code, close.reason, by_client=True)

    def _end(
        self,
        code: int | None,
        reason: str = "",
        *,
        by_client: bool = False,
        refused: Refused | None = None,
    ) -> None:
        """Begin to end: record the close code, accept no further messages from the client or from senders, tell the
        owner, and call `Conversation.closed`. What is queued already may still be written. `code` is None if the
        connection ended without a close frame. A second call does nothing."""
        if self.code is None:
            self.code = code if code is not None else ABNORMAL
            if self._parser is not None:
                self._parser.fragments.clear()
            if self._owner is not None:
                self._owner.ending(self, End(self.code, reason, by_client, refused))
            conversation, self._conversation = self._conversation, None
            if conversation is not None:
                self._call(conversation.closed)

    def _cut_off_in(self, seconds: float) -> None:
        if not self._deadline:
            self._deadline = self._loop.time() + seconds
            self.wake()
            self._transport.resume_reading()  # only by reading can we notice that the client is gone

    def _finish(self) -> None:
        """Close the connection when everything queued has been written, or after CLOSE_S seconds."""
        self._finished = True
        self._cut_off_in(CLOSE_S)
        self._schedule()

    def _hang_up(self) -> None:
        if self._lingers and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # the client is gone
                self._transport.abort()
        else:
            self._transport.close()

    # Time.

    def tick(self, now: float, timeouts: Timeouts) -> float:
        """Ping the client if it is silent, cut it off if it is gone, and call the conversation's `tick`.

        `now` is the time of the event loop's clock, in seconds. Return the time of that clock at which `tick` must be
        called again.
        """
        if self._deadline:
            if now >= self._deadline:
                self.abort(self.code or ABNORMAL, "")
            return self._deadline
        due = self._check_client(now, timeouts)
        if self._conversation is not None:
            due = min(due, self._call(self._conversation.tick) or now)
        return due

    def _check_client(self, now: float, timeouts: Timeouts) -> float:
        if self._paused:
            unread = self._transport.get_write_buffer_size()
            if unread != self._unread_bytes:
                self._progress_at, self._unread_bytes = now, unread
            elif now - self._progress_at >= timeouts.stall_s:
                self.abort(Close.TIMEOUT, "stalled")
            return now
        if self._pinged_at > self._heard_at:
            if now - self._pinged_at >= timeouts.pong_within_s:
                self.abort(Close.TIMEOUT, "ping_timeout")
            return self._pinged_at + timeouts.pong_within_s
        if now - self._heard_at >= timeouts.ping_every_s and self._conversation is not None:
            self._pinged_at = now
            self._keep(PING)
            return now + timeouts.pong_within_s
        return self._heard_at + timeouts.ping_every_s

    def wake(self) -> None:
        """Have `tick` called soon, because something is due earlier than the time that the last `tick` returned."""
        if self._owner is not None:
            self._owner.wake(self)

    def admitted(self) -> None:
        """Note that a message of the client brought the token with which it was admitted."""
        if self._owner is not None:
            self._owner.admitted(self)

    @property
    def messages_out(self) -> int:
        """How many messages were written to the socket, with answers that still wait for it."""
        return self._outbox.messages

    @property
    def waiting_bytes(self) -> int:
        """The bytes that wait in the transport's buffer and in the outbox while the socket accepts no data; 0 while it
        accepts data. Pages of a state that are not encoded yet do not count: a timeline may be larger than every bound,
        and a client that was cut off because of its size would only ask for the timeline again."""
        if not self._paused:
            return 0
        waiting = self._outbox.kept_bytes + self._outbox.live_bytes
        return waiting + self._transport.get_write_buffer_size()
