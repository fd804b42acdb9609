"""HTTP responses for requests that are refused: a status, and an `error` message of the protocol as the body.

For each reason, the response says the same as what a WebSocket client is sent for that reason: an `error` message or
a close code (PROTOCOL.md, sections 5 and 7).
"""

from __future__ import annotations

import math

from starlette.responses import Response

from relay.errors import BadRequest, Refused
from relay.protocol.frames import error
from relay.protocol.types import Close, ErrorCode

# The `message` for a page of a foreign origin. Client libraries compare this string, so it is part of the protocol.
ORIGIN_NOT_ALLOWED = "origin_not_allowed"
RETRY_MS = 1000  # for 429 and 503 responses whose cause does not say when to try again

_STATUS_OF_ERROR = {ErrorCode.RATE_LIMITED: 429, ErrorCode.UNAVAILABLE: 503}
_OF_CLOSE_CODE = {
    Close.DISCONNECTED: (403, ErrorCode.FORBIDDEN),
    Close.FEATURE_DISABLED: (403, ErrorCode.FEATURE_DISABLED),
    Close.AT_CAPACITY: (429, ErrorCode.RATE_LIMITED),
    Close.INTERNAL: (503, ErrorCode.UNAVAILABLE),  # the token cannot be verified yet
    Close.GOING_AWAY: (503, ErrorCode.UNAVAILABLE),
}


def for_refused(refused: Refused) -> Response:
    """Return the response for a client that may not connect. The status and the error code follow from the close code
    that a WebSocket would be closed with; the close reason becomes the `message` of the body."""
    status, code = _OF_CLOSE_CODE.get(Close(refused.code), (401, ErrorCode.FORBIDDEN))
    return error_response(status, code, refused.reason)


def for_bad_request(bad: BadRequest) -> Response:
    """Return the response for an invalid request, with the `error` message as its body that a WebSocket would send."""
    code = ErrorCode(bad.code)
    return error_response(
        _STATUS_OF_ERROR.get(code, 400), code, bad.message, retry_after_ms=bad.retry_after_ms
    )


def for_foreign_origin(*, readable: bool = False) -> Response:
    """Return the response (403) for a page whose origin is not allowed.

    With `readable`, pages of any origin may read this response, and only this one (CORS). To a page, a refused
    preflight or upgrade looks like a network failure. So a page needs one response that says what is wrong.
    """
    response = error_response(403, ErrorCode.FORBIDDEN, ORIGIN_NOT_ALLOWED, close=True)
    if readable:
        response.headers["access-control-allow-origin"] = "*"
        response.headers["vary"] = "Origin"
    return response


def error_response(
    status: int, code: ErrorCode, message: str, *, retry_after_ms: int | None = None, close: bool = False
) -> Response:
    """Return a response with an `error` message as its body.

    Statuses 429 and 503 say when to try again: after `retry_after_ms`, or RETRY_MS if it is None. With `close`, the
    server closes the connection after this response.
    """
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
