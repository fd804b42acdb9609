"""Claims of a token: find them by name, also nested ones, and read their values as strings. Pure.

Rules of this file: deny by default; a claim that is absent, null, empty, or neither string nor integer (nor a list of
them) has no values, and neither has a number that may have lost digits on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.tasks.ids import BROKEN

# A larger float may have been rounded when the token was parsed, so it may be the id of another user.
_EXACT = 2**53 - 1


def claim_at(claims: Mapping[str, Any], name: str) -> Any:
    """The claim with this name, or None.

    A claim whose whole name is `name` comes first. Otherwise the name is a dotted path through objects. Names may have
    dots themselves (`https://example.com/claims`), so at each step the longest name that exists is taken.
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
    """The values of a claim, which is one value or a list of them, as strings."""
    shown = map(text_of, claim if isinstance(claim, list) else [claim])
    return [text for text in shown if text is not None and BROKEN not in text]


def text_of(value: Any) -> str | None:
    """One value of a claim as a string, an integer as its digits; None for any other type."""
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
    """Whether the string is valid in BSON. JSON can express half of a surrogate pair, which UTF-8 cannot encode."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
