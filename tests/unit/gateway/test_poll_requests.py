"""The body of a poll is read as it was meant, or refused with a reason."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest
from relay.protocol.messages import MAX_HEAD
from relay.protocol.polls import MAX_ETAG, PolledList, PolledTask, shown_moment
from relay.protocol.requests import parse_poll
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT, DASHBOARD_LIMIT_MAX, MAX_BATCH, ErrorCode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TASKS = st.builds(
    PolledTask,
    TEXT,
    st.none() | st.integers(0, 2**53),
    st.none() | TEXT.filter(lambda text: len(text) <= MAX_HEAD),
    st.none() | TEXT.filter(lambda text: len(text) <= MAX_ETAG),
    st.booleans(),
)
LISTS = st.none() | st.builds(
    PolledList,
    st.integers(1, DASHBOARD_LIMIT_MAX),
    st.none() | TEXT.filter(lambda text: len(text) <= MAX_ETAG),
)
MOMENTS = st.none() | st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
KNOWN = ("dashboard", "tasks", "moment", "limit", "etag", "taskId", "since", "head", "forbidden")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KNOWN) | TEXT, inner, max_size=5)
    ),
)


def given_fields(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@given(LISTS, st.lists(TASKS, max_size=5, unique_by=lambda task: task.task_id), MOMENTS)
def test_a_valid_body_is_read_as_it_was_meant(
    dashboard: PolledList | None, tasks: list[PolledTask], moment: Timestamp | None
) -> None:
    body: dict[str, Any] = {
        "tasks": [
            given_fields(
                taskId=task.task_id,
                since=task.since,
                head=task.head,
                etag=task.etag,
                forbidden=task.forbidden or None,
            )
            for task in tasks
        ]
    }
    if dashboard is not None:
        body["dashboard"] = given_fields(limit=dashboard.limit, etag=dashboard.etag)
    if moment is not None:
        body["moment"] = shown_moment(moment)
    if dashboard is None and not tasks:
        with pytest.raises(BadRequest):
            parse_poll(orjson.dumps(body))
        return
    polled = parse_poll(orjson.dumps(body))
    assert (polled.dashboard, list(polled.tasks), polled.moment) == (dashboard, tasks, moment)


@given(st.binary() | JSON.map(orjson.dumps))
def test_any_other_body_is_refused_with_a_reason(body: bytes) -> None:
    try:
        polled = parse_poll(body)
    except BadRequest as bad:
        assert bad.code in (ErrorCode.BAD_MESSAGE, ErrorCode.BAD_REQUEST)
        assert bad.message
    else:
        assert polled.dashboard is not None or polled.tasks
        assert all(isinstance(task.task_id, str) for task in polled.tasks)


@pytest.mark.parametrize(
    "body",
    [
        "not an object",
        {},
        {"tasks": []},
        {"dashboard": None},
        {"dashboard": {"limit": 0}},
        {"dashboard": {"limit": True}},
        {"dashboard": {"etag": 1}},
        {"dashboard": {"etag": "x" * (MAX_ETAG + 1)}},
        {"tasks": None, "dashboard": {}},
        {"tasks": ["t"]},
        {"tasks": [{}]},
        {"tasks": [{"taskId": "t", "since": -1}]},
        {"tasks": [{"taskId": "t", "forbidden": 1}]},
        {"tasks": [{"taskId": "t"}, {"taskId": "t", "since": 0}]},
        {"tasks": [{"taskId": str(n)} for n in range(MAX_BATCH + 1)]},
        {"dashboard": {}, "moment": 5},
        {"dashboard": {}, "moment": "5"},
        {"dashboard": {}, "moment": "4294967296.0"},
        {"dashboard": {}, "moment": "١.٢"},
    ],
)
def test_a_body_with_one_invalid_field_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest):
        parse_poll(orjson.dumps(body))


def test_missing_fields_have_their_defaults() -> None:
    assert parse_poll(b'{"dashboard": {}}').dashboard == PolledList(DASHBOARD_LIMIT_DEFAULT)
    assert parse_poll(b'{"tasks": [{"taskId": "t"}]}').tasks == (PolledTask("t"),)
