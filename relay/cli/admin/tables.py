"""The answers of the admin API as tables for a terminal. Pure, except that an age is counted from now.

Rule of this file: every text that comes from a client is made safe to print on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from relay.auth.spans import span
from relay.cli.printable import counted, visible

Answer = dict[str, Any]
USER_CHARS, PATH_CHARS = 40, 40  # of a text in a table
NOBODY = "-"  # a connection whose client is not authenticated yet

_OF_ALL = {
    "connections": "connections",
    "polls": "polls that wait",
    "users": "users",
    "rooms": "tasks that are open",
    "knownTasks": "tasks in memory",
}


def connections(answer: Answer) -> str:
    """Return the table of connections, and how many there are."""
    listed, total = answer["connections"], answer["total"]
    rows = [
        {
            "user": _text(one["user"], USER_CHARS),
            "via": one["transport"],
            "since": _ago(one["since"]),
            "tasks": f"{one['tasks']:,}",
            "list": "yes" if one["list"] else "no",
            "in": f"{one['messagesIn']:,}",
            "out": f"{one['messagesOut']:,}",
            "waiting": _waiting(one),
            "address": _text(one["address"], USER_CHARS),
            "path": _text(one["path"], PATH_CHARS),
            "connection": _text(one["id"], USER_CHARS),
        }
        | _worker(one)
        for one in listed
    ]
    of = counted(total, "connection") if len(listed) == total else f"{len(listed):,} of {total:,} connections"
    return _table(rows, right={"tasks", "in", "out", "worker"}) + of


def listeners(answer: Answer) -> str:
    """Return the table of those who listen to a task, and how many they are."""
    listed, total = answer["listeners"], answer["total"]
    rows = [
        {
            "user": _text(one["user"], USER_CHARS),
            "via": one["transport"],
            "state": "live" if one["state"] == "live" else "catching up",
            "connection": _text(one["connection"], USER_CHARS),
        }
        | _worker(one)
        for one in listed
    ]
    of = counted(total, "listener") if len(listed) == total else f"{len(listed):,} of {total:,} listeners"
    return _table(rows, right={"worker"}) + of


def kicked(sub: str, answer: Answer) -> str:
    """Return what was done to disconnect a user."""
    return f"{visible(sub)}: {counted(answer['disconnected'], 'connection')} closed"


def reloaded(answer: Answer) -> str:
    """Return which settings have changed, and which of them are not in force yet."""
    lines = []
    if answer["changed"]:
        lines.append(f"reloaded; changed: {_names(answer['changed'])}")
    else:
        lines.append("reloaded; nothing has changed that takes effect now")
    if answer["needRestart"]:
        lines.append(f"these take effect after a restart: {_names(answer['needRestart'])}")
    return "\n".join(lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(visible(name) for name in names)


def stats(answer: Answer) -> str:
    """Return the figures in a line each, and a table of the workers if there are several processes."""
    about = {
        "version": _text(answer["version"], USER_CHARS),
        "started": f"{_text(answer['startedAt'], USER_CHARS)}, {span(answer['uptimeS'])} ago",
        "state": _state(answer),
    }
    lines = about | {label: f"{answer[name]:,}" for name, label in _OF_ALL.items()}
    width = max(map(len, lines))
    text = "\n".join(f"{label:{width}}  {value}" for label, value in lines.items())
    if "workers" not in answer:
        return text
    rows = [
        {"worker": str(one["worker"]), "state": _state(one)}
        | {name: f"{one[field]:,}" for field, name in _OF_ALL.items() if field != "polls"}
        for one in answer["workers"]
    ]
    return f"{text}\n\n{_table(rows, right={'worker', *_OF_ALL.values()})}".rstrip("\n")


def _state(of: Answer) -> str:
    ready = "ready" if of["ready"] else "not ready"
    stale = ", stale" if of["stale"] else ""
    return f"{ready}{stale}" + (
        "" if of["lagMs"] is None else f", the database answered {of['lagMs']:,} ms ago"
    )


def _waiting(one: Answer) -> str:
    waiting = f"{one['outboxBytes']:,} B" if one["outboxBytes"] else NOBODY
    return f"{waiting}, lagging" if one["lagging"] else waiting


def _worker(one: Answer) -> dict[str, str]:
    return {"worker": str(one["worker"])} if "worker" in one else {}


def _text(value: str | None, limit: int) -> str:
    return NOBODY if value is None else visible(value, limit)


def _ago(moment: str) -> str:
    return span((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def _table(rows: Sequence[dict[str, str]], *, right: Iterable[str]) -> str:
    """Return rows with the same names as a table with a line of these names, and an empty line after it. The columns in
    `right` are numbers. Returns an empty string if there are no rows."""
    if not rows:
        return ""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    aligned = {name: ">" if name in set(right) else "<" for name in names}
    lines = [
        "  ".join(f"{row[name]:{aligned[name]}{widths[name]}}" for name in names).rstrip()
        for row in ({name: name.upper() for name in names}, *rows)
    ]
    return "\n".join([*lines, "", ""])
