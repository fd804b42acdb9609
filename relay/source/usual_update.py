"""Read an update that only sets fields at fixed offsets of its raw change event: the fast path of `events.py`. Pure.

An event is one entry of MongoDB's change stream, as raw BSON. Nearly all changes are updates that only set fields, and
servers write their events with the same fields in the same order. To read them at fixed offsets takes a quarter of the
time of a full decode.

Rule of this file: an event with any other field, or with the fields in another order, is left to the full decode. So
the result is always the one that a full decode would give.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from bson import Timestamp

from relay.source.change import key_of
from relay.source.identity import exact_id
from relay.source.raw_bson import decode

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

_INT32 = Struct("<i")
_TO_LENGTH, _TO_INT32 = _INT32.unpack_from, _INT32.pack
_YEAR_10000_MS = 253_402_300_800_000
_IDS_CACHED = 10_000  # tasks are updated again and again, so nearly every `_id` was decoded before
_LONGEST_CACHED = (
    128  # bytes of a documentKey; longer ones are not cached, which bounds the memory of the cache
)

# The forms of an update's description: paths that may be ambiguous, paths that are exact, or an oplog diff.
PATHS, EXACT_PATHS, AS_DIFF = range(3)


class Push(NamedTuple):
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
def push_to(path: str) -> Push:
    """Return the bytes by which to recognize an oplog diff that sets one element of the array at `path`.

    If `path` has a dot, they match no diff, because a diff names one level of nesting at a time.
    """
    before, element = b"\x03s" + path.encode() + b"\0", b"\x08a\0\x01\x03u"
    parts = Struct(f"<{len(_RAW)}s4x{len(_DIFF)}s4x{len(before)}s4x{len(element)}s")
    return Push(parts, (_RAW, _DIFF, before, element), b"\x03" + path.encode() + b".")


def usual_update(raw: bytes, push: Push) -> tuple[tuple[bytes, Any, Timestamp, int], bytes, int] | None:
    """Parse an update whose description is of a usual kind, by reading at fixed offsets: the fast path.

    Returns the first four values of the update's `Change` (key, `_id`, cluster time, wall clock), the raw BSON of its
    updated fields or of its oplog diff, and the form of the description (`PATHS`, `EXACT_PATHS` or `AS_DIFF`).
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
            form = EXACT_PATHS if rest == _NOTHING_AMBIGUOUS else PATHS
            if description != _DESCRIPTION or told != _FIELDS or (not form and rest != _NOTHING_ELSE):
                return None
        elif (pushed := _pushed(raw, at, push)) is not None:
            form, fields = EXACT_PATHS, pushed
        else:
            description, _, told, length = _TO_DIFF.unpack_from(raw, at)
            at += _TO_DIFF.size - _LENGTH
            if description != _RAW or told != _DIFF or raw[at + length :] != _END_OF_DIFF:
                return None
            form, fields = AS_DIFF, raw[at : at + length]
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


def _pushed(raw: bytes, at: int, push: Push) -> bytes | None:
    """Return the fields that the diff at `raw[at:]` sets, as raw BSON, if it only sets one element of the events array.

    Returns None for any other diff, and if the element is not set to a sub-document. Most changes set just one element,
    and such a result need not be decoded by the slower `read_diff`.
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
