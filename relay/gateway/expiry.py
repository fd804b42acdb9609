"""The notice that a token expires soon, for sessions and polls. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from relay.protocol.frames import Frame, encode
from relay.protocol.types import Kind, rfc3339

NOTICE_S = 30  # `auth:expiring` is sent this long before the token expires
LAST_S = 2.0  # a poll that begins this near to the end of its token waits until then


def expiry_notice(expires_at: float) -> Frame:
    """Return the `auth:expiring` message of a token that expires at `expires_at`, in seconds since 1970."""
    return encode(Kind.AUTH_EXPIRING, {"expiresAt": moment(expires_at)})


def seconds_to_notice(left_s: float) -> float:
    """Return after how many seconds a poll whose token expires in `left_s` is answered without news, so that its client
    hears of the end early enough to renew the token: when the notice is due, or when half of a shorter time is over."""
    if left_s > NOTICE_S:
        return left_s - NOTICE_S
    return left_s / 2 if left_s > LAST_S else max(0.0, left_s)


def moment(seconds: float) -> str:
    """Return a time, in seconds since 1970, as RFC 3339; the last one that there is if it is beyond that."""
    try:
        return rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return rfc3339(datetime.max)  # `exp` may be beyond what a datetime can hold
