"""Who is an administrator: the claim of RELAY_ADMIN_CLAIM, and nothing that only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from support.relay_fixture import SECRET, token

from relay.auth.admins import Admins
from relay.auth.keys import key_source
from relay.config import defaults
from relay.errors import StartupError


def admins(claim: str = "roles=admin") -> Admins:
    settings = defaults(relay_jwt_secret=SECRET, relay_admin_claim=claim)
    return Admins.of(settings, key_source(settings))


def is_admin(claim: str, **claims: Any) -> bool:
    headers = [(b"authorization", f"Bearer {token('root', **claims)}".encode())]
    request = Request({"type": "http", "headers": headers, "query_string": b""})
    made = admins(claim)
    return made.includes(made.identify(request))


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("roles=admin", {"roles": "admin"}),
        ("roles=admin", {"roles": ["viewer", "admin"]}),
        ("realm_access.roles=ops", {"realm_access": {"roles": ["ops"]}}),
        ("https://example.com/roles=ops", {"https://example.com/roles": ["ops"]}),
        ("level=7", {"level": 7}),
        (" roles = admin ", {"roles": "admin"}),
        ("scope=a=b", {"scope": "a=b"}),
    ],
)
def test_the_claim_makes_an_administrator(claim: str, claims: dict[str, Any]) -> None:
    assert is_admin(claim, **claims)


@pytest.mark.parametrize(
    "value", [None, "", "Admin", "admins", "admin ", "viewer,admin", True, 1, {"admin": 1}, [["admin"]], []]
)
def test_any_other_value_makes_none(value: object) -> None:
    assert not is_admin("roles=admin", roles=value)


def test_a_token_without_the_claim_makes_none() -> None:
    assert not is_admin("roles=admin")
    assert not is_admin("a.roles=admin", roles=["admin"])


@pytest.mark.parametrize("claim", ["roles", "=admin", "roles=", "=", " = ", "admin"])
def test_a_wrong_form_is_refused_in_one_sentence(claim: str) -> None:
    with pytest.raises(
        StartupError, match=r"^RELAY_ADMIN_CLAIM: must be the name of a claim, = and a value"
    ) as said:
        defaults(relay_admin_claim=claim)
    assert str(said.value).count(".") == 1
