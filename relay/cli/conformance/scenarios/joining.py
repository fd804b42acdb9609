"""Scenarios from the first request to the first states."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from relay.cli.conformance.exam import Exam, Peer
from relay.cli.conformance.faults import Fault
from relay.cli.conformance.scenarios.scenario import Scenario
from relay.cli.conformance.world import World, event, frame
from relay.protocol.types import Kind, Request

BUSY_MS = 400
# Line ends of other programs, marks of the reading direction, a NUL, a character beyond 16 bits, an accent by itself.
TEXTS = (
    "a\u2028b\u2029c",
    "\u202eabc\u202c",
    "nul\u0000",
    "🙂👩‍👩‍👧",
    "e\u0301 ≠ é",
    '"\\/\b\f\n\r\t',
    "日本語",
)


async def welcome(exam: Exam) -> None:
    await exam.opened()


async def conversation(exam: Exam) -> None:
    """Play the recorded conversation of the vectors."""
    found = json.loads(
        files("relay.cli.conformance").joinpath("vectors/conversation.json").read_text("utf-8")
    )
    exam.judges_events = exam.answers = False
    peer = await exam.joined(1, "did not connect", "1")
    ids = {"c1": _id_of(peer, Request.DASHBOARD_JOIN), "c2": _id_of(peer, Request.TASK_JOIN)}
    for one in found["frames"]:
        if one["kind"] != Kind.WELCOME:
            at = {"at": one["at"]} if "at" in one else {}
            exam.send(peer, frame(one["kind"], one["data"], ids.get(one.get("replyTo", ""))) | at)
    expected = found["expected"]
    listed = {task["taskId"]: task for task in expected["listed"]}
    await exam.until(
        lambda: exam.events == expected["events"],
        "did not show the events at the end of the recorded conversation", "6.2",
    )  # fmt: skip
    await exam.until(
        lambda: exam.tasks == listed, "did not show the list at the end of the recorded conversation", "5"
    )


async def unicode(exam: Exam) -> None:
    exam.world = World([event(number, text) for number, text in enumerate(TEXTS)])
    exam.wrong_events = Fault("changed a text of an event", "5")
    exam.world.title = TEXTS[0]
    peer = await exam.opened()
    exam.append(peer, event(len(TEXTS), TEXTS[3] + TEXTS[1]))
    await exam.shows("did not show an event as it was sent, in characters of other scripts", "5")


async def unknown(exam: Exam) -> None:
    peer = await exam.opened()
    exam.send(peer, frame("task:something_new", {"taskId": "t", "extent": [1]}), frame("x", {}))
    added, listed = exam.world.append(event(3))
    more: dict[str, Any] = {"later": {"a": 1}}
    added["data"]["event"] = added["data"]["event"] | more
    for one in (added, listed):
        exam.send(peer, one | more | {"data": one["data"] | more})
    exam.world.stage = "in_orbit"
    exam.send(peer, exam.world.upserted())
    await exam.shows("stopped at a type, a field or a stage that it does not know", "3")


async def busy(exam: Exam) -> None:
    error = {"code": "rate_limited", "message": "Too fast.", "temporary": True, "retryAfterMs": BUSY_MS}
    exam.refusals.append(error)
    await exam.until(lambda: not exam.refusals, "did not join the task", "4")
    peer = exam.peers[0]
    await exam.until(lambda: bool(peer.joins), "did not ask again for what got a temporary error", "4")
    pause_s = exam.clock() - exam.refused_at
    if pause_s < BUSY_MS / 1000 - 0.05:
        exam.fault(f"asked again {pause_s:.2f} s after an error with retryAfterMs {BUSY_MS}", "4")
    await exam.shows("did not show the task after a temporary error", "4")


def _id_of(peer: Peer, kind: Request) -> str | None:
    return next((one.get("id") for one in peer.received if one["type"] == kind), None)


ALL = (
    Scenario(
        "welcome", "2", "brings its token in one way, joins the list and the task, applies pages", welcome
    ),
    Scenario(
        "conversation", "5", "applies a recorded conversation, with a rewrite and a revocation", conversation
    ),
    Scenario("unicode", "5", "leaves texts as they are", unicode),
    Scenario("unknown", "3", "goes on after types and fields that it does not know", unknown),
    Scenario("busy", "4", "asks again, and not too soon, after a temporary error", busy),
)
