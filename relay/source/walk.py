"""Read the fields of a BSON document one by one, without decoding their values. Pure.

Rules of this file: a field is its type byte, its name and its value, all as raw BSON. Bytes that are not BSON raise
InvalidBSON, so these functions may be given bytes that a client sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct, error

from bson.errors import InvalidBSON

DOCUMENT, ARRAY, UNDEFINED, PATTERN = 0x03, 0x04, 0x06, 0x0B
_OF_FIXED_SIZE = {
    0x01: 8,  # double
    UNDEFINED: 0,
    0x07: 12,  # ObjectId
    0x08: 1,  # boolean
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
# Types whose value begins with a length, and how many bytes the value has beyond that length (bsonspec.org).
_WITH_LENGTH = {
    0x02: 4,  # string
    DOCUMENT: 0,
    ARRAY: 0,
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
_INT32 = Struct("<i")

Field = tuple[int, bytes, bytes]  # type, name, value


def is_of_fixed_size(kind: int) -> bool:
    """Return whether all values of this BSON type have the same size."""
    return kind in _OF_FIXED_SIZE


def fields(document: bytes) -> Iterator[Field]:
    """Yield type byte, name and value of each field of a document. Raises InvalidBSON if the document is malformed."""
    for kind, name, start, end in places(document, 0, len(document)):
        yield kind, name, document[start:end]


def names(document: bytes) -> list[bytes]:
    """Return the names of a document's fields in order. A name that occurs twice is listed twice.

    Raises InvalidBSON if the document is malformed.
    """
    return [name for _, name, _, _ in places(document, 0, len(document))]


def field(document: bytes, wanted: bytes) -> bytes:
    """Return the value of the first field with the name `wanted`, as raw BSON.

    Raises InvalidBSON if the document is malformed or has no such field.
    """
    _, start, end = place(document, wanted, 0, len(document))
    return document[start:end]


def place(raw: bytes, wanted: bytes, start: int, end: int) -> tuple[int, int, int]:
    """Find the first field with the name `wanted` in the document at `raw[start:end]`.

    Returns the field's type byte, and the offsets in `raw` at which its value begins and ends. Raises InvalidBSON if
    the document is malformed or has no such field.
    """
    for kind, name, first, last in places(raw, start, end):
        if name == wanted:
            return kind, first, last
    raise InvalidBSON("the field is missing")


def places(raw: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield type byte and name of each field of the document at `raw[start:end]`, and where its value begins and ends.

    Both are offsets in `raw`. Raises InvalidBSON if the document is malformed.
    """
    try:
        at, end = body(raw, start, end)
        while at < end:
            name_end = raw.index(0, at + 1)
            after = end_of(raw, raw[at], name_end + 1)
            if not name_end < after <= end:
                raise InvalidBSON("a field that does not end in its document")
            yield raw[at], raw[at + 1 : name_end], name_end + 1, after
            at = after
    except (ValueError, IndexError, error) as failure:
        raise InvalidBSON("a document that is cut off") from failure


def body(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the offsets in `raw` at which the fields of the document at `raw[start:end]` begin and end.

    Raises InvalidBSON if the document does not have the length that it states, or does not end with a zero byte.
    """
    if end - start < 5 or _INT32.unpack_from(raw, start)[0] != end - start or raw[end - 1]:
        raise InvalidBSON("a document of another length than it says")
    return start + 4, end - 1


def end_of(raw: bytes, kind: int, value: int) -> int:
    """Return the offset in `raw` at which a value ends: the one of type `kind` that begins at the offset `value`.

    Raises InvalidBSON, ValueError or struct.error if the type is unknown or the value is cut off.
    """
    if kind in _OF_FIXED_SIZE:
        return value + _OF_FIXED_SIZE[kind]
    if kind in _WITH_LENGTH:
        length: int = _INT32.unpack_from(raw, value)[0]
        if length < 0:
            raise InvalidBSON("a negative length")
        return value + _WITH_LENGTH[kind] + length
    if kind == PATTERN:
        return raw.index(0, raw.index(0, value) + 1) + 1
    raise InvalidBSON(f"an unknown type {kind}")


def together(parts: Iterable[Field]) -> bytes:
    """Encode a document with these fields, each of which is a type byte, a name and a value."""
    inner = b"".join([b"%c%s\0%s" % part for part in parts])
    return _INT32.pack(len(inner) + 5) + inner + b"\0"
