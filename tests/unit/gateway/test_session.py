"""A session keeps its times by the right clock, and gives back what it was counted for."""

from __future__ import annotations

import time

import orjson
import pytest
from support.relay_fixture import SECRET, settings_for

from relay.auth.admission import Admission
from relay.auth.keys import key_source
from relay.auth.limits import Buckets, Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import Verifier, issue
from relay.errors import Refused
from relay.gateway.services import Services
from relay.gateway.session import Opening, Session
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame
from relay.tasks.mapping import Visibility
from relay.tasks.visibility import Audience

HOUR_S = 3600


class Clocked:
    """An authenticated session whose clocks the test sets. As its carrier, it keeps the types of messages."""

    id = "1"

    def __init__(self, *, ttl_s: float) -> None:
        self.wall, self.monotonic = time.time(), 0.0
        self.sent: list[str] = []
        self.woken = 0
        settings = settings_for("mongodb://nowhere", "none", relay_heartbeat_ms=1_000)
        metrics = Metrics()
        hub = Hub(None, None, metrics, list_interval_s=0)  # type: ignore[arg-type]
        self.caps = Caps(total=1, per_address=1, per_user=1)
        services = Services(
            settings,
            Admission(
                origins=Origins((), metrics),
                caps=self.caps,
                verifier=Verifier(key_source(settings)),
                rollout=Rollout(),
            ),
            Audience(Visibility()),
            hub,
            Buckets.of_users(settings),
            wall=lambda: self.wall,
            monotonic=lambda: self.monotonic,
        )
        self.session = Session(services, self, Opening())
        self.session.authenticate(self.token(ttl_s=ttl_s))

    def answer(self, frame: Frame) -> None:
        self.sent.append(frame.kind.value)

    def send(self, batch: Batch) -> None:
        raise AssertionError("no live message is expected")

    def admitted(self) -> None:
        raise AssertionError("the token did not come in a message")

    def wake(self) -> None:
        self.woken += 1

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("no close is expected")

    def token(self, *, ttl_s: float) -> str:
        """Return a token that is issued now, by the clock of this session."""
        return issue(SECRET, "HS256", {"sub": "alice"}, ttl_s=ttl_s, now=self.wall)

    def refresh(self, *, ttl_s: float) -> None:
        fresh = self.token(ttl_s=ttl_s)
        self.session.receive(orjson.dumps({"type": "auth", "data": {"token": fresh}}).decode())

    def sent_after(self, *, wall_s: float, monotonic_s: float) -> list[str]:
        self.wall += wall_s
        self.monotonic += monotonic_s
        self.sent.clear()
        self.session.tick()
        return self.sent


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S])
def test_timers_do_not_follow_the_wall_clock(jump_s: float) -> None:
    """F54: the clock is set, by hand or by a time server."""
    clocked = Clocked(ttl_s=10 * HOUR_S)
    assert clocked.sent_after(wall_s=jump_s, monotonic_s=0.9) == []
    assert clocked.sent_after(wall_s=0, monotonic_s=0.2) == ["heartbeat"]
    assert clocked.sent_after(wall_s=-jump_s, monotonic_s=0.9) == []


def test_a_token_expires_by_the_wall_clock_only() -> None:
    clocked = Clocked(ttl_s=600)
    assert clocked.sent_after(wall_s=0, monotonic_s=HOUR_S) == ["heartbeat"]
    assert clocked.sent_after(wall_s=580, monotonic_s=0) == ["auth:expiring"]
    with pytest.raises(Refused, match="token_expired"):
        clocked.sent_after(wall_s=30, monotonic_s=0)


def test_a_new_token_that_expires_soon_is_announced_at_half_its_time() -> None:
    clocked = Clocked(ttl_s=20)
    assert clocked.sent_after(wall_s=0, monotonic_s=0) == ["auth:expiring"]
    clocked.refresh(ttl_s=20)
    assert clocked.sent_after(wall_s=9, monotonic_s=0) == []
    assert clocked.sent_after(wall_s=2, monotonic_s=0) == ["auth:expiring"]


def test_tick_returns_when_it_must_be_called_next() -> None:
    clocked = Clocked(ttl_s=40)
    ends = int(clocked.wall + 40)
    assert clocked.woken == 1
    assert clocked.session.tick() == 1.0  # the heartbeat
    clocked.wall = ends - 30.25
    assert clocked.session.tick() == pytest.approx(0.25)  # the notice of expiry
    assert clocked.sent_after(wall_s=0.5, monotonic_s=0.0) == ["auth:expiring"]
    assert clocked.session.tick() == 1.0
    clocked.wall = ends - 0.25
    assert clocked.session.tick() == pytest.approx(0.25)  # the expiry


def test_a_closed_session_gives_its_place_to_another() -> None:
    clocked = Clocked(ttl_s=600)
    assert not clocked.caps.enter_user("alice")
    clocked.session.closed()
    clocked.session.closed()
    assert clocked.caps.enter_user("alice")
