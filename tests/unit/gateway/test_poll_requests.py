"""What a poll may ask for: every body is read as it was meant or refused, and the rate it is held to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from relay.auth.limits import Buckets
from relay.errors import BadRequest
from relay.protocol.messages import MAX_ETAG, MAX_HEAD, PolledList, PolledTask, shown_moment
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
def test_what_was_meant_is_read(
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
def test_everything_else_is_refused_with_a_reason(body: bytes) -> None:
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
def test_one_bad_field_is_enough(body: Any) -> None:
    with pytest.raises(BadRequest):
        parse_poll(orjson.dumps(body))


def test_the_defaults() -> None:
    assert parse_poll(b'{"dashboard": {}}').dashboard == PolledList(DASHBOARD_LIMIT_DEFAULT)
    assert parse_poll(b'{"tasks": [{"taskId": "t"}]}').tasks == (PolledTask("t"),)


def test_a_bucket_for_each_name_is_remembered_until_it_is_full_again() -> None:
    buckets = Buckets(rate=2, burst=4)
    assert [buckets.take("alice", now=0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert buckets.take("bob", now=0.5) == 0.0
    assert buckets.take("alice", now=0.5) == 0.0
    assert len(buckets) == 2
    assert buckets.take("carol", now=2.5) == 0.0
    assert len(buckets) == 1
    assert [buckets.take("alice", now=2.5) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]


def test_what_a_bucket_owes_is_not_forgotten() -> None:
    buckets = Buckets(rate=2, burst=4)
    buckets.take("alice", now=0.0)
    buckets.charge("alice", 10)
    assert buckets.take("bob", now=3.0) == 0.0
    assert buckets.take("alice", now=3.0) == 1.0  # 7 are owed and 6 have come back since
