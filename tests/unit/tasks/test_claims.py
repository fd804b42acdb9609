"""Claims of a token: how they are found by name, also nested ones, and read as strings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.tasks.claims import claim_at, text_of, texts_of
from relay.tasks.mapping import RoleRule, Rule, Visibility
from relay.tasks.visibility import Audience, Principal


@pytest.mark.parametrize(
    ("claims", "name", "found"),
    [
        ({"roles": ["a"]}, "roles", ["a"]),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ["a"]),
        ({"a": {"b": {"c": {"d": 1}}}}, "a.b.c.d", 1),
        ({"https://example.com/roles": ["a"]}, "https://example.com/roles", ["a"]),
        ({"https://example.com/x": {"roles": ["a"]}}, "https://example.com/x.roles", ["a"]),
        ({"resource_access": {"my.app": {"roles": ["a"]}}}, "resource_access.my.app.roles", ["a"]),
        # The longest name that is there counts, and nothing behind it.
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a.b": None, "a": {"b": 2}}, "a.b", None),
        ({"a.b": "text", "a": {"b": {"c": 2}}}, "a.b.c", None),
        ({"a.b": {"x": 1}, "a": {"b": {"c": 2}}}, "a.b.c", None),
        # What is no object has no names in it.
        ({"a": [{"b": 1}]}, "a.b", None),
        ({"a": "b"}, "a.b", None),
        ({"a": None}, "a.b", None),
        ({"a": {"b": 1}}, "a.", None),
        ({"a": {"b": 1}}, ".b", None),
        ({"": {"b": 1}}, ".b", None),
        ({}, "a.b", None),
    ],
)
def test_a_claim_is_found_by_its_name_and_else_by_its_path(
    claims: dict[str, Any], name: str, found: Any
) -> None:
    assert claim_at(claims, name) == found


@pytest.mark.parametrize(
    ("claim", "texts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1017, 1017.0, "1017", -0.0, 10**30], ["1017", "1017", "1017", "0", "1" + "0" * 30]),
        ([None, True, False, "", 1.5, 2.0**53, 1e300, "a\ufffd", "\ud800"], []),
        ([["a"], {"a": "b"}], []),
        ({"a": "b"}, []),
        (None, []),
        (True, []),
    ],
)
def test_only_strings_and_integers_are_values_of_a_claim(claim: Any, texts: list[str]) -> None:
    assert texts_of(claim) == texts


@given(st.integers() | st.integers(-(2**53), 2**53).map(float))
def test_a_number_of_a_claim_is_its_exact_digits_or_no_value(number: float) -> None:
    text = text_of(number)
    assert text == str(int(number)) or (text is None and isinstance(number, float) and abs(number) == 2**53)


NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "a.b.a"])
CLAIMS = st.recursive(
    st.none() | st.sampled_from(["x", 1, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
).filter(lambda claims: isinstance(claims, dict))


@given(CLAIMS, st.lists(NAMES, min_size=1, max_size=3, unique=True), NAMES)
def test_the_kept_claims_give_the_rights_of_the_whole_token(claims: Any, names: list[str], role: str) -> None:
    rules = tuple(Rule(f"r{n}", ("x",), name) for n, name in enumerate(names))
    audience = Audience(Visibility(rules, (RoleRule(role, "1"),)))
    kept = {name: claim_at(claims, name) for name in audience.claims}
    whole, less = Principal("u", claims, 0), Principal("u", kept, 0)
    assert audience.keys_for(less) == audience.keys_for(whole)
    assert audience.filter_for(less) == audience.filter_for(whole)
