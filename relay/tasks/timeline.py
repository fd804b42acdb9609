"""The timeline of a task (its events, in order), and what a change does to it. Pure.

A change of a document can append events to the timeline, rewrite it (change it in any other way), or leave it alone.
An element is one item of the array in the document, as raw BSON or as a decoded value; an event is what the relay sends
of an element.

Rules of this file: the array after a change is the change applied to the array before it; two events are equal when
the JSON that the relay sends of them is equal; if the field for the events does not hold an array, the timeline is
empty. JSON is made only where it is needed for messages, because most tasks have no subscribers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bson.errors import InvalidBSON

from relay.source.change import Deleted, Inserted, Operation, Replaced, Updated
from relay.source.raw_bson import Element, RawArray, decode_elements, encode_element
from relay.tasks.document import apply
from relay.tasks.event_view import EventView, element_json, event_json
from relay.tasks.paths import array_index, at_path


class Timeline(NamedTuple):
    """The events of one task: how many there are, and the array's elements as raw BSON if they are in memory.

    `is_array` is false if the document has no such field, or a value there that is not an array; `length` is then 0.
    `held` is None if the elements are not in memory.
    """

    length: int
    is_array: bool
    held: Held | None = None

    @property
    def elements(self) -> Sequence[Element] | None:
        """Return the elements of this timeline as raw BSON, or None if they are not in memory.

        Most tasks are kept without their elements, because a change that only appends events does not need them.
        """
        if self.held is None:
            return None
        elements = self.held.elements
        return elements if len(elements) == self.length else elements[: self.length]

    def without_elements(self) -> Timeline:
        """Return a copy of this timeline that has no elements, which saves the memory for them."""
        return Timeline(self.length, self.is_array)


@dataclass(slots=True)
class Held:
    """The elements of a timeline in memory, and their total size in bytes. Elements are only ever appended.

    Several timelines may share one list: an append to a long timeline copies nothing, and the timeline before the
    append is a prefix of this list.
    """

    elements: list[Element]
    size: int

    def grown(self, length: int, added: Sequence[Element]) -> Held:
        """Return the first `length` elements followed by the added ones.

        The added elements are appended to this list, and this object is returned, unless the list already has more
        than `length` elements: then the result is a copy.
        """
        if len(self.elements) > length:  # another timeline has appended to the list already, so make a copy
            return held([*self.elements[:length], *added])
        self.elements += added
        self.size += sum(map(len, added))
        return self


def held(elements: list[Element]) -> Held:
    """Wrap a list of elements as Held, together with their total size in bytes."""
    return Held(elements, sum(map(len, elements)))


NOTHING = Timeline(0, False, Held([], 0))
# A type that is stored as a string if it is shown like this: redaction leaves brackets, and no number, ObjectId or UUID
# has one of these letters in its text.
_WORD = re.compile(r"\w*[g-hj-mo-su-xz_]\w*", re.ASCII | re.IGNORECASE)


class Appended(NamedTuple):
    """The change appended these events, as decoded values, at the end of the timeline, and changed no earlier event."""

    events: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The change rewrote the array: it did something other than append events.

    `elements` is the array after the change, and `before` the array before the change. `run` is how many elements at
    the beginning of `elements` are also the end of `before`; such a run remains when a writer pushes to an array of
    limited length ($slice). The raw BSON of earlier elements differs; `settled` says whether what is sent differs, too.
    """

    elements: Sequence[Element]
    before: Sequence[Element]
    run: int = 0


@dataclass(frozen=True, slots=True)
class NeedsEvents:
    """The effect of the change is unknown, because it depends on earlier elements that are not in memory."""


Outcome = Appended | Rewritten | NeedsEvents | None  # None: the timeline did not change


def timeline_of(document: Any, path: str) -> Timeline:
    """Return the timeline of a stored document; `path` is the dotted path of the array of events in the document."""
    return _timeline(at_path(document, path))


def _timeline(value: Any, before: Sequence[Element] = ()) -> Timeline:
    """Return the timeline that a value at the path of the events makes; an empty one if the value is no valid array.

    `before` are the elements before the change: they save time, but make no difference to the result.
    """
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


