"""Answer a poll of the client under test (PROTOCOL.md 8)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from typing import Any

from relay.cli.conformance.exam import Exam
from relay.cli.conformance.world import TASK, Frame
from relay.errors import BadRequest
from relay.protocol.polls import Poll
from relay.protocol.requests import parse_poll

WAIT_S = 5.0  # for something new; a relay waits longer


async def answer(exam: Exam, bearer: str | None, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the status and the body of the answer, as soon as there is something new or after WAIT_S."""
    exam.trace.append(f"→ POST /poll {body.decode('utf-8', 'replace')}")
    if bearer != exam.token:
        exam.fault("polled without the token that it was given, as a bearer header", "8")
        return "401 Unauthorized", _error("forbidden")
    try:
        poll = parse_poll(body)
    except BadRequest as refusal:
        exam.fault(f"sent a poll that the relay refuses ({refusal})", "8")
        return "400 Bad Request", _error("bad_request")
    exam.polls.append(poll)
    exam.moved()
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            while not _news(exam, poll):
                exam.changed.clear()
                await exam.changed.wait()
    made: dict[str, Any] = {
        "messages": _news(exam, poll),
        "moment": f"{1_777_636_800 + len(exam.world.events)}.1",
    }
    if poll.dashboard is not None:
        made["dashboard"] = {"etag": _etag(exam.world.listed())}
    if any(one.task_id == TASK for one in poll.tasks):
        made["tasks"] = {TASK: {"etag": _etag(exam.world.summary())}}
    exam.trace.append(f"← {json.dumps(made, ensure_ascii=False)}")
    return "200 OK", made


def _news(exam: Exam, poll: Poll) -> list[Frame]:
    """Return the messages that the client does not have yet."""
    found: list[Frame] = []
    if poll.dashboard is not None and poll.dashboard.etag != _etag(exam.world.listed()):
        found += exam.world.list_state(None)
    for one in poll.tasks:
        held = (one.since, one.head) == exam.world.position() and one.etag == _etag(exam.world.summary())
        if one.task_id == TASK and not held:
            found += exam.world.task_state(one.since, one.head, None)
    return found


def _etag(shown: Any) -> str:
    return "1." + hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:8]


def _error(code: str) -> dict[str, Any]:
    return {"type": "error", "data": {"code": code, "message": "No.", "temporary": False}}
