"""Positions in a timeline, and what a change does to it: append or rewrite? Pure.

Rules of this file: the array after a change is always the change applied to the array before it; two
events are equal when what we send of them is equal; `events` that is not an array is an empty one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from bson.errors import InvalidBSON

from relay.protocol.types import Event
from relay.source.change import Deleted, Inserted, Operation, Replaced, Updated
from relay.source.raw_bson import Element, RawArray, decode_element, encode_element
from relay.tasks.bson_json import plain
from relay.tasks.document import apply
from relay.tasks.mapping import EventFields
from relay.tasks.paths import array_index, at_path, first_present
from relay.tasks.redact import Redactor
from relay.tasks.scalars import moment, text

DIGEST_VERSION = "1."
START = b""  # the digest of no events
NULL = b"null"
MAX_EVENT_BYTES = 65_536  # of an event's JSON, unless set; of a larger one only its size is sent
TYPE_LENGTH = 200  # characters of an event's type; the rest is cut


class Timeline(NamedTuple):
    """An events array: its length always, its elements where they are in memory.

    `is_array` is False where the document has something else in its place, or nothing.
    """

    length: int
    is_array: bool
    held: Held | None = None

    @property
    def elements(self) -> Sequence[Element] | None:
        if self.held is None:
            return None
        elements = self.held.elements
        return elements if len(elements) == self.length else elements[: self.length]

    def without_elements(self) -> Timeline:
        return Timeline(self.length, self.is_array)


@dataclass(slots=True)
class Held:
    """Elements in memory, and their size in bytes. They only grow: a long timeline that is appended to
    again and again is not copied each time, and the ones it was before are the beginning of this."""

    elements: list[Element]
    size: int

    def grown(self, length: int, added: Sequence[Element]) -> Held:
        """The first `length` elements, and these."""
        if len(self.elements) > length:  # they have grown into something else already
            return held([*self.elements[:length], *added])
        self.elements += added
        self.size += sum(map(len, added))
        return self


def held(elements: list[Element]) -> Held:
    return Held(elements, sum(map(len, elements)))


NOTHING = Timeline(0, False, Held([], 0))


class Appended(NamedTuple):
    """These values came at the end; the rest is as it was."""

    events: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The array is now this one, and that one before.

    `run`: so many elements at its beginning are the end of the one before, as where an array that is
    full was pushed to.
    """

    elements: Sequence[Element]
    before: Sequence[Element]
    run: int = 0


@dataclass(frozen=True, slots=True)
class NeedsEvents:
    """What the change does cannot be told without the elements before it."""


Outcome = Appended | Rewritten | NeedsEvents | None  # None: the timeline is as it was


def timeline_of(document: Any, path: str) -> Timeline:
    """The timeline a stored document holds."""
    return _timeline(at_path(document, path))


def _timeline(value: Any, before: Sequence[Element] = ()) -> Timeline:
    match value:
        case RawArray() as array:
            try:
                elements = array.elements(before)
            except InvalidBSON:
                return NOTHING
        case list() as values:
            elements = [encode_element(value) for value in values]
        case _:
            return NOTHING
    return Timeline(len(elements), True, held(elements))


def advance(before: Timeline, operation: Operation, path: str, view: EventView) -> tuple[Timeline, Outcome]:
    """The timeline after the operation, and what happened to it."""
    match operation:
        case Updated():
            return _update(before, operation, path, view)
        case Inserted(document) | Replaced(document):
            if _is_unknown(before):
                return before, NeedsEvents()
            return _compare(before, timeline_of(document, path), view)
        case Deleted():
            return NOTHING, None


def _is_unknown(timeline: Timeline) -> bool:
    return timeline.held is None and timeline.length > 0


def _update(before: Timeline, update: Updated, path: str, view: EventView) -> tuple[Timeline, Outcome]:
    if update.paths:
        update = _concerning(update, path.split("."))
    added = _added(before, update, path)
    if added is not None:
        if not added:
            return before, None
        grown = before.held and before.held.grown(before.length, [*map(encode_element, added)])
        return Timeline(before.length + len(added), True, grown), Appended(added)
    touching = {key for key in (*update.fields, *_shrunk(update)) if _touches(key, path)}
    if not before.is_array and any(key.startswith(path + ".") for key in touching):
        return before, None  # something inside of what is not a timeline
    if _is_unknown(before):
        return before, NeedsEvents()
    if path in update.fields:  # then nothing else of it can be
        return _compare(before, _timeline(update.fields[path], before.elements or ()), view)
    return _compare(before, _updated(before, update, path, touching), view)


def _updated(before: Timeline, update: Updated, path: str, touching: set[str]) -> Timeline:
    """The timeline after these paths of an update: settled on a document that holds nothing else, in
    which only the elements that are reached into are decoded."""
    elements = list(before.elements or ())
    inside = path + "."
    reached = {array_index(key[len(inside) :].split(".")[0]) for key in touching if key.startswith(inside)}
    values: list[Any] = [
        decode_element(element) if index in reached else element for index, element in enumerate(elements)
    ]
    *middle, last = path.split(".")
    holder: dict[str, Any] = {last: values} if before.is_array else {}
    for name in reversed(middle):
        holder = {name: holder}
    changed = apply(
        holder,
        {key: value for key, value in update.fields.items() if key in touching},
        [key for key in update.removed if key in touching],
        [(key, size) for key, size in update.truncated if key in touching],
        paths=update.paths,
    )
    after = at_path(changed, path)
    if not isinstance(after, list) or any(
        not key.startswith(inside) for key in update.fields if key in touching
    ):
        return timeline_of(changed, path)
    # Paths move no element to another place, so what was not reached into is as it was; or it is a hole.
    kept = [
        encode_element(value) if value is None or index in reached or index >= len(elements) else value
        for index, value in enumerate(after)
    ]
    return Timeline(len(kept), True, held(kept))


