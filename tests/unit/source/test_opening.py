"""What is said while the database cannot be followed yet, and what a server says of itself."""

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
    """Fails with these reasons in turn, and then opens; an hour passes where one of them is `LATER`."""

    def __init__(self, *reasons: str | Exception, clock: Clock) -> None:
        self._settings = settings_for("mongodb://u:hunter2@db.example.com/", "app")
        self._reasons: Iterator[str | Exception] = iter(reasons)
        self._clock = clock
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


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(one)["reason"] for one in caplog.records]


async def test_a_reason_is_said_once_and_again_when_it_changes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = Answers("a", "a", "a", "b", "b", "a", clock=clock)
    assert await attempts.patiently() == HERE
    assert said(caplog) == ["a", "b", "a"]
    assert all(vars(one)["hosts"] == "db.example.com" for one in caplog.records)


async def test_a_reason_that_stays_is_said_again_now_and_then(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await Answers("a", "a", LATER, "a", "a", clock=clock).patiently() == HERE
    assert said(caplog) == ["a", "a"]


async def test_the_first_answer_comes_soon_and_later_ones_may_take_as_long_as_a_slow_network(
    clock: Clock,
) -> None:
    attempts = Answers("a", "a", clock=clock)
    await attempts.patiently()
    assert attempts.waits == [1_500, 5_000, 5_000]


async def test_what_is_found_to_be_lasting_ends_the_start(clock: Clock) -> None:
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
def test_what_a_server_says_of_itself(hello: dict[str, Any], says: str, lasting: bool) -> None:
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
def test_a_server_that_will_do(hello: dict[str, Any]) -> None:
    assert of_member(hello) is None


def test_a_server_older_than_the_driver_knows_is_too_old() -> None:
    """The driver refuses it before it can be asked."""
    words = "Server at h:27017 reports wire version 6, but this version of PyMongo requires at least 8."
    assert _of_configuration(address_of(settings_for("mongodb://h/", "app")), words) is TOO_OLD
