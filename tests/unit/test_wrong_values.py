"""What a sentence about a wrong value shows of it."""

from __future__ import annotations

import json

import pytest

from relay.errors import but_is


@pytest.mark.parametrize("value", ["eighty", "HS256,RS256", "10.0.0.0/33, ::1", "", 5, -0.5, True])
def test_a_sentence_shows_a_wrong_value_that_cannot_be_a_key(value: object) -> None:
    assert but_is(value, ["0123456789abcdef" * 2]) == f", but is {json.dumps(value)}"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 21,
        "a " + "x" * 21,
        10**20,
        "a\nb",
        "a\tb",
        "-----BEGIN",
        "redis://u",
        "a@b",
        "secret",
        "the secret of us",
        "ecre",
        "p/word",
        None,
        ["a"],
    ],
)
def test_a_sentence_shows_nothing_that_may_be_a_key(value: object) -> None:
    assert but_is(value, ["secret", "p%2Fword"]) == ""


def test_a_value_that_is_cut_keeps_its_closing_quote() -> None:
    shown = but_is('"quoted" ' * 30).removeprefix(", but is ")
    assert len(json.loads(shown)) == 100
    assert json.loads(shown).endswith("…")
