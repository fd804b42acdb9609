"""Documents with values of every BSON type: reading, translating and encoding them never raises."""

from __future__ import annotations

import functools
from typing import Any

import bson
import orjson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support import odd_values

from relay.hub.messages import StepFrames
from relay.hub.snapshot import Progress
from relay.source.change import Change, Deleted, Inserted, Operation, Replaced, Updated, key_of
from relay.source.decoder import Decoder
from relay.tasks.event_view import START
from relay.tasks.mapping import Mapping
from relay.tasks.step import Step
from relay.tasks.task import Task
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

MAPPING = Mapping()
DECODER = Decoder("events")
TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)
ROOTS = sorted({path.split(".")[0] for path in MAPPING.roots()} | {"events"})
IN_EVENT = (*MAPPING.event.type, *MAPPING.event.at, *MAPPING.event.payload, "prUrl", "questions", "error")
KINDS = st.sampled_from(sorted(odd_values.VALUES))


def of(fields: dict[str, bytes]) -> dict[str, Any]:
    """A document with these fields, as the relay decodes it."""
    return DECODER.document(odd_values.document({"_id": odd_values.in_value("t"), **fields}).raw)


def sent(before: Task | None, operation: Operation) -> Step:
    """Translate the change and encode its messages, which have to be JSON."""
    change = Change(key_of("t"), "t", Timestamp(10, 1), 0, operation)
    step = TRANSLATOR.translate(before, change)
    assert step is not None
    frames = StepFrames(step, TRANSLATOR.view)
    if step.after is not None:
        held = before.timeline.length if before is not None else 0
        made = [frame for frame, _ in (*frames.for_room(Progress(held, START))[0], *frames.lifecycles())]
        for frame in [*made, frames.upserted()]:
            orjson.loads(frame.body)
    return step


def events(*values: bytes) -> bytes:
    return b"\x04" + odd_values.raw(
        *(odd_values.field(one[0], str(index), one[1:]) for index, one in enumerate(values))
    )


@given(st.dictionaries(st.sampled_from(ROOTS), KINDS), st.dictionaries(st.sampled_from(ROOTS), KINDS))
def test_every_type_at_every_field_is_translated(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = (
        of({name: odd_values.VALUES[kind] for name, kind in fields.items()}) for fields in (one, other)
    )
    before = sent(None, Inserted(first)).after
    assert before is not None
    assert sent(before, Replaced(second)).after == TRANSLATOR.read(second)
    changed = Updated({name: value for name, value in second.items() if name != "_id"})
    after = sent(before, changed).after
    assert after is not None
    both = TRANSLATOR.read({**first, **second})
    assert (after.summary, after.keys, after.status) == (both.summary, both.keys, both.status)
    assert sent(after, Deleted()).after is None


@given(st.lists(st.dictionaries(st.sampled_from(IN_EVENT), KINDS), max_size=3), st.lists(KINDS, max_size=3))
def test_every_type_in_every_event_is_translated(inside: list[dict[str, str]], beside: list[str]) -> None:
    stored = [
        b"\x03" + odd_values.document({name: odd_values.VALUES[kind] for name, kind in event.items()}).raw
        for event in inside
    ] + [odd_values.VALUES[kind] for kind in beside]
    whole, none = of({"events": events(*stored)}), TRANSLATOR.read(of({"events": events()}))
    pushed = [DECODER.document(odd_values.raw(odd_values.field(one[0], "e", one[1:])))["e"] for one in stored]
    paths = {f"events.{index}": value for index, value in enumerate(pushed)}
    for operation in (Updated(paths), Replaced(whole), Updated({"events": whole["events"]})):
        after = sent(none, operation).after
        assert after is not None
        assert after.last == TRANSLATOR.read(whole).last
        assert sent(after, Replaced(whole)).messages == ()  # it is what is stored
    outlined = functools.reduce(
        lambda task, one: sent(task, Updated(dict([one]))).after, paths.items(), none.without_elements()
    )
    assert outlined is not None
    assert outlined.timeline.length == len(stored)


@pytest.mark.parametrize("kind", sorted(odd_values.VALUES))
def test_every_bson_type_may_be_a_status_or_the_type_of_an_event(kind: str) -> None:
    value = of({"value": odd_values.VALUES[kind]})["value"]
    before = TRANSLATOR.read(of({"events": events(), "status": odd_values.VALUES[kind]}))
    assert before.status is None or "merged" in str(value)
    sent(sent(before, Updated({"events.0": {"type": value}})).after, Updated({"status": "new"}))


@pytest.mark.parametrize("kind", [one for one in odd_values.VALUES if one.startswith("undecodable")])
def test_an_undecodable_value_hides_no_other_value(kind: str) -> None:
    for name in (*ROOTS, "other"):
        task = TRANSLATOR.read(of({"teamId": odd_values.in_value("red"), name: odd_values.VALUES[kind]}))
        assert ("team:s:red" in task.keys) is (name != "teamId")
        assert not any("[" in key for key in task.keys)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_rejected_as_no_document(noise: bytes) -> None:
    raw = odd_values.raw(noise)
    try:
        document = DECODER.document(raw)
    except bson.errors.InvalidBSON:
        return
    TRANSLATOR.read({"_id": 1, **document})
