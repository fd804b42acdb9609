"""Token buckets limit rates, and caps limit open connections."""

from __future__ import annotations

from support.relay_fixture import settings_for

from relay.auth.limits import Buckets, Caps, TokenBucket
from relay.auth.shared_counts import SharedCounts


def test_a_token_bucket_permits_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=2, burst=4, now=0.0)

    assert [bucket.take(now=0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert bucket.take(now=0.5) == 0.0


def test_a_bucket_is_kept_for_each_name_until_it_is_full_again() -> None:
    buckets = Buckets(rate=2, burst=4)

    assert [buckets.take("alice", now=0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert buckets.take("bob", now=0.5) == 0.0
    assert buckets.take("alice", now=0.5) == 0.0
    assert len(buckets) == 2

    assert buckets.take("carol", now=2.5) == 0.0
    assert len(buckets) == 1
    assert [buckets.take("alice", now=2.5) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]


def test_a_bucket_that_owes_requests_is_kept() -> None:
    buckets = Buckets(rate=2, burst=4)
    buckets.take("alice", now=0.0)
    buckets.charge("alice", 10)

    assert buckets.take("bob", now=3.0) == 0.0
    assert buckets.take("alice", now=3.0) == 1.0  # it owed 7, and 6 have come back


def test_a_request_that_costs_more_passes_like_any_other_and_later_ones_wait() -> None:
    buckets = Buckets(rate=2, burst=4)

    assert buckets.take("alice", now=0.0, requests=3.5) == 0.0
    assert buckets.take("alice", now=0.0, requests=3.5) == 0.25
    assert buckets.take("alice", now=0.25, requests=3.0) == 0.0
    assert buckets.take("alice", now=0.25) == 1.5


def test_a_user_may_ask_at_once_for_what_the_rate_permits_in_five_seconds() -> None:
    buckets = Buckets.of_users(settings_for("mongodb://nowhere", "none", relay_messages_per_second=20))

    taken = [buckets.take("alice", now=0.0) for _ in range(101)]

    assert taken == [0.0] * 100 + [0.05]


def test_caps_count_addresses_and_users_separately() -> None:
    caps = Caps(total=3, per_address=2, per_user=1)

    assert [caps.enter(address) for address in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    assert [caps.enter_user(user) for user in ("u", "u", "v")] == [True, False, True]

    caps.leave("a")
    assert caps.enter("c")


def test_a_connection_without_an_address_counts_only_for_the_total() -> None:
    caps = Caps(total=2, per_address=1, per_user=1)

    assert [caps.enter(None), caps.enter(None), caps.enter(None)] == [True, True, False]

    caps.leave(None)
    assert caps.enter("a")


def test_caps_are_crowded_when_more_than_half_is_used() -> None:
    caps = Caps(total=9, per_address=4, per_user=1)

    crowded = []
    for _ in range(4):
        caps.enter("a")
        crowded.append(caps.is_crowded("a"))

    assert crowded == [False, False, True, True]
    assert not caps.is_crowded("b")
    assert not caps.is_crowded(None)


def test_caps_keep_nothing_of_those_that_have_left() -> None:
    caps = Caps(total=9, per_address=4, per_user=4)
    for name in ("a", "b"):
        caps.enter(name)
        caps.enter_user(name)

    for name in ("a", "b"):
        caps.leave(name)
        caps.leave_user(name)

    assert not caps._addresses
    assert not caps._users


def test_processes_that_share_counts_keep_the_caps_together() -> None:
    counts = SharedCounts.create(2, connections=20_000)
    counts.close()
    here, there = (
        Caps(total=3, per_address=2, per_user=1, shared=counts.worker(slot).admission, total_of_all=4)
        for slot in range(2)
    )

    assert [here.enter("a"), there.enter("a"), here.enter("a"), there.enter("a")] == [
        True,
        True,
        False,
        False,
    ]
    assert [here.enter_user("u"), there.enter_user("u"), there.enter_user("v")] == [True, False, True]
    assert [here.enter("b"), here.enter(None), here.enter("c"), there.enter("c")] == [
        True,
        True,
        False,
        False,
    ]
    assert there.is_crowded(None)

    here.leave("a")
    assert there.enter("c")


def test_a_process_keeps_its_own_total_beside_that_of_all() -> None:
    counts = SharedCounts.create(2, connections=20_000)
    counts.close()
    caps = Caps(total=2, per_address=9, per_user=9, shared=counts.worker(1).admission, total_of_all=100)

    assert [caps.enter("a"), caps.enter("b"), caps.enter("c"), caps.enter(None)] == [True, True, False, False]
    assert caps.is_crowded(None)
