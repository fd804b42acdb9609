"""The wire of one WebSocket connection: our class for uvicorn's `ws=`.

Frames go out ready-made: queued during one turn of the loop they leave in one write; what the socket
does not take waits in a bounded outbox. The ASGI task ends with the handshake, so an open connection
costs no task, and no parser while nothing comes in. Parsing and the handshake are the sans-I/O protocol
of `websockets`.

Rules of this file: every byte goes through the outbox, and `flush` alone writes, called by nothing but
the loop. So the order is right by itself, a pause finds in the outbox only what stands behind the page of a
state that filled the socket, and neither the transport nor a sender is ever called back into.

The request comes from the door (`relay/gateway/http_protocol.py`), which has parsed it under the limits of every other
request: `begin`.

Leans on the undocumented side of uvicorn: the constructor's parameters, `config.loaded_app`,
`root_path`, `ws_max_size`, `server_state.connections` and `.tasks`, and `shutdown`. A test fails when one of
these moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Close as CloseFrame
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SEND_EOF

from relay.errors import Refused
from relay.gateway.transports import release
from relay.gateway.websocket.framing import PING, Parser, close_frame
from relay.gateway.websocket.outbox import Outbox
from relay.gateway.websocket.pacing import Flusher
from relay.protocol.frames import Batch, Frame, websocket_message
from relay.protocol.types import Close

log = logging.getLogger(__name__)

T = TypeVar("T")

ABNORMAL = 1006  # what RFC 6455 7.1.5 calls an end without a close frame
EXTENSION = "relay.wire"  # where an ASGI application finds the connection's Wire in its scope
CLOSE_S = 5.0  # how long a peer may take to answer a close
ANSWERS_FACTOR = 64  # answers may wait up to so many times what live messages may: documents have 16 MB
BURST_FACTOR = 8  # and so many times as much may leave in one write, when the socket takes it
MAX_FRAGMENTS = 1000  # of one message
CONTROL_FRAMES, CONTROL_WINDOW_S = 100, 0.25  # pings and pongs of a peer, and in how long


class Conversation(Protocol):
    """What speaks over a wire. None of its methods waits."""

    def receive(self, text: str) -> None:
        """One message of the peer. Raises Refused when the conversation must end."""

    def tick(self) -> float:
        """What time alone brings; when, by the loop's time, it has to be called next. Raises Refused."""

    def paused(self) -> None:
        """The socket takes no more for now; all that was sent until here is on its way. Not called while the
        pages of a state still wait."""

    def lag(self, *, since_pause: bool) -> None:
        """Live messages were dropped, and will be until `drained`: only some of those sent since `paused` was
        last called, or else nobody knows which."""

    def drained(self) -> None:
        """Nothing waits for the socket any more: replace what was dropped, and go on with what it had no
        room for."""

    def closed(self) -> None:
        """Nothing more can be sent."""


class Supervisor(Protocol):
    """Who gives a wire the time."""

    def attend(self, wire: Wire) -> None:
        """It needs a `tick` soon, whatever it said before."""

    def lost(self, wire: Wire) -> None:
        """It is gone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long, in seconds, a peer may be silent before it is pinged, and not answer the ping; and how long
    its socket may take nothing."""

    ping_every_s: float
    pong_within_s: float
    stall_s: float


