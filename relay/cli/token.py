"""`relay token`: sign a development token with the secret of the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer

from relay.auth.tokens import issue
from relay.config import KEY_SETTINGS, Settings
from relay.errors import StartupError
from relay.jwt_secrets import secrets_in

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def signed(settings: Settings, sub: str, pairs: Iterable[str], ttl: str, *, now: float) -> str:
    """Return a token for the user `sub`, valid from `now` (seconds since the epoch) for `ttl` (90s, 30m, 1h, 7d).

    `pairs` are further claims, each as name=value. Raises StartupError without a secret, BadParameter for a claim or a
    time that cannot be read.
    """
    if settings.relay_jwt_secret is None:
        public = next((name for name in KEY_SETTINGS[1:] if getattr(settings, name) is not None), None)
        raise StartupError(
            "RELAY_JWT_SECRET is not set: there is nothing to sign a token with."
            if public is None
            else f"RELAY_JWT_SECRET is not set: with {public.upper()} the relay can check tokens but not sign "
            "any; get one from the holder of the private key."
        )
    claims, ttl_s = claims_of(sub, pairs), _seconds(ttl)
    most_s = settings.relay_jwt_max_age_s
    if most_s is not None and ttl_s > most_s:
        raise typer.BadParameter(f"RELAY_JWT_MAX_AGE_S allows {most_s}s at most.", param_hint="--ttl")
    secret, *_ = secrets_in(settings.relay_jwt_secret.get_secret_value())
    algorithm = settings.relay_jwt_algorithms[0]
    return issue(secret, algorithm, claims, ttl_s=ttl_s, now=now)


def claims_of(sub: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the claims of a token for the user `sub`, from `pairs` of the form name=value.

    A value with commas is a list, and so is a claim that is given twice. Raises BadParameter for any other pair.
    """
    claims: dict[str, Any] = {"sub": sub}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not name or not separator:
            raise typer.BadParameter(f"{pair!r} is not name=value.", param_hint="--claim")
        if name in claims or "," in value:
            before = claims.get(name, [])
            claims[name] = [*(before if isinstance(before, list) else [before]), *value.split(",")]
        else:
            claims[name] = value
    return claims


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 30m or 1h.", param_hint="--ttl")
    return int(match[1]) * _UNITS_S[match[2]]
