"""HTTP responses for requests that are refused: a status, and an `error` message of the protocol as the body.

Everything here mirrors what a WebSocket client is sent for the same reason (PROTOCOL.md, sections 5 and 7).
"""

from __future__ import annotations

import math

from starlette.responses import Response

from relay.errors import BadRequest, Refused
from relay.protocol.frames import error
from relay.protocol.types import Close, ErrorCode

# The `message` for a page of a foreign origin. Client libraries compare it, so it is part of the protocol.
ORIGIN_NOT_ALLOWED = "origin_not_allowed"
RETRY_MS = 1000  # for 429 and 503 responses whose cause does not say when to try again

_STATUS_OF_ERROR = {ErrorCode.RATE_LIMITED: 429, ErrorCode.UNAVAILABLE: 503}
_OF_CLOSE_CODE = {
    Close.FEATURE_DISABLED: (403, ErrorCode.FEATURE_DISABLED),
    Close.AT_CAPACITY: (429, ErrorCode.RATE_LIMITED),
    Close.INTERNAL: (503, ErrorCode.UNAVAILABLE),  # the token cannot be verified yet
    Close.GOING_AWAY: (503, ErrorCode.UNAVAILABLE),
}


def for_refused(refused: Refused) -> Response:
    """The response for a reason that would close a WebSocket. The close reason becomes the `message`."""
    status, code = _OF_CLOSE_CODE.get(Close(refused.code), (401, ErrorCode.FORBIDDEN))
    return error_response(status, code, refused.reason)


def for_bad_request(bad: BadRequest) -> Response:
    """The response for a request that a WebSocket would answer with an `error` message."""
    code = ErrorCode(bad.code)
    return error_response(
        _STATUS_OF_ERROR.get(code, 400), code, bad.message, retry_after_ms=bad.retry_after_ms
    )


def for_foreign_origin(*, readable: bool = False) -> Response:
    """The response for a page whose origin is not allowed.

    `readable` lets any page read this response, and nothing else. Browsers show a page no difference between a
    refused preflight or upgrade and a network failure, so a page needs one response that says what is wrong.
    """
    response = error_response(403, ErrorCode.FORBIDDEN, ORIGIN_NOT_ALLOWED, close=True)
    if readable:
        response.headers["access-control-allow-origin"] = "*"
        response.headers["vary"] = "Origin"
    return response


def error_response(
    status: int, code: ErrorCode, message: str, *, retry_after_ms: int | None = None, close: bool = False
) -> Response:
    """A response with an `error` message as its body. `close`: read no further request from this connection."""
    headers = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in (429, 503):
        retry_after_ms = RETRY_MS if retry_after_ms is None else retry_after_ms
        headers["retry-after"] = str(math.ceil(retry_after_ms / 1000))
    if close:
        headers["connection"] = "close"
    body = error(code, message, retry_after_ms=retry_after_ms).body
    return Response(body, status, headers, media_type="application/json")
