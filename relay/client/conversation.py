"""One connection after the other, for as long as the relay wants us. Does I/O: one WebSocket at a time.

Rules of this file: a position moves only with a frame that was handed over; the consumer alone hears of
failures; nothing is ever logged, because everything that passes here is a token or somebody's content.
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
from relay.client.endings import ABNORMAL, Ending, announced, cause, jitter, judge, patience, pause, seconds
from relay.client.items import Connected, ConnectionRefused, Disconnected, Item, Message, decode
from relay.client.pace import Pace
from relay.client.rooms import NOTHING, Membership, Noted, Retry, Wanted
from relay.client.tokens import NoToken, Tokens, TokenSource
from relay.protocol.types import SUBPROTOCOL, Kind, Request

HEALTHY_AFTER_S = 10.0  # a connection that lived this long starts the backoff afresh
SILENCE_HEARTBEATS = 2.5  # heard nothing for this many heartbeats: not connected (PROTOCOL.md 5)
HEARTBEAT_DEFAULT_S = 25.0  # until a `welcome` says otherwise
OPEN_TIMEOUT_S = 10.0  # TCP, TLS and upgrade; past it the try has failed
WELCOME_TIMEOUT_S = 10.0  # from the upgrade to the first frame; past it the connection counts as silent
CLOSE_TIMEOUT_S = 1.0  # for the peer's half of the closing handshake; past it the socket is cut
FRAME_MAX_BYTES = 16 * 1024 * 1024  # a larger frame from the relay ends the connection with 1009
PAST_ITS_TIME = "token_expired"  # a reason of 4401 (PROTOCOL.md 7)
OFFER_AGAIN_S = 5.0  # until the token callable is asked again for a fresh one, while the old one lives


class Inbox(Protocol):
    """Where items go, with what they meant for the rooms."""

    async def room(self) -> None:
        """Wait until one more has a place. Meanwhile nothing is read, and the relay sees a slow reader."""

    def put(self, item: Item, noted: Noted) -> None: ...


class Conversation:
    """Keeps one connection open and its rooms joined; `run` ends when the relay says it is done (1000).

    Raises ConnectionRefused from `run` where coming again is no use: where the relay says so, and where it
    refuses a token that is a text and so stays the same.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        wanted: Wanted,
        inbox: Inbox,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self.url = url
        self.talk: Talk | None = None
        self._tokens = Tokens(token, sleep)
        self._wanted = wanted
        self._inbox = inbox
        self._clock = clock
        self._sleep = sleep
        self._random = random

    def changed(self) -> None:
        """Other rooms are wanted than before, or some of them afresh."""
        if self.talk is not None:
            self.talk.changed.set()

    async def run(self) -> None:
        failures = tries = 0
        while True:
            tries += 1
            try:
                token = await self._tokens.ask()
                ending = await self._converse(token, tries)
                if ending.reason == PAST_ITS_TIME:
                    self._tokens.note_end(token)
            except NoToken as missing:
                ending = Ending(f"no token ({missing})", None)
            if ending.lived_s is not None:
                tries = 0
                failures = 0 if ending.lived_s >= HEALTHY_AFTER_S else failures
            match judge(ending.code):
                case "fresh_token" if self._tokens.is_fixed:
                    raise ConnectionRefused(ending.code or 0, ending.reason)
                case "again" | "fresh_token" as verdict:
                    # A fresh token is worth a try at once; where it is refused too, nobody is hammered.
                    patient = verdict == "fresh_token" and failures > 0
                    wait_s = patience(failures, self._random) if patient else jitter(failures, self._random)
                    retry_in = pause(ending, wait_s)
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

    async def _converse(self, token: str, tries: int) -> Ending:
        """One connection, from the handshake to its end."""
        try:
            ws = await self._open(token)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            wait_s = seconds(refusal.response.headers.get("Retry-After"), unit_s=1.0)
            return Ending(f"HTTP {status}", status, wait_s)
        except ImportError:
            return Ending("the SOCKS proxy of the environment needs the package python-socks", None)
        except (OSError, WebSocketException) as error:
            return Ending(cause(error), None)
        talk = self.talk = Talk(ws, token, Membership(self._wanted))
        try:
            async with asyncio.TaskGroup() as talk.group:
                talk.start(self._watch(talk, WELCOME_TIMEOUT_S))
                try:
                    code, reason = await self._listen(talk, tries)
                finally:
                    talk.stop()
        finally:
            self.talk = None
            await _say_goodbye(ws)
        lived_s = None if talk.welcomed_at is None else self._clock() - talk.welcomed_at
        wait_s = talk.draining_s if talk.draining_s is not None else announced(code, reason)
        return Ending(reason, code, wait_s, lived_s)

    async def _open(self, token: str) -> ClientConnection:
        return await connect(
            self.url,
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,  # the relay sends ready-made frames
            proxy=None if is_loopback(self.url) else True,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the heartbeat of the relay tells us as much
            max_size=FRAME_MAX_BYTES,
            logger=_MUTE,
        )

    async def _listen(self, talk: Talk, tries: int) -> tuple[int, str]:
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
                await self._inbox.room()
                self._inbox.put(message, self._note(talk, message))

    async def _deliver(self, item: Item) -> None:
        await self._inbox.room()
        self._inbox.put(item, NOTHING)

    def _begin(self, talk: Talk, welcome: Message) -> None:
        talk.welcomed_at = self._clock()
        heartbeat_s = seconds(welcome.data.get("heartbeatMs")) or HEARTBEAT_DEFAULT_S
        limits = welcome.data.get("limits")
        largest = limits.get("maxMessageBytes") if isinstance(limits, dict) else None
        if isinstance(largest, int) and largest > 0:
            talk.membership.request_bytes = largest
        rate = limits.get("messagesPerSecond") if isinstance(limits, dict) else None
        if isinstance(rate, int | float) and rate > 0:
            talk.pace = Pace(rate, self._clock())
        talk.stop()  # the watch of the welcome gives way to that of the heartbeat
        talk.start(self._watch(talk, SILENCE_HEARTBEATS * heartbeat_s))
        talk.start(self._request(talk))

    def _note(self, talk: Talk, message: Message) -> Noted:
        noted = talk.membership.note(message)
        if noted.retry is not None:
            self._ask_again_later(talk, noted.retry)
        if noted.ask:
            talk.changed.set()
        match message.type:
            case Kind.AUTH_EXPIRING if not self._tokens.is_fixed:
                talk.start(self._refresh_token(talk))
            case Kind.AUTH_OK | Kind.ERROR if message.reply_to == talk.offer_id and talk.offered is not None:
                self._note_offer(talk, talk.offered, message)
            case Kind.DRAINING:
                talk.draining_s = seconds(message.data.get("reconnectAfterMs"))
        return noted

    async def _watch(self, talk: Talk, patience_s: float) -> None:
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

    async def _request(self, talk: Talk) -> None:
        """Keep what this connection was asked for equal to what is wanted, as fast as the relay allows."""
        try:
            while True:
                talk.changed.clear()
                while (request := talk.membership.next_request()) is not None:
                    await talk.ws.send(request.frame)
                    await self._sleep(self._spent(talk, request.cost))
                await talk.changed.wait()
        except ConnectionClosed:
            pass  # the listener hears of it too, and knows what to do

    def _spent(self, talk: Talk, cost: float) -> float:
        """How long to wait after a request of this cost, in seconds."""
        return 0.0 if talk.pace is None else talk.pace.spend(cost, self._clock())

    def _ask_again_later(self, talk: Talk, retry: Retry) -> None:
        """What is refused for the moment is asked again together, when the time has come for all of it."""
        at = self._clock() + max(retry.wait_s or 0.0, jitter(retry.troubles, self._random))
        if talk.again_at is not None:
            talk.again_at = max(at, talk.again_at)
        else:
            talk.again_at = at
            talk.start(self._ask_again(talk))

    async def _ask_again(self, talk: Talk) -> None:
        while talk.again_at is not None and (left_s := talk.again_at - self._clock()) > 0:
            await self._sleep(left_s)
        talk.again_at = None
        talk.membership.retry()
        talk.changed.set()

    async def _refresh_token(self, talk: Talk, wait_s: float = 0.0) -> None:
        """Replace a token before it expires, in the middle of the conversation (PROTOCOL.md 2). While there is
        no other one it is asked for again, until the connection ends with its token."""
        await self._sleep(wait_s)
        while True:
            with suppress(NoToken):
                token = await self._tokens.ask()
                if token not in (talk.token, talk.refused):
                    return await self._offer_token(talk, token)
            await self._sleep(OFFER_AGAIN_S)

    async def _offer_token(self, talk: Talk, token: str, wait_s: float = 0.0) -> None:
        await self._sleep(wait_s)
        talk.offers += 1
        talk.offered = token
        request = {"type": Request.AUTH, "id": talk.offer_id, "data": {"token": token}}
        with suppress(ConnectionClosed):
            await talk.ws.send(orjson.dumps(request).decode())
        self._spent(talk, 1)

    def _note_offer(self, talk: Talk, token: str, answer: Message) -> None:
        """The offered token is ours when the relay says so. One it had no time for is offered again; where it will
        not have this one another is asked for, as long as the token lives that we had."""
        talk.offered = None
        if answer.type == Kind.AUTH_OK:
            talk.token = token
            talk.offer_troubles = 0
        elif answer.data.get("temporary") is True:
            wait_s = seconds(answer.data.get("retryAfterMs")) or 0.0
            wait_s = max(wait_s, jitter(talk.offer_troubles, self._random))
            talk.offer_troubles += 1
            talk.start(self._offer_token(talk, token, wait_s))
        else:
            talk.refused = token
            talk.start(self._refresh_token(talk, OFFER_AGAIN_S))


