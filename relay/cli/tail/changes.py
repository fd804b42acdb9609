"""Show one change of the database: what the writer did, and the messages that the relay makes of it. Pure.

Rules of this file: of what a writer wrote, only names and sizes are shown, and secrets are removed from the names; the
messages are those that the relay sends, without the `head` of an event, which needs the whole timeline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

import orjson
from bson.errors import InvalidBSON
from rich.text import Text

from relay.cli.printable import visible
from relay.cli.tail.descriptions import describe
from relay.cli.tail.lines import TYPE_WIDTH, Entry, ansi, line, moment, style_of
from relay.client import Message
from relay.hub.messages import StepFrames
from relay.hub.snapshot import Progress
from relay.protocol.frames import Frame
from relay.protocol.types import Kind
from relay.source.change import Change, Deleted, Inserted, Replaced, Updated
from relay.source.raw_bson import RawArray
from relay.tasks.event_view import START, EventView
from relay.tasks.redact import Redactor
from relay.tasks.step import Step

PATHS_MAX = 8  # paths of one change in a line for people; the rest is counted
PATH_MAX_CHARS = 60


@dataclass(frozen=True, slots=True)
class Done:
    """What a writer did to a document, in names. `set` holds the paths that an update set, or the fields of a whole
    document except `_id`; each with the length of its array, or None. `truncated` holds arrays with their new
    length."""

    operation: str
    set: Sequence[tuple[str, int | None]] = ()
    removed: Sequence[str] = ()
    truncated: Sequence[tuple[str, int]] = ()


def done_by(change: Change, redactor: Redactor) -> Done:
    """Return what this change did to its document, in names without secrets."""
    operation = change.operation
    if isinstance(operation, Replaced) and operation.update is not None:
        operation = operation.update
    match operation:
        case Inserted(document):
            return Done("insert", _sized(document, redactor))
        case Replaced(document):
            return Done("replace", _sized(document, redactor))
        case Updated(fields, removed, truncated):
            return Done(
                "update",
                _sized(fields, redactor),
                [redactor.text(path) for path in removed],
                [(redactor.text(path), size) for path, size in truncated],
            )
        case Deleted():
            return Done("delete")
        case _:
            assert_never(operation)


def _sized(fields: Mapping[str, Any], redactor: Redactor) -> list[tuple[str, int | None]]:
    return [(redactor.text(path), _length(value)) for path, value in fields.items() if path != "_id"]


def _length(value: Any) -> int | None:
    match value:
        case RawArray():
            try:
                return len(value.elements())
            except InvalidBSON:
                return 0
        case list():
            return len(value)
        case _:
            return None


def messages_of(
    step: Step, view: EventView, *, room: bool, dashboard: bool, saw: bool = True, sees: bool = True
) -> list[Message]:
    """Return the messages that the relay sends for this change to a subscriber of the task (`room`), of the list
    (`dashboard`), or of both. `saw` and `sees` say whether they may see the task before and after the change; before
    a task exists, only `sees` counts."""
    frames = StepFrames(step, view)
    made: list[Frame] = []
    if step.before is not None and not saw:
        # A task that becomes visible is upserted and nothing else (PROTOCOL.md 5), so nobody has joined it yet.
        made += [frames.upserted()] if sees and dashboard else []
    elif step.after is None or not sees:
        made += [frames.revocation()] if room else []
        made += [frames.list_revocation()] if dashboard else []
    else:
        held = step.before.timeline.length if step.before is not None else 0
        sent = frames.for_room(Progress(held, START))[0] if room else frames.lifecycles()
        made += [frame for frame, _ in sent]
        made += [frames.upserted()] if dashboard and frames.is_listed else []
    messages = [message_of(frame, at=step.at) for frame in made]
    for message in messages:
        if message.type == Kind.EVENT_ADDED:
            del message.data["head"]  # it depends on the events before, which are not read here
    return messages


def message_of(frame: Frame, *, at: str | None = None) -> Message:
    """The frame as a client would have it, without decoding the whole: only its events are JSON already."""
    data = {
        name: orjson.loads(value) if isinstance(value, bytes) else value for name, value in frame.data.items()
    }
    return Message(frame.kind.value, data, at, raw=frame.body.decode())


def rights_changed(step: Step) -> bool:
    """May other users see the task after the change than before it?"""
    return step.before is not None and step.after is not None and step.before.keys != step.after.keys


def to_json(done: Done, step: Step, messages: Sequence[Message]) -> str:
    """Return the change and its messages as one line of JSON."""
    sent = [{"type": one.type, "data": one.data} | ({"at": one.at} if one.at else {}) for one in messages]
    shown = {
        "operation": done.operation,
        "taskId": step.id,
        "at": step.at,
        "clusterTime": {"t": step.change.time.time, "i": step.change.time.inc},
        "transaction": step.change.grouped,
        "set": [path for path, _ in done.set],
        "arrays": {path: length for path, length in done.set if length is not None},
        "removed": done.removed,
        "truncated": dict(done.truncated),
        "events": {"before": _events(step.before), "after": _events(step.after)},
        "rightsChanged": rights_changed(step),
        "messages": sent,
    }
    return orjson.dumps(shown).decode()


def to_lines(
    done: Done, step: Step, messages: Sequence[Message], now: datetime, *, color: bool
) -> Iterator[str]:
    """Yield one line for the change, and below it one for each message."""
    at = moment(step.at)
    yield line(Entry(done.operation, step.id, _what(done, step), at, at), now, color=color)
    if rights_changed(step):
        yield _below(
            "(rights)",
            "users who gain access are sent the task; users who lose it are sent that, and no more",
            color,
        )
    shown = [one for one in messages if one.data.get("more") is not True]  # only the last page of a state
    for message in shown:
        yield _below(message.type, describe(message.type, message.data), color)
    if not shown and not rights_changed(step):
        yield _below("(nothing)", "no message comes of it", color)


def _below(kind: str, text: str, color: bool) -> str:
    made = Text(no_wrap=True)
    made.append(f"{'→':>23} ", "dim")
    made.append(f"{visible(kind, TYPE_WIDTH):{TYPE_WIDTH}}", style_of(kind))
    made.append(f"  {text}")
    made.rstrip()
    return ansi(made) if color else made.plain


def _what(done: Done, step: Step) -> str:
    names = [path if length is None else f"{path}[{length}]" for path, length in done.set]
    before, after = _events(step.before), _events(step.after)
    parts = [
        f"{'set' if done.operation == 'update' else 'with'} {_listed(names)}" if names else "",
        f"removed {_listed(done.removed)}" if done.removed else "",
        f"cut {_listed([f'{path} to {size}' for path, size in done.truncated])}" if done.truncated else "",
        f"events {before} → {after}" if before != after and None not in (before, after) else "",
        "in a transaction" if step.change.grouped else "",
        f"at {step.change.time.time}.{step.change.time.inc}",
    ]
    return "  ".join(part for part in parts if part)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(visible(name, PATH_MAX_CHARS) for name in names[:PATHS_MAX])
    return shown if len(names) <= PATHS_MAX else f"{shown} and {len(names) - PATHS_MAX} more"


def _events(task: Any) -> int | None:
    return None if task is None else task.timeline.length