def _added(before: Timeline, update: Updated, path: str) -> list[Any] | None:
    """What an update appends that sets `events.N` at or past the end, holes included, and anything outside;
    None if it does more. Nearly every change comes through here and no further."""
    inside, length = path + ".", before.length
    numbered: dict[int, Any] = {}
    for key, value in update.fields.items():
        if key.startswith(inside):
            index = array_index(key[len(inside) :])
            if index is None or index < length or not before.is_array:
                return None
            numbered[index] = value
        elif _touches(key, path):
            return None
    if (update.removed or update.truncated) and any(_touches(key, path) for key in _shrunk(update)):
        return None
    return [numbered.get(index) for index in range(length, max(numbered) + 1)] if numbered else []


def _concerning(update: Updated, names: Sequence[str]) -> Updated:
    """The update without those paths that only look as if they led to the array at these names, or into it:
    where a name has dots."""
    paths = update.paths or {}
    strange = {
        path for path, along in paths.items() if any(a != b for a, b in zip(along, names, strict=False))
    }
    return Updated(
        {path: value for path, value in update.fields.items() if path not in strange},
        [path for path in update.removed if path not in strange],
        [(path, size) for path, size in update.truncated if path not in strange],
        {path: along for path, along in paths.items() if path not in strange},
    )


def _shrunk(update: Updated) -> list[str]:
    return [*update.removed, *(key for key, _ in update.truncated)]


def _touches(key: str, path: str) -> bool:
    """Does a change at this dotted path concern what lies at the other?"""
    return key == path or key.startswith(path + ".") or path.startswith(key + ".")


def _compare(before: Timeline, after: Timeline, view: EventView) -> tuple[Timeline, Outcome]:
    old, new = before.elements or (), after.elements or ()
    if len(new) >= len(old) and _equal(old, new[: len(old)], view):
        added = [decode_element(element) for element in new[len(old) :]]
        return after, Appended(added) if added else None
    # What is in memory may grow before this is told.
    return after, Rewritten(tuple(new), tuple(old), _run(old, new))


def _run(old: Sequence[Element], new: Sequence[Element]) -> int:
    """How many elements at the beginning of the new are the end of the old, as far as a look at the
    first place tells where they could begin."""
    if new and new[0] in old:
        dropped = old.index(new[0])
        length = len(old) - dropped
        if new[:length] == old[dropped:]:
            return length
    return 0


def _equal(one: Sequence[Element], other: Sequence[Element], view: EventView) -> bool:
    return all(
        a == b or element_json(a, view) == element_json(b, view) for a, b in zip(one, other, strict=True)
    )


def brought(rewritten: Rewritten, view: EventView) -> list[int]:
    """Where the elements stand that a rewrite brought: those that were not there before, as a multiset
    of what is sent of them."""
    left = Counter(rewritten.before[: len(rewritten.before) - rewritten.run])
    strange = []
    for index in range(rewritten.run, len(rewritten.elements)):
        element = rewritten.elements[index]
        if left[element]:
            left[element] -= 1
        else:
            strange.append(index)
    if not strange:
        return []
    # Other bytes may still be the same event, such as one whose keys were written in another order.
    same: Counter[bytes] = Counter()
    for element, count in left.items():
        if count:
            same[element_json(element, view)] += count
    fresh = []
    for index in strange:
        shown = element_json(rewritten.elements[index], view)
        if same[shown]:
            same[shown] -= 1
        else:
            fresh.append(index)
    return fresh


# What is sent of an event, and the digest over it.


@dataclass(frozen=True, slots=True)
class EventView:
    """How this deployment shows events: where their parts are, what is a secret, how large one may be."""

    fields: EventFields = field(default_factory=EventFields)
    redactor: Redactor = field(default_factory=Redactor)
    max_bytes: int = MAX_EVENT_BYTES

    def type_of(self, element: Any) -> str | None:
        """The whole type of an event, as texts of summaries are read: a number too, as some writers count theirs."""
        return text(first_present((element,), self.fields.type))


def event_json(element: Any, view: EventView) -> bytes:
    """One element as the JSON of an Event (PROTOCOL.md section 5), keys sorted, so that the same
    event is always the same bytes: without secrets, and not larger than it may be."""
    if element is None:
        return NULL
    redactor = view.redactor
    kind = view.type_of(element)
    if kind is not None and len(kind) > TYPE_LENGTH:
        kind = redactor.beginning(kind, TYPE_LENGTH)
    shown: Event = {
        "type": kind,
        "at": moment(first_present((element,), view.fields.at)),
        "data": plain(element, redactor.hides),
    }
    json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    # Texts are gone through only where one may hold a secret; and not where the event is too large
    # anyway, so that an event of many megabytes costs no search: its size is then the one before.
    if len(json) <= view.max_bytes and redactor.may_change(json):
        if kind is not None:
            shown["type"] = redactor.beginning(kind, TYPE_LENGTH)
        shown["data"] = redactor.value(shown["data"])
        json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    if len(json) > view.max_bytes:
        if kind is not None:
            shown["type"] = redactor.beginning(kind, TYPE_LENGTH)
        shown["data"] = {"truncated": True, "bytes": len(json)}
        json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    return json


def element_json(element: Element, view: EventView) -> bytes:
    """The same of an element that is still BSON."""
    return event_json(decode_element(element), view)


def extend(digest: bytes, event: bytes) -> bytes:
    """The digest of a timeline that goes on with this event's JSON."""
    return blake2b(event, key=digest, digest_size=16).digest()


def head(digest: bytes) -> str:
    """A digest as the opaque, versioned `head` of the wire."""
    return DIGEST_VERSION + digest.hex()
