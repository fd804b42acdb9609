"""The notice that a token expires soon: when a poll is answered for it."""

from __future__ import annotations

import pytest

from relay.gateway.expiry import NOTICE_S, moment, seconds_to_notice


@pytest.mark.parametrize(
    ("left_s", "wait_s"),
    [(600, 600 - NOTICE_S), (NOTICE_S + 1, 1), (NOTICE_S, NOTICE_S / 2), (8, 4), (2, 2), (0.5, 0.5), (-3, 0)],
)
def test_a_poll_is_answered_when_the_notice_is_due_and_in_time_before_the_end(
    left_s: float, wait_s: float
) -> None:
    assert seconds_to_notice(left_s) == wait_s


def test_a_token_that_never_ends_has_a_time_all_the_same() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(1e18).startswith("9999-12-31")
