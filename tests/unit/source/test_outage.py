"""How often an outage of the database is logged."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.source import outage
from relay.source.outage import LOG_AGAIN_S, Outage

log = logging.getLogger("relay.test")


class RecordingHandler(logging.Handler):
    """Keeps the reasons of the lines at WARNING and above, in order."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.reasons.append(vars(record)["reason"])


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@given(st.lists(st.sampled_from(["a", "b", "over", "a minute"])))
def test_an_outage_is_logged_at_its_start_when_its_reason_changes_and_after_a_minute(
    happens: list[str],
) -> None:
    clock, noted, announced = Clock(), RecordingHandler(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outage, "time", clock)
        log.addHandler(noted)
        failing = Outage(log, "no answer")
        expected = None
        for one in happens:
            if one == "a minute":
                clock.now += LOG_AGAIN_S
                expected = None
            elif one == "over":
                failing.over()
                expected = None
            else:
                failing.failed(one, reason=one)
                announced += [one] if one != expected else []
                expected = one
        log.removeHandler(noted)
    assert noted.reasons == announced


def test_repeated_failures_are_logged_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, log.name)
    failing = Outage(log, "no answer")
    for _ in range(3):
        failing.failed("a", logging.ERROR, reason="a")
    assert [record.levelname for record in caplog.records] == ["ERROR", "DEBUG", "DEBUG"]
