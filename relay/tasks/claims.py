"""Claims of a token: find a claim by its name, also inside other claims, and read its values as strings. Pure.

Rules of this file: deny by default. Only strings and integers, alone or in a list, are values of a claim; a claim that
is absent, null, empty or of another type has no values. A floating-point number beyond ±(2**53 - 1) has none either,
because it may have been rounded when the token was parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.tasks.ids import BROKEN

# A larger float may have been rounded when the token was parsed, and may now be the id of another user.
_EXACT = 2**53 - 1


def claim_at(claims: Mapping[str, Any], name: str) -> Any:
    """Return the value of the claim with this name, or None if the token has no such claim.

    A claim whose whole name is `name` comes first. Otherwise `name` is read as a dotted path through nested objects.
    The name of a claim may itself have dots (`https://example.com/claims`), so at each level of the path the longest
    name that exists there is taken.
    """
    if name in claims:
        return claims[name]
    end = name.rfind(".")
    while end > 0:
        if name[:end] in claims:
            inner = claims[name[:end]]
            return claim_at(inner, name[end + 1 :]) if isinstance(inner, Mapping) else None
        end = name.rfind(".", 0, end)
    return None


def texts_of(claim: Any) -> list[str]:
    """Return the values of a claim as strings; the claim is one value or a list of values.

    Values that are neither strings nor integers are left out, and so are strings with U+FFFD, which stands for bytes
    that were not valid UTF-8.
    """
    shown = map(text_of, claim if isinstance(claim, list) else [claim])
    return [text for text in shown if text is not None and BROKEN not in text]


def text_of(value: Any) -> str | None:
    """Return one value of a claim as a string, and an integer as its digits.

    Return None for an empty string, a string that UTF-8 cannot encode, a number with a fraction, a floating-point
    number beyond ±(2**53 - 1), and any other type.
    """
    match value:
        case bool():
            return None
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return str(int(value))
        case str() if value and _is_encodable(value):
            return value
        case _:
            return None


def _is_encodable(text: str) -> bool:
    """Whether BSON can hold the string. JSON can express half of a surrogate pair, which UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
