"""The identity of a document: the same bytes for every `_id` that MongoDB calls equal. Pure.

MongoDB compares numbers by value, whatever their type (7 as int32, int64, double and Decimal128 is one `_id`, and
so are 0.0 and -0.0), a symbol as a string, and arrays without the names of their elements. All else is equal only
to the same bytes, and sub-documents only field by field in their order.

Rules of this file: what is not BSON raises InvalidBSON, so that bytes from a client may be given to it; an
element is the byte of its type, then its value.
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

MAX_LEVELS = 180  # of sub-documents: MongoDB stores no more, and a query that holds more fails

_INT32, _INT64, _DOUBLE = Struct("<i"), Struct("<q"), Struct("<d")
_TEXTS = (0x02, 0x0E)  # a symbol is decoded as the string that it is equal to
_NO_ID = (ARRAY, UNDEFINED, PATTERN)  # what MongoDB does not take as an `_id`
_REFERENCE = frozenset({b"$ref", b"$id", b"$db"})  # the only names with a $ that it takes
_ALWAYS_EXACT = frozenset({ObjectId, int, Int64, float, bool, datetime})  # as decoded
_BROKEN = "\ufffd"  # what decoding puts in place of what is not UTF-8
_INT64_RANGE = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class RawId:
    """An `_id` as its element, where decoding it loses something, such as text that is not UTF-8."""

    element: bytes


def canonical(document_id: Any, levels: int = MAX_LEVELS) -> bytes:
    """The one element that stands for all `_id`s that are equal to this one.

    Raises InvalidBSON, also where sub-documents are nested deeper than `levels`. A value that comes from no
    database may also raise what `bson.encode` raises.
    """
    if type(document_id) is ObjectId:  # nearly always
        return b"\x07" + document_id.binary
    if type(document_id) is str:
        text = document_id.encode()
        return b"\x02" + _INT32.pack(len(text) + 1) + text + b"\0"
    element = element_of(document_id)
    try:
        return b"%c%s" % _canonical(element[0], element[1:], levels)
    except (ValueError, IndexError, error) as failure:
        raise InvalidBSON("an element that is cut off") from failure


def exact_id(decoded: Any, document: bytes, *holders: bytes) -> Any:
    """The `_id` that was decoded from this document, or from the sub-document that lies under these names in it; a
    RawId where decoding lost something of it.

    Raises InvalidBSON.
    """
    if type(decoded) in _ALWAYS_EXACT:  # nearly always
        return decoded
    start, end = 0, len(document)
    for name in holders:
        _, start, end = place(document, name, start, end)
    kind, start, end = place(document, b"_id", start, end)
    value = document[start:end]
    return decoded if _is_exact(decoded, kind, value) else RawId(b"%c%s" % (kind, value))


def _is_exact(decoded: Any, kind: int, value: bytes) -> bool:
    if is_of_fixed_size(kind):
        return True
    if kind in _TEXTS:
        return type(decoded) is str and (_BROKEN not in decoded or decoded.encode() == value[4:-1])
    try:
        return element_of(decoded) == b"%c%s" % (kind, value)
    except Exception:  # of a value that only decoding makes
        return False


def may_be_id(element: bytes) -> bool:
    """Does MongoDB take this as an `_id`, and in a query as a value: is it no pattern and no operator?"""
    if element[0] != DOCUMENT:
        return element[0] not in _NO_ID
    names = [name for _, name, _ in fields(element[1:])]
    reference = names[:1] == [b"$ref"] and b"$id" in names
    return not any(name.startswith(b"$") and not (reference and name in _REFERENCE) for name in names)


def among(ids: Iterable[Any]) -> dict[str, Any]:
    """The filter that selects the documents with these `_id`s."""
    listed = list(ids)
    if not any(isinstance(one, RawId) for one in listed):
        return {"_id": {"$in": listed}}
    elements = enumerate(map(element_of, listed))
    array = together((element[0], b"%d" % index, element[1:]) for index, element in elements)
    return {"_id": RawBSONDocument(together([(ARRAY, b"$in", array)]))}


def element_of(document_id: Any) -> bytes:
    """An `_id` as its element. Raises what `bson.encode` raises."""
    if isinstance(document_id, RawId):
        return document_id.element
    raw = bson.encode({"": document_id})
    return raw[4:5] + raw[6:-1]


def document_of(element: bytes) -> bytes:
    """A document that holds this element under the empty name."""
    return together([(element[0], b"", element[1:])])


def _canonical(kind: int, value: bytes, levels: int) -> tuple[int, bytes]:
    """Type and value of the element that stands for all that are equal; checked, as they may be a client's."""
    if end_of(value, kind, 0) != len(value):
        raise InvalidBSON("a value of another length than it says")
    match kind:
        case 0x01:  # double
            return _double(_DOUBLE.unpack(value)[0])
        case 0x12:  # int64
            return _integer(_INT64.unpack(value)[0])
        case 0x13:  # Decimal128
            return _decimal(Decimal128.from_bid(value).to_decimal())
        case 0x02 | 0x0E:  # text, symbol
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
            raise InvalidBSON("a boolean that is neither true nor false")
        case _:
            return kind, value


# Lists rather than generators: each would be one more frame of the stack for each level.


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
    if not levels:
        raise InvalidBSON("nested too deeply")
    return levels - 1


def _text(value: bytes) -> bytes:
    """The value itself, checked: its first four bytes tell the length of the rest, which ends with 0."""
    if len(value) < 5 or _INT32.unpack_from(value)[0] != len(value) - 4 or value[-1]:
        raise InvalidBSON("a text that does not end")
    return value


def _integer(number: int) -> tuple[int, bytes]:
    return (0x10, _INT32.pack(number)) if -(2**31) <= number < 2**31 else (0x12, _INT64.pack(number))


def _double(number: float) -> tuple[int, bytes]:
    if math.isnan(number):
        number = math.nan  # of many bit patterns the usual one
    elif number.is_integer() and (whole := int(number)) in _INT64_RANGE:
        return _integer(whole)
    return 0x01, _DOUBLE.pack(number)


def _decimal(number: Decimal) -> tuple[int, bytes]:
    """An integer or a double where one has exactly this value; else without zeros at the end."""
    if not number.is_finite():
        return _double(math.nan if number.is_nan() else math.copysign(math.inf, number))
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # of a finite number
    size = int("".join(map(str, digits)))
    if not size:
        return _integer(0)
    while not size % 10:
        size, exponent = size // 10, exponent + 1
    # Longer powers of ten would only be computed to find that they do not fit.
    if 0 <= exponent < 19 and (whole := (-size if sign else size) * 10**exponent) in _INT64_RANGE:
        return _integer(whole)
    shortest = Decimal((sign, tuple(map(int, str(size))), exponent))
    nearest = float(shortest)
    if math.isfinite(nearest) and Decimal(nearest) == shortest:
        return _double(nearest)
    return 0x13, Decimal128(shortest).bid