def advance(before: Timeline, operation: Operation, path: str) -> tuple[Timeline, Outcome]:
    """Apply an operation on a task's document to the task's timeline.

    Return the timeline after the operation, and the outcome: Appended, Rewritten, None if the timeline did not change,
    or NeedsEvents, together with the unchanged timeline, if earlier elements are needed and not in memory. `path` is
    the dotted path of the array of events in the document.

    No event is encoded: an outcome that is Rewritten has to be passed to `settled` before anybody is sent it.
    """
    match operation:
        case Updated():
            return _update(before, operation, path)
        case Inserted(document) | Replaced(document):
            if _is_unknown(before):
                return before, NeedsEvents()
            return _compare(before, timeline_of(document, path))
        case Deleted():
            return NOTHING, None


def only_appends(before: Timeline, operation: Operation, path: str) -> bool:
    """Whether an operation changes no event that the timeline has before it, by the operation's paths alone."""
    return isinstance(operation, Updated) and _added(before, operation, path) is not None


def _is_unknown(timeline: Timeline) -> bool:
    """Whether the timeline has elements that are not in memory."""
    return timeline.held is None and timeline.length > 0


def _update(before: Timeline, update: Updated, path: str) -> tuple[Timeline, Outcome]:
    """Apply an update of the document to its timeline, and return the timeline after it with the outcome."""
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
        return before, None  # a change inside a value that is no array, and so no timeline
    if _is_unknown(before):
        return before, NeedsEvents()
    if path in update.fields:
        # The whole array is set, and MongoDB allows no other change of it in the same update.
        return _compare(before, _timeline(update.fields[path], before.elements or ()))
    return _compare(before, _updated(before, update, path, touching))


def _updated(before: Timeline, update: Updated, path: str, touching: set[str]) -> Timeline:
    """Return the timeline after an update, from the elements before it and the update's paths in `touching`.

    These paths are applied to a document that holds nothing but the array. Only the elements that a path leads into
    are decoded for this; all other elements stay raw BSON.
    """
    elements = list(before.elements or ())
    inside = path + "."
    indexes = {array_index(key[len(inside) :].split(".")[0]) for key in touching if key.startswith(inside)}
    reached = [index for index in indexes if index is not None and index < len(elements)]
    values: list[Any] = list(elements)
    for index, value in zip(reached, decode_elements([elements[index] for index in reached]), strict=True):
        values[index] = value
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
    # Updates by path do not move elements, so an element that no path leads into is still BSON, or a hole (null).
    known = set(reached)
    kept = [
        encode_element(value) if value is None or index in known or index >= len(elements) else value
        for index, value in enumerate(after)
    ]
    return Timeline(len(kept), True, held(kept))


def _added(before: Timeline, update: Updated, path: str) -> list[Any] | None:
    """Return the events that an update appends by setting `events.N` at or beyond the end of the array.

    Return None if the update changes the array in any other way, and an empty list if it does not change the array.
    Indexes that the update skips become null. Nearly every update is settled by this function.
    """
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
    """Return the update without the paths that `update.paths` shows to lead away from the array of events.

    Such a path has a field name with a dot in it, and so only looks as if it led to the array or into it. `names` are
    the field names on the path of the array.
    """
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
    """Return the paths of all fields that the update removes and of all arrays that it truncates."""
    return [*update.removed, *(key for key, _ in update.truncated)]


def _touches(key: str, path: str) -> bool:
    """Whether a change of the value at path `key` may change the value at `path`.

    That is so if the two paths are equal, or if one path lies inside the other.
    """
    return key == path or key.startswith(path + ".") or path.startswith(key + ".")


def _compare(before: Timeline, after: Timeline) -> tuple[Timeline, Outcome]:
    """Return `after`, and how its raw BSON differs from that of `before`: Appended, Rewritten, or None."""
    old, new = before.elements or [], after.elements or []
    if len(new) >= len(old) and new[: len(old)] == old:
        added = decode_elements(new[len(old) :])
        return after, Appended(added) if added else None
    # Copy both: the lists in memory may grow before the messages are made.
    return after, Rewritten(tuple(new), tuple(old), _run(old, new))


