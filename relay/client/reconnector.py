"""Keep a connection to the relay open and reconnect when it is lost. Does I/O: one WebSocket at a time.

Rules of this file: a position advances only with a frame that was delivered to the consumer; failures are reported to
the consumer only; nothing is logged, because all data here is a token or the content of a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, assert_never

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from relay.client.address import is_loopback
from relay.client.close_codes import (
    Ending,
    announced_delay,
    failure_reason,
    jitter,
    judge,
    refused_token_delay,
    retry_delay,
    seconds,
    status_reason,
)
from relay.client.events import Connected, ConnectionRefused, Disconnected, Item, Message, decode
from relay.client.pace import Pace
from relay.client.subscriptions import NO_EFFECT, Outcome, Retry, Subscriptions, Wanted
from relay.client.tokens import NoToken, Tokens, TokenSource, is_long
from relay.protocol.types import ABNORMAL, SUBPROTOCOL, Close, Kind, Request

HEALTHY_AFTER_S = 10.0  # a connection that lasted this long resets the backoff
SILENCE_HEARTBEATS = 2.5  # after this many silent heartbeats reconnect (PROTOCOL.md 5)
HEARTBEAT_DEFAULT_S = 25.0  # used when `welcome` names no interval
OPEN_TIMEOUT_S = 10.0  # for TCP, TLS and the upgrade; then the attempt has failed
WELCOME_TIMEOUT_S = 10.0  # from the upgrade to the first frame; then the connection counts as silent
CLOSE_TIMEOUT_S = 1.0  # for the relay's close frame; then the socket is aborted
FRAME_MAX_BYTES = 16 * 1024 * 1024  # a larger frame from the relay ends the connection with 1009
EXPIRED_REASON = "token_expired"  # a close reason of 4401 (PROTOCOL.md 7)
REFRESH_RETRY_S = 5.0  # delay between calls for a new token while the current one is still valid


class ItemSink(Protocol):
    """Receives the items, each with its effect on the views."""

    async def wait_for_space(self) -> None:
        """Wait until one more item fits. Meanwhile nothing is read, so TCP back-pressure reaches the relay."""

    def put(self, item: Item, outcome: Outcome) -> None:
        """Take one item. The caller has awaited `wait_for_space`."""


class Reconnector:
    """Keeps one connection open, with the wanted list and tasks joined on it.

    `run` returns when the relay closes with 1000. It raises ConnectionRefused when reconnecting cannot help: the relay
    says so by the close code, or it refuses a token that was given as a string and therefore cannot change.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        wanted: Wanted,
        sink: ItemSink,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self.url = url
        self.connection: Connection | None = None
        self.last_token: str | None = None
        self._tokens = Tokens(token, sleep)
        self._wanted = wanted
        self._sink = sink
        self._clock = clock
        self._sleep = sleep
        self._random = random

    def changed(self) -> None:
        """Send requests for what was joined, joined again or left since the last request."""
        if self.connection is not None:
            self.connection.changed.set()

    async def run(self) -> None:
        """Connect, deliver items, and reconnect after delays, until the relay is done or refuses this client."""
        failures = tries = 0
        while True:
            tries += 1
            try:
                token = self.last_token = await self._tokens.ask()
                ending = await self._run_connection(token, tries)
            except NoToken as missing:
                ending = Ending(f"no token ({missing})", None)
            if ending.lived_s is not None:
                tries = 0
                failures = 0 if ending.lived_s >= HEALTHY_AFTER_S else failures
            match judge(ending.code):
                case "fresh_token" | "other_token" if self._tokens.is_fixed:
                    raise ConnectionRefused(ending.code or 0, ending.reason)
                case "again" | "fresh_token" | "other_token" as verdict:
                    # Try the first new token soon; if it is refused too, wait longer so as not to flood the relay.
                    patient = verdict == "other_token" or (verdict == "fresh_token" and failures > 0)
                    delay = refused_token_delay if patient else jitter
                    retry_in = retry_delay(ending, delay(failures, self._random))
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

    async def _run_connection(self, token: str, tries: int) -> Ending:
        """Open one connection and serve it until it ends. Return how it ended."""
        try:
            ws = await self._open(token)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            wait_s = seconds(refusal.response.headers.get("Retry-After"), unit_s=1.0)
            return Ending(status_reason(status), status, wait_s)
        except ImportError:
            return Ending("the SOCKS proxy of the environment needs the package python-socks", None)
        except (OSError, WebSocketException) as error:
            return Ending(failure_reason(error), None)
        connection = self.connection = Connection(ws, token, Subscriptions(self._wanted))
        try:
            async with asyncio.TaskGroup() as connection.group:
                connection.start(self._watch_silence(connection, WELCOME_TIMEOUT_S))
                try:
                    if is_long(token):
                        await _send_token(connection)
                    code, reason = await self._listen(connection, tries)
                finally:
                    connection.stop()
        finally:
            self.connection = None
            await _close(ws)
        if code == Close.DISCONNECTED:
            self._tokens.mark_ended(connection.token, "whose user was disconnected")
        elif reason == EXPIRED_REASON:
            self._tokens.mark_ended(connection.token, "which has expired")
        lived_s = None if connection.welcomed_at is None else self._clock() - connection.welcomed_at
        wait_s = connection.draining_s if connection.draining_s is not None else announced_delay(code, reason)
        return Ending(reason, code, wait_s, lived_s)

    async def _open(self, token: str) -> ClientConnection:
        return await connect(
            self.url,
            additional_headers={} if is_long(token) else {"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,  # the relay encodes a frame once for all clients, so it never compresses
            proxy=None if is_loopback(self.url) else True,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the relay's heartbeat detects a dead connection already
            max_size=FRAME_MAX_BYTES,
            logger=_SILENT_LOGGER,
        )

    async def _listen(self, connection: Connection, tries: int) -> tuple[int, str]:
        """Deliver each frame to the sink. Return the close code and reason of the connection."""
        while True:
            connection.received_at = self._clock()
            connection.listening = True
            try:
                message = decode(await connection.ws.recv())
            except ConnectionClosed as closed:
                return (ABNORMAL, "silent") if connection.silent else _close_of(closed)
            except ValueError:
                return ABNORMAL, "unreadable frame"
            connection.listening = False  # a slow consumer must not look like a silent relay
            if message.type == Kind.WELCOME and connection.welcomed_at is None:
                await self._deliver(Connected(tries))
                await self._deliver(message)
                self._start_requests(connection, message)
            else:
                await self._sink.wait_for_space()
                self._sink.put(message, self._process(connection, message))

    async def _deliver(self, item: Item) -> None:
        await self._sink.wait_for_space()
        self._sink.put(item, NO_EFFECT)

    def _start_requests(self, connection: Connection, welcome: Message) -> None:
        """Take the limits from `welcome`, watch for silence, and start to send requests."""
        connection.welcomed_at = self._clock()
        heartbeat_s = seconds(welcome.data.get("heartbeatMs")) or HEARTBEAT_DEFAULT_S
        limits = welcome.data.get("limits")
        largest = limits.get("maxMessageBytes") if isinstance(limits, dict) else None
        if isinstance(largest, int) and largest > 0:
            connection.subscriptions.request_bytes = largest
        rate = limits.get("messagesPerSecond") if isinstance(limits, dict) else None
        if isinstance(rate, int | float) and rate > 0:
            connection.pace = Pace(rate, self._clock())
        connection.stop()  # replace the time limit for `welcome` by that for heartbeats
        connection.start(self._watch_silence(connection, SILENCE_HEARTBEATS * heartbeat_s))
        connection.start(self._send_requests(connection))

    def _process(self, connection: Connection, message: Message) -> Outcome:
        """Update the connection from a message. Return what the message changes for the views."""
        outcome = connection.subscriptions.receive(message)
        if outcome.retry is not None:
            self._schedule_retry(connection, outcome.retry)
        if outcome.ask:
            connection.changed.set()
        match message.type:
            case Kind.AUTH_EXPIRING if not self._tokens.is_fixed:
                connection.start(self._refresh_token(connection))
            case Kind.AUTH_OK | Kind.ERROR if (
                message.reply_to == connection.offer_request and connection.offered is not None
            ):
                self._on_offer_answer(connection, connection.offered, message)
            case Kind.DRAINING:
                connection.draining_s = seconds(message.data.get("reconnectAfterMs"))
        return outcome

    async def _watch_silence(self, connection: Connection, limit_s: float) -> None:
        """Abort the connection once nothing has been received for `limit_s` seconds."""
        connection.received_at = self._clock()
        while True:
            left_s = connection.received_at + limit_s - self._clock()
            if left_s <= 0:
                if connection.listening:
                    break
                left_s = limit_s
            await self._sleep(left_s)
        connection.silent = True
        connection.ws.transport.abort()

    async def _send_requests(self, connection: Connection) -> None:
        """Send join and leave requests, as fast as the relay allows, until all that is wanted was requested."""
        try:
            while True:
                connection.changed.clear()
                while (request := connection.subscriptions.next_request()) is not None:
                    await connection.ws.send(request.frame)
                    await self._sleep(self._delay_after(connection, request.cost))
                await connection.changed.wait()
        except ConnectionClosed:
            pass  # `_listen` sees it too and handles it

    def _delay_after(self, connection: Connection, cost: float) -> float:
        """Count a request of this cost and return the delay in seconds before the next one."""
        return 0.0 if connection.pace is None else connection.pace.spend(cost, self._clock())

    def _schedule_retry(self, connection: Connection, retry: Retry) -> None:
        """Repeat temporarily refused requests together, when the latest of their delays has passed."""
        wait_s = retry.wait_s or 0.0
        if retry.failed_rounds is not None:
            wait_s = max(wait_s, jitter(retry.failed_rounds, self._random))
        at = self._clock() + wait_s
        if connection.retry_at is not None:
            connection.retry_at = max(at, connection.retry_at)
        else:
            connection.retry_at = at
            connection.start(self._retry_when_due(connection))

    async def _retry_when_due(self, connection: Connection) -> None:
        while connection.retry_at is not None and (left_s := connection.retry_at - self._clock()) > 0:
            await self._sleep(left_s)
        connection.retry_at = None
        connection.subscriptions.retry()
        connection.changed.set()

    async def _refresh_token(self, connection: Connection, wait_s: float = 0.0) -> None:
        """Replace the token of an open connection before it expires (PROTOCOL.md 2).

        As long as the callable returns no new token it is called again, until the connection ends.
        """
        await self._sleep(wait_s)
        while True:
            with suppress(NoToken):
                token = await self._tokens.ask()
                if token not in (connection.token, connection.refused):
                    return await self._offer_token(connection, token)
            await self._sleep(REFRESH_RETRY_S)

    async def _offer_token(self, connection: Connection, token: str, wait_s: float = 0.0) -> None:
        """Send a new token after `wait_s` seconds. `_on_offer_answer` handles the answer."""
        await self._sleep(wait_s)
        connection.offers += 1
        connection.offered = token
        request = {"type": Request.AUTH, "id": connection.offer_request, "data": {"token": token}}
        with suppress(ConnectionClosed):
            await connection.ws.send(orjson.dumps(request).decode())
        self._delay_after(connection, 1)

    def _on_offer_answer(self, connection: Connection, token: str, answer: Message) -> None:
        """Handle the relay's answer to a new token.

        An accepted token becomes the connection's token. After a temporary error it is sent again. After a refusal the
        callable is called for another one, while the previous token is still valid.
        """
        connection.offered = None
        if answer.type == Kind.AUTH_OK:
            connection.token = token
            connection.failed_offers = 0
        elif answer.data.get("temporary") is True:
            wait_s = seconds(answer.data.get("retryAfterMs")) or 0.0
            wait_s = max(wait_s, jitter(connection.failed_offers, self._random))
            connection.failed_offers += 1
            connection.start(self._offer_token(connection, token, wait_s))
        else:
            connection.refused = token
            connection.start(self._refresh_token(connection, REFRESH_RETRY_S))


@dataclass(slots=True, eq=False)
class Connection:
    """The state and the background tasks of one connection."""

    ws: ClientConnection
    token: str = field(repr=False)
    subscriptions: Subscriptions
    group: asyncio.TaskGroup = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    welcomed_at: float | None = None
    received_at: float = 0.0
    listening: bool = False
    silent: bool = False
    draining_s: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pace: Pace | None = None  # None until `welcome` names a rate
    retry_at: float | None = None  # when temporarily refused requests are repeated
    offers: int = 0  # number of new tokens sent on this connection
    offered: str | None = field(default=None, repr=False)  # a new token without an answer yet
    refused: str | None = field(default=None, repr=False)  # the last new token that the relay refused
    failed_offers: int = 0

    @property
    def offer_request(self) -> str:
        """The id of the request that sent the latest new token."""
        return f"a{self.offers}"

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background until it ends or `stop` is called."""
        task = self.group.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def stop(self) -> None:
        """Cancel all background tasks of this connection."""
        for task in self.tasks:
            task.cancel()


# Replaces the logger of `websockets`, which writes the Authorization header and every frame at DEBUG.
# It is not in the logger tree, because a logging configuration would enable it again there.
_SILENT_LOGGER = logging.Logger("relay.client")  # noqa: LOG001
_SILENT_LOGGER.disabled = True


async def _send_token(connection: Connection) -> None:
    """Send the token in the first frame (PROTOCOL.md 2)."""
    request = {"type": Request.AUTH, "data": {"token": connection.token}}
    with suppress(ConnectionClosed):  # `_listen` sees it too and handles it
        await connection.ws.send(orjson.dumps(request).decode())


async def _close(ws: ClientConnection) -> None:
    """Complete the closing handshake. Frames that still arrive are dropped.

    They must be read nevertheless: the peer's close frame comes after them.
    """

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
            ws.transport.abort()  # has no effect after a completed closing handshake


def _close_of(closed: ConnectionClosed) -> tuple[int, str]:
    """Return the close code and reason, preferring those the relay sent."""
    close = closed.rcvd or closed.sent
    return (ABNORMAL, "connection lost") if close is None else (close.code, close.reason or "closed")
