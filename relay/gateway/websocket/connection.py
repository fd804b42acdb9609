"""One open WebSocket: what arrives, what leaves, and whether the client is still there.

Messages are encoded before they come here. All that is sent during one turn of the event loop leaves in one write.
What the socket does not take waits in a bounded outbox. An idle connection costs no task, and no parser. Parsing is
that of the sans-I/O protocol of `websockets`.

Rules of this file: every byte goes through the outbox, and only `flush` writes, which only the loop calls. This keeps
messages in order; it rules out that a sender or the transport is called back while it calls; and when the transport
calls `pause_writing`, the outbox is empty, except behind a page of a state that filled the socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from websockets.frames import Close as CloseFrame
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN, SEND_EOF

from relay.errors import Refused
from relay.gateway.transports import release
from relay.gateway.websocket.conversation import Conversation
from relay.gateway.websocket.framing import PING, Parser, close_frame
from relay.gateway.websocket.outbox import Outbox
from relay.gateway.websocket.pacing import WritePacer
from relay.protocol.frames import Batch, Frame
from relay.protocol.types import Close

log = logging.getLogger(__name__)

T = TypeVar("T")

ABNORMAL = 1006  # RFC 6455 7.1.5: the connection ended without a close frame
CLOSE_S = 5.0  # how long a client may take to answer a close
MAX_FRAGMENTS = 1000  # of one message: each costs memory, however short it is
CONTROL_FRAMES, CONTROL_WINDOW_S = 100, 0.25  # the pings and pongs a client may send within this many seconds


class Owner(Protocol):
    """What keeps the open connections and calls their `tick`."""

    def wake(self, connection: Connection) -> None:
        """Call its `tick` soon, even if the last one asked for a later time."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone. It is the last call."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """When a client counts as gone, in seconds: it is pinged after `ping_every_s` of silence and must answer within
    `pong_within_s`; and its socket may take nothing for `stall_s` while something waits."""

    ping_every_s: float
    pong_within_s: float
    stall_s: float


