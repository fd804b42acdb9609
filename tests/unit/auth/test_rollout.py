"""The rollout includes the right users, and the same ones everywhere."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import config
from relay.auth.rollout import Rollout, percentile

SUBS = st.text(min_size=1)
PERCENT = st.integers(0, 100)


@given(SUBS, PERCENT, PERCENT)
def test_a_larger_percentage_only_adds_users(sub: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    if Rollout(percent=small).is_in(sub):
        assert Rollout(percent=large).is_in(sub)


@given(SUBS, st.frozensets(SUBS), PERCENT)
def test_the_switch_outranks_the_list_and_the_list_outranks_the_percentage(
    sub: str, users: frozenset[str], percent: int
) -> None:
    assert not Rollout(enabled=False, percent=percent, users=users | {sub}).is_in(sub)
    assert Rollout(percent=0, users=users | {sub}).is_in(sub)
    assert Rollout(percent=0, users=users).is_in(sub) == (sub in users)
    assert Rollout(percent=100, users=users).is_in(sub)


@pytest.mark.parametrize("percent", [1, 10, 50, 90])
@pytest.mark.parametrize("form", ["user-{}", "{:024x}", "auth0|{:08d}", "{}@example.com"])
def test_the_share_of_users_is_about_right_for_ids_of_every_form(percent: int, form: str) -> None:
    rollout = Rollout(percent=percent)
    share = sum(rollout.is_in(form.format(n)) for n in range(20_000)) / 200
    assert share == pytest.approx(percent, abs=1.5)  # more than four standard deviations


@given(SUBS)
def test_a_percentile_is_below_a_hundred(sub: str) -> None:
    assert 0 <= percentile(sub) < 100


def test_a_user_has_the_same_percentile_in_every_version() -> None:
    assert [percentile(sub) for sub in ("alice", "bob", "Zoë", "\ud800")] == [20, 25, 7, 87]
    assert percentile("alice") == int(hashlib.sha256(b"alice").hexdigest(), 16) % 100


def test_every_user_is_included_by_default() -> None:
    settings = config.Settings()
    assert settings.feature_websocket_enabled
    assert settings.feature_websocket_percent == 100
    assert settings.feature_websocket_users == ()
    assert Rollout().is_in("anyone")
