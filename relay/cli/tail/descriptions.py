"""Describe one message in one line of plain text. Pure.

Rule of this file: text of other people is shown only through `visible`, which lets printable characters pass.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from relay.cli.printable import counted, visible
from relay.protocol.types import LIFECYCLE_FIELDS, Kind

SUMMARY_STATUSES_MAX = 5  # statuses of a list in one line; the others are counted together
SHA_CHARS = 10  # of a commit's hash, about as many as git shows

# The fields in which writers put the text of an event. The first one that is present counts.
_TEXT_KEYS = ("message", "text", "summary", "description", "title", "reason", "error", "note", "comment")
_PAYLOAD_KEYS = ("data", "payload", "metadata", "details")

# The types whose data is a summary of a task, or a part of one.
_SUMMARISED = frozenset({Kind.CREATED, *LIFECYCLE_FIELDS, Kind.LIST_UPDATED})


def describe(kind: str, data: dict[str, Any]) -> str:
    """Return what is essential in one message, as one line of printable text, without its time, type and task."""
    match kind:
        case Kind.EVENT_ADDED:
            return event_text(integer(data.get("index")), data.get("event"))
        case Kind.TASK_STATE:
            return _state_text(data)
        case Kind.DASHBOARD_STATE:
            return _list_text(data.get("tasks"))
        case Kind.LIST_UPDATED if data.get("change") != "upserted":
            return visible(string(data.get("change")))
        case Kind.UPDATED if isinstance(data.get("task"), dict):
            return _summary(data["task"])
        case Kind.STREAM_STATUS:
            return f"{visible(string(data.get('state')))}, {integer(data.get('lagMs'))} ms behind"
        case Kind.ERROR:
            again = data.get("retryAfterMs")
            hint = f"(again in {integer(again)} ms)" if again is not None else ""
            return joined(f"{visible(string(data.get('code')))}: {_one_line(data.get('message'))}", hint)
        case Kind.DELETED | Kind.REVOKED:
            return ""
        case _ if kind in _SUMMARISED:
            return _summary(data)
        case _:
            return visible(_compact(data))


def _summary(task: dict[str, Any]) -> str:
    """Describe a task by its status, its title, and what else the message says of it."""
    questions = task.get("questions")
    asked = " / ".join(_one_line(question) for question in questions) if isinstance(questions, list) else ""
    sha = string(task.get("mergeCommitSha"))
    error = task.get("error")
    return joined(
        visible(string(task.get("status"))),
        _quoted(task),
        f"by {visible(string(task['creator']))}" if "creator" in task else "",
        asked,
        _waits_for(task),
        f"error: {_one_line(error)}" if error else "",
        _links(task),
        f"merged as {visible(sha[:SHA_CHARS])}" if sha else "",
    )


def _waits_for(task: dict[str, Any]) -> str:
    """Name those whom a task waits for, unless that is its creator alone, whom the line names already."""
    found = task.get("waitsFor")
    if not isinstance(found, dict) or found in ({}, {"sub": [task.get("creator")]}):
        return ""
    ids = [string(one) for values in found.values() if isinstance(values, list) for one in values]
    return f"waits for {', '.join(map(visible, ids))}" if ids else ""


def _state_text(state: dict[str, Any]) -> str:
    """Describe a state by the length of the timeline and the status of the task."""
    task = state.get("task")
    task = task if isinstance(task, dict) else {}
    status = f", status {visible(string(task['status']))}" if "status" in task else ""
    return joined(counted(integer(state.get("next")), "event") + status, _quoted(task), _links(task))


def _list_text(tasks: object) -> str:
    """Describe a list by the number of tasks, and how many there are of each status."""
    listed = [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    statuses = Counter(visible(string(task.get("status")), 40) or "no status" for task in listed)
    named = statuses.most_common(SUMMARY_STATUSES_MAX)
    parts = [f"{count} {status}" for status, count in named]
    if others := len(listed) - sum(count for _, count in named):
        parts.append(f"{others} other")
    total = counted(len(listed), "task")
    return f"{total}: {', '.join(parts)}" if parts else total


def event_text(index: int, event: object) -> str:
    """Describe an event by its index, its type, its text and its links."""
    if not isinstance(event, dict):
        return f"#{index} (nothing)"
    type_, data = event.get("type"), event.get("data")
    name = visible(type_) if isinstance(type_, str) else "(no type)"
    said = ""
    links = ""
    if isinstance(data, dict):
        layers = [data, *(data[key] for key in _PAYLOAD_KEYS if isinstance(data.get(key), dict))]
        texts = (layer[key] for layer in layers for key in _TEXT_KEYS if isinstance(layer.get(key), str))
        said = _one_line(next((text for text in texts if text.strip()), ""))
        links = joined(*(_links(layer) for layer in layers))
    elif data is not None:
        said = visible(_compact(data))
    return joined(f"#{index} {name}", said, links)


def _links(document: dict[str, Any]) -> str:
    urls = (string(value) for key, value in document.items() if key.lower().endswith("url"))
    return joined(*(visible(url) for url in urls if url.startswith(("http://", "https://"))))


def _quoted(task: dict[str, Any]) -> str:
    return f"“{_one_line(task['title'])}”" if task.get("title") else ""


def _one_line(text: object) -> str:
    """Return the first line of a text, without the empty ones before it."""
    lines = string(text).strip().splitlines()
    return visible(lines[0] if lines else "")


def joined(*parts: str) -> str:
    """Join the parts that are not empty, with two spaces between them."""
    return "  ".join(part for part in parts if part)


def _compact(value: object) -> str:
    return orjson.dumps(value).decode()


def string(value: object) -> str:
    """Return a string as it is, null as an empty one, and any other value as JSON."""
    return value if isinstance(value, str) else "" if value is None else _compact(value)


def integer(value: object) -> int:
    """Return an integer as it is, and 0 for any other value."""
    return value if isinstance(value, int) else 0
