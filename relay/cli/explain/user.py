"""The user of `relay explain`: of a token, which is verified as a relay does it, or given by name and claims.

Rule of this file: a token is never part of what is returned.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from relay.auth.keys import key_source
from relay.auth.tokens import Verifier
from relay.config import Settings
from relay.errors import Refused
from relay.tasks.claims import claim_at, text_of
from relay.tasks.visibility import Principal

KEYS_S = 6.0  # how long to wait for the keys of RELAY_JWKS_URL; a fetch takes at most 5 s
TIMES = ("iat", "nbf", "exp")
_YEAR_10000 = 253_402_300_800  # in seconds since 1970; a later time cannot be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is to be said about a token.

    `refused` says what is wrong with it, in a clause without a subject; `unchecked` says why its signature could not be
    checked, in a clause. Both are empty if the relay accepts the token. `times` has those of TIMES that can be shown,
    in seconds since 1970.
    """

    refused: str
    unchecked: str
    algorithm: str
    kid: str
    times: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class User:
    """The user that a task is to be explained for. `principal` is None if the token does not even say who they are;
    `token` is None if there is none. Of a token that is refused or cannot be checked, the claims are taken as they
    stand in it."""

    principal: Principal | None
    token: Token | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the relay would accept the user's token; true without a token."""
        return self.token is None or not (self.token.refused or self.token.unchecked)


def of_claims(claims: Mapping[str, Any], names: Collection[str]) -> User:
    """Return the user that a valid token with these claims would have. `names` are the claims that the rules read."""
    return User(_principal(claims, names))


async def of_token(settings: Settings, token: str, names: Collection[str]) -> User:
    """Verify a token with the keys of the settings, and return its user. `names` are the claims that the rules read.

    If the keys of RELAY_JWKS_URL cannot be fetched, nothing of the token is checked. Raises StartupError if the
    settings have no key.
    """
    keys = key_source(settings)
    fetching = asyncio.create_task(keys.run())
    await keys.first(KEYS_S)
    fetching.cancel()
    refused, unchecked, claims, header = "", "", _read(token), _header(token)
    if keys.current() is None:
        unchecked = f"no usable keys came from RELAY_JWKS_URL within {KEYS_S:.0f} s"
        principal = _principal(claims, names)
    else:
        try:
            principal = Verifier.of(settings, keys, names).verify(token)
        except Refused as refusal:
            refused, principal = refusal.detail, _principal(claims, names)
    times = {name: claims[name] for name in TIMES if _can_be_shown(claims.get(name))}
    algorithm, kid = _in_words(header.get("alg")), _in_words(header.get("kid"))
    said = Token(refused=refused, unchecked=unchecked, algorithm=algorithm, kid=kid, times=times)
    return User(principal, said)


def _principal(claims: Mapping[str, Any], names: Collection[str]) -> Principal | None:
    sub = text_of(claims.get("sub"))
    if sub is None:
        return None
    return Principal(sub, {name: claim_at(claims, name) for name in names}, 0)


def _read(token: str) -> dict[str, Any]:
    """Return the claims of a token without verifying it; none if they cannot be read."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except Exception:  # anything may have been given in place of a token
        return {}
    return claims


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except Exception:  # anything may have been given in place of a token
        return {}


def _in_words(value: object) -> str:
    """Return a value of a header: a string as it is, another value as JSON, and nothing for one that is not there."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _can_be_shown(time: object) -> bool:
    return isinstance(time, int | float) and not isinstance(time, bool) and 0 <= time < _YEAR_10000
