"""Ids of users and teams: which values of BSON stand for one, and which values one text may stand for. Pure.

Rules of this file: a value stands for one id or for none, whatever type a writer stored it as; `identity` of a
value and `values_of` a text meet exactly where MongoDB calls two values equal (a property test holds the two
together); of numbers and ObjectIds and UUIDs only the usual spelling stands for them.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId

BROKEN = "\ufffd"  # stands in a decoded text for what was not UTF-8; MongoDB compares the bytes
INT64 = range(-(2**63), 2**63)
# 3 is what drivers wrote before 4: by default Python's in plain order, those of Java and C# with bytes that are
# swapped. Which driver it was cannot be told, and a guess could name somebody else's id.
UUID_SUBTYPES = (4, 3)

IdKind = Literal["text", "whole number", "ObjectId", "UUID"]

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_OBJECT_ID = re.compile(r"[0-9A-Fa-f]{24}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Identity(NamedTuple):
    """What a value stands for: two values that are the same id have the same one."""

    kind: IdKind
    text: str  # the id's usual spelling


def identity(value: Any) -> Identity | None:
    """The id that a value of a document stands for; None where it is nobody's: booleans, dates, numbers that are
    not whole, other binary, empty texts, code, and whatever is no single value."""
    # Not what only derives from a text, as the driver's Code does: to MongoDB that is no text. And not one that
    # may have been another before it was decoded.
    if type(value) is str:
        return Identity("text", value) if value and BROKEN not in value else None
    if isinstance(value, ObjectId):
        return Identity("ObjectId", str(value))
    if (uuid := uuid_text(value)) is not None:
        return Identity("UUID", uuid)
    if (number := whole(value)) is not None:
        return Identity("whole number", str(number))
    return None


def values_of(text: str) -> list[Any]:
    """The values of BSON that a text of a claim may stand for. A number is found by MongoDB whatever its type."""
    found: list[Any] = [text]
    if is_object_id(text):
        found.append(ObjectId(text))
    if _WHOLE_NUMBER.fullmatch(text) and int(text) in INT64:
        found.append(Int64(text))
    if _UUID.fullmatch(text):
        found += [Binary(UUID(text).bytes, subtype) for subtype in UUID_SUBTYPES]
    return found


def is_object_id(text: str) -> bool:
    """Is this the text of an ObjectId, in letters of either case?"""
    return _OBJECT_ID.fullmatch(text) is not None


def whole(value: Any) -> int | None:
    """The whole number that a value of any type of number is, without rounding, if 64 bits hold it."""
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
    """The usual text of a UUID, of both subtypes."""
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
    except ArithmeticError:  # no number that a writer could have meant
        return None
    if not number:  # 0E+96 is 0, to MongoDB too, whatever its exponent
        return 0
    # Longer ones would be written out to find that they are too long.
    if not number.is_finite() or number.adjusted() >= 19:
        return None
    shown = int(number)
    return shown if shown == number and shown in INT64 else None


def _is_overlong(value: Decimal128) -> bool:
    """Has it more than 34 digits? No driver writes one. To MongoDB it is 0; to drivers it was not always."""
    bits = int.from_bytes(value.bid, "little")
    has_plain_digits = (bits >> 125) & 0b11 != 0b11
    return has_plain_digits and bits & (2**113 - 1) >= 10**34
