"""Convert BSON values to plain JSON (PROTOCOL.md, "Values"). Pure.

Rules of this file: `plain` never raises and never loses a key; a value that JSON cannot hold becomes a string.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Binary, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

from relay.protocol.types import rfc3339
from relay.tasks.names import NAME_LENGTH, REDACTED

MAX_DEPTH = 100  # levels of nesting; deeper content is replaced by TOO_DEEP
SAFE_INTEGER = 2**53 - 1  # a browser's numbers lose digits beyond it, so larger integers travel as strings
TOO_DEEP = "[nested too deeply]"
_UNCHANGED = frozenset({str, bool, type(None)})  # types that are JSON already

# Decides by the name of a field whether its value is a secret. Returns None if it is not; else a predicate that is true
# for the values of this field that are no secrets after all, such as counts.
Hides = Callable[[str], Callable[[Any], bool] | None]


def hides_nothing(name: str) -> None:
    """Return None for every field name: treat no field as secret."""
    return None


def plain(value: Any, hides: Hides = hides_nothing, depth: int = MAX_DEPTH) -> Any:
    """Convert a BSON value to JSON: string, number, boolean, null, list or object.

    `hides` gets the name of a field, and returns None if the field is no secret. Otherwise it returns a predicate, and
    the value becomes `[redacted]` unless the predicate says that the value is harmless. Lists and objects that are
    nested more than `depth` levels deep become the string TOO_DEEP. Never raises.
    """
    kind = type(value)  # the commonest types come first: most of an event's CPU time is spent here
    if kind in _UNCHANGED:
        return value
    if kind is dict:
        if not depth:
            return TOO_DEEP
        return {
            (name := str(key)): REDACTED
            if len(name) <= NAME_LENGTH and (harmless := hides(name)) and not harmless(item)
            else item
            if type(item) is str
            else plain(item, hides, depth - 1)
            for key, item in value.items()
        }
    match value:
        case int():
            return int(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(int(value))
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return rfc3339(value)
        case list() | tuple():
            if not depth:
                return TOO_DEEP
            return [plain(item, hides, depth - 1) for item in value]
        case str():
            return str(value)
        case Mapping():
            return plain(dict(value), hides, depth)
        case ObjectId() | Decimal128():
            return str(value)
        case DatetimeMS():
            return plain(int(value))  # a date outside years 1 to 9999, as milliseconds
        case Binary():
            return _binary(value)
        case bytes():
            return b64encode(value).decode()
        case UUID():
            return str(value)
        case Regex():
            return str(value.pattern)
        case re.Pattern():
            return str(value.pattern)
        case Timestamp():
            return {"t": value.time, "i": value.inc}
        case DBRef():
            return plain(value.as_doc(), hides, depth)
        case MinKey():
            return "MinKey"
        case MaxKey():
            return "MaxKey"
        case _:
            return str(value)


def _binary(value: Binary) -> str:
    if value.subtype == 4 and len(value) == 16:
        return str(UUID(bytes=bytes(value)))
    return b64encode(bytes(value)).decode()
