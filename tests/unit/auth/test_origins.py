"""Allowed origins may connect; all others are counted, and logged within bounds."""

from __future__ import annotations

import logging

import pytest

from relay.auth.origins import MAX_REMEMBERED, WARN_EVERY_S, Origins
from relay.auth.shown import MAX_SHOWN_CHARS
from relay.metrics import Metrics


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def counted(metrics: Metrics, transport: str) -> float:
    return metrics.registry.get_sample_value("relay_unknown_origins_total", {"transport": transport}) or 0.0


def test_an_unknown_origin_is_counted_each_time_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, clock = Metrics(), Clock()
    origins = Origins(["https://app.example.com"], metrics, clock=clock)

    assert origins.allows("https://app.example.com", "websocket")
    assert origins.allows(None, "poll")
    assert not caplog.records

    for _ in range(3):
        assert not origins.allows("https://evil.example", "websocket")
    assert not origins.allows("https://APP.example.com", "poll")
    assert not origins.allows("null", "config")

    assert [counted(metrics, name) for name in ("websocket", "poll", "config")] == [3, 1, 1]
    assert [vars(record)["origin"] for record in caplog.records] == [
        "https://evil.example",
        "https://APP.example.com",
        "null",
    ]
    assert all("RELAY_ALLOWED_ORIGINS" in record.message for record in caplog.records)

    clock.now += WARN_EVERY_S
    assert not origins.allows("https://evil.example", "websocket")
    assert len(caplog.records) == 4


def test_many_long_origins_fill_neither_the_log_nor_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    origins = Origins([], Metrics(), clock=clock)

    for minute in range(3):
        for number in range(MAX_REMEMBERED * 10):
            assert not origins.allows(f"https://{minute}.{number}/" + "\x1b[2J\n\u202e" * 1000, "websocket")
        assert len(origins._warned_at) <= MAX_REMEMBERED
        clock.now += WARN_EVERY_S

    assert len(caplog.records) == 3 * MAX_REMEMBERED
    for record in caplog.records:
        shown = vars(record)["origin"]
        assert shown.isprintable()
        assert len(shown) <= MAX_SHOWN_CHARS
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
