"""The reconnecting client of the relay: wanted rooms in, messages out. Does I/O: one WebSocket at a time.

    async with Client("https://relay.example", token) as client:
        client.join_task("65f0c0ffee0123456789abcd")
        async for item in client:
            match item: ...

Rules of this file: what is wanted outlives a connection, what was asked of one dies with it; a position moves
only with a frame that was handed over; the consumer alone hears of failures; nothing is ever logged, because
everything that passes here is a token or somebody's content.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import logging
import os
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, assert_never
from urllib.parse import SplitResult, urlsplit, urlunsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from relay.errors import Refused
from relay.protocol import DASHBOARD_LIMIT_DEFAULT, MAX_BATCH, SUBPROTOCOL, Close, ErrorCode, Kind, Request

__all__ = [
    "Client",
    "Connected",
    "ConnectionRefused",
    "Disconnected",
    "Item",
    "Message",
    "Position",
    "TokenSource",
    "judge",
    "websocket_url",
]

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
HEALTHY_AFTER_S = 10.0  # a connection that lived this long starts the backoff afresh
SILENCE_HEARTBEATS = 2.5  # heard nothing for this many heartbeats: not connected (PROTOCOL.md 5)
HEARTBEAT_DEFAULT_S = 25.0  # until a `welcome` says otherwise
OPEN_TIMEOUT_S = 10.0  # TCP, TLS and upgrade; past it the try has failed
WELCOME_TIMEOUT_S = 10.0  # from the upgrade to the first frame; past it the connection counts as silent
CLOSE_TIMEOUT_S = 1.0  # for the peer's half of the closing handshake; past it the socket is cut
ANNOUNCED_WAIT_MAX_S = 600.0  # a longer retryAfterMs or reconnectAfterMs is shortened to this
INBOX_MAX_ITEMS = 256  # past it nothing more is read, and the relay sees a slow reader
FRAME_MAX_BYTES = 16 * 1024 * 1024  # a larger frame from the relay ends the connection with 1009
SINCE_MAX = 2**31 - 1  # more events than a document can hold; a larger one is nobody's position
REQUEST_BYTES_DEFAULT = 65_536  # the largest frame we send, until a `welcome` says otherwise

ABNORMAL = 1006  # what RFC 6455 7.1.5 calls an end without a close frame

TokenSource = str | Callable[[], str | Awaitable[str]]
Room = str | None  # a task by its id; None is the dashboard
Verdict = Literal["again", "fresh_token", "done", "refused"]


class ConnectionRefused(Refused):
    """The relay does not want this client, and coming again would be no use. `code` is a close code, or the
    HTTP status that came instead of an upgrade."""


@dataclass(frozen=True, slots=True)
class Message:
    """A frame of the relay (PROTOCOL.md 5). `raw` is its text as received."""

    type: str
    data: dict[str, Any]
    at: str | None = None
    reply_to: str | None = None
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """The relay said `welcome`; `attempt` counts the tries it took, from 1."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """No connection, or no longer. `code` is a close code, an HTTP status (below 1000), or None where no
    answer came at all; `retry_in` is in seconds, None when the relay ended the conversation for good."""

    reason: str
    code: int | None
    retry_in: float | None


Item = Message | Connected | Disconnected


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a task's timeline has been received (PROTOCOL.md 6)."""

    next: int
    head: str


