"""One line in columns: the time, the delay, the type, the task and the text. Pure."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from relay.cli.printable import visible
from relay.protocol.types import Kind

LATE = timedelta(milliseconds=500)  # a delay that people notice; shown in yellow
_STYLES: dict[str, str] = {
    Kind.CREATED: "cyan",
    Kind.ANALYZING: "blue",
    Kind.CLARIFICATION_NEEDED: "yellow",
    Kind.DISPATCHED: "magenta",
    Kind.PR_OPENED: "green",
    Kind.PR_MERGED: "bold green",
    Kind.FAILED: "bold red",
    Kind.TASK_STATE: "bold",
    Kind.DASHBOARD_STATE: "bold",
    Kind.EVENT_ADDED: "",
    Kind.UPDATED: "dim",
    Kind.LIST_UPDATED: "dim",
    Kind.DELETED: "red",
    Kind.REVOKED: "red",
    Kind.STREAM_STATUS: "yellow",
    Kind.ERROR: "bold red",
    # What a writer did, for `relay tail --direct`.
    "insert": "bold",
    "update": "bold",
    "replace": "bold",
    "delete": "bold red",
    "(nothing)": "dim",
    "(rights)": "yellow",
}
TYPE_WIDTH = max(len(Kind.LIST_UPDATED), len(Kind.CLARIFICATION_NEEDED))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to print. The clock column shows `time`; the delay is counted from `caused` (None: an age is shown)."""

    type: str
    task_id: str
    text: str
    time: datetime | None
    caused: datetime | None


def line(entry: Entry, now: datetime, *, color: bool) -> str:
    """Return the entry in columns, its time in the time zone of `now`. `color` adds ANSI sequences."""
    text = Text(no_wrap=True)
    text.append(f"{_clock(entry.time or now, now):12}  ", "dim")
    if entry.caused is not None:
        delay = now - entry.caused
        text.append(f"{_delay(delay):>8}  ", "yellow" if delay >= LATE else "dim")
    else:
        text.append(f"{_age(now - entry.time) if entry.time is not None else '':>8}  ", "dim")
    text.append(f"{visible(entry.type, TYPE_WIDTH):{TYPE_WIDTH}}", style_of(entry.type))
    text.append(f"  {visible(entry.task_id):24}  {entry.text}")
    text.rstrip()
    return ansi(text) if color else text.plain


def style_of(kind: str) -> str:
    """Return the style of a type of message; empty for plain text."""
    return _STYLES.get(kind, "")


def ansi(text: Text) -> str:
    """Return the text with ANSI sequences for its styles, in the sixteen colours that every terminal has."""
    # The Console only renders, and we write: a Console that writes ends the process when a pipe is broken.
    console = _console()
    with console.capture() as capture:
        console.print(text, soft_wrap=True, end="", highlight=False, markup=False, emoji=False)
    return capture.get()


@functools.cache
def _console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False)


def moment(text: object) -> datetime | None:
    """Parse a time of a message. Return None for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _clock(when: datetime, now: datetime) -> str:
    when = when.astimezone(now.tzinfo)
    if when.date() != now.date():
        return when.strftime("%m-%d %H:%M" if when.year == now.year else "%Y-%m-%d")
    return when.strftime("%H:%M:%S.") + f"{when.microsecond // 1000:03}"


def _delay(delay: timedelta) -> str:
    """Return the time since the change, such as "+4 ms" or "+12 s"."""
    if delay < timedelta(seconds=10):
        return f"{delay.total_seconds() * 1000:+.0f} ms"
    count, unit = _rounded(delay)
    return f"+{count} {unit}"


def _age(age: timedelta) -> str:
    """Return how long ago something was, such as "3m ago"; empty below a second and for the future."""
    if age < timedelta(seconds=1):
        return ""
    count, unit = _rounded(age)
    return f"{count}{unit} ago"


def _rounded(span: timedelta) -> tuple[int, str]:
    """Return the duration in the largest unit of which it has at least one, rounded down."""
    whole = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= length:
            return whole // length, unit
    return whole, "s"
