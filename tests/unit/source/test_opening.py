"""The reasons that are logged while the database cannot be followed yet, and the checks of a server's hello."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import Timestamp
from support.relay_fixture import settings_for

from relay.errors import StartupError, Unavailable
from relay.source import opening, outage
from relay.source.client import address_of
from relay.source.diagnosis import STANDALONE, TOO_OLD, of_member
from relay.source.opening import Opening
from relay.source.reach import _of_configuration

HERE = Timestamp(1, 1)


class Answers(Opening):
    """Fails with each of these reasons in turn, and then opens. `LATER` lets an hour pass."""

    def __init__(self, *reasons: str | Exception, clock: Clock) -> None:
        self._settings = settings_for("mongodb://u:hunter2@db.example.com/", "app")
        self._reasons: Iterator[str | Exception] = iter(reasons)
        self._clock = clock
        self.failures: list[str] = []
        self._failed = self.failures.append
        self.waits: list[int] = []

    async def once(self, *, wait_ms: int = 0) -> Timestamp:
        self.waits.append(wait_ms)
        reason = next(self._reasons, None)
        if reason is LATER:
            self._clock.now += 3600
            reason = next(self._reasons, None)
        if isinstance(reason, Exception):
            raise reason
        if reason is not None:
            raise Unavailable(reason)
        return HERE


LATER = "later"


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outage, "time", made)
    monkeypatch.setattr(opening, "RETRY_S", 0)
    return made


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(one)["reason"] for one in caplog.records]


async def test_a_reason_is_logged_once_and_again_when_it_changes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = Answers("a", "a", "a", "b", "b", "a", clock=clock)
    assert await attempts.patiently() == HERE
    assert logged(caplog) == ["a", "b", "a"]
    assert attempts.failures == ["no_answer"] * 6
    assert all(vars(one)["hosts"] == "db.example.com" for one in caplog.records)


async def test_an_unchanged_reason_is_logged_again_after_a_while(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await Answers("a", "a", LATER, "a", "a", clock=clock).patiently() == HERE
    assert logged(caplog) == ["a", "a"]


async def test_the_first_attempt_has_a_short_time_limit_and_later_ones_a_long_one(
    clock: Clock,
) -> None:
    attempts = Answers("a", "a", clock=clock)
    await attempts.patiently()
    assert attempts.waits == [1_500, 5_000, 5_000]


async def test_a_permanent_reason_ends_the_start(clock: Clock) -> None:
    with pytest.raises(StartupError, match="standalone"):
        await Answers("a", STANDALONE.error, clock=clock).patiently()


PRIMARY: dict[str, Any] = {"setName": "rs0", "isWritablePrimary": True, "maxWireVersion": 17}


@pytest.mark.parametrize(
    ("hello", "says", "lasting"),
    [
        (PRIMARY | {"maxWireVersion": 13}, "too old", True),
        ({"isWritablePrimary": True, "maxWireVersion": 17}, "standalone", True),
        ({"isreplicaset": True}, "rs.initiate()", False),
        (PRIMARY | {"isWritablePrimary": False, "secondary": False}, "starting or recovering", False),
        (PRIMARY | {"isWritablePrimary": False, "arbiterOnly": True}, "arbiter", True),
        (PRIMARY | {"isWritablePrimary": False, "secondary": True, "hidden": True}, "hidden", True),
    ],
)
def test_an_unsuitable_server_is_recognised_by_its_hello(
    hello: dict[str, Any], says: str, lasting: bool
) -> None:
    found = of_member(hello)
    assert found is not None
    assert says in str(found)
    assert found.lasting is lasting


@pytest.mark.parametrize(
    "hello",
    [
        PRIMARY,
        PRIMARY | {"isWritablePrimary": False, "secondary": True},
        {"msg": "isdbgrid", "maxWireVersion": 21},
        PRIMARY | {"maxWireVersion": 99},
    ],
)
def test_a_suitable_server_has_no_problem(hello: dict[str, Any]) -> None:
    assert of_member(hello) is None


def test_a_server_older_than_the_driver_supports_is_too_old() -> None:
    """The driver raises an error before the relay can send a command."""
    words = "Server at h:27017 reports wire version 6, but this version of PyMongo requires at least 8."
    assert _of_configuration(address_of(settings_for("mongodb://h/", "app")), words) is TOO_OLD
