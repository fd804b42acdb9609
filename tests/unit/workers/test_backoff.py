"""How long the parent waits before it starts a dead child again."""

from __future__ import annotations

from relay.workers.backoff import FIRST_S, LONGEST_S, STEADY_S, Backoff


def test_the_pause_doubles_with_each_failure_up_to_a_limit() -> None:
    backoff = Backoff()
    pauses = [backoff.failed(1.0) for _ in range(9)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_S, LONGEST_S]
    assert [backoff.failed(1.0) for _ in range(5_000)] == [LONGEST_S] * 5_000


def test_a_child_that_lived_long_enough_failed_for_the_first_time() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.failed(STEADY_S - 1)
    assert backoff.failures == 5
    assert backoff.failed(STEADY_S) == FIRST_S
    assert backoff.failures == 1