@dataclass(slots=True, eq=False)
class Talk:
    """What belongs to one connection and ends with it."""

    ws: ClientConnection
    token: str = field(repr=False)
    membership: Membership
    group: asyncio.TaskGroup = field(init=False)
    helpers: set[asyncio.Task[None]] = field(default_factory=set)
    welcomed_at: float | None = None
    heard_at: float = 0.0
    listening: bool = False
    silent: bool = False
    draining_s: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pace: Pace | None = None  # None while the relay has named no rate
    again_at: float | None = None  # when what was refused for the moment is asked again
    offers: int = 0  # tokens so far that were to replace the one of the handshake
    offered: str | None = field(default=None, repr=False)  # the one without an answer
    refused: str | None = field(default=None, repr=False)  # one that was offered in vain
    offer_troubles: int = 0

    @property
    def offer_id(self) -> str:
        return f"a{self.offers}"

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        helper = self.group.create_task(work)
        self.helpers.add(helper)
        helper.add_done_callback(self.helpers.discard)

    def stop(self) -> None:
        for helper in self.helpers:
            helper.cancel()


# Handed to `websockets` in place of its own, which shows the Authorization header and every frame at DEBUG.
# Outside the tree of loggers, because a logging configuration turns those that are in it on again.
_MUTE = logging.Logger("relay.client")  # noqa: LOG001
_MUTE.disabled = True


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


def _how_it_closed(closed: ConnectionClosed) -> tuple[int, str]:
    close = closed.rcvd or closed.sent
    return (ABNORMAL, "connection lost") if close is None else (close.code, close.reason or "closed")