class Wire(asyncio.Protocol):
    """One connection, from its handshake on."""

    takes_binary = False  # else the first frame of a binary message ends the connection

    __slots__ = (
        "_app",
        "_awaited",
        "_bytes",
        "_control_frames",
        "_control_since",
        "_conversation",
        "_deadline",
        "_finished",
        "_fragments",
        "_handshake",
        "_heard_at",
        "_lagging",
        "_lingers",
        "_loop",
        "_max_bytes",
        "_max_size",
        "_messages",
        "_opcode",
        "_outbox",
        "_overflowed",
        "_parser",
        "_paused",
        "_pinged_at",
        "_progress",
        "_root_path",
        "_scheduled",
        "_server_state",
        "_state",
        "_supervisor",
        "_transport",
        "_untold",
        "code",
    )

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._app: Any = config.loaded_app
        self._root_path = config.root_path
        self._max_size = config.ws_max_size
        self._server_state = server_state
        self._state = app_state
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser: Parser | None = Parser(max_size=self._max_size)
        self._handshake: Response | None = None  # what the request will be answered, while nobody has
        self._conversation: Conversation | None = None
        self._supervisor: Supervisor | None = None
        self._fragments: list[bytes] = []
        self._opcode = Opcode.TEXT  # of the message whose fragments these are
        self._control_frames, self._control_since = 0, 0.0
        self._outbox = Outbox()
        self._messages = 0  # live ones in it
        self._max_bytes = 0
        self._scheduled = False
        self._paused = False
        self._lagging = False
        self._awaited = False  # the conversation waits for `drained` with states it has to send
        self._untold: bool | None = None  # what the conversation must hear of having lagged: `since_pause`
        self._overflowed = False
        self._heard_at = self._progress = self._loop.time()
        self._bytes = 0
        self._pinged_at = 0.0
        self._deadline = 0.0  # when the connection is cut off; 0: never
        self._finished = False  # the connection ends when all that is queued has left
        self._lingers = False  # but only for what we say, as long as the peer still speaks
        self.code: int | None = None  # how it ended or is ending

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(cast(Any, self))
        if self._transport.get_write_buffer_size() > self._transport.get_write_buffer_limits()[1]:
            # A request sent behind others whose answers nobody reads: the socket is full already, and of
            # a pause that began before us we are not told.
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(cast(Any, self))
        self._end(None)
        self._outbox.clear()
        self._drop_parser()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.lost(self)
        release(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._heard_at = self._loop.time()
        parser = self._parser
        if parser is None:
            parser = self._parser = Parser(state=OPEN, max_size=self._max_size)
        parser.receive_data(data)
        for frame in parser.events_received():
            if self.code is None:
                self._take(cast(WebSocketFrame, frame))
        self._answer_for(parser)

    def eof_received(self) -> None:
        # A peer that says no more hears no more: the transport closes. What it has not read yet may keep
        # that waiting; what we have to say yet, it gets.
        self.flush()
        self._end(None)
        self._cut_off_in(CLOSE_S)

    def pause_writing(self) -> None:
        self._paused = True
        self._progress, self._bytes = self._loop.time(), self._transport.get_write_buffer_size()
        self.wake()
        if self._conversation is not None:
            # Who does not read is not read either: what it asks for would only wait.
            self._transport.pause_reading()
            if not self._outbox:  # else live messages wait behind the pages of a state, and may be dropped
                self._tell(self._conversation.paused)

    def resume_writing(self) -> None:
        self._paused = False
        self._heard_at = self._loop.time()  # it reads: as good as the answer to a ping
        self._transport.resume_reading()
        self._schedule()

    def shutdown(self) -> None:
        """uvicorn ends."""
        if self._handshake is not None:
            self.reject(HTTPStatus.SERVICE_UNAVAILABLE)
        elif self._conversation is not None:
            self.close(Close.GOING_AWAY, "restart")
        else:
            self._lingers = False
            self._finish()

    # The handshake.

    def begin(self, request: Request) -> None:
        """Take a request for an upgrade. To be called once, after `connection_made`."""
        if self._transport.is_closing():
            return
        parser = cast(Parser, self._parser)
        self._handshake = parser.accept(request)
        if self._handshake.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._respond(self._handshake)
            return
        # Before the answer a peer has nothing to say; and what does not come cannot be half a frame.
        self._transport.pause_reading()
        parser.idle = True
        task = self._loop.create_task(self._run_app(self._scope(request)))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def _scope(self, request: Request) -> dict[str, Any]:
        raw_path, _, query = request.path.partition("?")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        transport = self._transport
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if transport.get_extra_info("sslcontext") else "ws",
            "server": transport.get_extra_info("sockname"),
            "client": transport.get_extra_info("peername"),
            "root_path": self._root_path,
            "path": self._root_path + unquote(raw_path),
            "raw_path": (self._root_path + raw_path).encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [
                (name.lower().encode("ascii"), value.encode("latin-1"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": [name for one in offered.split(",") if (name := one.strip())],
            "state": self._state.copy(),
            "extensions": {EXTENSION: self},
        }

    async def _run_app(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, _receive_nothing, self._send_asgi)
        except Exception:
            log.exception("a handshake failed")
        if self._handshake is not None:
            self.reject(HTTPStatus.INTERNAL_SERVER_ERROR)
        elif self._conversation is None and self.code is None:
            self.abort(Close.INTERNAL)  # accepted, and left to nobody

    async def _send_asgi(self, message: Any) -> None:
        """All that is left of ASGI: Starlette refuses so where no route leads, and nothing else does."""
        if message["type"] == "websocket.close":
            self.reject(HTTPStatus.NOT_FOUND)
        else:
            raise RuntimeError(f"{message['type']}: accept and send go through scope['extensions']")

    def accept(self, subprotocol: str | None) -> bool:
        """Open the connection; False if it is gone."""
        response, self._handshake = self._handshake, None
        if response is None or self.code is not None:
            return False
        if subprotocol is not None:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._respond(response)
        self._transport.resume_reading()
        return True

    def converse(self, conversation: Conversation, *, max_bytes: int) -> None:
        """Hand the open connection over. Live messages may take up to `max_bytes` in the outbox while the
        socket takes none; past that the conversation lags."""
        self._conversation, self._max_bytes = conversation, max_bytes

    def supervised(self, supervisor: Supervisor) -> None:
        """Be given the time by it from now on."""
        self._supervisor = supervisor

    def reject(self, status: HTTPStatus) -> None:
        """Answer the request with this status instead."""
        if self._handshake is not None:
            self._handshake = None
            parser = cast(Parser, self._parser)
            self._respond(parser.reject(status, f"{status.phrase}\n"))

    def _respond(self, response: Response) -> None:
        parser = cast(Parser, self._parser)
        parser.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._handshake = None
            self._end(None)
        self._answer_for(parser)

    # What the peer says.

    def _take(self, frame: WebSocketFrame) -> None:
        match frame.opcode:
            case Opcode.BINARY if not self.takes_binary:
                self.close(Close.BINARY, "text frames only")
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._opcode = frame.opcode
                self._fragments.append(bytes(frame.data))
                if frame.fin:
                    data, self._fragments = b"".join(self._fragments), []
                    self.message(self._opcode, data)
                elif len(self._fragments) > MAX_FRAGMENTS:
                    self.close(Close.PROTOCOL_ABUSE, "too many fragments")
            case Opcode.CLOSE:
                self._end(CloseFrame.parse(frame.data).code)
            case _:
                if self._heard_at - self._control_since >= CONTROL_WINDOW_S:
                    self._control_frames, self._control_since = 0, self._heard_at
                self._control_frames += 1
                if self._control_frames > CONTROL_FRAMES:
                    self.close(Close.PROTOCOL_ABUSE, "too many control frames")
                elif frame.opcode is Opcode.PING:
                    self._keep(bytes((0x8A, len(frame.data))) + frame.data)

    def message(self, opcode: Opcode, data: bytes) -> None:
        """One whole message; the opcode is TEXT, or where the class `takes_binary` also BINARY."""
        if self._conversation is None:
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(Close.INVALID_TEXT, "invalid UTF-8")
        else:
            self._tell(self._conversation.receive, text)

    def _tell(self, call: Callable[..., T], *args: Any, **named: Any) -> T | None:
        """Tell the conversation; whatever it raises ends it."""
        try:
            return call(*args, **named)
        except Refused as refused:
            self.close(refused.code, refused.reason)
        except Exception:
            log.exception("a conversation failed")
            self.close(Close.INTERNAL, "internal error")
        return None

    def _answer_for(self, parser: Parser) -> None:
        """Queue what the protocol itself answers: the handshake, the echo of a close."""
        if parser.parser_exc is not None:
            self._end(parser.close_sent.code if parser.close_sent is not None else None)
        data = parser.data_to_send()
        answer = b"".join(data)
        if answer and not self._deadline:  # else a close frame has been queued, and nothing follows it
            self._keep(answer)
        if SEND_EOF in data:
            # One that broke the rules may still be sending. Closed over bytes that nobody read a socket
            # is reset, and the peer may never see our close frame.
            self._lingers = parser.parser_exc is not None
            self._finish()
        elif parser.idle and parser.state is OPEN:
            self._drop_parser()

    def _drop_parser(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.free()

    # What is sent.

    def send(self, batch: Batch) -> None:
        """Queue live messages. Does nothing once the connection ends."""
        if self.code is None and not self._lagging:
            self._outbox.add(batch.websocket, kept=False)
            self._messages += len(batch.frames)
            if self._outbox.live_bytes > self._max_bytes * (1 if self._paused else BURST_FACTOR):
                self._lagging, self._untold = True, self._paused
                self._outbox.drop_live()
                self._messages = 0
                # Not now: whoever sends is going through the listeners.
                self._loop.call_soon(self._tell_lag)
            self._schedule()

    def answer(self, frame: Frame) -> None:
        """Queue one that was asked for, or that must not be dropped."""
        if self.code is None and not self._overflowed:
            self._keep(websocket_message(frame.body))
            if self._outbox.kept_bytes > self._max_bytes * ANSWERS_FACTOR:
                self._overflowed = self._lagging = True
                self._loop.call_soon(self.abort, Close.TIMEOUT)

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue a state of about `size` bytes; each of its pages is made when the socket takes it."""
        if self.code is None and not self._overflowed:
            self._outbox.add_state((websocket_message(page.body) for page in pages), size)
            self._schedule()

    def pin(self) -> bool:
        """Drop nothing of what is queued now: a state that follows continues from it. False if live messages were
        dropped before, and the conversation does not know yet."""
        self._outbox.pin()
        return self._untold is None

    def has_room(self) -> bool:
        """May another state be queued? If not, `drained` follows when nothing waits any more. One state of
        any size always fits, so that a timeline can be larger than every bound."""
        waiting = self._outbox.kept_bytes + self._outbox.state_bytes
        fits = waiting <= self._max_bytes * (1 if self._paused else BURST_FACTOR)
        self._awaited |= not fits
        return fits

    def _keep(self, frames: bytes) -> None:
        self._outbox.add(frames, kept=True)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self.gather()

    def gather(self) -> None:
        """Ask for one call of `flush`, soon."""
        self._loop.call_soon(self.flush)

    def flush(self) -> int:
        """Write what is queued, as far as the socket takes it; how many live messages that is."""
        self._scheduled = False
        # Before a write that may pause, and before `drained`: both are about what came after.
        self._tell_lag()
        if self._paused or self._overflowed or self._transport.is_closing():
            return 0
        messages, self._messages = self._messages, 0
        while frames := self._outbox.take():
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
            if self._paused:
                break
        if self._finished and not self._outbox:
            self._hang_up()
        elif (self._lagging or self._awaited) and not self._paused:
            self._lagging = self._awaited = False
            if self._conversation is not None:
                self._tell(self._conversation.drained)
        return messages

    def _tell_lag(self) -> None:
        since_pause, self._untold = self._untold, None
        if since_pause is not None and self._conversation is not None:
            self._tell(self._conversation.lag, since_pause=since_pause)

    def close(self, code: int, reason: str) -> None:
        """End an open connection after what is queued; does nothing the second time."""
        if self.code is not None:
            return
        self._keep(close_frame(code, reason))
        self._end(code)
        self._cut_off_in(CLOSE_S)

    def abort(self, code: int) -> None:
        """End the connection at once, whatever is queued: the peer would not read it."""
        self._outbox.clear()
        self._end(code)
        self._transport.abort()

    def _end(self, code: int | None) -> None:
        """Nothing more is taken or sent but what is queued already."""
        if self.code is None:
            self.code = code if code is not None else ABNORMAL
            self._handshake = None
            self._fragments = []
            conversation, self._conversation = self._conversation, None
            if conversation is not None:
                self._tell(conversation.closed)

    def _cut_off_in(self, seconds: float) -> None:
        if not self._deadline:
            self._deadline = self._loop.time() + seconds
            self.wake()
            self._transport.resume_reading()  # to see it go

    def _finish(self) -> None:
        """Close the connection when all that is queued has left."""
        self._finished = True
        self._cut_off_in(CLOSE_S)
        self._schedule()

    def _hang_up(self) -> None:
        # Only one that is told the time is cut off in the end.
        if self._lingers and self._supervisor is not None and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # gone meanwhile
                self._transport.abort()
        else:
            self._transport.close()

    # What time brings.

    def tick(self, now: float, pace: Pace) -> float:
        """Pings, and an end to what does not end by itself; when it has to be called next."""
        if self._deadline:
            if now >= self._deadline:
                self.abort(self.code or ABNORMAL)
            return self._deadline
        due = self._look_at_peer(now, pace)
        if self._conversation is not None:
            due = min(due, self._tell(self._conversation.tick) or now)
        return due

    def _look_at_peer(self, now: float, pace: Pace) -> float:
        if self._paused:
            waiting = self._transport.get_write_buffer_size()
            if waiting != self._bytes:
                self._progress, self._bytes = now, waiting
            elif now - self._progress >= pace.stall_s:
                self.abort(Close.TIMEOUT)
            return now
        if self._pinged_at > self._heard_at:
            if now - self._pinged_at >= pace.pong_within_s:
                self.abort(Close.TIMEOUT)
            return self._pinged_at + pace.pong_within_s
        if now - self._heard_at >= pace.ping_every_s and self._conversation is not None:
            self._pinged_at = now
            self._keep(PING)
            return now + pace.pong_within_s
        return self._heard_at + pace.ping_every_s

    def wake(self) -> None:
        """The conversation has to be given the time sooner than it said."""
        if self._supervisor is not None:
            self._supervisor.attend(self)

    @property
    def waiting_bytes(self) -> int:
        """What the socket has not taken yet, and what waits behind it, but for pages that have not been made: a
        timeline may be larger than every bound, and cut off for it, its reader would ask for it again."""
        if not self._paused:
            return 0
        waiting = self._outbox.kept_bytes + self._outbox.live_bytes
        return waiting + self._transport.get_write_buffer_size()


def gathered_by(flusher: Flusher) -> type[Wire]:
    """The class for uvicorn's `ws=`, whose connections write when this flusher says so."""

    class GatheredWire(Wire):
        __slots__ = ()

        def gather(self) -> None:
            flusher.add(self)

    return GatheredWire


async def _receive_nothing() -> dict[str, Any]:
    return {"type": "websocket.connect"}
