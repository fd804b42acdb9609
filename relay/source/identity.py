"""Compute one key for all `_id`s that MongoDB treats as equal. Pure.

MongoDB compares numbers by value across types (7 as int32, int64, double and Decimal128 is one `_id`; so are 0.0 and
-0.0), symbols like strings, and arrays without the names of their elements. Sub-documents are equal only if their
fields are equal in the same order. Values of any other type are equal only if their bytes are.

Rules of this file: an element is a value's type byte, followed by the value as raw BSON. Bytes that are not BSON raise
InvalidBSON, so these functions may be given bytes that a client sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from struct import Struct, error
from typing import Any

import bson
from bson import Decimal128, Int64, ObjectId
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument

from relay.source.walk import (
    ARRAY,
    DOCUMENT,
    PATTERN,
    UNDEFINED,
    Field,
    end_of,
    fields,
    is_of_fixed_size,
    place,
    together,
)

MAX_LEVELS = 180  # of nested sub-documents: MongoDB stores no more, and a query with more fails

_INT32, _INT64, _DOUBLE = Struct("<i"), Struct("<q"), Struct("<d")
_TEXTS = (0x02, 0x0E)  # a symbol is decoded as the string that it is equal to
_NO_ID = (ARRAY, UNDEFINED, PATTERN)  # types that MongoDB refuses as an `_id`
_REFERENCE = frozenset({b"$ref", b"$id", b"$db"})  # the only names with a $ that MongoDB accepts in an `_id`
_ALWAYS_EXACT = frozenset(
    {ObjectId, int, Int64, float, bool, datetime}
)  # types that decoding does not change
_BROKEN = "\ufffd"  # the decoder's replacement for bytes that are not UTF-8
_INT64_RANGE = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class RawId:
    """An `_id` that is not decoded, because decoding would change it: a string that is not UTF-8, for example.

    `element` is the `_id`'s type byte, followed by its value as raw BSON.
    """

    element: bytes


def canonical(document_id: Any, levels: int = MAX_LEVELS) -> bytes:
    """Return the key of an `_id`: bytes that are the same for all `_id`s that MongoDB treats as equal.

    The key is an element, which is a type byte followed by a value as raw BSON. Raises InvalidBSON if the `_id` is not
    BSON or is nested deeper than `levels`. For an `_id` that was not read from a database, also raises what
    `bson.encode` raises if the value cannot be stored.
    """
    if type(document_id) is ObjectId:  # fast path: nearly all `_id`s
        return b"\x07" + document_id.binary
    if type(document_id) is str:
        text = document_id.encode()
        return b"\x02" + _INT32.pack(len(text) + 1) + text + b"\0"
    element = element_of(document_id)
    try:
        return b"%c%s" % _canonical(element[0], element[1:], levels)
    except (ValueError, IndexError, error) as failure:
        raise InvalidBSON("the element is cut off") from failure


def exact_id(decoded: Any, document: bytes, *holders: bytes) -> Any:
    """Return the `_id` of a document as it is stored: `decoded`, or a RawId if decoding lost part of it.

    `decoded` is the `_id` as the driver decoded it, `document` the raw document. `holders` are the names of the
    sub-documents that lead to the one with the `_id`, the outermost first. Raises InvalidBSON if the document is
    malformed or has no `_id` there.
    """
    if type(decoded) in _ALWAYS_EXACT:  # fast path: nearly all `_id`s
        return decoded
    start, end = 0, len(document)
    for name in holders:
        _, start, end = place(document, name, start, end)
    kind, start, end = place(document, b"_id", start, end)
    value = document[start:end]
    return decoded if _is_exact(decoded, kind, value) else RawId(b"%c%s" % (kind, value))


def _is_exact(decoded: Any, kind: int, value: bytes) -> bool:
    """Return whether `decoded` has all that the `_id` holds whose type byte is `kind` and whose raw BSON is `value`."""
    if is_of_fixed_size(kind):
        return True
    if kind in _TEXTS:
        return type(decoded) is str and (_BROKEN not in decoded or decoded.encode() == value[4:-1])
    try:
        return element_of(decoded) == b"%c%s" % (kind, value)
    except Exception:  # the decoder made a value that cannot be encoded, so it is not exact
        return False


def may_be_id(element: bytes) -> bool:
    """Return whether MongoDB accepts this element as an `_id`, and as a value in a query.

    An element is a type byte followed by a value as raw BSON. In a query, MongoDB would use some values as a pattern or
    as an operator instead of comparing with them. Raises InvalidBSON if the element is a malformed document.
    """
    if element[0] != DOCUMENT:
        return element[0] not in _NO_ID
    names = [name for _, name, _ in fields(element[1:])]
    reference = names[:1] == [b"$ref"] and b"$id" in names
    return not any(name.startswith(b"$") and not (reference and name in _REFERENCE) for name in names)


def among(ids: Iterable[Any]) -> dict[str, Any]:
    """Return a query filter that matches the documents whose `_id` is one of `ids`."""
    listed = list(ids)
    if not any(isinstance(one, RawId) for one in listed):
        return {"_id": {"$in": listed}}
    elements = enumerate(map(element_of, listed))
    array = together((element[0], b"%d" % index, element[1:]) for index, element in elements)
    return {"_id": RawBSONDocument(together([(ARRAY, b"$in", array)]))}


def element_of(document_id: Any) -> bytes:
    """Encode an `_id` as an element: its type byte, followed by its value as raw BSON.

    Raises what `bson.encode` raises if the value cannot be stored.
    """
    if isinstance(document_id, RawId):
        return document_id.element
    raw = bson.encode({"": document_id})
    return raw[4:5] + raw[6:-1]


def document_of(element: bytes) -> bytes:
    """Encode a document with one field, whose name is empty and whose value is that of `element`.

    An element is a type byte followed by a value as raw BSON.
    """
    return together([(element[0], b"", element[1:])])


def _canonical(kind: int, value: bytes, levels: int) -> tuple[int, bytes]:
    """Return type byte and value of the key for an `_id`, or a part of one, with this type byte and value.

    `levels` is how many levels of nesting are still allowed. The bytes may come from a client, so they are checked:
    raises InvalidBSON, ValueError, IndexError or struct.error if they are malformed or nested too deeply.
    """
    if end_of(value, kind, 0) != len(value):
        raise InvalidBSON("the length of the value does not match")
    match kind:
        case 0x01:  # double
            return _double(_DOUBLE.unpack(value)[0])
        case 0x12:  # int64
            return _integer(_INT64.unpack(value)[0])
        case 0x13:  # Decimal128
            return _decimal(Decimal128.from_bid(value).to_decimal())
        case 0x02 | 0x0E:  # string, symbol
            return 0x02, _text(value)
        case 0x03:  # document
            return kind, _of_document(value, levels)
        case 0x04:  # array
            return kind, _of_array(value, levels)
        case 0x0D:  # code
            return kind, _text(value)
        case 0x0F:  # code with scope
            scope = 8 + _INT32.unpack_from(value, 4)[0]
            body = _text(value[4:scope]) + _of_document(value[scope:], levels)
            return kind, _INT32.pack(len(body) + 4) + body
        case 0x0C:  # DBPointer
            return kind, _text(value[:-12]) + value[-12:]
        case 0x08 if value not in (b"\0", b"\1"):
            raise InvalidBSON("a boolean is neither true nor false")
        case _:
            return kind, value


# These functions build lists, because a generator would add a stack frame for each of up to 180 nesting levels.


def _of_document(value: bytes, levels: int) -> bytes:
    levels = _below(levels)
    found = []
    for kind, name, inner in fields(value):
        kind, inner = _canonical(kind, inner, levels)
        found.append((kind, name, inner))
    return together(found)


def _of_array(value: bytes, levels: int) -> bytes:
    levels = _below(levels)
    found: list[Field] = []
    for kind, _, inner in fields(value):
        kind, inner = _canonical(kind, inner, levels)
        found.append((kind, b"%d" % len(found), inner))
    return together(found)


def _below(levels: int) -> int:
    """Return how many levels of nesting are allowed inside this one. Raises InvalidBSON if none is left."""
    if not levels:
        raise InvalidBSON("nested too deeply")
    return levels - 1


def _text(value: bytes) -> bytes:
    """Check a string value and return it: four bytes of length, the characters, and a zero byte at the end.

    Raises InvalidBSON if the length does not match or the zero byte is missing.
    """
    if len(value) < 5 or _INT32.unpack_from(value)[0] != len(value) - 4 or value[-1]:
        raise InvalidBSON("a string does not end with a zero byte")
    return value


def _integer(number: int) -> tuple[int, bytes]:
    """Return type byte and value of the key for an integer: as int32 if it fits, otherwise as int64."""
    return (0x10, _INT32.pack(number)) if -(2**31) <= number < 2**31 else (0x12, _INT64.pack(number))


def _double(number: float) -> tuple[int, bytes]:
    """Return type byte and value of the key for a double: as an integer if one has exactly this value."""
    if math.isnan(number):
        number = math.nan  # NaN has many bit patterns; use one of them for all
    elif number.is_integer() and (whole := int(number)) in _INT64_RANGE:
        return _integer(whole)
    return 0x01, _DOUBLE.pack(number)


def _decimal(number: Decimal) -> tuple[int, bytes]:
    """Return type byte and value of the key for a Decimal128.

    The key is an integer or a double if one has exactly this value, otherwise a Decimal128 without trailing zeros.
    """
    if not number.is_finite():
        return _double(math.nan if number.is_nan() else math.copysign(math.inf, number))
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # it is, because the number is finite
    size = int("".join(map(str, digits)))
    if not size:
        return _integer(0)
    while not size % 10:
        size, exponent = size // 10, exponent + 1
    # An exponent of 19 or more cannot fit into 64 bits, and computing its power of ten could take very long.
    if 0 <= exponent < 19 and (whole := (-size if sign else size) * 10**exponent) in _INT64_RANGE:
        return _integer(whole)
    shortest = Decimal((sign, tuple(map(int, str(size))), exponent))
    nearest = float(shortest)
    if math.isfinite(nearest) and Decimal(nearest) == shortest:
        return _double(nearest)
    return 0x13, Decimal128(shortest).bid
