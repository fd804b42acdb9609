"""JWT -> Principal, with the keys there are and what the settings allow. Pure but for the clock.

Rules of this file: the algorithm is never taken from the token, the key decides which it may be
used with; of a token's header only `alg`, `kid` and `crit` are looked at, and only after the
signature held is anything else of it believed; `exp` and `sub` are required and of the right type;
a token is never shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, Protocol, TypeGuard

import jwt

from relay.auth.keys import MAX_KID, KeySet
from relay.config import PUBLIC_KEY_ALGORITHMS, SHARED_SECRET_ALGORITHMS
from relay.errors import Refused
from relay.protocol.nesting import is_nested_deeper
from relay.protocol.types import Close
from relay.tasks.claims import claim_at, text_of
from relay.tasks.visibility import Principal

LEEWAY_S = 30  # for clocks that differ, at the handshake only
MAX_TOKEN_BYTES = 16 * 1024
MAX_LEVELS = 32  # of lists and objects inside each other; the claims of identity providers have up to five
REMEMBERED = 2048  # verified tokens: a handshake mostly brings one that was seen before
MAX_REMEMBERED_BYTES = 4096  # a longer token is verified each time, which bounds the memory

# Only what can be configured: "none" is not among them.
_JWS = jwt.PyJWS(algorithms=[*SHARED_SECRET_ALGORITHMS, *PUBLIC_KEY_ALGORITHMS])


class KeySource(Protocol):
    """Where a verifier takes its keys from. Neither method waits."""

    def current(self) -> KeySet | None:
        """The keys of now, the same object as long as they do not change; None before there are any."""

    def awaits_newer(self, token_digest: bytes) -> bool:
        """No current key verifies this token: may newer ones? Asking makes them come soon."""


class Verifier:
    """Turns tokens into principals.

    `verify` raises Refused: 4401 "unauthenticated" or "token_expired" where the answer is final, 1011
    "keys_unavailable" where it cannot be given yet. A client takes 4401 as a reason to bring another
    token, and gives up if it has none; with 1011 it comes back with the same one. Of a token's claims a
    principal has those that `keep` names, nested ones under their whole names and absent ones as None, or all.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        keep: Collection[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._audience = audience
        self._keep = keep
        self._clock = clock
        self._remembered: OrderedDict[bytes, Principal] = OrderedDict()  # by the token's SHA-256
        self._remembered_with: KeySet | None = None

    def verify(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            _refuse()
        keys = self._source.current()
        if keys is None:
            raise Refused(Close.INTERNAL, "keys_unavailable")
        if keys is not self._remembered_with:
            self._remembered.clear()
            self._remembered_with = keys
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        principal = known or self._principal(self._payload(token, digest, keys))
        if principal.expires_at <= self._clock():
            # A connection lives no longer than its token by our own clock: here is no leeway.
            self._remembered.pop(digest, None)
            raise Refused(Close.UNAUTHENTICATED, "token_expired")
        if known:
            self._remembered.move_to_end(digest)
        elif len(token) <= MAX_REMEMBERED_BYTES:
            self._remembered[digest] = principal
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return principal

    def _payload(self, token: str, digest: bytes, keys: KeySet) -> bytes:
        """What was signed with one of the keys."""
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if "crit" in header:  # RFC 7515, 4.1.11: we understand no extension
            _refuse()
        if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID):
            _refuse()
        if not isinstance(algorithm, str) or algorithm not in keys.algorithms:
            _refuse()
        for key in keys.fitting(algorithm, kid):
            try:
                payload = _JWS.decode(token, key.material, algorithms=key.algorithms)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError):
                _refuse()
            assert isinstance(payload, bytes)
            return payload
        named = kid is not None and keys.has(kid)
        if not named and self._source.awaits_newer(digest):
            raise Refused(Close.INTERNAL, "keys_unavailable")
        _refuse()

    def _principal(self, payload: bytes) -> Principal:
        """RFC 7519, 4.1, and what is required of `sub` and `exp`."""
        claims = _object(payload)
        sub, exp = text_of(claims.get("sub")), claims.get("exp")
        if sub is None or not _is_time(exp) or not exp:
            _refuse()
        latest = self._clock() + LEEWAY_S
        for name in ("nbf", "iat"):
            if name in claims and not (_is_time(claims[name]) and claims[name] <= latest):
                _refuse()
        if self._issuer is not None and claims.get("iss") != self._issuer:
            _refuse()
        if self._audience is not None and self._audience not in _audiences(claims.get("aud")):
            _refuse()
        if self._keep is not None:
            claims = {name: claim_at(claims, name) for name in self._keep}
        return Principal(sub, claims, float(exp))


def issue(secret: str, algorithm: str, claims: Mapping[str, Any], *, ttl_s: float, now: float) -> str:
    """A token for development, as `relay token` and the demo hand them out."""
    return jwt.encode({**claims, "iat": int(now), "exp": int(now + ttl_s)}, secret, algorithm=algorithm)


def _refuse() -> NoReturn:
    raise Refused(Close.UNAUTHENTICATED, "unauthenticated") from None


def _header(token: str) -> dict[str, Any]:
    """To choose the key by. Not believed: the one whose signature holds is read by the library."""
    segment, *rest = token.split(".", 3)
    if len(rest) != 2:
        _refuse()
    try:
        return _object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        _refuse()


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 that says nothing twice: two readers would not agree on what it says."""
    if is_nested_deeper(text, MAX_LEVELS):
        _refuse()
    try:
        # (Of bytes, Python's parser would guess the encoding.)
        read = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError:
        _refuse()
    if not isinstance(read, dict):
        _refuse()
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name is there twice")
    return read


def _no_number(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _is_time(value: object) -> TypeGuard[float]:
    # 2**40 seconds lie past every calendar: no token means that.
    return isinstance(value, int | float) and not isinstance(value, bool) and -(2**40) <= value <= 2**40


def _audiences(claim: object) -> list[str]:
    listed: list[Any] = claim if isinstance(claim, list) else [claim]
    return listed if all(isinstance(one, str) for one in listed) else []
