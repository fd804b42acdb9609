"""Convert BSON scalars to the strings, integers and times that the protocol promises. Pure.

Rules of this file: the BSON type that a writer chose makes no difference (3, 3.0 and Decimal128("3") are one number);
for a value that cannot be converted, a function returns None and never raises.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from bson import Decimal128, ObjectId

from relay.protocol.types import rfc3339
from relay.tasks.bson_json import SAFE_INTEGER
from relay.tasks.ids import uuid_text, whole

_MILLISECONDS_FROM = (
    1e11  # a larger timestamp is in milliseconds, a smaller one in seconds (until the year 5138)
)
_INTEGER = re.compile(r"(-?[0-9]+)(?:\.0+)?")


def text(value: Any) -> str | None:
    """Convert a string, number, ObjectId or UUID to a string; return None for any other value.

    A number that is an integer is written as its digits, whatever its BSON type: 3.0 becomes "3".
    """
    if type(value) is str:  # the commonest case
        return value
    match value:
        case bool():
            return None
        case int() | float() | Decimal128():
            found = whole(value)
            return str(value if found is None else found)
        case str() | ObjectId():  # bson.Code is a str as well
            return str(value)
        case _:
            return uuid_text(value)


def bounded(shown: str, limit: int) -> str:
    """Return the string, cut to at most `limit` characters; if it was cut, the last of these is an ellipsis."""
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def number(value: Any) -> int | None:
    """Convert an integer of any numeric BSON type, or a string of 1 to 15 digits, to an int.

    Return None for any other value, and for integers beyond ±SAFE_INTEGER (2**53 - 1).
    """
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None
    found = whole(value)
    return found if found is not None and abs(found) <= SAFE_INTEGER else None


def moment(value: Any) -> str | None:
    """Convert a BSON date, an ISO 8601 string or a Unix timestamp to an RFC 3339 string in UTC; else return None.

    A timestamp may have any numeric BSON type. It is in seconds if it is less than 1e11, else in milliseconds.
    """
    match value:
        case bool():
            return None
        case datetime():
            return rfc3339(value)
        case str():
            return _from_iso(value)
        case int() | float():
            return _from_epoch(float(value))
        case Decimal128():
            with suppress(ArithmeticError, ValueError):  # a signalling NaN, for example
                return _from_epoch(float(value.to_decimal()))
            return None
        case _:
            return None


def _from_iso(value: str) -> str | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", value) or len(value) > 40:
        return None
    try:
        return rfc3339(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _from_epoch(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
    try:
        return rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """Return the normal form of a status or an event type, under which the mapping lists it.

    `task:pr_opened`, `PR_OPENED`, `prOpened` and `pr-opened` all become `pr_opened`. An integer keeps its sign,
    because `-1` and `1` are different statuses; `1.0` becomes `1`.
    """
    if (integer := _INTEGER.fullmatch(name)) is not None:
        return integer[1]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    snaked = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return snaked.removeprefix("task_") if snaked != "task_" else snaked
