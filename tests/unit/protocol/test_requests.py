"""Requests: the parser accepts what the published schema accepts, and says with a path what is wrong with the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.errors import BadRequest
from relay.protocol.messages import (
    MAX_HEAD,
    MAX_TOKEN,
    Auth,
    DashboardJoin,
    Envelope,
    Ping,
    Resync,
    TaskLeave,
    TaskPosition,
    TaskPositions,
)
from relay.protocol.polls import MAX_ETAG
from relay.protocol.requests import ClientRequest, parse, parse_data, parse_poll
from relay.protocol.schema import json_schema
from relay.protocol.types import DASHBOARD_LIMIT_MAX, MAX_BATCH, MAX_REQUEST_ID, ErrorCode, Request

Strategy = st.SearchStrategy[Any]
DEFS = json_schema()["$defs"]


def read(frame: Any) -> ClientRequest:
    return parse_data(parse(json.dumps(frame)))


def request(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "data": data}


# What is accepted


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "ping"}, Ping()),
        ({"type": "ping", "id": None, "data": {"unknown": 1}, "unknown": 1}, Ping()),
        (request("auth", {"token": "t"}), Auth("t")),
        (request("dashboard:join", {}), DashboardJoin(500)),
        (request("dashboard:join", {"limit": 7}), DashboardJoin(7)),
        (request("task:leave", {"taskId": ""}), TaskLeave("")),
        (request("task:join", {"taskId": "a"}), TaskPosition("a")),
        (request("task:join", {"taskId": "a", "since": None, "head": None}), TaskPosition("a")),
        (
            request("task:join", {"tasks": [{"taskId": "a"}, {"taskId": "b", "since": 2, "head": "1.x"}]}),
            TaskPositions((TaskPosition("a"), TaskPosition("b", 2, "1.x"))),
        ),
        (request("resync_requested", {"taskIds": []}), Resync(())),
    ],
)
def test_a_request_is_read_as_it_was_meant(frame: Any, expected: ClientRequest) -> None:
    assert read(frame) == expected


def test_the_envelope_keeps_the_id_and_the_data() -> None:
    assert parse('{"type": "x", "id": "7", "data": {"a": 1}}') == Envelope("x", "7", {"a": 1})
    assert parse('{"type": "x"}') == Envelope("x", None, {})


def test_a_bare_id_of_a_resync_is_a_position_without_events() -> None:
    resync = read(request("resync_requested", {"taskIds": ["a", {"taskId": "b", "since": 1, "head": "1.x"}]}))
    assert isinstance(resync, Resync)
    assert resync.positions() == [TaskPosition("a"), TaskPosition("b", 1, "1.x")]


# What is refused, and what the error says


def tasks(number: int) -> list[Any]:
    return [{"taskId": str(n)} for n in range(number)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('"\\ud800"', "not JSON"),
        ("5", "expected an object"),
        ("{}", "type: missing, expected a string"),
        ('{"type": 5}', "type: expected a string"),
        ('{"type": "ping", "id": 5}', "id: expected a string of at most 64 characters"),
        (
            json.dumps({"type": "ping", "id": "x" * (MAX_REQUEST_ID + 1)}),
            "id: expected a string of at most 64 characters",
        ),
        ('{"type": "ping", "data": null}', "data: expected an object"),
        ('{"type": "ping", "data": []}', "data: expected an object"),
    ],
)
def test_a_frame_that_is_no_message_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(text)
    assert (refused.value.code, refused.value.message) == (ErrorCode.BAD_MESSAGE, message)


ID = "expected a string"
SINCE = "expected an integer ≥ 0"
HEAD = f"expected a string of at most {MAX_HEAD} characters"
LIMIT = f"expected an integer from 1 to {DASHBOARD_LIMIT_MAX}"
TOKEN = f"expected a string of 1 to {MAX_TOKEN} characters"


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("auth", {}, f"token: missing, {TOKEN}"),
        ("auth", {"token": ""}, f"token: {TOKEN}"),
        ("auth", {"token": "x" * (MAX_TOKEN + 1)}, f"token: {TOKEN}"),
        ("dashboard:join", {"limit": 0}, f"limit: {LIMIT}"),
        ("dashboard:join", {"limit": True}, f"limit: {LIMIT}"),
        ("dashboard:join", {"limit": 5.0}, f"limit: {LIMIT}"),
        ("dashboard:join", {"limit": None}, f"limit: {LIMIT}"),
        ("task:join", {}, f"taskId: missing, {ID}"),
        ("task:join", {"taskId": 5}, f"taskId: {ID}"),
        ("task:join", {"taskId": "a", "since": -1}, f"since: {SINCE}"),
        ("task:join", {"taskId": "a", "since": "1"}, f"since: {SINCE}"),
        ("task:join", {"taskId": "a", "head": "x" * (MAX_HEAD + 1)}, f"head: {HEAD}"),
        (
            "task:join",
            {"taskId": "a", "tasks": [{"taskId": "a"}]},
            'expected either "taskId" or "tasks", not both',
        ),
        ("task:join", {"tasks": []}, "tasks: expected an array of 1 to 100 elements"),
        ("task:join", {"tasks": None}, "tasks: expected an array of 1 to 100 elements"),
        ("task:join", {"tasks": tasks(MAX_BATCH + 1)}, "tasks: expected an array of 1 to 100 elements"),
        ("task:join", {"tasks": [*tasks(3), "d"]}, "tasks[3]: expected an object"),
        ("task:join", {"tasks": [*tasks(3), {"taskId": "d", "since": 1.5}]}, f"tasks[3].since: {SINCE}"),
        ("task:leave", {"taskId": None}, f"taskId: {ID}"),
        ("resync_requested", {}, "taskIds: missing, expected an array of at most 100 elements"),
        ("resync_requested", {"taskIds": ["a", 5]}, "taskIds[1]: expected a string or an object"),
        ("resync_requested", {"taskIds": [{"since": 1}]}, f"taskIds[0].taskId: missing, {ID}"),
        ("resync_requested", {"taskIds": tasks(101)}, "taskIds: expected an array of at most 100 elements"),
    ],
)
def test_bad_data_is_refused_with_its_path(kind: str, data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(request(kind, data))
    assert (refused.value.code, refused.value.message) == (ErrorCode.BAD_REQUEST, message)


def test_an_unknown_type_has_an_error_code_of_its_own() -> None:
    with pytest.raises(BadRequest) as refused:
        read({"type": "dance"})
    assert refused.value.code == ErrorCode.UNKNOWN_TYPE


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, 'expected "dashboard", "tasks" or both'),
        ({"tasks": []}, 'expected "dashboard", "tasks" or both'),
        ({"dashboard": None, "tasks": tasks(1)}, "dashboard: expected an object"),
        (
            {"dashboard": {"etag": "x" * (MAX_ETAG + 1)}},
            "dashboard.etag: expected a string of at most 128 characters",
        ),
        ({"tasks": ["a"]}, "tasks[0]: expected an object"),
        ({"tasks": [{"taskId": "a", "forbidden": None}]}, "tasks[0].forbidden: expected a boolean"),
        ({"tasks": [{"taskId": "a"}, {"taskId": "a", "since": 1}]}, '"tasks" must not contain duplicates'),
        (
            {"dashboard": {}, "moment": "4294967296.0"},
            r"moment: expected a string that matches ^[0-9]{1,10}\.[0-9]{1,10}$",
        ),
    ],
)
def test_a_bad_poll_is_refused_with_its_path(body: Any, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_poll(json.dumps(body).encode())
    assert (refused.value.code, refused.value.message) == (ErrorCode.BAD_REQUEST, message)


def test_an_error_quotes_nothing_that_was_sent() -> None:
    with pytest.raises(BadRequest) as refused:
        read(request("auth", {"token": ["a secret"]}))
    assert "a secret" not in refused.value.message
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


# The parser and the schema. What JSON Schema cannot say is left out: that an integer is not written as 1.0, that a task
# is in a poll once, and that both numbers of a moment have 32 bits.

STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["x" * length for limit in (MAX_REQUEST_ID, MAX_HEAD) for length in (limit, limit + 1)] + ["1.2", "12"]
)
INTEGERS = st.integers(-2, 5) | st.sampled_from([DASHBOARD_LIMIT_MAX, DASHBOARD_LIMIT_MAX + 1, 2**53])
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | STRINGS | st.just(1.5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["taskId", "since", "tasks"]) | STRINGS, inner, max_size=3)
    ),
    max_leaves=5,
)


def mostly(good: Strategy) -> Strategy:
    return st.one_of(*[good] * 7, ANYTHING)


def objects(needed: dict[str, Strategy], optional: dict[str, Strategy]) -> Strategy:
    return st.fixed_dictionaries(
        {name: mostly(field) for name, field in needed.items()},
        optional={name: mostly(field) for name, field in optional.items()} | {"unknown": ANYTHING},
    )


def lists(of: Strategy) -> Strategy:
    too_many = st.sampled_from([MAX_BATCH, MAX_BATCH + 1]).map(tasks)
    return st.lists(mostly(of), max_size=3) | too_many


POSITION = {"since": INTEGERS | st.none(), "head": STRINGS | st.none()}
POSITIONS = objects({"taskId": STRINGS}, POSITION)
DATA: dict[str, Strategy] = {
    Request.AUTH: objects({"token": STRINGS}, {}),
    Request.DASHBOARD_JOIN: objects({}, {"limit": INTEGERS}),
    Request.DASHBOARD_LEAVE: objects({}, {}),
    Request.TASK_JOIN: POSITIONS
    | objects({"tasks": lists(POSITIONS)}, {})
    | objects({}, {**POSITION, "taskId": STRINGS, "tasks": lists(POSITIONS)}),
    Request.TASK_LEAVE: objects({"taskId": STRINGS}, POSITION),
    Request.RESYNC: objects({"taskIds": lists(POSITIONS | STRINGS)}, {}),
    Request.PING: objects({}, {}),
    "unknown": objects({}, {}),
}
FRAMES = st.sampled_from([*DATA]).flatmap(
    lambda kind: objects({"type": st.just(str(kind)), "data": DATA[kind]}, {"id": STRINGS | st.none()})
)
POLLED = {"etag": STRINGS | st.none(), "forbidden": st.booleans()}
POLLS = objects(
    {},
    {
        "dashboard": objects({}, {"limit": INTEGERS, "etag": STRINGS | st.none()}),
        "tasks": lists(objects({"taskId": STRINGS}, POSITION | POLLED)),
        "moment": STRINGS,
    },
)


def is_valid(name: str, value: Any) -> bool:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": DEFS}).is_valid(value)


@given(FRAMES | ANYTHING)
def test_the_parser_accepts_the_requests_that_the_schema_accepts(frame: Any) -> None:
    try:
        read(frame)
        accepted = True
    except BadRequest:
        accepted = False
    assert accepted == is_valid("ClientMessage", frame)


@given(POLLS | ANYTHING)
def test_the_parser_accepts_the_polls_that_the_schema_accepts(body: Any) -> None:
    try:
        parse_poll(json.dumps(body).encode())
        accepted = True
    except BadRequest as bad:
        if bad.message == '"tasks" must not contain duplicates':
            return
        accepted = False
    assert accepted == is_valid("Poll", body)