class Connection(asyncio.Protocol):
    """An open WebSocket, from the answer to its handshake to its end."""

    # A binary message closes the connection (1003), at its first frame. The tests set this to play all of RFC 6455.
    takes_binary = False

    # There are tens of thousands of these, most of them idle. So attributes are few, and what only matters while
    # something arrives or waits is kept by the parser and the outbox.
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
        """`registry`: the open protocols of the server, which end with it."""
        self._transport = transport
        self._owner: Owner | None = owner
        self._pacer = pacer
        self._registry = registry
        self._max_message_bytes = max_message_bytes  # of the client's
        self._loop = asyncio.get_running_loop()
        self._parser: Parser | None = None  # None between two messages
        self._conversation: Conversation | None = None
        self._outbox = Outbox()
        self._scheduled = False  # `flush` will be called
        self._paused = False  # the socket takes nothing
        self._finished = False  # the connection ends when everything queued has been written
        self._lingers = False  # then only our side ends, because the client may still be sending
        self._deadline = 0.0  # when the connection is cut off, by the loop's time; 0: never
        self._heard_at = self._loop.time()  # when the client last showed that it is there
        self._pinged_at = 0.0
        # While paused: the bytes that the socket still held when that number last changed, and when it did.
        self._unread_bytes, self._progress_at = 0, self._heard_at
        self._control_frames, self._control_since = 0, 0.0
        self.code: int | None = None  # the close code with which it ended, or is ending

    # Beginning.

    def begin(self, answer: bytes) -> None:
        """Send the answer to the handshake, and receive from now on. To be called once, by the handshake."""
        self._registry.add(self)
        self._keep(answer)
        self._transport.resume_reading()

    def serve(self, conversation: Conversation, *, max_bytes: int) -> None:
        """Begin the conversation. `max_bytes` of live messages may wait while the socket takes none."""
        self._conversation, self._outbox.max_bytes = conversation, max_bytes

    def abort_if_unserved(self) -> None:
        """Cut the connection off if nobody serves it: nothing would ever end it."""
        if self._conversation is None and self.code is None:
            self.abort(Close.INTERNAL)

    # asyncio.Protocol methods.

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.discard(self)
        self._end(None)
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
            parser = self._parser = Parser(state=OPEN, max_size=self._max_message_bytes)
        parser.receive_data(data)
        for frame in parser.events_received():
            if self.code is None:
                self._take(parser, cast(WebSocketFrame, frame))
        self._answer_for(parser)

    def eof_received(self) -> None:
        # The transport closes when this returns, after it has sent what it was given. So write what is queued now. The
        # deadline is for a client that does not read it.
        self.flush()
        self._end(None)
        self._cut_off_in(CLOSE_S)

    def pause_writing(self) -> None:
        self._paused = True
        self._progress_at, self._unread_bytes = self._loop.time(), self._transport.get_write_buffer_size()
        self.wake()
        if self._conversation is not None:
            # Do not read from a client that does not read: the answers to its requests would only pile up.
            self._transport.pause_reading()
            # What waits behind the pages of a state may still be dropped, so it is not on its way.
            if not self._outbox:
                self._call(self._conversation.paused)

    def resume_writing(self) -> None:
        self._paused = False
        # It reads: that is as good as the answer to a ping, which we could not have received.
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
                self._end(CloseFrame.parse(frame.data).code)
            case _:
                self._take_control(frame)

    def _take_control(self, frame: WebSocketFrame) -> None:
        if self._heard_at - self._control_since >= CONTROL_WINDOW_S:
            self._control_frames, self._control_since = 0, self._heard_at
        self._control_frames += 1
        if self._control_frames > CONTROL_FRAMES:
            self.close(Close.PROTOCOL_ABUSE, "too many control frames")
        elif frame.opcode is Opcode.PING:
            self._keep(bytes((0x8A, len(frame.data))) + frame.data)  # its pong

    def message(self, opcode: Opcode, data: bytes) -> None:
        """Pass one whole message on. The opcode is TEXT, or where the class `takes_binary` also BINARY."""
        if self._conversation is None:
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(Close.INVALID_TEXT, "invalid UTF-8")
        else:
            self._call(self._conversation.receive, text)

    def _call(self, method: Callable[..., T], *args: Any, **named: Any) -> T | None:
        """Call a method of the conversation. If it raises, the connection ends."""
        try:
            return method(*args, **named)
        except Refused as refused:
            self.close(refused.code, refused.reason)
        except Exception:
            log.exception("a conversation failed")
            self.close(Close.INTERNAL, "internal error")
        return None

    def _answer_for(self, parser: Parser) -> None:
        """Queue what the WebSocket protocol itself answers: the echo of a close, or the close for a violation."""
        if parser.parser_exc is not None:
            self._end(parser.close_sent.code if parser.close_sent is not None else None)
        data = parser.data_to_send()
        answer = b"".join(data)
        if (
            answer and not self._deadline
        ):  # with a deadline, a close frame is queued already, and must be the last
            self._keep(answer)
        if SEND_EOF in data:
            # A client that broke the rules may still be sending. If a socket is closed over bytes that nobody has
            # read, the kernel resets it, and the client may never see our close frame. So only our side ends.
            self._lingers = parser.parser_exc is not None
            self._finish()
        elif parser.idle and parser.state is OPEN:
            self._drop_parser()

    def _drop_parser(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.free()

    # What leaves. (The first five are the `Receiver` of the hub.)

    def send(self, batch: Batch) -> None:
        """Queue live messages, which are dropped if too many wait. Does nothing once the connection ends."""
        if self.code is None:
            if not self._outbox.add_live(batch, paused=self._paused):
                # Not now: the hub is going through its listeners, and must not be called back.
                self._loop.call_soon(self._report_lag)
            self._schedule()

    def answer(self, frame: Frame) -> None:
        """Queue a message that must not be dropped. If too many wait, the connection is cut off."""
        if self.code is None and not self._outbox.is_overflowed:
            if not self._outbox.add_answer(frame):
                self._loop.call_soon(self.abort, Close.TIMEOUT)
            self._schedule()

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue a state of about `size` bytes; each of its pages is made when the socket takes it."""
        if self.code is None:
            self._outbox.add_state(pages, size)
            self._schedule()

    def pin(self) -> bool:
        """Drop nothing of what is queued now: a state that follows continues from it. False if live messages were
        dropped before, and the conversation does not know yet."""
        return self._outbox.pin()

    def has_room(self) -> bool:
        """May another state be queued? If not, `Conversation.drained` follows when nothing waits any more."""
        return self._outbox.has_room(paused=self._paused)

    def _keep(self, data: bytes) -> None:
        self._outbox.add(data)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._pacer.schedule(self)

    def flush(self) -> int:
        """Write what is queued, as far as the socket takes it. Return the number of live messages."""
        self._scheduled = False
        # Before anything is written, because the write may bring `paused`, and before `drained`: both would tell the
        # conversation about messages after those that were dropped.
        outbox = self._outbox
        if outbox.unreported_lag is not None:
            self._report_lag()
        if self._paused or outbox.is_overflowed or self._transport.is_closing():
            return 0
        count = outbox.live_messages
        while data := outbox.take():
            self._transport.write(data[0] if len(data) == 1 else b"".join(data))
            if self._paused:
                break
        if self._finished and not outbox:
            self._hang_up()
        elif (outbox.is_lagging or outbox.room_awaited) and not self._paused:
            outbox.end_lag()
            if self._conversation is not None:
                self._call(self._conversation.drained)
        return count

    def _report_lag(self) -> None:
        outbox = self._outbox
        since_pause, outbox.unreported_lag = outbox.unreported_lag, None
        if since_pause is not None and self._conversation is not None:
            self._call(self._conversation.lag, since_pause=since_pause)

    # Ending.

    def close(self, code: int, reason: str) -> None:
        """End the connection after what is queued. Does nothing if it is ending already."""
        if self.code is None:
            self._keep(close_frame(code, reason))
            self._end(code)
            self._cut_off_in(CLOSE_S)

    def abort(self, code: int) -> None:
        """End the connection at once, and drop what is queued: the client would not read it."""
        self._outbox.clear()
        self._end(code)
        self._transport.abort()

    def shutdown(self) -> None:
        """uvicorn stops."""
        if self._conversation is not None:
            self.close(Close.GOING_AWAY, "restart")
        else:
            self._lingers = False
            self._finish()

    def _end(self, code: int | None) -> None:
        """Take no more messages, neither from the client nor to be sent; what is queued may still leave."""
        if self.code is None:
            self.code = code if code is not None else ABNORMAL
            if self._parser is not None:
                self._parser.fragments.clear()
            conversation, self._conversation = self._conversation, None
            if conversation is not None:
                self._call(conversation.closed)

    def _cut_off_in(self, seconds: float) -> None:
        if not self._deadline:
            self._deadline = self._loop.time() + seconds
            self.wake()
            self._transport.resume_reading()  # only by reading can we learn that the client is gone

    def _finish(self) -> None:
        """Close the connection when everything queued has been written."""
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
        """Ping the client, or cut off one that is gone. Return when the next call is needed, by the loop's time."""
        if self._deadline:
            if now >= self._deadline:
                self.abort(self.code or ABNORMAL)
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
                self.abort(Close.TIMEOUT)
            return now
        if self._pinged_at > self._heard_at:
            if now - self._pinged_at >= timeouts.pong_within_s:
                self.abort(Close.TIMEOUT)
            return self._pinged_at + timeouts.pong_within_s
        if now - self._heard_at >= timeouts.ping_every_s and self._conversation is not None:
            self._pinged_at = now
            self._keep(PING)
            return now + timeouts.pong_within_s
        return self._heard_at + timeouts.ping_every_s

    def wake(self) -> None:
        """Have `tick` called soon, because something is due earlier than it said."""
        if self._owner is not None:
            self._owner.wake(self)

    @property
    def waiting_bytes(self) -> int:
        """The bytes that the socket has not taken, in its buffer and in the outbox; 0 if it is not full. Pages that
        are not made yet do not count: a timeline may be larger than every bound, and a client that were cut off for
        that would only ask for it again."""
        if not self._paused:
            return 0
        waiting = self._outbox.kept_bytes + self._outbox.live_bytes
        return waiting + self._transport.get_write_buffer_size()
