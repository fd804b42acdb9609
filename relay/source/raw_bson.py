"""Decode documents, but keep the events array as raw BSON elements. Pure.

A task's events array may hold thousands of elements, and a change adds one. So the array is cut out of a document
before the rest is decoded. Its elements are compared as bytes, and each is decoded only when it is sent.

Rules of this file: an element is its type byte (0 for a document) followed by its value, without its index, so equal
elements are equal bytes at every index. Bytes that are not BSON raise InvalidBSON. A value that the driver cannot
decode becomes an Undecodable and leaves the other values of the document as they are.
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

# Documents may hold dates past year 9999 and strings that are not UTF-8. They must not make a document unreadable.
LENIENT: CodecOptions[Document] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for a value that the driver cannot decode. `element` is its type byte and its raw BSON.

    It is not a string, so that it matches nobody if it is in a field that decides who may see a task.
    """

    element: Element

    def __str__(self) -> str:
        return "[undecodable]"


# The driver decodes a sub-document with this field as a DBRef object. To MongoDB it is an ordinary sub-document.
_REFERENCE = b"$ref\0"
_INT32 = Struct("<i")
_DOCUMENT_KIND = bytes([DOCUMENT])
_NAMES = [
    b"%c%d" % (DOCUMENT, index) for index in range(10_000)
]  # the names of an array's first elements, after their types
_FIRST = _NAMES[0] + b"\0"
_TYPE = itemgetter(0)


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array, kept as raw BSON."""

    raw: bytes

    def elements(self, before: Sequence[Element] = ()) -> list[Element]:
        """Split the array into its elements, in order. Raises InvalidBSON.

        `before` are the elements of an earlier version. It makes no difference to the result, but saves time if this
        array begins with the end of that one, as an array does that `$push` with `$slice` keeps at one length.
        """
        raw = self.raw
        position, end = body(raw, 0, len(raw))
        find, length_at = raw.index, _INT32.unpack_from
        try:
            found, size = _run(raw, before)
            position += size
            while position < end:
                kind = raw[position]
                name_end = find(0, position + 1)
                if (
                    kind == DOCUMENT
                ):  # nearly all events: the zero byte that ends the name serves as their type byte
                    after = name_end + 1 + length_at(raw, name_end + 1)[0]
                    found.append(raw[name_end:after])
                else:
                    after = end_of(raw, kind, name_end + 1)
                    found.append(raw[position : position + 1] + raw[name_end + 1 : after])
                if not name_end < after <= end:
                    raise InvalidBSON("an element exceeds its array")
                position = after
        except (ValueError, error) as failure:
            raise InvalidBSON("an array that is cut off") from failure
        return found

    def documents(self) -> list[bytes]:
        """Split an array of sub-documents. Raises InvalidBSON, also if it has an element of another type."""
        raw = self.raw
        position, end = body(raw, 0, len(raw))
        find, length_at = raw.index, _INT32.unpack_from
        found = []
        try:
            while position < end:
                start = find(0, position + 1) + 1
                after = start + length_at(raw, start)[0]
                if raw[position] != DOCUMENT or not start < after <= end:
                    raise InvalidBSON("an element is not a sub-document")
                found.append(raw[start:after])
                position = after
        except (ValueError, error) as failure:
            raise InvalidBSON("an array that is cut off") from failure
        return found


def _run(raw: bytes, before: Sequence[Element]) -> tuple[list[Element], int]:
    """The elements that end `before` and begin this array, if they are sub-documents, and their size in bytes.

    Encoding those of `before` and comparing once is faster than splitting the array.
    """
    if before and raw.startswith(_FIRST, 4):
        start = 4 + len(_FIRST)
        first = raw[start - 1 : start + _INT32.unpack_from(raw, start)[0]]
        run = list(before[before.index(first) :][: len(_NAMES)]) if first in before else []
        joined = b"".join(chain.from_iterable(zip(_NAMES, run, strict=False)))
        # An element that is not a sub-document has its type byte where the others have the end of the name.
        if raw.startswith(joined, 4) and not any(map(_TYPE, run)):
            return run, len(joined)
    return [], 0


def opened(value: Any) -> Any:
    """Turn a DBRef back into the sub-document that the driver made it from; return any other value unchanged."""
    return value.as_doc() if isinstance(value, DBRef) else value


def encode_element(value: Any) -> Element:
    """Encode a decoded value as an element. Raises what `bson.encode` raises."""
    try:
        raw = bson.encode({"": value})
    except InvalidDocument:  # the value holds an Undecodable, which the driver cannot encode
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
    """Decode an element. The string "[undecodable]" stands for a value that cannot be decoded."""
    kind = element[:1] if element[0] else _DOCUMENT_KIND
    raw = _INT32.pack(len(element) + 6) + kind + b"\0" + element[1:] + b"\0"
    try:
        value = decode(raw)[""]
    except InvalidBSON:
        return "[undecodable]"
    return str(value) if isinstance(value, Undecodable) else value


def ignore(count: int) -> None:
    """A `noticed` callback that does nothing."""


def decode(raw: bytes, noticed: Callable[[int], None] = ignore) -> Document:
    """Decode one document. A value that the driver cannot decode becomes an Undecodable, and `noticed` is called with
    the number of such values. Raises InvalidBSON if the document is not BSON."""
    if _REFERENCE not in raw:
        try:
            return bson.decode(raw, codec_options=LENIENT)
        except Exception:  # one value caused this: decode value by value to keep the others
            return _decode_apart(raw, noticed)
    return _decode_apart(raw, noticed)


def _decode_apart(raw: bytes, noticed: Callable[[int], None]) -> Document:
    """Decode a document value by value, see `decode`."""
    lost: list[int] = []
    document = _document(raw, lost)
    if lost:
        noticed(len(lost))
    return document


def _document(raw: bytes, lost: list[int]) -> Document:
    document: Document = {}
    for name, value in _fields(raw, lost):
        document.setdefault(name, value)  # if a name occurs twice, MongoDB uses the first field
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
    except Exception:  # whatever the driver raises is about this value alone
        lost.append(kind)
        return Undecodable(bytes((kind,)) + raw)


class Decoder:
    """Decodes the documents and the change events of one collection. The array at `path` stays a RawArray.

    `noticed` is called with the number of values that could not be decoded. MongoDB stores documents in which a name
    occurs twice; its queries use the first field, while the driver keeps the last. For the fields in `names`, the first
    is kept here, too: a visibility rule must find the same value as the query that agrees with it.
    """

    def __init__(
        self, path: str, *, names: Iterable[str] = (), noticed: Callable[[int], None] = ignore
    ) -> None:
        self.path = path
        self._names = [name.encode() + b"\0" for name in names]
        self._noticed = noticed
        parts = path.split(".")
        # An update may set the array itself or a sub-document around it: the array is then inside the new value.
        changed = [(".".join(parts[:cut]), *parts[cut:]) for cut in range(1, len(parts) + 1)]
        # In a diff, "u" and "i" hold the values that were set, and "s" before a name holds the diff of that field.
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
        # The array is named by the last part of the path or, in an update of the array itself, by the whole path.
        self._last, self._whole = (bytes([ARRAY]) + name.encode() + b"\0" for name in (parts[-1], path))

    def document(self, raw: bytes) -> Document:
        """Decode a stored document. Its `_id` is exact, see `exact_id`. Raises InvalidBSON."""
        raw = bytes(raw)  # the driver gives a memoryview of a long reply, and a view has no search methods
        document = self._decode(raw, self._in_document)
        if "_id" in document:
            document["_id"] = exact_id(document["_id"], raw)
        return document

    def change(self, raw: bytes) -> Document:
        """Decode a change event. Raises InvalidBSON."""
        return self._decode(raw, self._in_change)

    def fields(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """Decode the `updatedFields` of several updates. None stands for one that cannot be decoded."""
        return self._all(raws, self._in_fields)

    def diffs(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """Decode the oplog diffs of several updates. None stands for one that cannot be decoded."""
        return self._all(raws, self._in_diff)

    def _all(self, raws: Sequence[bytes], places: Sequence[Sequence[str]]) -> Sequence[Document | None]:
        joined = b"".join(raws)
        if _REFERENCE not in joined and not self._may_hold_array(joined):
            try:
                return bson.decode_all(joined, LENIENT)  # much faster than one by one
            except Exception:  # one of them is malformed: decode one by one to keep the others
                return [self._one(raw, places) for raw in raws]
        return [self._one(raw, places) for raw in raws]

    def _one(self, raw: bytes, places: Sequence[Sequence[str]]) -> Document | None:
        try:
            return self._decode(raw, places)
        except Exception:  # the caller then reads the whole event, and logs why it cannot
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
            if not isinstance(holder, dict):  # a name occurs twice in the document
                return decode(raw, self._noticed)
            holder[name] = array
        return document

    def _decode_whole(self, raw: bytes) -> Document:
        for name in self._names:
            if raw.count(name) > 1:  # twice in one document, or once in each of two nested ones
                return _decode_apart(raw, self._noticed)
        return decode(raw, self._noticed)


def cut_out(raw: bytes, path: Sequence[bytes]) -> tuple[bytes, RawArray] | None:
    """Cut the array at `path` out of a document: the document without it, and the array. None if there is no array."""
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
