"""Ids of users and teams: read the id in a BSON value, and list the BSON values that an id may be stored as. Pure.

Documents hold ids as BSON values; the claims of a token hold ids as strings. The visibility rules compare the two.

Rules of this file: a value has one id or none, whatever BSON type a writer chose; a stored value and a value that
`values_of` returns have equal identities exactly when MongoDB calls the two values equal, which a property test
checks; numbers, ObjectIds and UUIDs in a string are recognised only in their usual spelling.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId

BROKEN = "\ufffd"  # replaces invalid UTF-8 in a decoded string, so two different strings may look equal
INT64 = range(-(2**63), 2**63)
# Drivers wrote subtype 3 before 4: Python's in plain order, those of Java and C# with swapped bytes. Only the plain
# order is read, because which driver wrote a value is unknown, and a wrong guess would be the id of another user.
UUID_SUBTYPES = (4, 3)

IdKind = Literal["string", "integer", "ObjectId", "UUID"]
MARKS: dict[IdKind, str] = {"string": "s", "ObjectId": "o", "integer": "n", "UUID": "u"}  # in audience keys

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_OBJECT_ID = re.compile(r"[0-9A-Fa-f]{24}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Identity(NamedTuple):
    """The id that a BSON value stands for. Two values that stand for one id have equal identities."""

    kind: IdKind
    text: str  # the id's usual spelling


def identity(value: Any) -> Identity | None:
    """Return the id that a value of a document stands for, or None if the value cannot be an id.

    Strings, ObjectIds, UUIDs and integers can be ids. Booleans, dates, numbers with a fraction, numbers beyond 64
    bits, binary data other than UUIDs, empty strings, strings with invalid UTF-8, code, lists and documents cannot.
    """
    # Compare the type exactly: the driver's Code derives from str, but to MongoDB it is no string. Reject strings that
    # were not valid UTF-8: two of them may have become equal when they were decoded.
    if type(value) is str:
        return Identity("string", value) if value and BROKEN not in value else None
    if isinstance(value, ObjectId):
        return Identity("ObjectId", str(value))
    if (uuid := uuid_text(value)) is not None:
        return Identity("UUID", uuid)
    if (number := whole(value)) is not None:
        return Identity("integer", str(number))
    return None


def values_of(text: str) -> list[Any]:
    """Return every BSON value under which a document may hold the id that a claim gives as a string.

    The string itself is always one of them. An ObjectId, an integer or a UUID is added if the string is the spelling
    of one. One numeric type is enough, because MongoDB compares numbers of all types by their value.
    """
    found: list[Any] = [text]
    if is_object_id(text):
        found.append(ObjectId(text))
    if _WHOLE_NUMBER.fullmatch(text) and int(text) in INT64:
        found.append(Int64(text))
    if _UUID.fullmatch(text):
        found += [Binary(UUID(text).bytes, subtype) for subtype in UUID_SUBTYPES]
    return found


def is_object_id(text: str) -> bool:
    """Whether the string is an ObjectId in hexadecimal: 24 digits, with small or capital letters."""
    return _OBJECT_ID.fullmatch(text) is not None


def whole(value: Any) -> int | None:
    """Return a number of any BSON type as an integer; None unless it is exactly an integer that fits into 64 bits.

    Booleans are not numbers here, so None is returned for them too.
    """
    match value:
        case bool():
            return None
        case int():
            number = int(value)
        case float() if value.is_integer():
            number = int(value)
        case Decimal128():
            return _of_decimal(value)
        case _:
            return None
    return number if number in INT64 else None


def uuid_text(value: Any) -> str | None:
    """Return a UUID, stored as binary subtype 4 or 3, in its usual spelling; None for any other value."""
    match value:
        case UUID():
            return str(value)
        case Binary() if value.subtype in UUID_SUBTYPES and len(value) == 16:
            return str(UUID(bytes=bytes(value)))
        case _:
            return None


def _of_decimal(value: Decimal128) -> int | None:
    if _is_overlong(value):
        return 0
    try:
        number = value.to_decimal()
    except ArithmeticError:  # a signalling NaN
        return None
    if not number:  # 0E+96 is 0, to MongoDB too, whatever its exponent
        return 0
    # Reject large exponents before `int`, which would write out thousands of digits.
    if not number.is_finite() or number.adjusted() >= 19:
        return None
    shown = int(number)
    return shown if shown == number and shown in INT64 else None


def _is_overlong(value: Decimal128) -> bool:
    """Whether the coefficient of the number has more than 34 digits, which no driver writes.

    MongoDB reads such a number as 0, but not every version of the Python driver does.
    """
    bits = int.from_bytes(value.bid, "little")
    has_plain_digits = (bits >> 125) & 0b11 != 0b11
    return has_plain_digits and bits & (2**113 - 1) >= 10**34
