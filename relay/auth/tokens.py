"""Verifies tokens: turns a JSON Web Token (JWT) into a `Principal`, or refuses it. Pure except for the clock.

A *principal* is the user of a verified token: `sub`, the claims that matter, and the time at which the token expires.

Rules of this file: the key decides which algorithms may be used, never the token; only `alg`, `kid` and `crit` are read
from a token's header, and no claim is used before the signature is verified; `exp` and `sub` are required and must have
the right type; a token is never logged or contained in a message.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, NoReturn, Protocol, Self, TypeGuard

import jwt

from relay.auth.keys import MAX_KID, Key, KeySet
from relay.auth.spans import span
from relay.config import Settings
from relay.errors import Refused
from relay.jwt_secrets import SHARED_SECRET_ALGORITHMS
from relay.metrics import Verified
from relay.protocol.nesting import is_nested_deeper
from relay.protocol.types import Close
from relay.setting_values import PUBLIC_KEY_ALGORITHMS
from relay.tasks.claims import claim_at, text_of
from relay.tasks.visibility import Principal

LEEWAY_S = 30  # by how many seconds the issuer's clock may be ahead of ours; not applied to `exp`
MAX_TOKEN_BYTES = 16 * 1024
MAX_LEVELS = 32  # of nested lists and objects; identity providers use up to five
REMEMBERED = 2048  # how many verified tokens are cached: most handshakes bring a token that was seen before
MAX_REMEMBERED_BYTES = 4096  # a longer token is not cached, so that memory is bounded

QUOTED_CHARS = 100  # of a value of the token, in the detail of a refusal
_MALFORMED = "is not a JSON Web Token, or was damaged on its way"

# Only the algorithms that can be configured. "none" is not one of them. `jwt.PyJWS` would call the same objects, but it
# examines the key again for each token, and parses the token a second time: 21 µs where 4 are enough.
_ALGORITHMS = {
    name: jwt.get_algorithm_by_name(name) for name in (*SHARED_SECRET_ALGORITHMS, *PUBLIC_KEY_ALGORITHMS)
}

# The results that are counted, by the reason of the refusal.
_RESULTS: Mapping[str, Verified] = {"token_expired": "expired", "keys_unavailable": "no_keys"}

_SEGMENT = "[A-Za-z0-9_-]+={0,2}"  # some issuers write the padding of base64
_TOKEN = re.compile(rf"({_SEGMENT})\.({_SEGMENT})\.({_SEGMENT})")


class KeySource(Protocol):
    """The object from which a `Verifier` gets its keys, such as `FixedKeys` or `RemoteKeys`. Neither method blocks."""

    def current(self) -> KeySet | None:
        """Return the current keys, or None before the first keys are there. The result is the same object until they
        change."""

    def awaits_newer(self, token_digest: bytes) -> bool:
        """Return whether newer keys may still come that verify a token which no current key verifies. A source that can
        fetch keys then fetches newer ones soon. `token_digest` is a digest of the token."""


class Verifier:
    """Verifies tokens with the keys of `source`, and returns the principal (the user) of each valid token.

    If `issuer` is given, the claim `iss` must be equal to it. If `audience` is given, the claim `aud` must contain it.
    If `max_age_s` is given, the claim `iat` is required, and `exp` must be at most `max_age_s` seconds after it.
    `keep` names the claims that a principal contains (default: all). A nested claim is named by its path, such as
    `realm_access.roles`; a claim that the token does not have is None. `clock` returns seconds since 1970. `count` is
    called with the result of each verification.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        max_age_s: int | None = None,
        keep: Collection[str] | None = None,
        clock: Callable[[], float] = time.time,
        count: Callable[[Verified], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._count = count
        self._issuer = issuer
        self._audience = audience
        self._max_age_s = max_age_s
        self._keep = keep
        self._clock = clock
        self._remembered: OrderedDict[bytes, Principal] = OrderedDict()  # by the token's SHA-256
        self._remembered_with: KeySet | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        source: KeySource,
        keep: Collection[str],
        count: Callable[[Verified], None] = lambda _: None,
    ) -> Self:
        """Return a verifier of tokens as the settings demand them, with the keys of `source`. It also keeps the claim
        `sub`, so that a rule of a new mapping may read it. `count` is called with the result of each verification."""
        return cls(
            source,
            issuer=settings.relay_jwt_issuer,
            audience=settings.relay_jwt_audience,
            max_age_s=settings.relay_jwt_max_age_s,
            keep={*keep, "sub"},
            count=count,
        )

    def verify(self, token: str) -> Principal:
        """Return the principal (the user) of this token.

        Raises Refused with 4401 if the token is not valid (`unauthenticated`) or has expired (`token_expired`): the
        client needs another token. Raises Refused with 1011 (`keys_unavailable`) if a key that verifies the token may
        still come: the client should try again later with the same token. The `detail` of a refusal says what is wrong
        with the token.
        """
        try:
            principal, was_known = self._verified(token)
        except Refused as refused:
            self._count(_RESULTS.get(refused.reason, "invalid"))
            raise
        self._count("cached" if was_known else "ok")
        return principal

    def _verified(self, token: str) -> tuple[Principal, bool]:
        """Do what `verify` does, and return also whether the token was remembered."""
        if len(token) > MAX_TOKEN_BYTES:
            _refuse(f"is longer than {MAX_TOKEN_BYTES // 1024} KiB")
        if not token.isascii():
            _refuse("has characters that no token has")
        keys = self._source.current()
        if keys is None:
            raise Refused(
                Close.INTERNAL, "keys_unavailable", detail="cannot be verified: there are no keys yet"
            )
        if keys is not self._remembered_with:
            self._remembered.clear()
            self._remembered_with = keys
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        principal = known or self._principal(*self._payload(token, digest, keys))
        if principal.expires_at <= self._clock():
            # There is no leeway here, because a connection must not outlive its token by our own clock.
            self._remembered.pop(digest, None)
            ended_s = max(0.0, self._clock() - principal.expires_at)
            detail = f"ended {span(ended_s)} ago (exp)"
            raise Refused(Close.UNAUTHENTICATED, "token_expired", detail=detail, user=principal.sub)
        if known:
            self._remembered.move_to_end(digest)
        elif len(token) <= MAX_REMEMBERED_BYTES:
            self._remembered[digest] = principal
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return principal, known is not None

    def still_trusts(self, principal: Principal) -> bool:
        """Return whether the key that verified the token of this principal is one of the current keys."""
        keys = self._source.current()
        return keys is not None and keys.contains(principal.key)

    def _payload(self, token: str, digest: bytes, keys: KeySet) -> tuple[bytes, Key]:
        """Verify the signature of the token, and return the token's payload, and the key that verified it. `digest` is
        the SHA-256 of the token.

        Raises Refused with 4401 if the token is malformed or no key verifies it, and with 1011 if no key verifies it
        but newer keys may still come that do.
        """
        segments = _TOKEN.fullmatch(token)
        if segments is None:
            _refuse(_MALFORMED)
        algorithm, kid = _header(segments[1])
        if algorithm not in keys.algorithms:
            accepted = ", ".join(sorted(keys.algorithms))
            _refuse(f"is signed with {_quoted(algorithm)}, and RELAY_JWT_ALGORITHMS accepts {accepted}")
        payload, signature = _decoded(segments[2]), _decoded(segments[3])
        signed = token[: segments.end(2)].encode()
        for key in keys.fitting(algorithm, kid):
            try:
                if _ALGORITHMS[algorithm].verify(signed, key.material, signature):
                    return payload, key
            except (jwt.PyJWTError, ValueError, TypeError):
                _refuse(_MALFORMED)
        named = kid is not None and keys.has(kid)
        unknown = (
            f"; it names the key {_quoted(kid)}, which is unknown" if kid is not None and not named else ""
        )
        detail = f"was signed with another key than the relay has{unknown}"
        if not named and self._source.awaits_newer(digest):
            raise Refused(Close.INTERNAL, "keys_unavailable", detail=detail)
        _refuse(detail)

    def _principal(self, payload: bytes, key: Key) -> Principal:
        """Check the claims in the payload of a token (RFC 7519, 4.1), and return its principal. `key` has verified the
        token. Whether the token has
        expired is not checked here. Raises Refused (4401) if a claim is missing or has a wrong value."""
        claims = _object(payload, "payload")
        sub, exp = text_of(claims.get("sub")), claims.get("exp")
        if sub is None:
            _refuse("has no sub that is an integer or a string that is not empty")
        if not _is_time(exp) or not exp:
            _refuse("has no exp that is a time in seconds since 1970")
        latest = self._clock() + LEEWAY_S
        for name in ("nbf", "iat"):
            if name in claims and not _is_time(claims[name]):
                _refuse(f"has an {name} that is no time in seconds since 1970")
            if name in claims and claims[name] > latest:
                ahead_s = claims[name] - self._clock()
                _refuse(f"is not valid yet: its {name} is {span(ahead_s)} later than this machine's clock")
        # A token that is older than this has expired as well, so its age need not be looked at again later.
        if self._max_age_s is not None:
            if "iat" not in claims:
                _refuse("has no iat, which RELAY_JWT_MAX_AGE_S needs")
            if (life_s := exp - claims["iat"]) > self._max_age_s:
                _refuse(
                    f"is valid for {span(life_s)} (iat to exp), and RELAY_JWT_MAX_AGE_S allows {self._max_age_s} s"
                )
        if self._issuer is not None and claims.get("iss") != self._issuer:
            _refuse(
                f"has the iss {_quoted(claims.get('iss'))}, not RELAY_JWT_ISSUER, {_quoted(self._issuer)}"
            )
        if self._audience is not None and self._audience not in _audiences(claims.get("aud")):
            wanted = _quoted(self._audience)
            _refuse(f"has the aud {_quoted(claims.get('aud'))}, not RELAY_JWT_AUDIENCE, {wanted}")
        if self._keep is not None:
            claims = {name: claim_at(claims, name) for name in self._keep}
        return Principal(sub, claims, float(exp), key)


