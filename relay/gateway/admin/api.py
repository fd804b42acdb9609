"""The routes of the admin API, and the checks that every request to it has to pass.

Rules of this file: a request without the token of an administrator learns nothing and changes nothing; the token comes
in the `Authorization` header, which no page of another site can send; an answer contains nothing of a document; who
asked for what is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from relay.auth.admins import Admins
from relay.auth.refusal_log import RefusalLog
from relay.auth.shown import shown
from relay.errors import BadRequest, Refused, StartupError, Unanswered
from relay.gateway.http_errors import (
    ORIGIN_NOT_ALLOWED,
    error_response,
    for_bad_request,
    for_foreign_origin,
    for_refused,
)
from relay.gateway.paths import rest_of
from relay.protocol.types import ErrorCode

log = logging.getLogger(__name__)

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000  # connections in one answer
LACKS_CLAIM = "The token does not have the claim that RELAY_ADMIN_CLAIM asks for."

Answer = dict[str, Any]
Act = Callable[[Request, str], Awaitable[Answer]]


class Administration(Protocol):
    """Answers administrators for the whole relay. With several workers, an answer names those under `unanswered` that
    did not answer in time; without such workers, that name is missing."""

    async def connections(self, user: str | None, limit: int) -> Answer:
        """Return `connections`, the oldest `limit` connections and waiting polls, only those of this user if one is
        given, and `total`, the number that there are without the limit."""

    async def listeners(self, task_id: str) -> Answer:
        """Return `taskId`, `listeners`, the first MAX_LIMIT connections and polls that have joined this task, and
        `total`, the number of all of them."""

    async def disconnect(self, user: str) -> Answer:
        """Close all connections of this user with 4403, and answer the user's waiting polls likewise. Return
        `disconnected`, the number of both together. Connections that are authenticated later are not affected."""

    async def stats(self) -> Answer:
        """Return figures about the whole relay."""


class AdminApi:
    """Answers the requests of administrators, whom `admins` recognises, with what `administration` says. `reload`
    reloads the settings of the whole relay, and returns the names of those that have changed; it raises StartupError if
    everything stays as it was."""

    def __init__(
        self, admins: Admins, administration: Administration, reload: Callable[[], Awaitable[Answer]]
    ) -> None:
        self._admins = admins
        self._administration = administration
        self._reload = reload
        self._refusals = RefusalLog()

    def admit(self, admins: Admins) -> None:
        """Let these administrators in from now on, and no others."""
        self._admins = admins

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the admin API."""
        return [
            Route("/admin/connections", self._guarded(self._connections)),
            Route(rest_of("/admin/tasks", "task_id"), self._guarded(self._listeners)),
            Route(rest_of("/admin/users", "sub"), self._guarded(self._disconnect), methods=["DELETE"]),
            Route("/admin/stats", self._guarded(self._stats)),
            Route("/admin/reload", self._guarded(self._reloaded), methods=["POST"]),
        ]

    def _guarded(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that calls `act` with the request and the `sub` of the administrator who sent it. Every
        other request is refused."""

        async def endpoint(request: Request) -> Response:
            response = await self._checked(request, act)
            response.headers["cache-control"] = "no-store"
            return response

        return endpoint

    async def _checked(self, request: Request, act: Act) -> Response:
        if not _is_own_page(request):
            return self._refused(request, for_foreign_origin(), ORIGIN_NOT_ALLOWED)
        try:
            principal = self._admins.identify(request)
        except Refused as refused:
            return self._refused(request, for_refused(refused), refused.reason, refused.user, refused.detail)
        if not self._admins.includes(principal):
            response = error_response(403, ErrorCode.FORBIDDEN, LACKS_CLAIM)
            return self._refused(request, response, "no administrator", principal.sub)
        try:
            answer = await act(request, principal.sub)
        except BadRequest as bad:
            return for_bad_request(bad)
        except StartupError as failure:
            return error_response(422, ErrorCode.BAD_REQUEST, str(failure))
        except Unanswered as failure:
            return error_response(503, ErrorCode.UNAVAILABLE, f"{failure}.".capitalize())
        return Response(orjson.dumps(answer), media_type="application/json")

    def _refused(
        self, request: Request, response: Response, reason: str, user: str | None = None, detail: str = ""
    ) -> Response:
        """Log that this request is refused with this response, which is returned. `user` is the `sub` of its token if
        that was verified."""
        self._refusals.say(
            "admin request refused",
            request.client.host if request.client else "",
            user,
            level=logging.WARNING,
            status=response.status_code,
            reason=reason,
            detail=detail,
            method=request.method,
            path=request.scope["path"],
            origin=request.headers.get("origin"),
        )
        return response

    async def _connections(self, request: Request, by: str) -> Answer:
        user, limit = request.query_params.get("user") or None, _limit(request.query_params.get("limit"))
        answer = await self._administration.connections(user, limit)
        log.debug(
            "an administrator asked who is connected", extra={"by": shown(by), "total": answer["total"]}
        )
        return answer

    async def _listeners(self, request: Request, by: str) -> Answer:
        answer = await self._administration.listeners(request.path_params["task_id"])
        log.debug(
            "an administrator asked who listens to a task", extra={"by": shown(by), "total": answer["total"]}
        )
        return answer

    async def _disconnect(self, request: Request, by: str) -> Answer:
        user = request.path_params["sub"]
        answer = await self._administration.disconnect(user)
        fields = {"by": shown(by), "user": shown(user), "connections": answer["disconnected"]}
        if "unanswered" in answer:
            fields["unanswered"] = answer["unanswered"]
        log.info("a user was disconnected", extra=fields)
        return answer

    async def _reloaded(self, request: Request, by: str) -> Answer:
        log.info("an administrator reloads the settings", extra={"by": shown(by)})
        return await self._reload()

    async def _stats(self, request: Request, by: str) -> Answer:
        answer = await self._administration.stats()
        log.debug("an administrator asked for the figures", extra={"by": shown(by)})
        return answer


def _limit(text: str | None) -> int:
    """Return the limit that the query of a request has. Raises BadRequest for a text that is none."""
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequest(ErrorCode.BAD_REQUEST, f"limit must be an integer from 1 to {MAX_LIMIT}.")
    return int(text)


def _is_own_page(request: Request) -> bool:
    """Return whether the request comes from a page of this port, or from no page at all. Only the host is compared,
    because a proxy may have ended the TLS of `https`."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(host) and host.lower() == request.headers.get("host", "").lower()
