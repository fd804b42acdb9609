"""The digest of a timeline: equal if and only if the events that are sent are equal."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import JSON

from relay.tasks.event_view import START, EventView, event_json, extend

VIEW = EventView()


def digest_of(events: list[bytes]) -> bytes:
    return functools.reduce(extend, events, START)


@given(st.lists(JSON, max_size=8), st.lists(JSON, max_size=8))
def test_digests_are_equal_if_and_only_if_the_events_are(one: list[Any], other: list[Any]) -> None:
    shown, compared = ([event_json(event, VIEW) for event in events] for events in (one, other))
    assert (digest_of(shown) == digest_of(compared)) is (shown == compared)
    assert functools.reduce(extend, shown[3:], digest_of(shown[:3])) == digest_of(shown)
