"""Raw BSON: arrays that are kept as bytes, their elements, and a decoder for values that the driver cannot read. Pure.

The events of a task are an array that may hold thousands of elements, and a change adds one. So the array is not
decoded with its document (`relay/source/decoder.py`). Its elements are compared as bytes, and each is decoded only when
it is sent.

Rules of this file: an element is its type byte (0 for a document) followed by its value, without its index, so equal
elements are equal bytes at every index. Bytes that are not BSON raise InvalidBSON. A value that the driver cannot
decode becomes an Undecodable, and the other values of the document are decoded as usual.
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
from relay.source.pieces import LARGE, decode_in_pieces
from relay.source.walk import ARRAY, DOCUMENT, body, end_of, fields, together

Document = dict[str, Any]  # a decoded document
Element = bytes  # a type byte (0 for a document), then a value as raw BSON

# Documents may hold dates past year 9999 and strings that are not UTF-8. They must not make a document unreadable.
LENIENT: CodecOptions[Document] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for a value that the driver cannot decode. `element` is the value's type byte and its raw BSON.

    An Undecodable is not a string, so that it matches no user if it stands in a field that decides who may see a task.
    """

    element: Element

    def __str__(self) -> str:
        return "[undecodable]"


# The driver decodes a sub-document with this field as a DBRef object. To MongoDB it is an ordinary sub-document.
REFERENCE = b"$ref\0"
_INT32 = Struct("<i")
_DOCUMENT_KIND = bytes([DOCUMENT])
_NAMES = [
    b"%c%d" % (DOCUMENT, index) for index in range(10_000)
]  # type byte and name of each of an array's first elements, if they are sub-documents
_FIRST = _NAMES[0] + b"\0"
_TYPE = itemgetter(0)
TOGETHER = 500  # elements that one call of the driver decodes: a call cannot be interrupted


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array of a document, kept as raw BSON instead of being decoded."""

    raw: bytes

    def elements(self, before: Sequence[Element] = ()) -> list[Element]:
        """Split the array into its elements, in order. An element is its type byte (0 for a document) and its value.

        `before` may be the elements of an earlier version of the array. The result is the same without `before`, but is
        found faster with it if the end of `before` is the beginning of this array. That is so after a `$push`, also
        with a `$slice` that keeps the array at one length. Raises InvalidBSON if the array is malformed.
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
        """Split an array of sub-documents, and return the raw BSON of each, in order.

        Raises InvalidBSON if the array is malformed or has an element that is not a sub-document.
        """
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
    """Find an overlap between the end of `before` and the start of the array `raw`.

    `before` are the elements of an earlier version of the array. Returns the elements of the overlap, and the number of
    bytes that they take in `raw`; an empty list and 0 if there is no overlap, or if one of its elements is not a
    sub-document. At most the first 10,000 elements are found this way. To encode the elements of `before` and compare
    once is faster than to split the array.
    """
    if before and raw.startswith(_FIRST, 4):
        start = 4 + len(_FIRST)
        first = raw[start - 1 : start + _INT32.unpack_from(raw, start)[0]]
        run = list(before[before.index(first) :][: len(_NAMES)]) if first in before else []
        joined = b"".join(chain.from_iterable(zip(_NAMES, run, strict=False)))
        # The first byte of an element is 0 if it is a sub-document: that byte also ends the name in `raw`. Any other
        # element has its type byte there, so that `joined` does not encode that element.
        if raw.startswith(joined, 4) and not any(map(_TYPE, run)):
            return run, len(joined)
    return [], 0


def opened(value: Any) -> Any:
    """Turn a DBRef back into the sub-document that the driver made it from; return any other value unchanged."""
    return value.as_doc() if isinstance(value, DBRef) else value


def encode_element(value: Any) -> Element:
    """Encode a decoded value as an element: its type byte (0 for a document) and its value as raw BSON.

    Raises what `bson.encode` raises if the value cannot be stored in MongoDB.
    """
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
    """Decode an element: a type byte (0 for a document) and a value as raw BSON.

    Returns the string "[undecodable]" if the value cannot be decoded. If only values inside it cannot be decoded, each
    of those becomes an Undecodable.
    """
    kind = element[:1] if element[0] else _DOCUMENT_KIND
    raw = _INT32.pack(len(element) + 6) + kind + b"\0" + element[1:] + b"\0"
    try:
        value = decode(raw)[""]
    except InvalidBSON:
        return "[undecodable]"
    return str(value) if isinstance(value, Undecodable) else value


def decode_elements(elements: Sequence[Element]) -> list[Any]:
    """Decode several elements, with the result that `decode_element` has for each, in a fraction of the time."""
    values: list[Any] = []
    for first in range(0, len(elements), TOGETHER):
        values += _decoded_together(elements[first : first + TOGETHER])
    return values


def _decoded_together(elements: Sequence[Element]) -> list[Any]:
    """Decode elements with one call of the driver, if all of them are sub-documents that it decodes as they are."""
    if not any(map(_TYPE, elements)):
        joined = b"".join([element[1:] for element in elements])
        if REFERENCE not in joined:
            try:
                values = bson.decode_all(joined, LENIENT)
            except Exception:  # one element caused this: decode one by one to keep the others
                values = []
            if len(values) == len(elements):
                return values
    return [decode_element(element) for element in elements]


def ignore(count: int) -> None:
    """Do nothing. The default of callbacks that are told how many values or documents could not be decoded."""


def decode(raw: bytes, noticed: Callable[[int], None] = ignore) -> Document:
    """Decode one document.

    A value that the driver cannot decode becomes an Undecodable, and `noticed` is called with the number of such
    values. Raises InvalidBSON if the document is not BSON.
    """
    if REFERENCE not in raw:
        try:
            return _decode_plain(raw) if len(raw) < LARGE else decode_in_pieces(raw, _decode_plain)
        except Exception:  # one value caused this: decode value by value to keep the others
            return decode_apart(raw, noticed)
    return decode_apart(raw, noticed)


def _decode_plain(raw: bytes) -> Document:
    return bson.decode(raw, codec_options=LENIENT)


def decode_apart(raw: bytes, noticed: Callable[[int], None]) -> Document:
    """Decode a document value by value, so that one value that cannot be decoded leaves the others as they are.

    Such a value becomes an Undecodable, and `noticed` is called with the number of them. If a name occurs twice, the
    first field is used. Raises InvalidBSON if the document is not BSON.
    """
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
    except Exception:  # any error of the driver is about this value alone
        lost.append(kind)
        return Undecodable(bytes((kind,)) + raw)
