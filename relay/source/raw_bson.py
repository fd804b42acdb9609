"""BSON taken apart without decoding: one array of a document stays BSON, element by element. Pure.

A task's events array may hold thousands of elements of which a change adds one. So it is cut out of a
document before the rest is decoded, its elements are compared as bytes, and decoded one by one when
somebody needs to see them.

Rules of this file: an element is its type byte (0 for a document) followed by its value, without its
place in the array, so that the same element is the same bytes wherever it stands; what is not BSON
raises InvalidBSON; a value inside of BSON that the driver cannot decode becomes an Undecodable, and the
values beside it are what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from struct import Struct, error
from typing import Any

import bson
from bson import DBRef
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON, InvalidDocument

from relay.source import walk
from relay.source.identity import exact_id
from relay.source.walk import ARRAY, DOCUMENT, body, end_of, fields, together

Document = dict[str, Any]
Element = bytes

# Dates past year 9999 and broken UTF-8 are somebody's data, not our failure.
LENIENT: CodecOptions[Document] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """In place of a value that the driver cannot decode; `element` is its BSON, after its type.

    It is no string, so that as a field that decides who may see a task it grants nobody anything.
    """

    element: Element

    def __str__(self) -> str:
        return "[undecodable]"


# The driver makes an object of a sub-document with these fields; to MongoDB it is one like any other.
_REFERENCE = b"$ref\0"
_INT32 = Struct("<i")
_DOCUMENT_KIND = bytes([DOCUMENT])
_NAMES = [b"%c%d" % (DOCUMENT, index) for index in range(10_000)]  # of an array's first, each after its type
_FIRST = _NAMES[0] + b"\0"
_TYPE = itemgetter(0)


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array as its BSON."""

    raw: bytes

    def elements(self, before: Sequence[Element] = ()) -> list[Element]:
        """Its elements, in order; sooner where they begin with the end of those before, as they do in a full
        array that was pushed to. Raises InvalidBSON."""
        raw = self.raw
        position, end = body(raw, 0, len(raw))
        find, length_at = raw.index, _INT32.unpack_from
        try:
            found, size = _run(raw, before)
            position += size
            while position < end:
                kind = raw[position]
                name_end = find(0, position + 1)
                if kind == DOCUMENT:  # nearly all events are: the 0 that ends the name is their type
                    after = name_end + 1 + length_at(raw, name_end + 1)[0]
                    found.append(raw[name_end:after])
                else:
                    after = end_of(raw, kind, name_end + 1)
                    found.append(raw[position : position + 1] + raw[name_end + 1 : after])
                if not name_end < after <= end:
                    raise InvalidBSON("an element that does not end in its array")
                position = after
        except (ValueError, error) as failure:
            raise InvalidBSON("an array that is cut off") from failure
        return found

    def documents(self) -> list[bytes]:
        """The sub-documents it holds, and nothing else, in order. Raises InvalidBSON."""
        raw = self.raw
        position, end = body(raw, 0, len(raw))
        find, length_at = raw.index, _INT32.unpack_from
        found = []
        try:
            while position < end:
                start = find(0, position + 1) + 1
                after = start + length_at(raw, start)[0]
                if raw[position] != DOCUMENT or not start < after <= end:
                    raise InvalidBSON("something else than a sub-document")
                found.append(raw[start:after])
                position = after
        except (ValueError, error) as failure:
            raise InvalidBSON("an array that is cut off") from failure
        return found


def _run(raw: bytes, before: Sequence[Element]) -> tuple[list[Element], int]:
    """The sub-documents that the array begins with and that end the elements before, and their size in it.
    They are not taken apart: those before are put together and compared."""
    if before and raw.startswith(_FIRST, 4):
        start = 4 + len(_FIRST)
        first = raw[start - 1 : start + _INT32.unpack_from(raw, start)[0]]
        run = list(before[before.index(first) :][: len(_NAMES)]) if first in before else []
        joined = b"".join(chain.from_iterable(zip(_NAMES, run, strict=False)))
        # (Of what is no sub-document, the type would stand where the name ends.)
        if raw.startswith(joined, 4) and not any(map(_TYPE, run)):
            return run, len(joined)
    return [], 0


