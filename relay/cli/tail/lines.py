"""The columns of a line: when, how late, what, whose, and the rest. Pure."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from relay.cli.printable import visible
from relay.protocol.types import Kind

LATE = timedelta(milliseconds=500)  # from here on people notice, and the delay is shown in yellow
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
    # What a writer did, where the database itself is followed.
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
    """One line to print; `time` is what the clock column shows, `caused` what the delay is counted from."""

    type: str
    task_id: str
    text: str
    time: datetime | None
    caused: datetime | None


def line(entry: Entry, now: datetime, *, color: bool) -> str:
    """The entry in columns, in the time zone of `now`; with `color`, ANSI sequences."""
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
    """How a type stands out; the empty style where it does not."""
    return _STYLES.get(kind, "")


def ansi(text: Text) -> str:
    """The text with its styles as ANSI sequences, in the sixteen colours every terminal has."""
    # Rendered there, written by us: a Console that writes itself ends the process on a broken pipe.
    console = _console()
    with console.capture() as capture:
        console.print(text, soft_wrap=True, end="", highlight=False, markup=False, emoji=False)
    return capture.get()


@functools.cache
def _console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False)


def moment(text: object) -> datetime | None:
    """A time of the wire; None for anything that is not one."""
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
    """What lies between the change and now: "+4 ms", "+12 s"."""
    if delay < timedelta(seconds=10):
        return f"{delay.total_seconds() * 1000:+.0f} ms"
    count, unit = _rounded(delay)
    return f"+{count} {unit}"


def _age(age: timedelta) -> str:
    """How long ago it was: "3m ago"; nothing for what is to come."""
    if age < timedelta(seconds=1):
        return ""
    count, unit = _rounded(age)
    return f"{count}{unit} ago"


def _rounded(span: timedelta) -> tuple[int, str]:
    """In the largest unit that fills one, rounded down."""
    whole = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= length:
            return whole // length, unit
    return whole, "s"
