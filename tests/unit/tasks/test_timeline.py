"""Whether a change appends to the timeline or rewrites it, for every form of change that the stream has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import JSON

from relay.source.change import Deleted, Inserted, Replaced, Updated
from relay.source.raw_bson import Element, decode_element, encode_element
from relay.tasks.event_view import EventView, event_json
from relay.tasks.scalars import text
from relay.tasks.timeline import (
    NOTHING,
    Appended,
    NeedsEvents,
    Outcome,
    Rewritten,
    Timeline,
    advance,
    brought,
    held,
    settled,
    timeline_of,
)

FIELDS = EventView()
E0, E1, E2 = ({"type": "log", "n": n} for n in range(3))


def advanced(before: list[Any] | None, operation: Any, path: str = "events") -> tuple[list[Any], Outcome]:
    timeline = NOTHING if before is None else timeline_of({"events": before}, "events")
    after, outcome = advance(timeline, operation, path)
    if isinstance(outcome, Rewritten):
        outcome = settled(outcome, FIELDS)
    return values(after.elements or ()), outcome


def values(elements: Sequence[Element]) -> list[Any]:
    return [decode_element(element) for element in elements]


@pytest.mark.parametrize(
    ("before", "fields", "added"),
    [
        pytest.param(None, {"events": [E0]}, [E0], id="the first push, no array yet"),
        pytest.param([], {"events": [E0]}, [E0], id="the first push, an empty array"),
        pytest.param([E0], {"events.1": E1, "status": "b"}, [E1], id="a push with a status"),
        pytest.param([E0], {"events.1": E1, "events.2": E2}, [E1, E2], id="a push of several"),
        pytest.param([E0], {"events.2": E2}, [None, E2], id="a set past the end leaves a hole"),
        pytest.param([E0], {"events": [E0, E1]}, [E1], id="a whole array that only adds"),
        pytest.param([E0], {"events": [{"n": 0, "type": "log"}, E1]}, [E1], id="keys in another order"),
    ],
)
def test_an_update_that_only_adds_at_the_end_is_an_append(before: Any, fields: Any, added: Any) -> None:
    after, outcome = advanced(before, Updated(fields))
    assert outcome == Appended(added)
    assert after == [*(before or []), *added]


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        pytest.param([E0, E1], Updated({"events": [E1]}), [E1], id="pull or slice"),
        pytest.param([E0, E1], Updated({"events": [E2, E0, E1]}), [E2, E0, E1], id="a push in front"),
        pytest.param([E0, E1], Updated({"events.1.n": 9}), [E0, {**E1, "n": 9}], id="an edit in place"),
        pytest.param([E0, E1], Updated({"events.1": None}), [E0, None], id="an unset element"),
        pytest.param([E0], Updated({}, ["events.0.n"]), [{"type": "log"}], id="an unset field"),
        pytest.param([E0, E1], Updated({}, (), [("events", 1)]), [E0], id="a pipeline that shortens"),
        pytest.param(
            [E0, E1], Updated({"events.1": E2}, (), [("events", 1)]), [E0, E2], id="shortens and appends"
        ),
        pytest.param([E0], Updated({}, ["events"]), [], id="the array unset"),
        pytest.param([E0], Updated({"events": "gone"}), [], id="no array any more"),
        pytest.param([E0], Replaced({"events": [E1]}), [E1], id="a replacement"),
    ],
)
def test_every_other_change_is_a_rewrite(before: list[Any], update: Any, after: list[Any]) -> None:
    held, outcome = advanced(before, update)
    assert held == after
    assert isinstance(outcome, Rewritten)
    assert (values(outcome.elements), values(outcome.before)) == (after, before)


@pytest.mark.parametrize(
    ("before", "update"),
    [
        pytest.param([E0], Updated({"status": "b"}), id="another field"),
        pytest.param([E0], Updated({"events": [E0]}), id="the same array again"),
        pytest.param([E0], Replaced({"events": [E0], "x": 1}), id="a replacement that leaves it equal"),
        pytest.param(None, Updated({"events": {"3": E0}}), id="an object in its place"),
        pytest.param(None, Updated({"events.0": E0}), id="a path where no array is"),
        pytest.param([E0], Updated({"eventsCount": 3}), id="a name that begins alike"),
    ],
)
def test_an_update_that_leaves_the_array_equal_changes_nothing(before: Any, update: Any) -> None:
    assert advanced(before, update) == (before or [], None)


@pytest.mark.parametrize("name", ["²", "٣", "01", "-1", "9" * 5000, "999999999", "", "x"])
def test_a_field_name_that_resembles_an_index_is_no_index(name: str) -> None:
    assert advanced([E0], Updated({f"events.{name}": E1})) == ([E0], None)
    assert advanced([E0], Updated({}, [f"events.{name}.n"])) == ([E0], None)


def test_a_push_needs_no_array_in_memory() -> None:
    after, outcome = advance(Timeline(5, True), Updated({"events.5": E0}), "events")
    assert outcome == Appended([E0])
    assert after == Timeline(6, True)


@pytest.mark.parametrize(
    "operation", [Updated({"events": [E0]}), Updated({"events.0.n": 1}), Replaced({"events": [E0]})]
)
def test_an_unclear_change_asks_for_the_array(operation: Any) -> None:
    before = Timeline(2, True)
    assert advance(before, operation, "events") == (before, NeedsEvents())


def test_the_array_may_be_in_a_sub_document() -> None:
    assert advanced(None, Updated({"log": {"items": [E0]}}), "log.items") == ([E0], Appended([E0]))
    assert advanced(None, Updated({"log.items": [E0]}), "log.items") == ([E0], Appended([E0]))
    assert advanced([E0], Updated({"log.items.1": E1}), "log.items") == ([E0, E1], Appended([E1]))
    assert advanced([E0], Updated({"log": 1}), "log.items") == ([], Rewritten((), (encode_element(E0),)))
    assert advanced([E0], Updated({"log": {"items": [E1]}}), "log.items")[0] == [E1]


def test_a_delete_and_an_insert_begin_a_new_timeline() -> None:
    assert advanced([E0], Deleted()) == ([], None)
    assert timeline_of({"events": [E0]}, "events") == Timeline(1, True, held([encode_element(E0)]))
    assert advanced(None, Inserted({"events": [E0]}))[0] == [E0]


@given(st.lists(JSON, max_size=6), st.lists(JSON, max_size=6))
def test_a_whole_array_is_compared_with_the_one_before(before: list[Any], after: list[Any]) -> None:
    held, outcome = advanced(before, Updated({"events": after}))
    match outcome:
        case Appended(events):
            held = [*before, *events]
        case Rewritten(elements):
            held = values(elements)
        case None:
            held = before
    assert [event_json(one, FIELDS) for one in held] == [event_json(one, FIELDS) for one in after]


EVENTS = st.lists(st.sampled_from([E0, E1, {"n": 0, "type": "log"}, None, 1, 1.0, True]), max_size=8)


@given(EVENTS, EVENTS)
def test_the_new_events_of_a_rewrite_are_those_that_were_not_there(
    before: list[Any], after: list[Any]
) -> None:
    rewritten = Rewritten(*(timeline_of({"a": one}, "a").elements or () for one in (after, before)))
    fresh = [index for index, _ in brought(rewritten, FIELDS)]
    shown = [event_json(one, FIELDS) for one in after]
    # As a multiset of the JSON, it is what the array after has beyond the one before.
    assert Counter(shown[index] for index in fresh) == Counter(shown) - Counter(
        event_json(one, FIELDS) for one in before
    )
    assert fresh == sorted(fresh)


TYPES = ["failed", "pr_opened", "log", "inf", "5", 5, 5.0, math.inf, None, ObjectId("c" * 24), "c" * 24, ""]
SECRETS = ["failed password=abcdefgh1", "failed password=abcdefgh2", "failed password=[redacted]", "f" * 300]
TYPED = st.lists(
    st.builds(
        lambda kind, n: {"type": kind, "n": n}, st.sampled_from(TYPES + SECRETS), st.sampled_from([1, 1.0])
    ),
    max_size=8,
)


@given(TYPED, TYPED, st.sets(st.sampled_from([*map(text, TYPES), *SECRETS])))
def test_the_new_events_of_wanted_types_are_those_among_all_new_ones(
    before: list[Any], after: list[Any], wanted: set[str | None]
) -> None:
    """Events of other types are not compared, and most of them not even decoded."""
    rewritten = Rewritten(*(timeline_of({"a": one}, "a").elements or () for one in (after, before)))
    all_new = brought(rewritten, FIELDS)
    found = brought(rewritten, FIELDS, lambda kind: kind in wanted)
    assert repr(found) == repr([(index, one) for index, one in all_new if FIELDS.type_of(one) in wanted])


def test_an_update_inside_an_element_leaves_the_others_encoded() -> None:
    binary = b"\x03\x00"  # bytes, as elements are
    held, outcome = advanced([binary, E0, E1], Updated({"events.1.n": 9, "events.5": binary}))
    assert held == [binary, {**E0, "n": 9}, E1, None, None, binary]
    assert isinstance(outcome, Rewritten)
    assert advanced([E0, E1, E2], Updated({"events.2": E2}, (), [("events", 1)]))[0] == [E0, None, E2]


def test_an_earlier_timeline_is_not_changed_by_an_append() -> None:
    before = timeline_of({"events": [E0]}, "events")
    first, _ = advance(before, Updated({"events.1": E1}), "events")
    # The same past may be asked for another future: a batch is translated again after a failure.
    other, _ = advance(before, Updated({"events.1": E2}), "events")
    assert [values(one.elements or ()) for one in (before, first, other)] == [[E0], [E0, E1], [E0, E2]]
    assert first.held is not None
    assert first.held.size == sum(map(len, first.elements or ()))
