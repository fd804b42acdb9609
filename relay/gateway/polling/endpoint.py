"""`POST /poll` (PROTOCOL.md section 8): admits clients, limits the size and the rate of requests, and decides when a
poll stops waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from relay.errors import BadRequest, Refused, Unavailable
from relay.gateway.expiry import seconds_to_notice
from relay.gateway.http_errors import ORIGIN_NOT_ALLOWED, error_response, for_bad_request
from relay.gateway.polling.poll import Poll
from relay.gateway.polling.waiting import WaitingPoll
from relay.gateway.request_log import RequestLog
from relay.gateway.services import Services
from relay.metrics import Metrics
from relay.protocol import polls
from relay.protocol.requests import extra_cost, parse_poll
from relay.protocol.types import Close, ErrorCode
from relay.tasks.visibility import Principal

AGAIN_MS = 1_000  # the longest time after which clients poll again once the mapping has changed


class Polls:
    """The endpoint `POST /poll` of one relay process, with all polls that wait for an answer."""

    def __init__(self, services: Services, metrics: Metrics, *, random: Callable[[], float]) -> None:
        self._services = services
        self._metrics = metrics
        self._log = RequestLog(services.admission)
        self._random = random  # a number in [0, 1)
        self._waiting: dict[WaitingPoll, None] = {}  # the oldest first
        self._draining = False

    def drain(self) -> None:
        """Answer every waiting poll with 503 and a time after which to poll again, because the relay will stop. Each
        poll that arrives after this call is answered the same way."""
        self._draining = True
        for waiting in self._waiting:
            waiting.answering.cancel()

    def __len__(self) -> int:
        """The number of polls that wait for an answer."""
        return len(self._waiting)

    def waiting(self) -> Collection[WaitingPoll]:
        """Return the polls that wait for an answer, the oldest first."""
        return self._waiting.keys()

    def disconnect(self, user: str) -> int:
        """Refuse all waiting polls of this user, because an operator has disconnected the user. Return how many they
        are."""
        found = [one for one in self._waiting if one.user == user]
        for one in found:
            one.refuse(Refused(Close.DISCONNECTED, "disconnected"))
        return len(found)

    def reload(self) -> None:
        """Refuse every waiting poll whose client would not be admitted any more."""
        for waiting in self._waiting:
            try:
                self._services.admission.recheck(waiting.principal)
            except Refused as refused:
                waiting.refuse(refused)

    def poll_again(self) -> None:
        """Answer every waiting poll with 503 and a short time after which to poll again, because documents are read by
        another mapping now."""
        for waiting in self._waiting:
            waiting.answering.cancel()

    async def poll(self, request: Request) -> Response:
        """Serve `POST /poll`: answer with what is new for the client, or wait until something is new.

        Until it is answered, a poll counts as one connection of the client's address and of its user.
        """
        admission, metrics = self._services.admission, self._metrics
        if not admission.allows_origin(request, "poll"):
            metrics.note_refusal("poll", ORIGIN_NOT_ALLOWED)
            return self._log.foreign_origin(request)
        began, user = self._services.monotonic(), None
        try:
            with admission.admitted(request) as principal:
                user = principal.sub
                body = await self._body(request)
                if body is None:
                    return self._log.refused(request, self._too_large(), "the body is too large", user=user)
                response = await self._serve(request, principal, self._charged(user, body))
                return self._log.answered(request, response, user, self._services.monotonic() - began)
        except Refused as refused:
            metrics.note_refusal("poll", refused.reason)
            return self._log.refusal(request, refused, user)
        except BadRequest as bad:
            metrics.errors.labels(bad.code).inc()
            return self._log.refused(request, for_bad_request(bad), bad.code, detail=bad.message, user=user)
        except ClientDisconnect:
            return Response()  # the client is gone, so any response will do
        except Unavailable:
            metrics.errors.labels(ErrorCode.UNAVAILABLE).inc()
            return error_response(503, ErrorCode.UNAVAILABLE, "The database is unavailable; try again.")

    def _too_large(self) -> Response:
        self._metrics.errors.labels(ErrorCode.BAD_MESSAGE).inc()
        limit = self._services.settings.relay_max_message_bytes
        message = f"The body of a poll must not exceed {limit} bytes."
        return error_response(413, ErrorCode.BAD_MESSAGE, message, close=True)

    async def _body(self, request: Request) -> bytes | None:
        """Return the body of the request, or None if it is longer than RELAY_MAX_MESSAGE_BYTES."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._services.settings.relay_max_message_bytes:
                return None
        return bytes(body)

    def _charged(self, sub: str, body: bytes) -> polls.Poll:
        """Parse the body of a poll, charge the user's rate for what the poll asks for, and return the parsed poll.
        `sub` is the user.

        Raises BadRequest if the user has exceeded the rate, the body is invalid, or it asks for too many tasks.
        """
        pause_s = self._services.reads.take(sub, self._services.monotonic())
        if pause_s:
            retry_after_ms = max(1, round(pause_s * 1000))
            raise BadRequest(ErrorCode.RATE_LIMITED, "Too many requests.", retry_after_ms=retry_after_ms)
        polled = parse_poll(body)
        limit = self._services.settings.relay_max_tasks_per_connection
        if len(polled.tasks) > limit:
            raise BadRequest(ErrorCode.TOO_MANY_TASKS, f"A poll may ask for at most {limit} tasks.")
        limit = polled.dashboard.limit if polled.dashboard is not None else 0
        self._services.reads.charge(sub, extra_cost(tasks=len(polled.tasks), limit=limit))
        return polled

    async def _serve(self, request: Request, principal: Principal, polled: polls.Poll) -> Response:
        """Wait for the answer of this poll and return it as a response. If the relay is about to stop, return 503.

        Raises ClientDisconnect if the client disconnects before that, Refused if its token expires before that (4401),
        if it would not be admitted any more (see `reload`) or if an operator disconnects the user (4403), and
        Unavailable if the database does not answer.
        """
        if self._draining:
            return self._draining_response()
        services = self._services
        # The settings may have been reloaded while the body arrived.
        services.admission.recheck(principal)
        if not services.audience.claims <= principal.claims.keys():
            return self._again_response()
        left_s = principal.expires_at - services.wall()
        wait_s = min(services.settings.relay_poll_wait_ms / 1000, seconds_to_notice(left_s))
        poll = Poll(services, principal, polled)
        answering = asyncio.create_task(poll.answer(wait_s))
        leaving = asyncio.create_task(_disconnected(request))
        waiting = WaitingPoll(
            principal=principal,
            address=services.admission.address_of(request),
            path=request.scope["path"],
            opened_at=services.wall(),
            polled=polled,
            poll=poll,
            answering=answering,
        )
        self._waiting[waiting] = None
        self._metrics.polls.inc()
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if waiting.refused is not None:
                raise waiting.refused
            if answering.cancelled():
                return self._draining_response() if self._draining else self._again_response()
            if not answering.done():
                raise ClientDisconnect
            if principal.expires_at <= services.wall():
                raise Refused(Close.UNAUTHENTICATED, "token_expired")
            return Response(answering.result(), media_type="application/json")
        finally:
            self._metrics.polls.dec()
            del self._waiting[waiting]
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            # The exceptions of these tasks refer to this stack frame, and its variables refer to the tasks: a reference
            # cycle, which would keep the request in memory.
            del answering, leaving, waiting, poll

    def _again_response(self) -> Response:
        retry_after_ms = round(AGAIN_MS * self._random())
        message = "Tasks are read in another way from now on; poll again."
        return error_response(503, ErrorCode.UNAVAILABLE, message, retry_after_ms=retry_after_ms)

    def _draining_response(self) -> Response:
        self._metrics.note_refusal("poll", "restart")
        # Each client is given a random time, so that not all come back at once. The connection is closed, so that a
        # load balancer can choose another instance for the next poll.
        retry_after_ms = round(self._services.settings.relay_drain_ms * self._random())
        message = "The relay is shutting down; poll again later."
        return error_response(503, ErrorCode.UNAVAILABLE, message, retry_after_ms=retry_after_ms, close=True)


async def _disconnected(request: Request) -> None:
    """Return when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
