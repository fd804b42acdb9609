"""Parse raw change events into `Change` values. All knowledge of the events' BSON layout is here. Pure.

An event is one entry of MongoDB's change stream, as raw BSON; a task is a document of the followed collection.

Rules of this file: `read_changes` and `read_change` raise no error, whatever the server sends. Nothing is decided about
what a change means. An unknown operation is ignored (the position in the stream still moves past it). A known operation
in an unknown layout becomes Unreadable. Nearly all changes are updates that only set fields: for those there is a fast
path that reads fields at fixed offsets, with the same result as a full decode.

A server describes an update in one of three forms:
- `updateDescription` alone, in which "a.0" is either an element of an array or a field with that name;
- `updateDescription` with `disambiguatedPaths`, which lists the names along each ambiguous path. MongoDB 6.1 and newer
  send it on streams with `showExpandedEvents`; it is empty if no path is ambiguous;
- `rawUpdateDescription`, the diff from the oplog, on streams with `showRawUpdateDescription`. It is the only form of
  MongoDB 6.0 without ambiguous paths. `{u: …}` and `{i: …}` set fields, `{d: …}` removes fields, and `s` before a name
  is a diff of that field; if the field is an array, `a` is true, `l` is the array's new length, and `u` and `s` come
  before an index.

An update that none of these forms describes exactly becomes an Updated whose `paths` is None.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from relay.source.change import (
    UNKNOWN_UPDATE,
    Change,
    Deleted,
    Inserted,
    Invalidated,
    Operation,
    Replaced,
    Unreadable,
    Updated,
    key_of,
)
from relay.source.identity import exact_id
from relay.source.raw_bson import Decoder, Document, decode, opened
from relay.source.walk import names as names_of

log = logging.getLogger(__name__)

# The parts of a usual update's event, in the server's order. Each constant is the type byte and the name of a field,
# and sometimes its value.
_TOKEN = b"\x03_id\0"
_TIME = b"\x02operationType\0\x07\0\0\0update\0\x11clusterTime\0"
_COLLECTION = b"\x05collectionUUID\0\x10\0\0\0\x04"
_WALL = b"\x09wallTime\0"
_NAMESPACE = b"\x03ns\0"
_KEY = b"\x03documentKey\0"
_DESCRIPTION = b"\x03updateDescription\0"
_FIELDS = b"\x03updatedFields\0"
_NOTHING = b"\x04removedFields\0\x05\0\0\0\0\x04truncatedArrays\0\x05\0\0\0\0"
_NOTHING_ELSE = _NOTHING + b"\0\0"
_NOTHING_AMBIGUOUS = _NOTHING + b"\x03disambiguatedPaths\0\x05\0\0\0\0\0\0"
_RAW = b"\x03rawUpdateDescription\0"
_DIFF = b"\x10$v\0\x02\0\0\0\x03diff\0"
_END_OF_DIFF = b"\0\0"

_LENGTH = 4  # size in bytes of a document's length prefix; the length includes the prefix
_COLLECTION_SIZE = len(_COLLECTION) + 16
_TO_TOKEN = Struct(f"<i{len(_TOKEN)}si")
_TIME_SIZE = len(_TIME) + 8
_TO_NAMESPACE = Struct(f"<{len(_TIME)}sII{len(_WALL)}sq{len(_NAMESPACE)}si")
_PAST_COLLECTION = Struct(f"<{len(_TIME)}sII{_COLLECTION_SIZE}x{len(_WALL)}sq{len(_NAMESPACE)}si")
_TO_KEY = Struct(f"<{len(_KEY)}si")
_TO_FIELDS = Struct(f"<{len(_DESCRIPTION)}si{len(_FIELDS)}si")
_TO_DIFF = Struct(f"<{len(_RAW)}si{len(_DIFF)}si")

_DELTA = 2  # the version number of oplog diffs since MongoDB 5.0
_INT32 = Struct("<i")
_TO_LENGTH, _TO_INT32 = _INT32.unpack_from, _INT32.pack
_EPOCH = datetime(1970, 1, 1)
_YEAR_10000_MS = 253_402_300_800_000
_IDS_CACHED = 10_000
_LONGEST_CACHED = 128  # bytes of a documentKey; longer ones are not cached

# The forms of an update's description: paths that may be ambiguous, paths that are exact, or an oplog diff.
_PATHS, _EXACT_PATHS, _AS_DIFF = range(3)


class _Told(NamedTuple):
    """The parts of an `Updated` (an update's description), collected while an oplog diff is read."""

    fields: dict[str, Any]
    removed: list[str]
    truncated: list[tuple[str, int]]
    paths: dict[str, tuple[str, ...]]


def read_changes(
    batch: Sequence[bytes], decoder: Decoder, *, split: bool = True
) -> Iterator[Change | Invalidated | Unreadable | None]:
    """Parse the change events of a batch, and yield one result for each event, in order.

    A result is a Change; an Invalidated if the collection was dropped or renamed; an Unreadable if the event has an
    unknown layout; None for an operation that does not concern tasks.

    `split` says what becomes of an update that comes without information about which dots of its paths separate names:
    if true, paths are split at all dots; if false, the Updated has `paths=None`.
    """
    push = _push(decoder.path)
    usual = [_fields_set(raw, push) for raw in batch]
    diffs = iter(decoder.diffs([one[1] for one in usual if one is not None and one[2] == _AS_DIFF]))
    fields = iter(decoder.fields([one[1] for one in usual if one is not None and one[2] != _AS_DIFF]))
    for raw, one in zip(batch, usual, strict=True):
        told = None
        if one is not None:
            head, _, form = one
            told = next(fields if form != _AS_DIFF else diffs)
        if told is None:
            yield read_change(raw, decoder, split=split)
        elif form == _EXACT_PATHS or (split and form == _PATHS):
            yield Change(*head, Updated(told))
        elif form == _AS_DIFF:
            yield Change(*head, _differed(told))
        else:
            yield Change(*head, Updated(told, (), (), None))


def read_change(
    raw: bytes, decoder: Decoder, *, split: bool = True
) -> Change | Invalidated | Unreadable | None:
    """Parse one change event of any layout.

    Returns a Change; an Invalidated if the collection was dropped or renamed; an Unreadable if the event has an unknown
    layout; None for an operation that does not concern tasks. `split` says what becomes of an update that comes without
    information about which dots of its paths separate names: if true, paths are split at all dots; if false, the
    Updated has `paths=None`.
    """
    try:
        event = decoder.change(raw)
        if event.get("operationType") == "invalidate":
            return Invalidated(RawBSONDocument(raw)["_id"])
        return _change(raw, event, split)
    except Exception as failure:  # one event in an unknown layout must not stop the stream
        log.error("a change could not be read", extra={"error": type(failure).__name__, "bytes": len(raw)})
        return Unreadable(_time_of(raw))


class _Push(NamedTuple):
    """The fixed bytes of an oplog diff that sets one element of the events array, as `$push` does.

    `parts` unpacks these bytes, from `rawUpdateDescription` up to the index of the element, and skips the lengths of
    sub-documents between them; `names` are the values that the unpacked bytes must have. `instead` is the prefix that
    replaces these bytes: with it, the index and the value become a document of updated fields, {"<path>.<index>":
    value}.
    """

    parts: Struct
    names: tuple[bytes, ...]
    instead: bytes


@lru_cache(100)
def _push(path: str) -> _Push:
    """Return the bytes by which to recognize an oplog diff that sets one element of the array at `path`.

    If `path` has a dot, they match no diff, because a diff names one level of nesting at a time.
    """
    before, element = b"\x03s" + path.encode() + b"\0", b"\x08a\0\x01\x03u"
    parts = Struct(f"<{len(_RAW)}s4x{len(_DIFF)}s4x{len(before)}s4x{len(element)}s")
    return _Push(parts, (_RAW, _DIFF, before, element), b"\x03" + path.encode() + b".")


def _fields_set(raw: bytes, push: _Push) -> tuple[tuple[bytes, Any, Timestamp, int], bytes, int] | None:
    """Parse an update whose description is of a usual kind, by reading at fixed offsets: the fast path.

    Returns the first four values of the update's `Change` (key, `_id`, cluster time, wall clock), the raw BSON of its
    updated fields or of its oplog diff, and the form of the description (`_PATHS`, `_EXACT_PATHS` or `_AS_DIFF`).
    Returns None for every other event, also for a malformed one. `push` helps to recognize the most frequent diff.
    """
    try:
        size, token, length = _TO_TOKEN.unpack_from(raw)
        at = _TO_TOKEN.size - _LENGTH + length
        beginning = _TO_NAMESPACE
        if raw[at + _TIME_SIZE] != _WALL[0]:
            if not raw.startswith(_COLLECTION, at + _TIME_SIZE):
                return None
            beginning = _PAST_COLLECTION
        time, increment, seconds, wall, wall_ms, namespace, length = beginning.unpack_from(raw, at)
        at += beginning.size - _LENGTH + length
        key, key_length = _TO_KEY.unpack_from(raw, at)
        key_at = at + len(_KEY)
        at = key_at + key_length
        if raw[at + 1] == _DESCRIPTION[1]:
            description, _, told, length = _TO_FIELDS.unpack_from(raw, at)
            at += _TO_FIELDS.size - _LENGTH
            fields, rest = raw[at : at + length], raw[at + length :]
            form = _EXACT_PATHS if rest == _NOTHING_AMBIGUOUS else _PATHS
            if description != _DESCRIPTION or told != _FIELDS or (not form and rest != _NOTHING_ELSE):
                return None
        elif (pushed := _pushed(raw, at, push)) is not None:
            form, fields = _EXACT_PATHS, pushed
        else:
            description, _, told, length = _TO_DIFF.unpack_from(raw, at)
            at += _TO_DIFF.size - _LENGTH
            if description != _RAW or told != _DIFF or raw[at + length :] != _END_OF_DIFF:
                return None
            form, fields = _AS_DIFF, raw[at : at + length]
        if (
            (size, token, time, wall) != (len(raw), _TOKEN, _TIME, _WALL)
            or (namespace, key) != (_NAMESPACE, _KEY)
            or not 0 <= wall_ms < _YEAR_10000_MS
        ):
            return None
        identify = _identity if key_length <= _LONGEST_CACHED else _identity.__wrapped__
        task, document_id = identify(raw[key_at : key_at + key_length])
        return (task, document_id, Timestamp(seconds, increment), wall_ms), fields, form
    except Exception:  # the event is malformed: `read_change` fails, too, and logs the error
        return None


def _pushed(raw: bytes, at: int, push: _Push) -> bytes | None:
    """Return the fields that the diff at `raw[at:]` sets, as raw BSON, if it only sets one element of the events array.

    Returns None for any other diff, and if the element is not set to a sub-document. Most changes set just one element,
    and such a result need not be decoded by the slower `_differed`.
    """
    parts, names, instead = push
    index = at + parts.size
    if len(raw) <= index or parts.unpack_from(raw, at) != names:
        return None
    value = raw.index(0, index) + 1
    # Four documents end after the value. The first of their final zero bytes ends the fields.
    if value + _TO_LENGTH(raw, value)[0] != len(raw) - 4 or not raw[index : value - 1].isdigit():
        return None
    return _TO_INT32(len(instead) + len(raw) - 3 - index + _LENGTH) + instead + raw[index:-3]


@lru_cache(_IDS_CACHED)
def _identity(document_key: bytes) -> tuple[bytes, Any]:
    """Return the key of the `_id` in a documentKey (raw BSON), and the `_id` itself, a RawId if decoding would change
    it.
    """
    document_id = exact_id(decode(document_key)["_id"], document_key)
    return key_of(document_id), document_id


def _change(raw: bytes, event: Document, split: bool) -> Change | None:
    """Convert a decoded event to a Change; None for an operation that does not concern tasks.

    `raw` is the same event as raw BSON. Raises an exception of any type if the layout is unknown.
    """
    operation = _operation(raw, event, split)
    if operation is None:
        return None
    time, wall = event["clusterTime"], event.get("wallTime")
    if not isinstance(time, Timestamp):
        raise TypeError("clusterTime")
    document_id = exact_id(event["documentKey"]["_id"], raw, b"documentKey")
    if isinstance(operation, Inserted | Replaced):
        operation.document["_id"] = document_id
    return Change(
        key_of(document_id),
        document_id,
        time,
        (wall - _EPOCH) // timedelta(milliseconds=1) if isinstance(wall, datetime) else None,
        operation,
        "txnNumber" in event,
    )


def _time_of(raw: bytes) -> Timestamp:
    """Return the cluster time of an event that could not be parsed; Timestamp(0, 0) if not even that can be read."""
    try:
        return token_time(RawBSONDocument(raw)["_id"])
    except Exception:  # an event in an unknown layout may have any resume token, or none
        return Timestamp(0, 0)


def _operation(raw: bytes, event: Document, split: bool) -> Operation | None:
    match event.get("operationType"):
        case "insert":
            return Inserted(_document(event))
        case "update":
            if "rawUpdateDescription" in event:
                described = event["rawUpdateDescription"]
                return _differed(described["diff"]) if described["$v"] == _DELTA else UNKNOWN_UPDATE
            return _described(raw, event["updateDescription"], split)
        case "replace":
            return Replaced(_document(event))
        case "delete":
            return Deleted()
        case _:
            return None  # for a drop or a rename, an invalidate event follows


def _described(raw: bytes, described: Document, split: bool) -> Updated:
    """Parse the `updateDescription` of an event. `raw` is the whole event, as raw BSON.

    If the description does not say which dots of its paths separate names, `split` decides: true splits paths at all
    dots, false gives `paths=None`. Returns UNKNOWN_UPDATE if two paths have the same spelling. Raises TypeError or
    KeyError if the layout of the description is unknown.
    """
    fields = opened(described.get("updatedFields")) or {}
    removed = described.get("removedFields") or ()
    cuts = tuple((str(cut["field"]), int(cut["newSize"])) for cut in described.get("truncatedArrays") or ())
    if not isinstance(fields, dict) or not all(isinstance(path, str) for path in removed):
        raise TypeError("updateDescription")
    told = described.get("disambiguatedPaths")
    if told is None:
        return Updated(fields, removed, cuts) if split else Updated(fields, removed, cuts, None)
    if not isinstance(told, dict):
        raise TypeError("disambiguatedPaths")
    paths = {path: tuple(map(str, names)) for path, names in told.items()}
    if not paths:
        return Updated(fields, removed, cuts)
    # Two paths have the same spelling if a field "a.b" and the field `b` in `a` changed together. A decoded document
    # would hold only one of the two, so compare the names in the raw BSON.
    description = RawBSONDocument(raw)["updateDescription"]
    spelled = [*removed, *(path for path, _ in cuts)]
    for part in ("updatedFields", "disambiguatedPaths"):
        names = [name.decode("utf-8", "replace") for name in names_of(bytes(description[part].raw))]
        if part == "updatedFields":
            names += spelled
        if len(names) > len(set(names)):
            return UNKNOWN_UPDATE
    return Updated(fields, removed, cuts, paths)


def _differed(diff: Document) -> Updated:
    """Parse an oplog diff.

    Returns UNKNOWN_UPDATE if the diff is of an unknown kind, or if two of its paths have the same spelling.
    """
    told = _Told({}, [], [], {})
    try:
        count = _flatten(diff, "", (), False, told)
    except Exception:  # an unknown kind of diff: the document has to be read to see what the update did
        return UNKNOWN_UPDATE
    if not told.paths:
        return Updated(told.fields, told.removed or (), told.truncated or ())
    if count > len({*told.fields, *told.removed, *(path for path, _ in told.truncated)}):
        return UNKNOWN_UPDATE  # two paths have the same spelling, and one of them is missing here
    return Updated(told.fields, told.removed, told.truncated, told.paths)


def _flatten(diff: Document, before: str, names: tuple[str, ...], dotted: bool, told: _Told) -> int:
    """Add each path that an oplog diff sets, removes or truncates to `told`, and return the number of these paths.

    `diff` may be a part of the whole diff. `names` are the field names that lead to the value that `diff` describes;
    `before` is these names joined by dots, with a final dot (empty at the top); `dotted` is true if one of the names
    contains a dot. Raises ValueError if the diff is of an unknown kind.
    """
    count = 0
    if diff.get("a") is True:
        for section, what in diff.items():
            kind, index = section[0], section[1:]
            if kind == "u" and index.isdigit():
                count += 1
                told.fields[before + index] = what
                if dotted:
                    told.paths[before + index] = (*names, index)
            elif kind == "s" and index.isdigit():
                count += _flatten(what, f"{before}{index}.", (*names, index), dotted, told)
            elif section == "l":
                count += 1
                told.truncated.append((before[:-1], int(what)))
                if dotted:
                    told.paths[before[:-1]] = names
            elif section != "a":
                raise ValueError("the diff is of an unknown kind")
        return count
    for section, what in diff.items():
        if section == "u" or section == "i":
            for name, value in what.items():
                told.fields[before + name] = value
        elif section == "d":
            told.removed.extend([before + name for name in what])
        elif section[0] == "s":
            name = section[1:]
            inside = dotted or "." in name
            count += _flatten(what, f"{before}{name}.", (*names, name), inside, told)
            continue
        else:
            raise ValueError("the diff is of an unknown kind")
        count += len(what)
        for name in what:
            if dotted or "." in name:
                told.paths[before + name] = (*names, name)
    return count


def _document(event: Document) -> Document:
    document: Document = opened(event["fullDocument"])
    if "_id" not in document:
        raise ValueError("fullDocument")
    return document


def token_time(token: Mapping[str, Any]) -> Timestamp:
    """Return the cluster time inside a resume token.

    The token's `_data` is hexadecimal: 0x82, then a big-endian Timestamp (seconds, increment). MongoDB does not
    document this format, so the relay verifies it when it opens a stream at a known cluster time. Raises ValueError if
    the token has another format.
    """
    data = token.get("_data")
    if not isinstance(data, str):
        raise ValueError("the resume token has no _data string")
    head = bytes.fromhex(data[:18])
    if len(head) != 9 or head[0] != 0x82:
        raise ValueError("the resume token has an unknown format")
    return Timestamp(int.from_bytes(head[1:5], "big"), int.from_bytes(head[5:9], "big"))
