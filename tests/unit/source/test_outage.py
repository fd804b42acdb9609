"""How often the log says that the database does not answer."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.source import outage
from relay.source.outage import LOG_AGAIN_S, Outage

log = logging.getLogger("relay.test")


class Noted(logging.Handler):
    """The reasons of the lines that are loud, in order."""

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
def test_a_failure_is_said_when_it_begins_when_its_reason_changes_and_after_a_minute(
    happens: list[str],
) -> None:
    clock, noted, said = Clock(), Noted(), []
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
                said += [one] if one != expected else []
                expected = one
        log.removeHandler(noted)
    assert noted.reasons == said


def test_what_repeats_it_is_there_for_who_looks_closer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, log.name)
    failing = Outage(log, "no answer")
    for _ in range(3):
        failing.failed("a", logging.ERROR, reason="a")
    assert [record.levelname for record in caplog.records] == ["ERROR", "DEBUG", "DEBUG"]
