"""The task after a change, its summary and keys, and the messages of a change beside the lifecycle messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from bson import Decimal128, Int64, Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.steps import ID, MAPPING, WALL_MS, event, step_of, translator

from relay.protocol.types import Kind
from relay.source.change import Change, Deleted, Operation, Replaced, Updated, key_of
from relay.tasks.document import apply
from relay.tasks.event_view import event_json
from relay.tasks.mapping import Mapping
from relay.tasks.step import EventAdded, Lifecycle, Listed, StateReset, SummaryUpdated
from relay.tasks.timeline import Held, Timeline


def test_a_delete_keeps_the_keys_of_the_task_before() -> None:
    step = step_of({"createdBy": "alice"}, Deleted())
    assert step.after is None
    assert step.before is not None
    assert "creator:s:alice" in step.before.keys
    assert step.messages == ()


def test_the_next_candidate_counts_after_one_is_unset() -> None:
    step = step_of({"title": "a", "name": "b"}, Updated({}, ["title"]))
    assert step.after is not None
    assert step.after.summary["title"] == "b"


def test_a_change_inside_an_array_of_members_changes_the_keys() -> None:
    step = step_of({"members": ["alice", "bob"]}, Updated({"members.1": "carol"}))
    assert step.after is not None
    assert step.after.keys == {"all", "member:s:alice", "member:s:carol"}


def test_a_summary_has_the_types_that_the_wire_promises() -> None:
    document = {
        "_id": ID,
        "name": "x" * 80,
        "state": "open",
        "creator": ID,
        "created_at": 1_700_000_000,
        "github": {"issueUrl": "https://i/1", "issueNumber": 12.0},
        "pullRequest": {"url": "https://p/2", "number": "34"},
        "errorMessage": {"message": "broke"},
        "clarificationQuestions": ["why?", {"text": "when?"}, 5, None],
        "events": "none",
    }
    assert translator().read(document).summary == {
        "taskId": str(ID),
        "eventCount": 0,
        "title": "x" * 49 + "…",
        "creator": str(ID),
        "status": "open",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "issueUrl": "https://i/1",
        "issueNumber": 12,
        "prUrl": "https://p/2",
        "prNumber": 34,
        "error": "broke",
        "questions": ["why?", "when?", "5"],
    }


OF_ANOTHER_TEAM = replace(MAPPING, statuses={"with_the_bot": Kind.ANALYZING, "shipped": Kind.PR_MERGED})


@pytest.mark.parametrize(
    ("status", "mapping", "stage"),
    [
        ("analyzing", MAPPING, "analyzing"),
        ("needsClarification", MAPPING, "clarification_needed"),
        ("in_review", MAPPING, "pr_opened"),
        ("with the bot", OF_ANOTHER_TEAM, "analyzing"),
        ("shipped", OF_ANOTHER_TEAM, "pr_merged"),
        ("analyzing", OF_ANOTHER_TEAM, None),
        ("open", MAPPING, None),
        (None, MAPPING, None),
    ],
)
def test_a_summary_names_the_stage_that_the_mapping_lists_its_status_under(
    status: str | None, mapping: Mapping, stage: str | None
) -> None:
    assert translator(mapping).read({"_id": ID, "status": status}).summary.get("stage") == stage


def test_the_stage_of_a_summary_follows_its_status() -> None:
    kept = step_of({"status": "analyzing"}, Updated({"title": "x"}))
    assert kept.after is not None
    assert kept.after.summary["stage"] == "analyzing"

    left = step_of({"status": "analyzing"}, Updated({"status": "on hold"}))
    assert left.after is not None
    assert "stage" not in left.after.summary


def test_a_summary_read_for_a_list_equals_that_of_the_whole_document() -> None:
    document = {"_id": ID, "title": "a", "github": {"prUrl": "https://p"}, "events": [1, 2]}
    reader = translator()
    projected = {key: value for key, value in document.items() if key != "events"} | {"relay_event_count": 2}
    assert reader.summarise(projected) == reader.read(document).summary


@pytest.mark.parametrize("operation", [Updated({"title": "x"}), Deleted()])
def test_a_change_of_an_unknown_task_sends_nothing(operation: Operation) -> None:
    step = step_of(None, operation)
    assert (step.before, step.after, step.messages) == (None, None, ())


def test_a_replacement_is_compared_with_the_document_before() -> None:
    before = {"status": "new", "title": "a", "events": [event("log")]}
    step = step_of(
        before, Replaced({"_id": ID, "status": "new", "title": "b", "events": [event("log"), event("log")]})
    )
    assert step.messages == (EventAdded(1, event("log")), SummaryUpdated(), Listed())
    assert not any(isinstance(one, StateReset) for one in step.messages)


HISTORY = st.lists(
    st.sampled_from([event("log"), event("merged"), event("dispatched"), None, "x"]), max_size=60
)


@given(HISTORY, st.sampled_from([None, "gone", {"0": 1}]))
def test_an_outline_equals_the_task_without_its_array(history: list[Any], otherwise: Any) -> None:
    reader = translator()
    for stored in (history, otherwise):
        document = {"_id": ID, "title": "a", "github": 5, "members": ["a", {"b": 1}], "events": stored}
        task = reader.read(document)
        # What the database makes of the projection; test_exactness holds it to the real one.
        is_array = isinstance(stored, list)
        projected = {
            **{name: value for name, value in document.items() if name != "events"},
            "relay_event_count": len(stored) if is_array else None,
            "relay_last_events": stored[-20:] if is_array else None,
        }
        outline = reader.outline(projected)
        if outline is None:
            assert task.last is None or task.last.index < len(history) - 20
        else:
            length = task.timeline.length
            assert outline == task._replace(
                timeline=Timeline(length, is_array, None if length else Held([], 0))
            )


NAMES = (
    "title",
    "name",
    "status",
    "createdBy",
    "members",
    "teamId",
    "updatedAt",
    "github.prUrl",
    "github",
    "pr",
)
SET = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["a", "failed", None, 5, ["u"], {"prUrl": "b"}])
)


@given(SET, st.lists(st.tuples(SET, st.lists(st.sampled_from(NAMES), max_size=2)), max_size=3))
def test_the_task_after_an_update_equals_that_of_the_whole_document(
    first: dict[str, Any], updates: list[tuple[dict[str, Any], list[str]]]
) -> None:
    reader = translator()
    document: Any = {"_id": ID, "events": [], **{name: first[name] for name in first if "." not in name}}
    task: Any = reader.read(document)
    for number, (fields, removed) in enumerate(updates):
        pushed = {f"events.{number}": event("log")}
        document = apply(document, fields | pushed, removed, ())
        change = Change(key_of(ID), ID, Timestamp(10, 1), WALL_MS, Updated(fields | pushed, removed))
        step = reader.translate(task, change)
        assert step is not None
        task, shown = step.after, reader.read(document)
        assert (list(task.summary.items()), task.keys) == (list(shown.summary.items()), shown.keys)
        assert (task.status, task.document) == (shown.status, shown.document)


def test_the_whole_document_is_read_if_array_and_fields_share_a_sub_document() -> None:
    assert translator().outline_projection is not None
    assert translator(replace(MAPPING, events="github.log")).outline_projection is None


@pytest.mark.parametrize("value", [7, Int64(7), 7.0, Decimal128("7"), Decimal128("7.0"), "7"], ids=repr)
def test_issue_numbers_and_times_are_read_in_every_bson_type(value: Any) -> None:
    step = step_of({"events": []}, Updated({"events.0": event("dispatched", issueNumber=value)}))
    (lifecycle,) = [one for one in step.messages if isinstance(one, Lifecycle)]
    assert lifecycle.data["issueNumber"] == 7
    at = Decimal128("1700000000") if isinstance(value, Decimal128) else 1_700_000_000
    shown = orjson.loads(event_json({"type": "x", "at": at}, translator().view))
    assert shown["at"] == "2023-11-14T22:13:20.000Z"
