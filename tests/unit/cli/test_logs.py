"""The format of log records, whatever text is in them."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cli import logs
from relay.cli.output import StandardError

# Texts with lone surrogates, as surrogateescape makes them, and with every control character.
TEXTS = st.text(st.characters(exclude_categories=()) | st.characters(max_codepoint=0xFF))
FORGED = "\x1b[2J\r\n2026-01-01T00:00:00.000Z INFO    all is well\x9b31m\u2028\ud800"


def record(message: str, failure: Exception | None = None, **fields: Any) -> logging.LogRecord:
    exc_info: Any = None
    if failure is not None:
        try:
            raise failure
        except Exception:
            exc_info = sys.exc_info()
    made = logging.LogRecord("relay", logging.INFO, __file__, 1, message, (), exc_info)
    vars(made).update(fields)
    return made


@given(TEXTS, TEXTS, st.integers() | TEXTS | st.binary())
def test_a_record_is_one_line_of_printable_characters(message: str, text: str, value: Any) -> None:
    for formatter in (logs._Console(), logs._Json()):
        line = formatter.format(record(message, text=text, value=value))
        assert all(char.isprintable() or char == "\x7f" for char in line)
    assert json.loads(line)["text"] == text


def test_the_text_of_an_exception_cannot_pass_for_a_record() -> None:
    shown = logs._Console().format(record("it failed", ValueError(FORGED)))
    first, *rest = shown.split("\n")
    assert first.endswith("it failed")
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert json.loads(logs._Json().format(record("it failed", ValueError(FORGED))))["event"] == "it failed"


@pytest.mark.parametrize("format", ["console", "json"])
def test_lost_lines_are_reported_in_the_format_of_the_log(
    format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before = root.level, logging.getLogger("relay").level
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(sys, "stderr", stream := StandardError(None))
    try:
        logs.configure(format, "INFO")
        line = stream.describe_loss(7)
    finally:
        root.setLevel(before[0])
        logging.getLogger("relay").setLevel(before[1])
    assert line.count("\n") == 1
    if format == "json":
        logged = json.loads(line)
        assert (logged["level"], logged["lines"]) == ("warning", 7)
    else:
        assert "WARNING" in line
        assert "lines=7" in line


@pytest.mark.parametrize("formatter", [logs._Console(), logs._Json()])
def test_of_a_record_that_cannot_be_formatted_its_place_is_logged(formatter: logging.Formatter) -> None:
    handler = logs._Handler(stream := io.StringIO())
    handler.setFormatter(formatter)
    handler.handle(logging.LogRecord("library", logging.ERROR, "/there.py", 7, "%d", ("a document",), None))
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "a record could not be formatted" in line
    assert "there.py:7" in line
    assert "a document" not in line


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_records_of_libraries_below_warning_are_not_logged(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    before = root.level, logging.getLogger("relay").level
    try:
        logs.configure("console", level)
        for name in ("uvicorn.error", "uvicorn.access", "websockets.server", "pymongo.command", "asyncio"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
    finally:
        root.setLevel(before[0])
        logging.getLogger("relay").setLevel(before[1])