def opened(value: Any) -> Any:
    """The sub-document itself where the driver made a reference of it, as it does of any with `$ref` and `$id`;
    any other value as it is."""
    return value.as_doc() if isinstance(value, DBRef) else value


def encode_element(value: Any) -> Element:
    """A decoded value as an element. Raises what `bson.encode` raises."""
    try:
        raw = bson.encode({"": value})
    except InvalidDocument:  # so it does of what it could not decode
        kind, encoded = _encoded(value)
        return (b"\0" if kind == DOCUMENT else bytes((kind,))) + encoded
    return raw[5:-1] if raw[4] == DOCUMENT else raw[4:5] + raw[6:-1]


def _encoded(value: Any) -> tuple[int, bytes]:
    match value:
        case Undecodable(element):
            return element[0], element[1:]
        case dict():
            return DOCUMENT, _together(value.items())
        case list():
            return ARRAY, _together((str(index), one) for index, one in enumerate(value))
        case _:
            raw = bson.encode({"": value})
            return raw[4], raw[6:-1]


def _together(values: Iterable[tuple[str, Any]]) -> bytes:
    return together((kind, name.encode(), raw) for name, value in values for kind, raw in (_encoded(value),))


def decode_element(element: Element) -> Any:
    """What the element holds; a text that says so where that cannot be told."""
    kind = element[:1] if element[0] else _DOCUMENT_KIND
    raw = _INT32.pack(len(element) + 6) + kind + b"\0" + element[1:] + b"\0"
    try:
        value = decode(raw)[""]
    except InvalidBSON:
        return "[undecodable]"
    return str(value) if isinstance(value, Undecodable) else value


def ignore(count: int) -> None:
    """Notice nothing."""


def decode(raw: bytes, noticed: Callable[[int], None] = ignore) -> Document:
    """Decode one document. What the driver cannot decode in it becomes an Undecodable, and `noticed` is
    called with the number of such values. Raises InvalidBSON where the document itself is not BSON."""
    if _REFERENCE not in raw:
        try:
            return bson.decode(raw, codec_options=LENIENT)
        except Exception:  # whatever it was, the next line finds the value that caused it
            return _decode_apart(raw, noticed)
    return _decode_apart(raw, noticed)


def _decode_apart(raw: bytes, noticed: Callable[[int], None]) -> Document:
    """The same, value by value."""
    lost: list[int] = []
    document = _document(raw, lost)
    if lost:
        noticed(len(lost))
    return document


def _document(raw: bytes, lost: list[int]) -> Document:
    document: Document = {}
    for name, value in _fields(raw, lost):
        document.setdefault(name, value)  # of several fields with one name MongoDB looks at the first
    return document


def _fields(raw: bytes, lost: list[int]) -> Iterator[tuple[str, Any]]:
    for kind, name, value in fields(raw):
        yield name.decode("utf-8", "replace"), _value(kind, value, lost)


def _value(kind: int, raw: bytes, lost: list[int]) -> Any:
    try:
        match kind:
            case walk.DOCUMENT:
                return _document(raw, lost)
            case walk.ARRAY:
                return [value for _, value in _fields(raw, lost)]
            case _:
                single = _INT32.pack(len(raw) + 7) + bytes((kind, 0)) + raw + b"\0"
                return bson.decode(single, codec_options=LENIENT)[""]
    except Exception:  # whatever the driver raises, it is about this value alone
        lost.append(kind)
        return Undecodable(bytes((kind,)) + raw)


