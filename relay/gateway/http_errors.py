"""Refusals as HTTP tells them: a status, and the `error` body of the wire."""

from __future__ import annotations

import math

from starlette.responses import Response

from relay.errors import BadRequest, Refused
from relay.protocol.frames import error
from relay.protocol.types import Close, ErrorCode

ORIGIN_NOT_ALLOWED = "origin_not_allowed"  # a word for programs: clients tell it from other refusals
RETRY_MS = 1000  # where nothing says when to try again

_STATUS = {ErrorCode.RATE_LIMITED: 429, ErrorCode.UNAVAILABLE: 503}
_OF_CLOSE = {
    Close.FEATURE_DISABLED: (403, ErrorCode.FEATURE_DISABLED),
    Close.AT_CAPACITY: (429, ErrorCode.RATE_LIMITED),
    Close.INTERNAL: (503, ErrorCode.UNAVAILABLE),  # it cannot be judged yet
    Close.GOING_AWAY: (503, ErrorCode.UNAVAILABLE),
}


def of_close(refused: Refused) -> Response:
    """What would close a WebSocket."""
    status, code = _OF_CLOSE.get(Close(refused.code), (401, ErrorCode.FORBIDDEN))
    return refusal(status, code, refused.reason)


def of_request(bad: BadRequest) -> Response:
    """What would be answered with an `error`."""
    code = ErrorCode(bad.code)
    return refusal(_STATUS.get(code, 400), code, bad.message, retry_after_ms=bad.retry_after_ms)


def of_origin(*, readable: bool = False) -> Response:
    """What a page gets whose origin is not allowed. `readable`: it may read this answer, and nothing else of
    the relay's. To pages a refused preflight or upgrade looks like a network that is away, so this is where
    they learn what is wrong."""
    answer = refusal(403, ErrorCode.FORBIDDEN, ORIGIN_NOT_ALLOWED, close=True)
    if readable:
        answer.headers["access-control-allow-origin"] = "*"
        answer.headers["vary"] = "Origin"
    return answer


def refusal(
    status: int, code: ErrorCode, message: str, *, retry_after_ms: int | None = None, close: bool = False
) -> Response:
    """`close`: nothing more is read from this connection."""
    headers = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in (429, 503):
        retry_after_ms = RETRY_MS if retry_after_ms is None else retry_after_ms
        headers["retry-after"] = str(math.ceil(retry_after_ms / 1000))
    if close:
        headers["connection"] = "close"
    frame = error(code, message, retry_after_ms=retry_after_ms)
    return Response(frame.body, status, headers, media_type="application/json")
