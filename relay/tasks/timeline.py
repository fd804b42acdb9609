"""Positions in a timeline, and what a change does to it: append or rewrite? Pure.

Rules of this file: the array after a change is always the change applied to the array before it; two
events are equal when what we send of them is equal; `events` that is not an array is an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from relay.protocol import Event
from relay.source.changes import Deleted, Inserted, Operation, Replaced, Updated
from relay.tasks.document import apply
from relay.tasks.mapping import EventFields
from relay.tasks.values import array_index, at_path, first_present, moment, plain

DIGEST_VERSION = "1."
START = b""  # the digest of no events
NULL = b"null"


@dataclass(frozen=True, slots=True)
class Timeline:
    """An events array: its length always, its elements where they are in memory.

    `is_array` is False where the document has something else in its place, or nothing.
    """

    length: int
    is_array: bool
    events: Sequence[Any] | None = None

    def without_events(self) -> Timeline:
        return Timeline(self.length, self.is_array)


@dataclass(frozen=True, slots=True)
class Appended:
    """These came at the end; the rest is as it was."""

    events: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The array is now this one, and that one before."""

    events: Sequence[Any]
    before: Sequence[Any]


@dataclass(frozen=True, slots=True)
class NeedsEvents:
    """What the change does cannot be told without the elements before it."""


Outcome = Appended | Rewritten | NeedsEvents | None  # None: the timeline is as it was


def timeline_of(document: Any, path: str) -> Timeline:
    """The timeline a stored document holds."""
    value = at_path(document, path)
    return Timeline(len(value), True, value) if isinstance(value, list) else Timeline(0, False, ())


def advance(
    before: Timeline, operation: Operation, path: str, event: EventFields
) -> tuple[Timeline, Outcome]:
    """The timeline after the operation, and what happened to it."""
    match operation:
        case Inserted(document) | Replaced(document):
            return _compare(before, timeline_of(document, path), event)
        case Updated():
            return _update(before, operation, path, event)
        case Deleted():
            return Timeline(0, False, ()), None


def _update(before: Timeline, update: Updated, path: str, event: EventFields) -> tuple[Timeline, Outcome]:
    inside = path + "."
    touching = [
        key
        for key in (*update.fields, *update.removed, *(key for key, _ in update.truncated))
        if key == path or key.startswith(inside) or path.startswith(key + ".")
    ]
    if not touching:
        return before, None
    whole = all(key == path or path.startswith(key + ".") for key in touching)
    if not before.is_array and not whole:
        return before, None  # something inside of what is not a timeline
    if not whole and not update.removed and not update.truncated:
        added = _added(before.length, [(key[len(inside) :], update.fields[key]) for key in touching])
        if added is not None:
            after = Timeline(
                before.length + len(added), True, None if before.events is None else [*before.events, *added]
            )
            return after, Appended(added)
    if before.events is None and before.length:
        return before, NeedsEvents()
    # Everything is settled on a document that holds nothing but the timeline.
    *middle, last = path.split(".")
    holder: dict[str, Any] = {last: list(before.events or ())} if before.is_array else {}
    for name in reversed(middle):
        holder = {name: holder}
    here = set(touching)
    changed = apply(
        holder,
        {key: value for key, value in update.fields.items() if key in here},
        [key for key in update.removed if key in here],
        [(key, size) for key, size in update.truncated if key in here],
    )
    return _compare(before, timeline_of(changed, path), event)


def _added(length: int, entries: Sequence[tuple[str, Any]]) -> list[Any] | None:
    """What `events.N` paths at or past the end append, holes included; None if they do more."""
    numbered: dict[int, Any] = {}
    for name, value in entries:
        index = array_index(name)
        if index is None or index < length:
            return None
        numbered[index] = value
    return [numbered.get(index) for index in range(length, max(numbered) + 1)]


def _compare(before: Timeline, after: Timeline, event: EventFields) -> tuple[Timeline, Outcome]:
    if before.events is None and before.length:
        return before, NeedsEvents()
    old, new = before.events or (), after.events or ()
    if len(new) >= len(old) and _equal(old, new[: len(old)], event):
        return after, Appended(new[len(old) :]) if len(new) > len(old) else None
    return after, Rewritten(new, old)


def _equal(one: Sequence[Any], other: Sequence[Any], event: EventFields) -> bool:
    return all(
        a is b or event_json(a, event) == event_json(b, event) for a, b in zip(one, other, strict=True)
    )


# What is sent of an event, and the digest over it.


def event_json(element: Any, event: EventFields) -> bytes:
    """One element as the JSON of an Event (PROTOCOL.md section 5), keys sorted, so that the same
    event is always the same bytes."""
    if element is None:
        return NULL
    kind = first_present((element,), event.type)
    shown: Event = {
        "type": kind if isinstance(kind, str) else None,
        "at": moment(first_present((element,), event.at)),
        "data": plain(element),
    }
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)


def extend(digest: bytes, event: bytes) -> bytes:
    """The digest of a timeline that goes on with this event's JSON."""
    return blake2b(event, key=digest, digest_size=16).digest()


def head(digest: bytes) -> str:
    """A digest as the opaque, versioned `head` of the wire."""
    return DIGEST_VERSION + digest.hex()
