"""What the claims of a token say: found by their names, nested ones too, and read as texts. Pure.

Rules of this file: deny by default; a claim that is absent, null, empty or of another type than text and whole
number says nothing; what has lost digits on its way says nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.tasks.ids import BROKEN

# From 2**53 on, the number before the point of a number with one may be another than the issuer wrote.
_EXACT = 2**53 - 1


def claim_at(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, or None: the one that is called so, dots and all, and else the dotted path through
    objects. At each step the longest name that is there counts, because names have dots themselves
    (`https://example.com/claims`)."""
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
    """The texts of a claim that is one value or a list of them."""
    shown = map(text_of, claim if isinstance(claim, list) else [claim])
    return [text for text in shown if text is not None and BROKEN not in text]


def text_of(value: Any) -> str | None:
    """One value of a claim as text: a whole number as its digits."""
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
    """JSON can spell half a character, which neither BSON nor UTF-8 can hold."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
