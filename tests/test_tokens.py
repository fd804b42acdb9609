"""Tokens: which are accepted, and that nothing else is."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from relay.access.tokens import Verifier, issue
from relay.errors import Refused

SECRET = "a secret for tests, long enough for HS256"
NOW = time.time()


def signed(claims: dict[str, Any], *, secret: str = SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers or None)


def unsigned(algorithm: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({'sub': 'a', 'exp': NOW + 3600})}."


def test_a_good_token_names_its_user_and_its_end() -> None:
    principal = Verifier(SECRET, ["HS256"]).verify(
        issue(SECRET, "HS256", {"sub": "alice", "teams": ["red"]}, ttl_s=3600, now=NOW)
    )
    assert principal.sub == "alice"
    assert principal.claims["teams"] == ["red"]
    assert principal.expires_at == int(NOW + 3600)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed({"sub": "a"}), id="no exp"),
        pytest.param(signed({"exp": NOW + 3600}), id="no sub"),
        pytest.param(signed({"sub": "\ud800", "exp": NOW + 3600}), id="half a character"),
        pytest.param(signed({"sub": "", "exp": NOW + 3600}), id="an empty sub"),
        pytest.param(signed({"sub": "a", "exp": str(int(NOW + 3600))}), id="exp as text"),
        pytest.param(signed({"sub": "a", "exp": 1e30}), id="exp past all calendars"),
        pytest.param(signed({"sub": "a", "exp": [NOW + 3600]}), id="exp as a list"),
        pytest.param(signed({"sub": "a", "exp": NOW + 3600, "nbf": NOW + 7200}), id="not yet valid"),
        pytest.param(signed({"sub": "a", "exp": NOW + 3600}, secret=SECRET[::-1]), id="another secret"),
        pytest.param(
            signed({"sub": "a", "exp": NOW + 3600}, secret=SECRET * 2, algorithm="HS512"), id="another alg"
        ),
        pytest.param(signed({"sub": "a", "exp": NOW + 3600}, crit=["x"], x=1), id="crit"),
        pytest.param(unsigned("none"), id="none"),
        pytest.param(unsigned("nOnE"), id="nOnE"),
        pytest.param("", id="nothing"),
        pytest.param("x" * 100_000, id="too long"),
        pytest.param("é.ü.☃", id="no ASCII"),
    ],
)
def test_every_other_token_is_refused(token: str) -> None:
    with pytest.raises(Refused) as refused:
        Verifier(SECRET, ["HS256"]).verify(token)
    assert (refused.value.code, refused.value.reason) == (4401, "unauthenticated")
    assert token == "" or token not in str(refused.value)


@pytest.mark.parametrize("age", [5, 100])
def test_a_token_that_ended_is_refused_by_name(age: float) -> None:
    with pytest.raises(Refused, match="token_expired"):
        Verifier(SECRET, ["HS256"]).verify(signed({"sub": "a", "exp": NOW - age}))


def test_issuer_and_audience_count_where_they_are_configured() -> None:
    strict = Verifier(SECRET, ["HS256"], issuer="https://id", audience="relay")
    base = {"sub": "a", "exp": NOW + 3600}
    assert strict.verify(signed({**base, "iss": "https://id", "aud": ["relay", "other"]})).sub == "a"
    for claims in ({}, {"iss": "https://id.evil", "aud": "relay"}, {"iss": "https://id", "aud": "other"}):
        with pytest.raises(Refused):
            strict.verify(signed({**base, **claims}))
