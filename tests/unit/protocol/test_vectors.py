"""Python writes and reads the shared vectors as JavaScript does. tests/web/vectors.test.js is the other half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.reference_client import ReferenceClient

import relay.cli.conformance
from relay.client import judge
from relay.errors import BadRequest, Refused
from relay.gateway.http_errors import for_bad_request, for_foreign_origin, for_refused
from relay.protocol.frames import encode
from relay.protocol.polls import shown_moment
from relay.protocol.requests import parse_poll
from relay.protocol.types import Close, ErrorCode, Kind

VECTORS = Path(relay.cli.conformance.__file__).parent / "vectors"
THEN = {"again": "reconnect", "fresh_token": "refresh", "other_token": "other_token", "refused": "give_up"}


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def test_a_conversation_is_written_and_applied_as_in_the_vector() -> None:
    given = vectors("conversation")
    member = ReferenceClient("alice")
    member.dashboard = {}
    for frame in given["frames"]:
        written = encode(
            Kind(frame["kind"]), frame["data"], at=frame.get("at"), reply_to=frame.get("replyTo")
        )
        assert written.body.decode() == frame["text"]
        member.apply(orjson.loads(written.body))
    expected = given["expected"]
    assert member.timelines[expected["taskId"]] == expected["events"]
    assert member.summaries[expected["taskId"]] == expected["task"]
    assert [*member.dashboard.values()] == expected["listed"]


@pytest.mark.parametrize("vector", vectors("closes"), ids=lambda vector: f"{vector[0]} {vector[1]}")
def test_a_close_code_means_what_the_vector_says(vector: list[Any]) -> None:
    code, _, then, *_ = vector
    assert THEN[judge(code)] == then


def test_the_vectors_have_every_close_code_of_the_relay() -> None:
    assert {code for code, *_ in vectors("closes")} >= {int(code) for code in Close} - {Close.DONE}


def test_the_relay_refuses_over_http_as_in_the_vectors() -> None:
    refusals = [
        for_foreign_origin(),
        for_bad_request(BadRequest(ErrorCode.BAD_REQUEST, "No.")),
        for_refused(Refused(Close.UNAUTHENTICATED, "unauthenticated")),
        for_refused(Refused(Close.UNAUTHENTICATED, "token_expired")),
        for_refused(Refused(Close.DISCONNECTED, "disconnected")),
        for_refused(Refused(Close.FEATURE_DISABLED, "feature_disabled")),
        for_refused(Refused(Close.AT_CAPACITY, "at_capacity")),
        for_refused(Refused(Close.GOING_AWAY, "restart")),
    ]
    of_relay = {
        (vector["status"], vector["body"]["message"]): vector["body"]
        for vector in vectors("answers")
        if vector["from"] == "the relay"
    }
    for refusal in refusals:
        data = orjson.loads(refusal.body)["data"]
        del data["temporary"]
        assert of_relay[refusal.status_code, data["message"]] == data


@pytest.mark.parametrize("vector", vectors("polls"), ids=lambda vector: vector["name"])
def test_a_poll_is_read_as_the_client_wrote_it(vector: dict[str, Any]) -> None:
    for body in vector["polls"]:
        polled = parse_poll(orjson.dumps(body))
        assert [
            {
                name: value
                for name, value in {
                    "taskId": task.task_id,
                    "since": task.since,
                    "head": task.head,
                    "etag": task.etag,
                    "forbidden": task.forbidden or None,
                }.items()
                if value is not None
            }
            for task in polled.tasks
        ] == body.get("tasks", [])
        assert (polled.dashboard is not None) == ("dashboard" in body)
        assert polled.moment is None or shown_moment(polled.moment) == body["moment"]