def issue(secret: str, algorithm: str, claims: Mapping[str, Any], *, ttl_s: float, now: float) -> str:
    """Return a signed token with these claims, for development: `relay token` and `relay demo` use it. The token
    expires `ttl_s` seconds after `now`, which is in seconds since 1970."""
    return jwt.encode({**claims, "iat": int(now), "exp": int(now + ttl_s)}, secret, algorithm=algorithm)


def _refuse(detail: str) -> NoReturn:
    raise Refused(Close.UNAUTHENTICATED, "unauthenticated", detail=detail) from None


def _quoted(value: Any) -> str:
    """Return a value of a token as JSON in ASCII, for the detail of a refusal. It is cut after QUOTED_CHARS."""
    text = json.dumps(value)
    return text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]}…"


@lru_cache(maxsize=32)  # all tokens of an issuer that were signed with one key have the same header
def _header(segment: str) -> tuple[str, str | None]:
    """Return `alg` and `kid` of a token's header, of which nothing is verified yet. Raises Refused (4401) if the header
    cannot be parsed, or asks for anything that we do not support."""
    header = _object(_decoded(segment), "header")
    algorithm, kid = header.get("alg"), header.get("kid")
    if "crit" in header:  # RFC 7515, 4.1.11: extensions that we must support, and we support none
        _refuse("demands extensions (crit) that the relay does not have")
    if header.get("b64") is False:  # RFC 7797: the payload would not be encoded
        _refuse("has a payload that is not encoded (b64), which the relay does not accept")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        _refuse("has a kid that is no name of a key")
    if not isinstance(algorithm, str):
        _refuse("does not name the algorithm (alg) that it is signed with")
    return algorithm, kid


