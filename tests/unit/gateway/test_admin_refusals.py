"""Refused requests to the admin API are logged, but cannot fill the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.requests import Request

from relay.gateway.admin.refusals import MAX_LINES, WINDOW_S, Refusals


def request(path: str = "/admin/stats") -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "headers": [], "client": ("10.0.0.1", 1)})


def noted(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if "was refused" in record.getMessage()]


def test_a_stranger_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with caplog.at_level(logging.WARNING, "relay"):
        for _ in range(MAX_LINES + 7):
            refusals.note(request(), "unauthenticated")
        assert len(noted(caplog)) == MAX_LINES
        now = WINDOW_S
        refusals.note(request(), "unauthenticated")
        refusals.note(request(), "unauthenticated")
    *_, first, second = noted(caplog)
    assert (first["furtherRefusals"], "furtherRefusals" in second) == (7, False)


def test_what_a_stranger_chooses_is_cut_and_printable(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "relay"):
        Refusals().note(request("/admin/\n" + "x" * 9000), "no administrator", user="\x1b" * 9000)
    (line,) = noted(caplog)
    for shown in (line["request"], line["user"]):
        assert shown.isprintable()
        assert len(shown) <= 210