class Client:
    """A connection that is kept, and the rooms that are wanted on it.

    Iterating yields `Message`, `Connected` and `Disconnected`, in the order things happened. It ends when the
    relay says it is done (1000) or the context is left, and raises ConnectionRefused where coming again is no
    use.
    An OSError of the token callable is retried like a lost connection; any other exception of it is raised
    from the iteration. The rooms may change at any time, before and during the context, from the event loop's
    thread.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Raises ValueError for an address or a token that cannot be one."""
        self.url = websocket_url(url)
        self._token = _checked(token) if isinstance(token, str) else token
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._dashboard: int | None = None  # the wanted limit
        self._tasks: dict[str, Position | None] = {}  # wanted, with the position to resume from
        self._talk: _Talk | None = None
        self._runner: asyncio.Task[None] | None = None
        self._inbox: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    def join_dashboard(self, limit: int = DASHBOARD_LIMIT_DEFAULT) -> None:
        """Want the list of tasks; called again, a fresh `dashboard:state` is asked for."""
        self._dashboard = limit
        self._changed(None)

    def leave_dashboard(self) -> None:
        self._dashboard = None
        self._changed()

    def join_task(self, task_id: str, since: int | None = None, head: str | None = None) -> None:
        """Want one task, from the start or from a position received earlier; called again, a fresh
        `task:state` is asked for. Raises ValueError for an id or a position that cannot be one."""
        if not task_id:
            raise ValueError("a task id must not be empty")
        task_id.encode()
        if (since is None) != (head is None):
            raise ValueError("since counts only together with head")
        if since is not None and not 0 <= since <= SINCE_MAX:
            raise ValueError("since must be a number of events")
        self._tasks[task_id] = None if since is None or head is None else Position(since, head)
        self._changed(task_id)

    def leave_task(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._changed()

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("a Client is entered once")
        # Not a TaskGroup: its failure belongs to whoever iterates and must not cancel whoever entered.
        self._runner = asyncio.create_task(self._run(), name="relay client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self._runner.cancel()
        try:
            await asyncio.wait({self._runner})
        except asyncio.CancelledError:
            self._runner.cancel()  # no time for a polite goodbye: the second one cuts the socket
            await asyncio.wait({self._runner})
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._runner is None:
            raise RuntimeError("iterate inside `async with client`")
        while not self._inbox:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        item = self._inbox.popleft()
        self._taken.set()
        return item

    # The conversation: one connection after the other.

    async def _run(self) -> None:
        try:
            await self._keep_connected()
        except Exception as error:
            self._error = error  # __anext__ raises it after everything that came before
        finally:
            self._ended = True
            self._arrived.set()

    async def _keep_connected(self) -> None:
        failures = tries = 0
        token: str | None = None
        spent: _Ending | None = None  # what the relay said of the last token, if it turned it down
        while True:
            tries += 1
            try:
                token = token or await self._ask_token(spent)
                ending = await self._converse(token, tries)
                token = spent = None
                if judge(ending.code) == "fresh_token":
                    spent = ending
                    token = await self._ask_token(spent)
            except OSError as error:  # only the token callable raises it here
                ending = _Ending(f"no token ({type(error).__name__})", None)
            if ending.lived_s is not None:
                tries = 0
                failures = 0 if ending.lived_s >= HEALTHY_AFTER_S else failures
            match judge(ending.code):
                case "again" | "fresh_token":
                    retry_in = self._pause(failures, ending)
                    failures += 1
                    await self._deliver(Disconnected(ending.reason, ending.code, retry_in))
                    await self._sleep(retry_in)
                case "done":
                    await self._deliver(Disconnected(ending.reason, ending.code, None))
                    return
                case "refused":
                    raise ConnectionRefused(ending.code or 0, ending.reason)
                case never:
                    assert_never(never)

    async def _converse(self, token: str, tries: int) -> _Ending:
        """One connection, from the handshake to its end."""
        try:
            ws = await self._open(token)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            wait_s = _seconds(refusal.response.headers.get("Retry-After"), unit_s=1.0)
            return _Ending(f"HTTP {status}", status, token, wait_s)
        except ImportError:
            return _Ending("the SOCKS proxy of the environment needs the package python-socks", None, token)
        except (OSError, WebSocketException) as error:
            return _Ending(_cause(error), None, token)
        talk = self._talk = _Talk(ws, token)
        try:
            async with asyncio.TaskGroup() as talk.group:
                talk.start(self._watch(talk, WELCOME_TIMEOUT_S))
                try:
                    code, reason = await self._listen(talk, tries)
                finally:
                    talk.stop()
        finally:
            self._talk = None
            await _say_goodbye(ws)
        if talk.error is not None:
            raise talk.error
        lived_s = None if talk.welcomed_at is None else self._clock() - talk.welcomed_at
        wait_s = talk.draining_s if talk.draining_s is not None else _announced(code, reason)
        return _Ending(reason, code, talk.token, wait_s, lived_s)

    async def _open(self, token: str) -> ClientConnection:
        return await connect(
            self.url,
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,  # the relay sends ready-made frames
            proxy=None if _is_loopback(self.url) else True,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the heartbeat of the relay tells us as much
            max_size=FRAME_MAX_BYTES,
            logger=_MUTE,
        )

    async def _listen(self, talk: _Talk, tries: int) -> tuple[int, str]:
        """Hand over frame after frame; the code and the word the connection ended with."""
        while True:
            talk.heard_at = self._clock()
            talk.listening = True
            try:
                message = decode(await talk.ws.recv())
            except ConnectionClosed as closed:
                return (ABNORMAL, "silent") if talk.silent else _how_it_closed(closed)
            except ValueError:
                return ABNORMAL, "unreadable frame"
            talk.listening = False  # a consumer who takes its time is not a silent relay
            if message.type == Kind.WELCOME and talk.welcomed_at is None:
                await self._deliver(Connected(tries))
                await self._deliver(message)
                self._begin(talk, message)
            else:
                await self._deliver(message)
                self._note(talk, message)

    def _begin(self, talk: _Talk, welcome: Message) -> None:
        talk.welcomed_at = self._clock()
        heartbeat_s = _seconds(welcome.data.get("heartbeatMs")) or HEARTBEAT_DEFAULT_S
        limits = welcome.data.get("limits")
        largest = limits.get("maxMessageBytes") if isinstance(limits, dict) else None
        if isinstance(largest, int) and largest > 0:
            talk.request_bytes = largest
        talk.stop()  # the watch of the welcome gives way to that of the heartbeat
        talk.start(self._watch(talk, SILENCE_HEARTBEATS * heartbeat_s))
        talk.start(self._request(talk))

    async def _watch(self, talk: _Talk, patience_s: float) -> None:
        """Cut a connection that has been silent for too long."""
        talk.heard_at = self._clock()
        while True:
            left_s = talk.heard_at + patience_s - self._clock()
            if left_s <= 0:
                if talk.listening:
                    break
                left_s = patience_s
            await self._sleep(left_s)
        talk.silent = True
        talk.ws.transport.abort()

    async def _request(self, talk: _Talk) -> None:
        """Keep what this connection was asked for equal to what is wanted."""
        try:
            while True:
                talk.changed.clear()
                for frame in self._requests(talk):
                    await talk.ws.send(frame)
                await talk.changed.wait()
        except ConnectionClosed:
            pass  # the listener hears of it too, and knows what to do

    def _requests(self, talk: _Talk) -> list[str]:
        """The frames between what was asked and what is wanted; from here on they count as asked."""
        frames = []

        def add(kind: Request, data: dict[str, Any], rooms: Iterable[Room], open_: dict[Room, str]) -> None:
            talk.requests += 1
            request_id = f"r{talk.requests}"
            open_.update(dict.fromkeys(rooms, request_id))
            frames.append(orjson.dumps({"type": kind.value, "id": request_id, "data": data}).decode())

        if self._dashboard is None and None in talk.asked:
            add(Request.DASHBOARD_LEAVE, {}, [None], talk.leaving)
        for room in talk.asked:
            if room is not None and room not in self._tasks:
                add(Request.TASK_LEAVE, {"taskId": room}, [room], talk.leaving)
        if self._dashboard is not None and None not in talk.asked:
            add(Request.DASHBOARD_JOIN, {"limit": self._dashboard}, [None], talk.joining)
        missing = [(room, position) for room, position in self._tasks.items() if room not in talk.asked]
        for batch in _batches(missing, talk.request_bytes, talk.alone):
            add(Request.TASK_JOIN, {"tasks": batch}, [entry["taskId"] for entry in batch], talk.joining)

        talk.asked = set(self._tasks) if self._dashboard is None else {None, *self._tasks}
        return frames

    # What the frames mean for the rooms.

    def _note(self, talk: _Talk, message: Message) -> None:
        data = message.data
        task_id = data.get("taskId")
        match message.type:
            case Kind.TASK_STATE if isinstance(task_id, str):
                # Until the answer to the latest join, an older membership may still be speaking.
                if talk.joining.get(task_id) in (None, message.reply_to):
                    talk.joining.pop(task_id, None)
                    talk.troubles = 0
                    self._move(task_id, data)
            case Kind.EVENT_ADDED if isinstance(task_id, str):
                if task_id not in talk.joining:
                    self._move(task_id, data)
            case Kind.DELETED | Kind.REVOKED if isinstance(task_id, str):
                if task_id not in talk.joining:  # else the answer on its way decides
                    self._lose(talk, task_id)
            case Kind.DASHBOARD_STATE:
                if talk.joining.get(None) == message.reply_to:
                    talk.joining.pop(None, None)
                    talk.troubles = 0
            case Kind.TASK_LEFT if isinstance(task_id, str):
                _answered(talk.leaving, task_id, message.reply_to)
            case Kind.DASHBOARD_LEFT:
                _answered(talk.leaving, None, message.reply_to)
            case Kind.ERROR:
                self._note_error(talk, message)
            case Kind.AUTH_EXPIRING if not isinstance(self._token, str):
                talk.start(self._refresh_token(talk))
            case Kind.DRAINING:
                talk.draining_s = _seconds(data.get("reconnectAfterMs"))

    def _note_error(self, talk: _Talk, message: Message) -> None:
        """A request that was not done is asked again where that helps, else it is no longer wanted."""
        if message.reply_to is None:
            return
        joins = [room for room, request in talk.joining.items() if request == message.reply_to]
        leaves = [room for room, request in talk.leaving.items() if request == message.reply_to]
        if (task_id := message.data.get("taskId")) is not None:
            joins = [room for room in joins if room == task_id]
        for room in joins:
            del talk.joining[room]
        for room in leaves:
            del talk.leaving[room]
        if message.data.get("temporary") is True:
            wait_s = max(_seconds(message.data.get("retryAfterMs")) or 0.0, self._jitter(talk.troubles))
            talk.troubles += 1
            talk.start(self._ask_again(talk, joins, leaves, wait_s))
        elif message.data.get("code") == ErrorCode.BAD_REQUEST and len(joins) > 1:
            # One bad element spoils the whole request (PROTOCOL.md 3): alone, each is judged by itself.
            talk.alone.update(joins)
            talk.asked.difference_update(joins)
            talk.changed.set()
        else:
            for room in joins:
                self._lose(talk, room)

    async def _ask_again(self, talk: _Talk, joins: list[Room], leaves: list[Room], wait_s: float) -> None:
        await self._sleep(wait_s)
        talk.asked.difference_update(room for room in joins if room not in talk.joining)
        talk.asked.update(room for room in leaves if room not in talk.joining)
        talk.changed.set()

    def _move(self, task_id: str, data: dict[str, Any]) -> None:
        next_, head = data.get("next"), data.get("head")
        if task_id in self._tasks and isinstance(next_, int) and isinstance(head, str):
            self._tasks[task_id] = Position(next_, head)

    def _lose(self, talk: _Talk, room: Room) -> None:
        """The relay does not have us in this room: it is neither asked nor wanted any more."""
        talk.asked.discard(room)
        if room is None:
            self._dashboard = None
        else:
            self._tasks.pop(room, None)

    def _changed(self, *asked_anew: Room) -> None:
        if self._talk is not None:
            self._talk.asked.difference_update(asked_anew)
            self._talk.changed.set()

    # Tokens, pauses, the inbox.

    async def _ask_token(self, spent: _Ending | None = None) -> str:
        """The token to use now. Raises ConnectionRefused when it is the one that was just turned down."""
        if isinstance(self._token, str):
            token = self._token
        else:
            answer = self._token()
            token = _checked(await answer if inspect.isawaitable(answer) else answer)
        if spent is not None and token == spent.token:
            raise ConnectionRefused(spent.code or 0, spent.reason)
        return token

    async def _refresh_token(self, talk: _Talk) -> None:
        """Replace a token before it expires, in the middle of the conversation (PROTOCOL.md 2)."""
        try:
            token = await self._ask_token()
            if token != talk.token:
                talk.token = token
                await talk.ws.send(orjson.dumps({"type": Request.AUTH, "data": {"token": token}}).decode())
        except (OSError, ConnectionClosed):
            pass  # the close at `exp` is the next occasion
        except Exception as error:
            talk.error = error
            talk.ws.transport.abort()

    def _jitter(self, failures: int) -> float:
        """Full jitter, in seconds."""
        return self._random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(failures, 16))

    def _pause(self, failures: int, ending: _Ending) -> float:
        jitter_s = self._jitter(failures)
        if ending.wait_s is None:
            return jitter_s
        # A limit says "not before"; a planned stop has spread its clients already, and means "then".
        return ending.wait_s if ending.code == Close.GOING_AWAY else max(ending.wait_s, jitter_s)

    async def _deliver(self, item: Item) -> None:
        while len(self._inbox) >= INBOX_MAX_ITEMS:
            self._taken.clear()
            await self._taken.wait()
        self._inbox.append(item)
        self._arrived.set()


def judge(code: int | None) -> Verdict:
    """What the end of a connection means (PROTOCOL.md 7). A code below 1000 is the HTTP status that came
    instead of an upgrade; None is no answer at all."""
    match code:
        case None:
            return "again"
        case 401 | Close.UNAUTHENTICATED:
            return "fresh_token"
        case 408 | 425 | 429:
            return "again"
        case Close.DONE:
            return "done"
        case Close.BINARY | 1007 | Close.PROTOCOL_ABUSE | Close.TOO_BIG:
            return "refused"
        case _ if code < 500 or 4500 <= code <= 4999:
            return "refused"
        case _:
            return "again"


def websocket_url(url: str) -> str:
    """The relay's WebSocket address from its address. Raises ValueError, without repeating the address: it
    may hold a token."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError("the address must begin with http://, https://, ws:// or wss:// and name a host")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address must be bare: no user name, no query, no fragment, no token")
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit(SplitResult(scheme, parts.netloc, path, "", ""))


def decode(raw: str | bytes) -> Message:
    """A frame of the relay as a Message. Raises ValueError for anything that is not one."""
    if isinstance(raw, bytes):
        raise ValueError("binary frame")
    frame = orjson.loads(raw)
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ValueError("not an envelope")
    data, at, reply_to = frame.get("data"), frame.get("at"), frame.get("replyTo")
    return Message(
        frame["type"],
        data if isinstance(data, dict) else {},
        at if isinstance(at, str) else None,
        reply_to if isinstance(reply_to, str) else None,
        raw,
    )


# Handed to `websockets` in place of its own, which shows the Authorization header and every frame at DEBUG.
# Outside the tree of loggers, because a logging configuration turns those that are in it on again.
_MUTE = logging.Logger("relay.client")  # noqa: LOG001
_MUTE.disabled = True


@dataclass(frozen=True, slots=True)
class _Ending:
    """How one connection ended; `lived_s` is None if it was never welcomed."""

    reason: str
    code: int | None
    token: str = field(default="", repr=False)
    wait_s: float | None = None
    lived_s: float | None = None


@dataclass(slots=True, eq=False)
class _Talk:
    """What belongs to one connection and ends with it."""

    ws: ClientConnection
    token: str = field(repr=False)
    group: asyncio.TaskGroup = field(init=False)
    helpers: set[asyncio.Task[None]] = field(default_factory=set)
    welcomed_at: float | None = None
    heard_at: float = 0.0
    listening: bool = False
    silent: bool = False
    draining_s: float | None = None
    error: Exception | None = None
    request_bytes: int = REQUEST_BYTES_DEFAULT
    requests: int = 0  # sent so far; names the next one
    troubles: int = 0  # temporary errors in a row
    asked: set[Room] = field(default_factory=set)
    joining: dict[Room, str] = field(default_factory=dict)  # room -> the latest join without an answer
    leaving: dict[Room, str] = field(default_factory=dict)
    alone: set[Room] = field(default_factory=set)  # joined one by one, after a batch was turned down
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        helper = self.group.create_task(work)
        self.helpers.add(helper)
        helper.add_done_callback(self.helpers.discard)

    def stop(self) -> None:
        for helper in self.helpers:
            helper.cancel()


def _batches(
    missing: Iterable[tuple[str, Position | None]], largest_bytes: int, alone: set[Room]
) -> Iterator[list[dict[str, Any]]]:
    """Joins in as few frames as the limits allow."""
    batch: list[dict[str, Any]] = []
    size = 0
    for task_id, position in missing:
        entry: dict[str, Any] = {"taskId": task_id}
        if position is not None:
            entry |= {"since": position.next, "head": position.head}
        entry_bytes = len(orjson.dumps(entry)) + 1
        full = len(batch) >= MAX_BATCH or size + entry_bytes > largest_bytes - _ENVELOPE_BYTES
        if batch and (full or task_id in alone):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry_bytes
        if task_id in alone:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_ENVELOPE_BYTES = 128  # what surrounds the entries of a join: type, id, brackets


async def _say_goodbye(ws: ClientConnection) -> None:
    """Close in good order. What still arrives is dropped: it stands before the peer's half of the goodbye."""

    async def drop() -> None:
        try:
            while True:
                await ws.recv()
        except ConnectionClosed:
            pass

    async with asyncio.TaskGroup() as group:
        dropping = group.create_task(drop())
        try:
            await ws.close()
        finally:
            dropping.cancel()
            ws.transport.abort()  # does nothing after a finished goodbye


def _answered(open_: dict[Room, str], room: Room, reply_to: str | None) -> None:
    if open_.get(room) == reply_to:
        open_.pop(room, None)


def _how_it_closed(closed: ConnectionClosed) -> tuple[int, str]:
    close = closed.rcvd or closed.sent
    return (ABNORMAL, "connection lost") if close is None else (close.code, close.reason or "closed")


def _cause(error: BaseException) -> str:
    """Why no connection came about, in a few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    # asyncio words an OSError anew, with the address or with those of all attempts; the number is the cause.
    if isinstance(error, OSError) and (number := re.search(r"\[Errno (\d+)\]", str(error))):
        return os.strerror(int(number[1])).lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    cause: BaseException | None = error.__cause__
    return str(error) or (str(cause) if cause is not None else type(error).__name__)


def _announced(code: int, reason: str) -> float | None:
    """`rate_limited:<retryAfterMs>` of a close 4429."""
    return _seconds(reason.partition(":")[2]) if code == Close.RATE_LIMITED else None


def _seconds(value: object, unit_s: float = 0.001) -> float | None:
    """An announced duration in seconds, None for anything that is not one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value * unit_s, ANNOUNCED_WAIT_MAX_S)


def _checked(token: str) -> str:
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("the token is empty or has characters that no token has")
    return token


def _is_loopback(url: str) -> bool:
    """A proxy of the environment can never lead there."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