def _decoded(segment: str) -> bytes:
    """Decode one segment of a token (base64url). Raises Refused (4401) unless it is the one way to write these bytes,
    with or without the padding at its end."""
    bare = segment.rstrip("=")
    padding = "=" * (-len(bare) % 4)
    try:
        decoded = base64.urlsafe_b64decode(bare + padding)
    except ValueError:
        _refuse(_MALFORMED)
    if segment not in (bare, bare + padding) or base64.urlsafe_b64encode(decoded).decode() != bare + padding:
        _refuse(_MALFORMED)
    return decoded


def _object(text: bytes, part: str) -> dict[str, Any]:
    """Parse this part of a token, its header or its payload: a JSON object in UTF-8.

    Raises Refused (4401) if the text is anything else, is nested too deeply, or has a duplicate name. Parsers disagree
    about which value of a duplicate name counts, so another service could see another user in the same token.
    """
    if is_nested_deeper(text, MAX_LEVELS):
        _refuse(f"is nested deeper than {MAX_LEVELS} levels")
    try:
        # Decode the text before parsing, because Python's JSON parser would guess the encoding of bytes.
        read = _JSON.decode(text.decode())
    except _Unusual as failure:
        _refuse(f"has a {part} with {failure}")
    except ValueError:
        _refuse(_MALFORMED)
    if not isinstance(read, dict):
        _refuse(f"has a {part} that is no JSON object")
    return read


class _Unusual(ValueError):
    """Raised for what other parsers accept as JSON, but the relay does not. The message says what it is."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Unusual(f"the name {_quoted(name)} twice, of which either value may count")
            seen.add(name)
    return read


def _no_number(name: str) -> NoReturn:
    raise _Unusual(f"the number {name}, which JSON does not have")


_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def _is_time(value: object) -> TypeGuard[float]:
    # 2**40 seconds are beyond every calendar, so such a number is a mistake.
    return isinstance(value, int | float) and not isinstance(value, bool) and -(2**40) <= value <= 2**40


def _audiences(claim: object) -> list[str]:
    listed: list[Any] = claim if isinstance(claim, list) else [claim]
    return listed if all(isinstance(one, str) for one in listed) else []
