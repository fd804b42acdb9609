"""Scenarios about a connection that stays: a fresh token, pings, silence; and polls where there is none."""

from __future__ import annotations

from relay.cli.conformance.exam import Exam, now
from relay.cli.conformance.scenarios.scenario import Scenario
from relay.cli.conformance.tokens import token
from relay.cli.conformance.world import event, frame
from relay.protocol.types import Kind

PONG_WITHIN_S = 8.0
HEARTBEAT_MS = 400
SILENT_S = 2.5 * HEARTBEAT_MS / 1000


async def renewal(exam: Exam) -> None:
    peer = await exam.opened()
    exam.token = token(2)
    exam.send(peer, frame(Kind.AUTH_EXPIRING, {"expiresAt": now(30)}))
    await exam.until(
        lambda: exam.token in peer.fresh_tokens,
        "did not send a fresh token after auth:expiring", "2",
    )  # fmt: skip
    exam.append(peer, event(3))
    await exam.shows("did not go on after auth:ok", "2")


async def pings(exam: Exam) -> None:
    peer = await exam.opened()
    peer.socket.ping()
    exam.append(peer, event(3))
    await exam.shows("did not show an event that came after a ping", "7")
    await exam.until(lambda: exam.pongs > 0, "did not answer a ping with a pong", "7", PONG_WITHIN_S)


async def silence(exam: Exam) -> None:
    exam.heartbeat_ms = HEARTBEAT_MS
    peer = await exam.opened()
    exam.expected = exam.world.position()
    await exam.comes_back(
        peer, f"{SILENT_S} s without a message, where heartbeatMs is {HEARTBEAT_MS}", within_s=SILENT_S + 0.5
    )


async def polling(exam: Exam) -> None:
    exam.blocked = True
    await exam.until(lambda: bool(exam.attempts), "did not try a WebSocket", "8")
    await exam.until(lambda: bool(exam.polls), "did not poll where WebSocket is blocked", "8")
    await exam.shows("did not show the list and the task that polls are answered with", "8")
    exam.world.append(event(3))
    exam.moved()
    await exam.shows("did not show what a later poll is answered with", "8")
    last = [one for one in exam.polls if one.tasks][-1]
    if last.tasks[0].since is None:
        exam.fault("polled again without its position", "8")
    if last.moment is None:
        exam.fault("polled again without the moment of the last answer", "8")


ALL = (
    Scenario("renewal", "2", "sends a fresh token before the old one expires", renewal),
    Scenario("pings", "7", "answers pings", pings),
    Scenario("silence", "5", "reconnects when nothing arrives for 2.5 heartbeats", silence),
    Scenario("polling", "8", "polls where WebSocket is blocked", polling, optional=True),
)
