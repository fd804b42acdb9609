"""Field names with dots, digits and dollars: the effect of a change is never guessed from its path."""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import bson
import pytest
from bson import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from support import odd_diffs
from support.collector import Collector, run_to_the_end, stored
from support.mongo_model import resume_token
from support.stored_comparison import DECODER, MAPPING, TRANSLATOR, of, same, shown

from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.metrics import Metrics
from relay.source.change import UNKNOWN_UPDATE, Change, key_of
from relay.source.decoder import Decoder
from relay.source.events import read_change, read_changes
from relay.source.stream import Batch
from relay.tasks.step import EventAdded, Step
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

SEEDS = st.integers(0, 2**32)


class History:
    """One document and its changes, as the `Source` and the `Reads` of the pump."""

    is_routed = False

    def __init__(self, documents: Sequence[dict[str, Any]], form: str, sizes: Sequence[int]) -> None:
        self.documents = documents
        encoded = [
            odd_diffs.change(before, after, form, Timestamp(10 + number, 1))
            for number, (before, after) in enumerate(pairwise(documents))
        ]
        self.changes: list[Any] = [*read_changes(encoded, DECODER, split=False)]
        self._raws = dict(zip((change.time for change in self.changes), encoded, strict=True))
        self._sizes = sizes

    async def batches(self) -> AsyncGenerator[Batch]:
        left, number, start = self.changes, 0, Timestamp(9, 1)
        while left:
            size = self._sizes[number % len(self._sizes)]
            taken, left, number = left[:size], left[size:], number + 1
            raws = [self._raws[change.time] for change in taken]
            yield Batch(taken, raws, start, taken[-1].time, resume_token(taken[-1].time))
            start = taken[-1].time

    def reopen(self, reason: str) -> None:
        raise AssertionError(reason)

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], *, projection: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        # (Just before a time is at the one before it: nothing else happened.)
        at = position.time if position.inc else position.time - 1
        document = copy.deepcopy(self.documents[max(0, at - 9)])
        if projection is not None:
            events = document.pop("events", None)
            held = isinstance(events, list)
            document |= {
                "relay_event_count": len(events) if held else None,
                "relay_last_events": events[-20:] if held else None,
            }
        return [DECODER.document(bson.encode(document))]


class Checked(Collector):
    """Keeps every step, and applies the messages as a listener does."""

    def __init__(self, history: History) -> None:
        read = TRANSLATOR.read(DECODER.document(bson.encode(history.documents[0])))
        super().__init__({read.id: stored(history.documents[0])})
        self.steps: list[Step] = []

    def prepare(self, step: Step) -> Callable[[], None] | None:
        return step.make_beside_timeline

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        super().publish(steps, position)
        self.steps += steps


def documents_of(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = [odd_diffs.document(rng)]
    for _ in range(count):
        while (after := odd_diffs.changed(rng, made[-1])) == made[-1]:
            continue
        made.append(after)
    return made


def published_from(
    history: History, memory: TaskCache | None = None, checked: Checked | None = None
) -> Checked:
    """Everything that a relay publishes of this history."""
    checked = checked or Checked(history)
    memory = memory or TaskCache(10, lambda key: False)
    pump = Pump(history, history, TRANSLATOR, memory, checked, Metrics())
    run_to_the_end(pump)
    return checked


@settings(max_examples=1000)
@given(SEEDS, st.sampled_from(odd_diffs.FORMS), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_the_computed_task_equals_the_stored_one(seed: int, form: str, sizes: list[int]) -> None:
    history = History(documents_of(seed, 8), form, sizes)
    memory = TaskCache(1000 if seed % 2 else 1, lambda key: False, array_bytes=0 if seed % 3 else 10_000)
    checked = published_from(history, memory)
    assert len(checked.steps) == 8
    for step, document in zip(checked.steps, history.documents[1:], strict=True):
        same(step.after, document)
    assert checked.timelines[checked.steps[-1].id] == stored(history.documents[-1])


@settings(max_examples=1000)
@given(SEEDS, st.sampled_from(["exact paths", "diff"]))
def test_an_exact_form_needs_no_read(seed: int, form: str) -> None:
    before, after = documents_of(seed, 1)
    (change,) = read_changes([odd_diffs.change(before, after, form, Timestamp(10, 1))], DECODER, split=False)
    assert isinstance(change, Change)
    if change.operation == UNKNOWN_UPDATE:  # two paths have one spelling
        return
    step = TRANSLATOR.translate(of(before), change)
    assert step is not None
    same(step.after, after)


@given(SEEDS, st.sampled_from(odd_diffs.FORMS), st.booleans(), st.booleans())
def test_an_update_by_usual_names_is_translated_like_any_other(
    seed: int, form: str, transaction: bool, split: bool
) -> None:
    made = documents_of(seed, 4)
    raws = [
        odd_diffs.change(before, after, form, Timestamp(10, 1), transaction=transaction)
        for before, after in pairwise(made)
    ]
    apart = [read_change(raw, DECODER, split=split) for raw in raws]
    assert repr([*read_changes(raws, DECODER, split=split)]) == repr(apart)


GITHUB = {"_id": 1, "github": {"prUrl": "a"}, "github.prUrl": "b", "events": []}


@pytest.mark.parametrize("form", odd_diffs.FORMS)
@pytest.mark.parametrize(
    "after",
    [
        {**GITHUB, "github": {"prUrl": "c"}, "github.prUrl": "d"},
        {"_id": 1, "github": {"prUrl": "c"}, "events": []},
        {"_id": 1, "github": {"x": 1}, "github.prUrl": "d", "events": []},
    ],
)
def test_two_paths_with_one_spelling_cause_a_read(form: str, after: dict[str, Any]) -> None:
    history = History([{**GITHUB, "github": {**GITHUB["github"], "x": 1}}, after], form, [1])
    assert history.changes[0].operation.paths is None
    same(published_from(history).steps[0].after, after)


def test_a_name_with_dots_beside_the_array_is_no_index_of_it() -> None:
    mapping = replace(MAPPING, events="log.items")
    translator = Translator(mapping, Audience(mapping.visibility).keys_of, max_text=100)
    before = {"_id": 1, "log": {"items": [1], "items.1": 0}, "log.items": [7]}
    after = {"_id": 1, "log": {"items": [1, 2], "items.1": 2}, "log.items": [7, 8], "log.items.1": 3}
    for form in ("exact paths", "diff"):
        raw = odd_diffs.change(before, after, form, Timestamp(10, 1))
        (change,) = read_changes([raw], Decoder("log.items"), split=False)
        assert isinstance(change, Change)
        if change.operation != UNKNOWN_UPDATE:
            step = translator.translate(translator.read(before), change)
            assert step is not None
            assert [message for message in step.messages if isinstance(message, EventAdded)] == [
                EventAdded(1, 2)
            ]


@pytest.mark.parametrize(
    ("published", "array"), [([0, 1], [0]), ([0], [0, 1]), ([], [0]), ([0], "none"), ([0, 1], [])]
)
def test_a_wrong_published_timeline_is_corrected_by_a_reset(published: list[Any], array: Any) -> None:
    stored_before = {"_id": 1, "events": array}
    history = History([stored_before, {"_id": 1, "events": [5, 6]}], "diff", [1])
    checked = Checked(history)
    checked.timelines = {of(stored_before).id: shown(of({"_id": 1, "events": published}))}
    memory = TaskCache(10, lambda key: False)
    wrong = of({"_id": 1, "events": published})
    memory.remember(key_of(1), wrong, with_array=False)
    published_from(history, memory, checked)
    assert checked.timelines[wrong.id] == stored({"events": [5, 6]})