class Decoder:
    """Decodes the documents of one collection, and the changes of its stream, leniently; the array at
    `path` is left as a RawArray. `noticed` is called with the number of values that could not be decoded.

    MongoDB stores documents in which a name comes twice, and looks at the first of the two; the driver would keep
    the last. So for the fields in `names` the first counts: what a rule of visibility finds must be the same.
    """

    def __init__(
        self, path: str, *, names: Iterable[str] = (), noticed: Callable[[int], None] = ignore
    ) -> None:
        self.path = path
        self._names = [name.encode() + b"\0" for name in names]
        self._noticed = noticed
        parts = path.split(".")
        # A changed field is named by its path, as far as the change went; the rest lies inside.
        changed = [(".".join(parts[:cut]), *parts[cut:]) for cut in range(1, len(parts) + 1)]
        # In a diff, "u" and "i" hold values that were set, and "s" before a name what changed inside of it.
        differing = [
            (*("s" + name for name in parts[:cut]), section, *parts[cut:])
            for cut in range(len(parts))
            for section in ("u", "i")
        ]
        self._in_document = [tuple(parts)]
        self._in_fields = changed
        self._in_diff = differing
        self._in_change = [
            ("fullDocument", *parts),
            *(("updateDescription", "updatedFields", *names) for names in changed),
            *(("rawUpdateDescription", "diff", *names) for names in differing),
        ]
        # An array at the path is named by its last part or, where a change went so far, by all of it.
        self._last, self._whole = (bytes([ARRAY]) + name.encode() + b"\0" for name in (parts[-1], path))

    def document(self, raw: bytes) -> Document:
        """One stored document, its `_id` exact. Raises InvalidBSON."""
        raw = bytes(raw)  # of a long reply the driver gives a view, in which no name would be found
        document = self._decode(raw, self._in_document)
        if "_id" in document:
            document["_id"] = exact_id(document["_id"], raw)
        return document

    def change(self, raw: bytes) -> Document:
        """One element of a change stream's batch. Raises InvalidBSON."""
        return self._decode(raw, self._in_change)

    def fields(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """The fields that each of several updates set; None in place of what cannot be decoded."""
        return self._all(raws, self._in_fields)

    def diffs(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """What each of several updates did, as the database's own diffs; None as above."""
        return self._all(raws, self._in_diff)

    def _all(self, raws: Sequence[bytes], places: Sequence[Sequence[str]]) -> Sequence[Document | None]:
        joined = b"".join(raws)
        if _REFERENCE not in joined and not self._may_hold_array(joined):
            try:
                return bson.decode_all(joined, LENIENT)  # much quicker than one by one
            except Exception:  # one of them, and the others are what they are
                return [self._one(raw, places) for raw in raws]
        return [self._one(raw, places) for raw in raws]

    def _one(self, raw: bytes, places: Sequence[Sequence[str]]) -> Document | None:
        try:
            return self._decode(raw, places)
        except Exception:  # of whatever kind: it is not told of this one
            return None

    def _may_hold_array(self, raw: bytes) -> bool:
        return self._last in raw or self._whole in raw

    def _decode(self, raw: bytes, places: Sequence[Sequence[str]]) -> Document:
        if not self._may_hold_array(raw):
            return self._decode_whole(raw)
        left = raw
        taken: list[tuple[Sequence[str], RawArray]] = []
        for place in places:
            cut = cut_out(left, [name.encode() for name in place])
            if cut is not None:
                left, array = cut
                taken.append((place, array))
        document = self._decode_whole(left)
        for (*holders, name), array in taken:
            holder: Any = document
            for one in holders:
                holder = holder.get(one) if isinstance(holder, dict) else None
            if not isinstance(holder, dict):  # a document in which a name comes twice
                return decode(raw, self._noticed)
            holder[name] = array
        return document

    def _decode_whole(self, raw: bytes) -> Document:
        for name in self._names:
            if raw.count(name) > 1:  # in one document, or in two that lie in this one
                return _decode_apart(raw, self._noticed)
        return decode(raw, self._noticed)


def cut_out(raw: bytes, path: Sequence[bytes]) -> tuple[bytes, RawArray] | None:
    """The document without the array at `path`, and the array; None if there is no array."""
    position, end = body(raw, 0, len(raw))
    try:
        while position < end:
            kind, name_end = raw[position], raw.index(0, position + 1)
            after = end_of(raw, kind, name_end + 1)
            if raw[position + 1 : name_end] != path[0]:
                position = after
                continue
            value = raw[name_end + 1 : after]
            if len(path) == 1:
                return (_resized(raw[:position] + raw[after:]), RawArray(value)) if kind == ARRAY else None
            inner = cut_out(value, path[1:]) if kind == DOCUMENT else None
            return inner and (_resized(raw[: name_end + 1] + inner[0] + raw[after:]), inner[1])
    except (ValueError, IndexError, error) as failure:
        raise InvalidBSON("a document that is cut off") from failure
    return None


def _resized(raw: bytes) -> bytes:
    return _INT32.pack(len(raw)) + raw[4:]
