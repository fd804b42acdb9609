"""The log lines about HTTP requests: each refusal, and at DEBUG each poll that was answered."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from relay.auth.admission import Admission
from relay.auth.shown import shown
from relay.errors import Refused
from relay.gateway.http_errors import ORIGIN_NOT_ALLOWED, for_foreign_origin, for_refused

log = logging.getLogger(__name__)


class RequestLog:
    """Logs the HTTP requests that come through `admission`, with the addresses that it counts them for."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def refused(
        self, request: Request, response: Response, reason: str, *, detail: str = "", user: str | None = None
    ) -> Response:
        """Log that this request is refused with this response, which is returned. `user` is the `sub` of its token if
        that was verified; `detail` is for operators."""
        self._admission.refusals.say(
            "request refused",
            self._admission.address_of(request),
            user,
            status=response.status_code,
            reason=reason,
            detail=detail,
            path=request.scope["path"],
            origin=request.headers.get("origin"),
        )
        return response

    def refusal(self, request: Request, refused: Refused, user: str | None = None) -> Response:
        """Return the response to a request that `refused` ends, and log it."""
        return self.refused(
            request, for_refused(refused), refused.reason, detail=refused.detail, user=refused.user or user
        )

    def foreign_origin(self, request: Request, *, readable: bool = False) -> Response:
        """Return the response to a request of a page whose origin is not allowed, and log it. `readable` lets pages of
        any origin read the response."""
        return self.refused(request, for_foreign_origin(readable=readable), ORIGIN_NOT_ALLOWED)

    def answered(self, request: Request, response: Response, user: str, seconds: float) -> Response:
        """Log at DEBUG that a poll of this user was answered with this response, which is returned, after so many
        seconds."""
        if log.isEnabledFor(logging.DEBUG):
            fields = {
                "user": shown(user),
                "address": self._admission.address_of(request) or "unix",
                "status": response.status_code,
                "seconds": round(seconds, 3),
                "bytes": len(response.body),
            }
            log.debug("poll answered", extra=fields)
        return response
