"""Readiness, and what listeners are sent about a silent database. Without a database: time is set."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from relay import health
from relay.health import STALE_AFTER_S, UNANSWERED_MAX, Health
from relay.metrics import Metrics

NOW = 1000.0


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: NOW, time=time.time))


def health_of(
    *,
    silence_s: float | None = 0.0,
    has_keys: bool = True,
    refused: object = None,
    unanswered: int = 0,
    announce: Any = None,
) -> Health:
    tail = SimpleNamespace(current_at=None if silence_s is None else NOW - silence_s)
    keys = SimpleNamespace(current=lambda: object() if has_keys else None)
    return Health(
        tail,  # type: ignore[arg-type]
        SimpleNamespace(announce=announce),
        keys,  # type: ignore[arg-type]
        SimpleNamespace(refused=refused, unanswered=unanswered),  # type: ignore[arg-type]
    )


def test_a_relay_is_ready_while_the_database_answers_and_there_are_keys() -> None:
    state = health_of(silence_s=0.1).state()
    assert (state["ready"], state["stale"]) == (True, False)
    assert state["lastReplyMs"] == 100


@pytest.mark.parametrize(
    ("given", "stale"),
    [
        ({"silence_s": None}, True),
        ({"silence_s": STALE_AFTER_S + 1}, True),
        ({"has_keys": False}, False),
        ({"refused": "it is a view"}, False),
        ({"unanswered": UNANSWERED_MAX}, False),
    ],
    ids=[
        "before the first answer",
        "a silent database",
        "without keys",
        "a collection that cannot be followed",
        "a stream that comes from another process, and a silent database",
    ],
)
def test_a_relay_is_not_ready(given: dict[str, Any], stale: bool) -> None:
    state = health_of(**given).state()
    assert (state["ready"], state["stale"]) == (False, stale)
    assert ("lastReplyMs" in state) == (given.get("silence_s", 0) is not None)


@pytest.mark.parametrize(
    ("given", "ready", "stale", "lag_s"),
    [
        ({"silence_s": 0.25}, 1, 0, 0.25),
        ({"silence_s": STALE_AFTER_S + 1}, 0, 1, STALE_AFTER_S + 1),
        ({"silence_s": None}, 0, 1, 0),
        ({"has_keys": False}, 0, 0, 0),
    ],
    ids=["up to date", "a silent database", "before the first answer", "without keys"],
)
def test_the_metrics_say_the_same(given: dict[str, Any], ready: int, stale: int, lag_s: float) -> None:
    metrics = Metrics()
    health_of(**given).show_in(metrics)
    value = metrics.registry.get_sample_value
    assert (value("relay_ready"), value("relay_stale")) == (ready, stale)
    assert value("relay_lag_seconds") == lag_s


def test_one_check_without_an_answer_means_nothing() -> None:
    assert health_of(unanswered=1).state()["ready"] is True


def test_a_relay_that_is_stopping_is_not_ready() -> None:
    stopping = health_of()
    stopping.stopping = True
    assert stopping.state()["ready"] is False


@pytest.mark.parametrize(("silence_s", "status"), [(0.0, "live"), (STALE_AFTER_S + 1, "stale")])
async def test_listeners_are_sent_the_state_of_the_stream(
    silence_s: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(health, "LOOK_S", 0)
    running = asyncio.create_task(
        health_of(silence_s=silence_s, announce=lambda status, lag_ms: announced.put_nowait(status)).run()
    )
    assert await announced.get() == status
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_the_log_says_once_when_the_relay_is_ready_when_it_is_stale_and_when_it_is_live_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(health, "LOOK_S", 0)
    watched = health_of(announce=lambda status, lag_ms: announced.put_nowait(status))
    tail: Any = watched._tail
    with caplog.at_level("INFO", logger="relay.health"):
        running = asyncio.create_task(watched.run())
        for silence_s, status in ((0.0, "live"), (STALE_AFTER_S + 60, "stale"), (0.0, "live")):
            tail.current_at = NOW - silence_s
            for _ in range(3):
                while await announced.get() != status:
                    pass
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    events = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert events == [
        ("INFO", "relay ready"),
        ("WARNING", "relay stale: the database does not answer"),
        ("WARNING", "relay live again"),
    ]
    _, stale, live = map(vars, caplog.records)
    assert stale["since"].endswith("Z")
    assert live["staleSeconds"] == STALE_AFTER_S + 60
