"""Which lifecycle messages a change has: each is sent once, for an event, for a status, or for both."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import pytest
from bson import Decimal128, Int64
from support.steps import ID, MAPPING, event, lifecycle_of, names, step_of, translator

from relay.protocol.types import Kind
from relay.source.change import Inserted, Updated
from relay.tasks.event_view import event_json
from relay.tasks.step import Lifecycle
from relay.tasks.task import Milestone


def test_an_insert_sends_created_and_the_message_of_its_status() -> None:
    document = {
        "_id": ID,
        "title": "Fix",
        "createdBy": "alice",
        "status": "analyzing",
        "events": [event("x")],
    }
    step = step_of(None, Inserted(document))
    assert names(step) == ["created", "analyzing", "Listed"]
    assert step.messages[0] == Lifecycle(
        Kind.CREATED, {"title": "Fix", "creator": "alice", "status": "analyzing"}
    )
    assert step.at == "2026-01-02T03:04:05.000Z"


@pytest.mark.parametrize(
    ("before", "fields", "expected"),
    [
        pytest.param(
            {"status": "new"},
            {"events": [event("analysis_started")], "status": "analyzing"},
            ["EventAdded", "analyzing", "SummaryUpdated", "Listed"],
            id="event and status in one update: one message",
        ),
        pytest.param(
            {"status": "analyzing"},
            {"events": [event("analysis_started")]},
            ["EventAdded", "Listed"],
            id="the event after its status: its pair",
        ),
        pytest.param(
            {"status": "new", "events": [event("dispatched")]},
            {"status": "dispatched"},
            ["SummaryUpdated", "Listed"],
            id="the status after its event: its pair",
        ),
        pytest.param(
            {"status": "new"},
            {"status": "merged"},
            ["pr_merged", "SummaryUpdated", "Listed"],
            id="status only",
        ),
        pytest.param(
            {"status": "new"},
            {"events": [event("PR_OPENED")]},
            ["EventAdded", "pr_opened", "Listed"],
            id="event only",
        ),
        pytest.param(
            {"status": "pr_opened", "events": [event("pr_opened")]},
            {"events.1": event("pr_opened")},
            ["EventAdded", "pr_opened", "Listed"],
            id="a second pull request",
        ),
        pytest.param(
            {"status": "new", "events": [event("log")]},
            {"events.1": event("dispatched"), "events.2": event("prOpened"), "status": "in_review"},
            ["EventAdded", "dispatched", "EventAdded", "pr_opened", "SummaryUpdated", "Listed"],
            id="several events of one change",
        ),
        pytest.param({"status": "a"}, {"unmapped": 1}, [], id="nothing that anybody sees"),
        pytest.param({"status": "a"}, {"updatedAt": 1700000000}, ["Listed"], id="only the time moved"),
    ],
)
def test_a_lifecycle_message_is_sent_once_for_an_event_and_its_status(
    before: dict[str, Any], fields: dict[str, Any], expected: list[str]
) -> None:
    assert names(step_of(before, Updated(fields))) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [("events", ["EventAdded", "dispatched"]), ("status", ["EventAdded", "analyzing"])],
)
def test_a_mapping_may_read_the_lifecycle_from_one_source_only(source: Any, expected: list[str]) -> None:
    mapping = replace(MAPPING, lifecycle_from=source)
    step = step_of(
        {"status": "new"}, Updated({"events": [event("dispatched")], "status": "analyzing"}), mapping
    )
    assert names(step)[:2] == expected


def test_a_rewrite_sends_the_state_and_the_lifecycle_of_new_events() -> None:
    before = {"status": "new", "events": [event("dispatched"), event("log")]}
    step = step_of(before, Updated({"events": [event("dispatched"), event("failed", error="no")]}))
    assert names(step) == ["StateReset", "failed"]
    assert step.messages[1] == Lifecycle(Kind.FAILED, {"status": "new", "error": "no"})


def test_a_full_array_that_is_pushed_to_keeps_its_lifecycle() -> None:
    old = [event("log", n=n) for n in range(3)]
    step = step_of({"status": "new", "events": old}, Updated({"events": [*old[1:], event("merged")]}))
    assert names(step) == ["StateReset", "pr_merged"]


def test_fields_of_a_message_come_from_the_event_before_the_document() -> None:
    before = {"status": "new", "prUrl": "https://x/old", "prNumber": 7}
    step = step_of(before, Updated({"events": [event("pr_opened", data={"prUrl": "https://x/new"})]}))
    assert step.messages[1] == Lifecycle(
        Kind.PR_OPENED, {"status": "new", "prUrl": "https://x/new", "prNumber": 7}
    )


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_full_array_keeps_its_last_milestone(kept: int) -> None:
    """The last milestone moves with the array, and is forgotten when it leaves it."""
    old = [event("dispatched"), *(event("log", n=n) for n in range(5))]
    before = {"status": "new", "events": old}
    after = [*old[6 - kept :], event("log", n=9)]
    step = step_of(before, Updated({"events": after}))
    assert step.after is not None
    assert step.after.last == translator().read({"_id": ID, "status": "new", "events": after}).last


IN_EVERY_TYPE = [3, Int64(3), 3.0, Decimal128("3"), Decimal128("3.00"), "3"]
NUMBERED = replace(
    MAPPING,
    event_types={"3": Kind.PR_OPENED, "-3": Kind.FAILED},
    statuses={"3": Kind.PR_OPENED, "-3": Kind.FAILED},
)


@pytest.mark.parametrize("value", IN_EVERY_TYPE, ids=repr)
def test_a_number_as_status_or_type_is_equal_in_every_bson_type(value: Any) -> None:
    pushed = step_of({"events": []}, Updated({"events.0": event(value)}), NUMBERED)
    assert lifecycle_of(pushed) == [Kind.PR_OPENED]
    written = step_of({"status": "new"}, Updated({"status": value}), NUMBERED)
    assert lifecycle_of(written) == [Kind.PR_OPENED]
    assert written.after is not None
    assert written.after.summary["status"] == "3"
    # Read from the database instead of followed, the two say the same.
    reader = translator(NUMBERED)
    read = reader.read({"_id": ID, "status": value, "events": [event(value), event("note")]})
    assert (read.status, read.last) == (Kind.PR_OPENED, Milestone(Kind.PR_OPENED, 0))
    assert orjson.loads(event_json(event(value), reader.view))["type"] == "3"


@pytest.mark.parametrize("value", [-3, -3.0, Decimal128("-3.0"), "-3"], ids=repr)
def test_a_negative_number_is_another_status(value: Any) -> None:
    assert lifecycle_of(step_of({"events": []}, Updated({"events.0": event(value)}), NUMBERED)) == [
        Kind.FAILED
    ]
    assert lifecycle_of(step_of({"status": "new"}, Updated({"status": value}), NUMBERED)) == [Kind.FAILED]


@pytest.mark.parametrize("value", [True, None, datetime(2026, 1, 2), {"a": 3}, [3], b"3"], ids=repr)
def test_other_values_are_no_type_of_an_event(value: Any) -> None:
    assert lifecycle_of(step_of({"events": []}, Updated({"events.0": event(value)}), NUMBERED)) == []
    assert orjson.loads(event_json(event(value), translator().view))["type"] is None
