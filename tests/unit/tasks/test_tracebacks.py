"""Of a long traceback of Python, what failed is kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.tasks.mapping import Mapping
from relay.tasks.redact import CUT_MARGIN
from relay.tasks.tracebacks import CUT, FIRST_LINE, without_middle
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

LIMIT = 300


def traceback_of(message: str, *, calls: int) -> str:
    """Return what Python prints of an error that was raised this many calls deep."""
    scope: dict[str, object] = {}
    source = "".join(f"def call_{n}(): call_{n - 1}()\n" for n in range(1, calls + 1))
    exec(compile(f"def call_0(): raise ValueError({message!r})\n{source}", "worker.py", "exec"), scope)
    try:
        scope[f"call_{calls}"]()  # type: ignore[operator]
    except ValueError:
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


def test_the_first_line_and_the_last_lines_are_kept() -> None:
    shown = without_middle(traceback_of("no such branch", calls=20), LIMIT)
    assert shown.startswith(FIRST_LINE + CUT + '  File "worker.py", line ')
    assert shown.endswith('  File "worker.py", line 1, in call_0\nValueError: no such branch')
    assert LIMIT - 60 < len(shown) <= LIMIT


def test_what_stands_before_the_traceback_is_kept() -> None:
    shown = without_middle("Job 7 failed.\n" + traceback_of("no", calls=20), LIMIT)
    assert shown.startswith("Job 7 failed.\n" + FIRST_LINE + CUT)
    assert shown.endswith("\nValueError: no")


def test_of_two_tracebacks_the_end_of_the_last_one_is_kept() -> None:
    between = "\nDuring handling of the above exception, another exception occurred:\n\n"
    shown = without_middle(traceback_of("first", calls=9) + between + traceback_of("second", calls=9), LIMIT)
    assert shown.endswith("\nValueError: second")


@pytest.mark.parametrize(
    "error",
    [
        "ValueError: " + "no " * 200,
        "Error: no\n" + "    at run (a.js:3:1)\n" * 50,  # which says first what failed
        "log " * 50 + traceback_of("no", calls=20),
        FIRST_LINE[:-1] + "\n" * 400,
    ],
)
def test_any_other_text_is_cut_at_its_end(error: str) -> None:
    assert without_middle(error, LIMIT) == error[: LIMIT - 1] + "…"


def test_a_last_line_that_is_too_long_is_cut_at_its_end() -> None:
    shown = without_middle(traceback_of("x" * 5_000, calls=2), LIMIT)
    assert shown.startswith(FIRST_LINE + CUT + "ValueError: xxx")
    assert shown.endswith("x…")
    assert len(shown) == LIMIT


@given(
    before=st.text(alphabet="ab \né🚀", max_size=80),
    frames=st.lists(st.text(alphabet="ab \né🚀", max_size=60), max_size=20),
    limit=st.integers(10, 400),
)
def test_it_is_never_too_long_and_never_another_text(before: str, frames: list[str], limit: int) -> None:
    error = before + FIRST_LINE + "\n" + "\n".join(frames)
    shown = without_middle(error, limit)
    assert len(shown) <= limit
    beginning, cut, ending = shown.partition(CUT)
    if cut:
        assert beginning == before + FIRST_LINE
        last_line = error.rstrip().rpartition("\n")[2]
        assert error.rstrip().endswith("\n" + ending) or last_line.startswith(ending.removesuffix("…"))
    else:
        assert shown in {error, error[: limit - 1] + "…"}


SECRET = "ghp_" + "a1B2" * 9
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 40


def error_of_a_summary(error: object) -> str:
    reader = Translator(Mapping(), Audience(Mapping().visibility).keys_of, max_text=LIMIT)
    shown = reader.read({"_id": "t", "status": "failed", "error": error}).summary["error"]
    assert isinstance(shown, str)
    return shown


@pytest.mark.parametrize("write", [str, lambda error: {"type": "ValueError", "message": error}])
def test_a_summary_says_what_failed(write: Callable[[str], object]) -> None:
    shown = error_of_a_summary(write(traceback_of("no such branch", calls=20)))
    assert shown.startswith(FIRST_LINE + CUT)
    assert shown.endswith("\nValueError: no such branch")
    assert len(shown) <= LIMIT


def test_a_secret_in_the_last_lines_is_not_shown() -> None:
    shown = error_of_a_summary(traceback_of(f"push to {SECRET} failed", calls=20))
    assert shown.endswith("\nValueError: push to [redacted] failed")


def test_a_secret_that_only_its_beginning_shows_to_be_one_is_not_shown_where_that_is_cut_out() -> None:
    shown = error_of_a_summary(traceback_of("no", calls=5) + PRIVATE_KEY)
    assert shown.endswith("[redacted]")
    assert "MIIE" not in shown


def test_a_traceback_whose_end_is_not_searched_for_secrets_is_cut_at_its_end() -> None:
    error = traceback_of("no", calls=3).ljust(LIMIT + CUT_MARGIN + 1, "x")
    assert error_of_a_summary(error) == error[: LIMIT - 1] + "…"
    assert error_of_a_summary(error[:-1]).startswith(FIRST_LINE + CUT)
