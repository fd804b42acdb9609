"""One update of many events at once: what it costs grows with their number, and not with its square."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import JSON
from support.steps import MAPPING, event, lifecycle_of, names, step_of

from relay.protocol.types import Kind
from relay.source.change import Updated
from relay.source.raw_bson import decode_element, decode_elements, encode_element
from relay.tasks import lifecycle, timeline
from relay.tasks.document import apply
from relay.tasks.lifecycle import LifecycleRules

MANY = 8_000


class Watched(list[Any]):
    """An array that counts the elements which are copied from it."""

    copied = 0

    def __iter__(self) -> Iterator[Any]:
        Watched.copied += len(self)
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        Watched.copied += len(found) if isinstance(index, slice) else 0
        return found


@pytest.mark.parametrize(
    ("fields", "removed"),
    [
        pytest.param({f"a.{n}.v": 2 for n in range(100)}, [], id="fields set"),
        pytest.param({f"a.{n}": 2 for n in range(150)}, [], id="elements set, some beyond the end"),
        pytest.param({}, [f"a.{n}.w" for n in range(100)], id="fields removed"),
    ],
)
def test_an_array_is_copied_once_however_many_paths_lead_into_it(
    fields: dict[str, Any], removed: list[str]
) -> None:
    array = Watched({"v": 1, "w": 1} for _ in range(100))
    document = {"a": array, "b": {"c": 1}}
    Watched.copied = 0

    after = apply(document, fields, removed, ())

    assert Watched.copied == 100
    assert after["a"] != array
    assert document == {"a": [{"v": 1, "w": 1}] * 100, "b": {"c": 1}}
    assert after["b"] is document["b"]


def test_a_path_into_a_value_that_the_update_sets_changes_a_copy_of_it() -> None:
    given = {"x": [1]}
    after = apply({"a": 1}, {"a": given, "a.x.0": 2, "a.y": 3}, (), ())
    assert (after, given) == ({"a": {"x": [2], "y": 3}}, {"x": [1]})


def test_an_update_that_changes_nothing_returns_the_same_document() -> None:
    document = {"a": "text", "b": [1]}
    assert apply(document, {"a.b": 1, "b.x": 2}, ["c.d", "b.0"], [("a", 3)]) is document


@given(st.lists(JSON, max_size=6), st.integers(1, 4))
def test_elements_decoded_together_are_those_decoded_one_by_one(values: list[Any], together: int) -> None:
    elements = [encode_element(value) for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.source.raw_bson.TOGETHER", together)
        found = decode_elements(elements)
    # By their BSON, because NaN equals nothing.
    assert [encode_element(one) for one in found] == elements
    assert list(map(repr, found)) == [repr(decode_element(element)) for element in elements]


def test_many_events_whose_type_changes_at_once_have_one_message_of_each_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {"status": "new", "events": [event("log", n=n) for n in range(MANY)]}
    kinds = ("dispatched", "pr_opened", "failed")
    looked_at = [0]
    kind_of = LifecycleRules.kind_of

    def counted(self: LifecycleRules, element: Any) -> Kind | None:
        looked_at[0] += 1
        return kind_of(self, element)

    monkeypatch.setattr(LifecycleRules, "kind_of", counted)
    step = step_of(before, Updated({f"events.{n}.type": kinds[n % 3] for n in range(MANY)}))

    assert names(step) == ["StateReset", "failed", "dispatched", "pr_opened"]
    assert looked_at[0] < 5 * MANY


def test_of_each_kind_the_last_new_event_has_the_message() -> None:
    before = {"status": "new", "events": [event("log", n=n) for n in range(4)]}
    kinds = ("pr_opened", "failed", "pr_opened")
    step = step_of(before, Updated({f"events.{n}": event(kind, prNumber=n) for n, kind in enumerate(kinds)}))
    assert lifecycle_of(step) == [Kind.FAILED, Kind.PR_OPENED]
    assert step.messages[-1].data == {"status": "new", "prNumber": 2}  # type: ignore[union-attr]


def test_new_events_of_the_kind_of_the_status_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event("log", n=n) for n in range(MANY)]
    before = {"status": "dispatched", "events": [event("analyzing"), *events]}
    decoded = [0]

    def counted(elements: Any) -> list[Any]:
        decoded[0] += len(elements)
        return decode_elements(elements)

    monkeypatch.setattr(lifecycle, "decode_elements", counted)
    step = step_of(before, Updated({f"events.{n}.type": "dispatched" for n in range(1, MANY + 1)}))
    assert lifecycle_of(step) == [Kind.DISPATCHED]
    assert decoded[0] < 2.1 * MANY  # a read and a change look at each once


def test_no_event_is_encoded_for_a_list_unless_it_may_have_a_lifecycle_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encodes(*_: Any) -> bytes:
        raise AssertionError("an event is encoded")

    before = {"status": "new", "events": [event("log", n=n) for n in range(50)] + [event("failed")]}
    step = step_of(before, Updated({f"events.{n}.v": 1 for n in range(50)} | {"title": "new"}))
    with monkeypatch.context() as patch:
        patch.setattr(timeline, "event_json", encodes)
        patch.setattr(timeline, "element_json", encodes)
        assert [type(one).__name__ for one in step.beside_timeline] == ["SummaryUpdated", "Listed"]
    assert names(step) == ["StateReset", "SummaryUpdated", "Listed"]


EVENTS = st.lists(
    st.builds(event, st.sampled_from(["log", "failed", "dispatched"]), n=st.sampled_from([1, 1.0, 2])),
    max_size=6,
)


@given(EVENTS, EVENTS, st.sampled_from(["new", "failed", "dispatched"]))
def test_the_messages_beside_the_timeline_are_those_of_the_step_without_it(
    before: list[Any], after: list[Any], status: str
) -> None:
    update = Updated({"events": after, "status": status})
    document = {"status": "new", "events": before}
    whole, beside = step_of(document, update), step_of(document, update)
    rest = [one for one in whole.messages if type(one).__name__ not in ("EventAdded", "StateReset")]
    assert list(beside.beside_timeline) == rest
    assert list(whole.beside_timeline) == rest
    assert names(beside) == names(whole)
    assert MAPPING.lifecycle_from == "both"
