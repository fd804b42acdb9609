"""JWT -> Principal, with the algorithms the settings name and no others. Pure but for the clock.

The algorithm is never read from the token; `exp` and `sub` are required and of the right type.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

from relay.access.audience import Principal, is_encodable
from relay.errors import Refused
from relay.protocol import Close

LEEWAY_S = 30  # for clocks that differ, at the handshake only
MAX_TOKEN_BYTES = 16 * 1024


class Verifier:
    """Turns tokens into principals.

    `verify` raises Refused(4401, "unauthenticated" | "token_expired"); the token is never shown.
    """

    def __init__(
        self,
        secret: str,
        algorithms: Sequence[str],
        *,
        issuer: str | None = None,
        audience: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._algorithms = list(algorithms)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def verify(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN_BYTES:
            raise Refused(Close.UNAUTHENTICATED, "unauthenticated")
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=self._algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": self._audience is not None,
                    "verify_iss": self._issuer is not None,
                },
            )
        except jwt.ExpiredSignatureError:
            raise Refused(Close.UNAUTHENTICATED, "token_expired") from None
        except (jwt.PyJWTError, ValueError, RecursionError, OverflowError):
            raise Refused(Close.UNAUTHENTICATED, "unauthenticated") from None
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        sub, exp = claims.get("sub"), claims.get("exp")
        number = isinstance(exp, int | float) and not isinstance(exp, bool) and math.isfinite(exp)
        # 2**40 seconds lie past every calendar: no token means that.
        if (
            not isinstance(sub, str)
            or not sub
            or not is_encodable(sub)
            or not number
            or not exp
            or exp > 2**40
        ):
            raise Refused(Close.UNAUTHENTICATED, "unauthenticated")
        if exp <= self._clock():
            # Within the leeway, but a connection lives no longer than its token by our own clock.
            raise Refused(Close.UNAUTHENTICATED, "token_expired")
        return Principal(sub, claims, float(exp))


def issue(secret: str, algorithm: str, claims: Mapping[str, Any], *, ttl_s: float, now: float) -> str:
    """A token for development, as `relay token` and the demo hand them out."""
    return jwt.encode({**claims, "iat": int(now), "exp": int(now + ttl_s)}, secret, algorithm=algorithm)