def settled(rewritten: Rewritten, view: EventView) -> Appended | Rewritten | None:
    """Return how a rewrite differs in the JSON that is sent: it may be only an append, or no change at all."""
    old, new = rewritten.before, rewritten.elements
    if len(new) >= len(old) and _equal(old, new[: len(old)], view):
        added = decode_elements(new[len(old) :])
        return Appended(added) if added else None
    return rewritten


def _run(old: Sequence[Element], new: Sequence[Element]) -> int:
    """Return how many elements at the beginning of `new` are also the end of `old`; 0 if none are.

    Only the first place in `old` where such a run could begin is tried, so that the time stays linear.
    """
    if new and new[0] in old:
        dropped = old.index(new[0])
        length = len(old) - dropped
        if new[:length] == old[dropped:]:
            return length
    return 0


def _equal(one: Sequence[Element], other: Sequence[Element], view: EventView) -> bool:
    """Whether the relay would send the same JSON for both lists of elements, which have the same length.

    Elements with equal bytes have equal JSON, so only elements that differ are encoded for the comparison.
    """
    return all(
        a == b or element_json(a, view) == element_json(b, view) for a, b in zip(one, other, strict=True)
    )


def _apart(rewritten: Rewritten) -> tuple[Sequence[int], Sequence[Element]]:
    """Return what a rewrite has changed, comparing the bytes of the two arrays as multisets: the indexes of the
    elements that were not in the array before, in ascending order, and the elements that are not in it any more.

    Only the former may be new events. Some of them may be equal to one of the latter as JSON all the same (`brought`).
    """
    new = rewritten.elements[rewritten.run :]
    old = rewritten.before[: len(rewritten.before) - rewritten.run]
    if set(old).isdisjoint(new):  # as after a migration of all events
        return range(rewritten.run, len(rewritten.elements)), old
    left = Counter(old)
    found = []
    for index, element in enumerate(new, rewritten.run):
        if left[element]:
            left[element] -= 1
        else:
            found.append(index)
    return found, list(left.elements())


def brought(
    rewritten: Rewritten, view: EventView, is_wanted: Callable[[str | None], bool] = lambda kind: True
) -> list[tuple[int, Any]]:
    """Return the elements that a rewrite of the array added, if their type (None: they have none) is wanted: pairs of
    the index and the decoded value, by ascending index.

    The arrays before and after the rewrite are compared as multisets of the JSON that is sent of their elements: the
    order makes no difference, and if an event was there twice and is there three times now, one of the three is new.
    """
    indexes, gone = _apart(rewritten)
    values = decode_elements([rewritten.elements[index] for index in indexes])
    kinds = view.types_of(values)
    wanted = {kind for kind in set(kinds) if is_wanted(kind)}
    if not wanted:
        return []
    # Equal events have equal types. So only elements whose type is shown as a wanted one are encoded and compared.
    types = {view.shown_type(kind) for kind in wanted}
    before = decode_elements(_holding(types, gone))
    same = Counter(json for _, json in _shown_as(types, before, view.types_of(before), view))
    fresh = []
    for place, json in _shown_as(types, values, kinds, view):
        if same[json]:
            same[json] -= 1
        elif kinds[place] in wanted:
            fresh.append((indexes[place], values[place]))
    return fresh


def _shown_as(
    types: Collection[str | None], values: Sequence[Any], kinds: Sequence[str | None], view: EventView
) -> Iterator[tuple[int, bytes]]:
    """Yield the place and the JSON of each of these decoded elements whose type is shown as one of `types`. `kinds` are
    the types of the elements."""
    compared = {kind for kind in set(kinds) if view.shown_type(kind) in types}
    for place, kind in enumerate(kinds):
        if kind in compared:
            yield place, event_json(values[place], view)


def _holding(types: Collection[str | None], elements: Sequence[Element]) -> Sequence[Element]:
    """Return the elements whose type may be shown as one of `types`, and as few others as is certain without decoding.

    To search the bytes of an element for a string takes a fifth of the time. A type is shown as it is stored if nothing
    in it is redacted and it is no number and no id.
    """
    words = [kind.encode() for kind in types if kind is not None and _WORD.fullmatch(kind)]
    if len(words) < len(types):
        return elements
    found = re.compile(b"|".join(map(re.escape, words))).search
    return [element for element in elements if found(element)]
