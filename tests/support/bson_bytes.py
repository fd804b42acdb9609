"""Build BSON by hand: every type and edge case that MongoDB stores, including values that no driver writes."""

from __future__ import annotations

import math
from struct import pack
from typing import Any

from bson import Decimal128
from bson.raw_bson import RawBSONDocument
from hypothesis import strategies as st

Element = bytes  # the type byte, then the value


def text(value: str | bytes, kind: int = 0x02) -> Element:
    raw = value if isinstance(value, bytes) else value.encode()
    return bytes([kind]) + pack("<i", len(raw) + 1) + raw + b"\0"


def document(*fields: tuple[str | bytes, Element], kind: int = 0x03) -> Element:
    body = b"".join(
        element[:1] + (name if isinstance(name, bytes) else name.encode()) + b"\0" + element[1:]
        for name, element in fields
    )
    return bytes([kind]) + pack("<i", len(body) + 5) + body + b"\0"


def array(*elements: Element) -> Element:
    return document(*((str(index), element) for index, element in enumerate(elements)), kind=0x04)


def symbol(value: str | bytes) -> Element:
    return text(value, 0x0E)


def code(value: str | bytes) -> Element:
    return text(value, 0x0D)


def scoped(value: str, scope: Element) -> Element:
    body = text(value)[1:] + scope[1:]
    return b"\x0f" + pack("<i", len(body) + 4) + body


def pointer(value: str) -> Element:
    return text(value, 0x0C) + b"x" * 12


def binary(subtype: int, value: bytes) -> Element:
    inner = pack("<i", len(value)) + value if subtype == 2 else value
    return b"\x05" + pack("<iB", len(inner), subtype) + inner


def int32(value: int) -> Element:
    return b"\x10" + pack("<i", value)


def int64(value: int) -> Element:
    return b"\x12" + pack("<q", value)


def double(value: float) -> Element:
    return b"\x01" + pack("<d", value)


def decimal(value: str) -> Element:
    return b"\x13" + Decimal128(value).bid


def overlong_decimal(exponent: int, digits: int) -> Element:
    """Return a Decimal128 with more digits than allowed, which the class `Decimal128` cannot make."""
    return b"\x13" + ((exponent + 6176 << 113) | digits).to_bytes(16, "little")


def date(ms: int) -> Element:
    return b"\x09" + pack("<q", ms)


def timestamp(seconds: int, increment: int) -> Element:
    return b"\x11" + pack("<II", increment, seconds)


def pattern(value: str, flags: str = "") -> Element:
    return b"\x0b" + value.encode() + b"\0" + flags.encode() + b"\0"


def object_id(letter: bytes) -> Element:
    return b"\x07" + letter * 12


OVERLONG = [overlong_decimal(-30, 10**34), overlong_decimal(-34, 10**34), overlong_decimal(-34, 2**113 - 1)]
UNDEFINED, NULL, MIN_KEY, MAX_KEY, FALSE, TRUE = b"\x06", b"\x0a", b"\xff", b"\x7f", b"\x08\0", b"\x08\1"
REFERENCE = (("$ref", text("c")), ("$id", int32(1)))


def stored(*fields: tuple[str | bytes, Element]) -> RawBSONDocument:
    """Return a document that the driver sends without encoding it again."""
    return RawBSONDocument(document(*fields)[1:])


def spellings(value: float) -> list[Element]:
    """Return a number in each BSON type that can represent it."""
    found = [double(value)] if isinstance(value, float) or int(float(value)) == value else []
    if isinstance(value, int):
        found += [decimal(str(value)), decimal(f"{value}.0"), decimal(f"{value}0E-1")]
        found += [int32(value)] if -(2**31) <= value < 2**31 else []
        found += [int64(value)] if -(2**63) <= value < 2**63 else []
    elif math.isfinite(value):
        found += [decimal(repr(value))]
    else:
        found += [decimal({"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)])]
    return found


NUMBERS: Any = st.sampled_from(
    [0, 7, -7, 1000, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**22, 10**23]  # noqa: RUF005
    + [-0.0, 0.5, 0.1, 1e22, 1e300, 5e-324, 2.0**53, 2.0**63, math.nan, math.inf, -math.inf]
).flatmap(lambda value: st.sampled_from(spellings(value))) | st.sampled_from(
    [decimal(one) for one in ("1E3", "-0E3", "1E6144", "10E6143", "1E-6176", "sNaN", "-NaN", "0.50")]
)
WORDS = st.sampled_from(
    ["a", "b", "", "a\0b", "\ufffd", "7", "78" * 12, "é", b"\xff", b"\xfe", b"\xed\xa0\x80"]
)
TEXTS = st.builds(lambda make, word: make(word), st.sampled_from([text, text, symbol, code]), WORDS)
FIXED = st.sampled_from(
    [NULL, FALSE, TRUE, MIN_KEY, MAX_KEY, object_id(b"x"), object_id(b"y"), pointer("c"), pointer("a")]
    + [
        date(0),
        date(1000),
        date(2**62),
        date(-(2**63)),
        timestamp(0, 0),
        timestamp(1, 0),
        timestamp(1, 2**31),
    ]
    + [binary(subtype, b"a" * 16) for subtype in (0, 2, 3, 4, 5, 6, 9, 0x80)]
    + [binary(4, b"a"), scoped("a", document()), scoped("a", document(("x", int32(1))))]
    + [scoped("a", document(("x", double(1)))), document(*REFERENCE), document(*REFERENCE, ("a", text("a")))]
)


@st.composite
def plain(draw: Any) -> Element:
    """Any value that is not a container, and a few that are. A function has a short name in Hypothesis's output."""
    return draw(NUMBERS | TEXTS | FIXED)


NESTED_ONLY = st.sampled_from([UNDEFINED, pattern("a", "i"), pattern("a", "mi"), pattern("a", "im"), array()])


def _containers(
    inner: st.SearchStrategy[Element], names: st.SearchStrategy[Any]
) -> st.SearchStrategy[Element]:
    lists = st.lists(inner, max_size=3)
    return (
        lists.map(lambda elements: array(*elements))
        | st.lists(st.tuples(names, inner), max_size=3).map(lambda fields: document(*fields))
        | lists.map(lambda elements: document(*((b"z", one) for one in elements), kind=0x04))
    )


VALUES: Any = st.recursive(
    plain() | NESTED_ONLY,
    lambda inner: _containers(inner, st.sampled_from(["a", "b", "", "a.b", b"\xff"])),
    max_leaves=4,
)
# Values that MongoDB accepts as an `_id`.
IDS: Any = plain() | st.lists(st.tuples(st.sampled_from(["a", "b", "0"]), VALUES), max_size=3).map(
    lambda fields: document(*fields)
)
