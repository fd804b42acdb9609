"""Scenarios about the end of a connection: when to come back, with what, and when not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from relay.cli.conformance.exam import Exam
from relay.cli.conformance.scenarios.scenario import Scenario
from relay.cli.conformance.tokens import token
from relay.cli.conformance.world import frame
from relay.protocol.types import Close, Kind

# Closes after which a client comes back, and the longest pause before it does (PROTOCOL.md 7).
COME_BACK = ((1011, "internal error", 0.5), (Close.TIMEOUT, "stalled", 1.0), (4499, "something new", 2.0))
HAMMERS_WITHIN_S = 0.03  # three pauses of a backoff with full jitter are shorter once in 200,000 times
RATE_MS, DRAIN_MS = 800, 700
ANOTHER_TOKEN_S = 4.0  # the longest pause in which a client asks for another token, early on


async def come_back(exam: Exam) -> None:
    peer = await exam.opened()
    pauses = []
    for code, reason, most_s in COME_BACK:
        await exam.close(peer, code, reason)
        peer = await exam.comes_back(peer, f"a close {int(code)} {reason}", within_s=most_s)
        pauses.append(exam.attempts[peer.number - 1] - exam.ended_at)
    await exam.shows("did not show the task after several reconnects", "6.2")
    if hammers(pauses):
        exam.fault("came back three times without a pause", "7")


def hammers(pauses_s: Sequence[float]) -> bool:
    """Are the pauses before three attempts too short for a backoff with full jitter?"""
    return sum(pauses_s) < HAMMERS_WITHIN_S


async def stay_away(exam: Exam, code: int, reason: str) -> None:
    peer = await exam.opened()
    await exam.close(peer, code, reason)
    await exam.stays_away(f"came back after a close {code} {reason}", "7")


async def too_fast(exam: Exam) -> None:
    peer = await exam.opened()
    ending = f"a close 4429 rate_limited:{RATE_MS}"
    await exam.close(peer, Close.RATE_LIMITED, f"rate_limited:{RATE_MS}")
    await exam.comes_back(peer, ending, not_before_s=RATE_MS / 1000, within_s=RATE_MS / 1000 + 0.5)


async def draining(exam: Exam) -> None:
    peer = await exam.opened()
    exam.send(peer, frame(Kind.DRAINING, {"reconnectAfterMs": DRAIN_MS}))
    await exam.close(peer, Close.GOING_AWAY, "restart")
    ending = f"a close 1001 whose server:draining said {DRAIN_MS} ms"
    await exam.comes_back(peer, ending, not_before_s=DRAIN_MS / 1000, within_s=DRAIN_MS / 1000 + 0.5)


async def token_expired(exam: Exam) -> None:
    peer = await exam.opened()
    exam.token = token(2)
    await exam.close(peer, Close.UNAUTHENTICATED, "token_expired")
    await exam.comes_back(peer, "a close 4401 token_expired, where there is another token", within_s=1.0)


async def disconnected(exam: Exam) -> None:
    peer = await exam.opened()
    await exam.close(peer, Close.DISCONNECTED, "disconnected")
    await exam.stays_away("came back with the same token after a close 4403 disconnected", "7")
    exam.token = token(2)
    ending = "a close 4403 disconnected, where there is another token"
    await exam.comes_back(peer, ending, within_s=ANOTHER_TOKEN_S)


ALL = (
    Scenario(
        "come_back", "7", "comes back after closes of the range 4000 to 4499, with a backoff", come_back
    ),
    *(
        Scenario(
            f"stay_away_{code}",
            "7",
            f"does not come back after a close {code}",
            partial(stay_away, code=code, reason=reason),
        )
        for code, reason in ((4500, "bad_handshake"), (4502, "feature_disabled"), (4999, "something_new"))
    ),
    Scenario("too_fast", "7", "waits as long as a close 4429 says", too_fast),
    Scenario("draining", "5", "waits as long as server:draining says", draining),
    Scenario("token_expired", "7", "comes back with a fresh token after a close 4401", token_expired),
    Scenario("disconnected", "7", "rests after a close 4403 until it has another token", disconnected),
)
