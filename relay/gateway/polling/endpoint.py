"""The long-polling carrier: origin, token, limits, and the wait of each poll (PROTOCOL.md section 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from relay.auth.addresses import client_address, networks
from relay.auth.limits import Buckets
from relay.auth.origins import Origins
from relay.errors import BadRequest, Refused, Unavailable
from relay.gateway.http_errors import of_close, of_origin, of_request, refusal
from relay.gateway.polling.poll import Poll
from relay.gateway.session import RATE_BURST, Desk
from relay.gateway.websocket.endpoints import TOKEN_PARAMETERS, bearer
from relay.metrics import Metrics
from relay.protocol.requests import PollRequest, extra_cost, parse_poll
from relay.protocol.types import Close, ErrorCode
from relay.tasks.visibility import Principal


class Polls:
    """All polls of a relay."""

    def __init__(
        self, desk: Desk, origins: Origins, metrics: Metrics, *, random: Callable[[], float]
    ) -> None:
        rate = desk.settings.relay_messages_per_second
        self._desk = desk
        self._origins = origins
        self._trusted = networks(desk.settings.relay_trusted_proxies)
        self._metrics = metrics
        self._random = random  # a number in [0, 1)
        # A poll remembers nothing, so it is the user who is held to the rate, over all polls.
        self._buckets = Buckets(rate, rate * RATE_BURST)
        self._waiting: set[asyncio.Task[bytes]] = set()
        self._draining = False

    def drain(self) -> None:
        """The relay will stop: every poll is told to come back, and so is who comes from here on."""
        self._draining = True
        for waiting in self._waiting:
            waiting.cancel()

    async def poll(self, request: Request) -> Response:
        """`POST /poll`"""
        if not self._origins.allows(request.headers.get("origin"), "poll"):
            return of_origin()
        client = request.client
        address = client_address(
            client.host if client else "", request.headers.getlist("x-forwarded-for"), self._trusted
        )
        if not self._desk.caps.enter(address):
            return of_close(Refused(Close.AT_CAPACITY, "at_capacity"))
        try:
            return await self._admit(request)
        except Refused as refused:
            return of_close(refused)
        except BadRequest as bad:
            return of_request(bad)
        except ClientDisconnect:
            return Response()  # nobody is there to read it
        except Unavailable:
            return refusal(503, ErrorCode.UNAVAILABLE, "The database is away; try again.")
        finally:
            self._desk.caps.leave(address)

    async def _admit(self, request: Request) -> Response:
        """The answer for whoever the token says this is. Raises Refused, BadRequest and Unavailable."""
        desk = self._desk
        if any(name in request.query_params for name in TOKEN_PARAMETERS):
            raise Refused(Close.BAD_HANDSHAKE, "token_in_query")
        principal = desk.verifier.verify(bearer(request.headers.getlist("authorization")) or "")
        if not desk.rollout.is_in(principal.sub):
            raise Refused(Close.FEATURE_DISABLED, "feature_disabled")
        if not desk.caps.enter_user(principal.sub):
            raise Refused(Close.AT_CAPACITY, "at_capacity")
        try:
            body = await self._body(request)
            if body is None:
                limit = desk.settings.relay_max_message_bytes
                message = f"A poll has at most {limit} bytes."
                return refusal(413, ErrorCode.BAD_MESSAGE, message, close=True)
            return await self._serve(request, principal, self._charged(principal.sub, body))
        finally:
            desk.caps.leave_user(principal.sub)

    async def _body(self, request: Request) -> bytes | None:
        """None: it is too long."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._desk.settings.relay_max_message_bytes:
                return None
        return bytes(body)

    def _charged(self, sub: str, body: bytes) -> PollRequest:
        """What this body asks for, once the user's rate has been charged for it. Raises BadRequest."""
        pause_s = self._buckets.take(sub, self._desk.monotonic())
        if pause_s:
            retry_after_ms = max(1, round(pause_s * 1000))
            raise BadRequest(ErrorCode.RATE_LIMITED, "Too many requests.", retry_after_ms=retry_after_ms)
        polled = parse_poll(body)
        limit = self._desk.settings.relay_max_tasks_per_connection
        if len(polled.tasks) > limit:
            raise BadRequest(ErrorCode.TOO_MANY_TASKS, f"A poll may ask for {limit} tasks.")
        limit = polled.dashboard.limit if polled.dashboard is not None else 0
        self._buckets.charge(sub, extra_cost(tasks=len(polled.tasks), limit=limit))
        return polled

    async def _serve(self, request: Request, principal: Principal, polled: PollRequest) -> Response:
        if self._draining:
            return self._come_back()
        desk = self._desk
        left_s = principal.expires_at - desk.wall()
        wait_s = min(desk.settings.relay_poll_wait_ms / 1000, max(0.0, left_s))
        answering = asyncio.create_task(Poll(desk, principal, polled).answer(wait_s))
        leaving = asyncio.create_task(_left(request))
        self._waiting.add(answering)
        self._metrics.polls.inc()
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.cancelled():
                return self._come_back()
            if not answering.done():
                raise ClientDisconnect
            if principal.expires_at <= desk.wall():
                raise Refused(Close.UNAUTHENTICATED, "token_expired")
            return Response(answering.result(), media_type="application/json")
        finally:
            self._metrics.polls.dec()
            self._waiting.discard(answering)
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            # What they raised holds this frame, which would hold them in return, and the request with them.
            del answering, leaving

    def _come_back(self) -> Response:
        # Spread as for WebSockets; and closed, so that a balancer may lead elsewhere.
        retry_after_ms = round(self._desk.settings.relay_drain_ms * self._random())
        message = "The relay is about to stop; come back."
        return refusal(503, ErrorCode.UNAVAILABLE, message, retry_after_ms=retry_after_ms, close=True)


async def _left(request: Request) -> None:
    """Return when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
