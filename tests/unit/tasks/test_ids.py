"""Ids of users and teams: the id of a value, and the values that a string may be the id of."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from uuid import UUID

import bson
import pytest
import support.bson_bytes as raw
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from relay.source.raw_bson import LENIENT
from relay.tasks.ids import identity, values_of, whole

OID = ObjectId("65f0c0ffee65f0c0ffee65f0")
SOME_UUID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("alice", "string", "alice"),
        ("1017", "string", "1017"),
        *((value, "integer", "1017") for value in (1017, Int64(1017), 1017.0)),
        *((Decimal128(text), "integer", "1017") for text in ("1017", "1017.00", "10170E-1")),
        *(
            (value, "integer", "0")
            for value in (
                0,
                -0.0,
                Decimal128("-0E3"),
                Decimal128("0E-6176"),
                Decimal128("0E+96"),
                Decimal128("0E+6111"),
            )
        ),
        (Decimal128("1E3"), "integer", "1000"),
        *((Decimal128.from_bid(one[1:]), "integer", "0") for one in raw.OVERLONG),
        (-5.0, "integer", "-5"),
        (Int64(2**63 - 1), "integer", "9223372036854775807"),
        (-(2.0**63), "integer", "-9223372036854775808"),
        (OID, "ObjectId", str(OID)),
        (Binary(SOME_UUID.bytes, 4), "UUID", str(SOME_UUID)),
        (Binary(SOME_UUID.bytes, 3), "UUID", str(SOME_UUID)),
        (SOME_UUID, "UUID", str(SOME_UUID)),
    ],
)
def test_every_type_of_an_id_has_a_usual_spelling(value: Any, kind: str, text: str) -> None:
    assert identity(value) == (kind, text)
    assert identity(value) in {identity(one) for one in values_of(text)}


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, "", "a\ufffd", Code("a"), Code("1017"), Regex("a"), MinKey(), MaxKey()),
        *(0.5, math.nan, math.inf, -math.inf, 2.0**63, 1e300),
        *(Decimal128(text) for text in ("0.5", "NaN", "sNaN", "-Infinity", "9223372036854775808", "1E6144")),
        *(Decimal128("1017.0000000000000000000000000001"), Decimal128.from_bid(b"\xff" * 16)),
        *(datetime(2026, 1, 2), DatetimeMS(1017), Timestamp(1017, 0)),
        *(b"a" * 16, Binary(b"a" * 16, 5), Binary(b"a" * 15, 4), Binary(b"a" * 17, 3), Binary(b"", 4)),
        *({"a": 1}, ["a"], []),
    ],
)
def test_other_values_are_no_id(value: Any) -> None:
    assert identity(value) is None


@pytest.mark.parametrize(
    "text",
    [
        *("01017", "+5", "-0", "1e3", "5.0", " 5", "5 ", "5\n", "1_000", "٥", "0x10", "--5", "-", ""),
        *("9223372036854775808", "-9223372036854775809", "9" * 5_000),
        *("aa bb cc dd ee ff 11 22 ", "65f0c0ffee65f0c0ffee65f", "65f0c0ffee65f0c0ffee65fg", "１" * 24),
        *(SOME_UUID.hex, f"{{{SOME_UUID}}}", f"urn:uuid:{SOME_UUID}", f"{SOME_UUID}\n"),
    ],
)
def test_an_unusual_spelling_is_only_a_string(text: str) -> None:
    assert values_of(text) == [text]


@pytest.mark.parametrize("text", [str(OID), str(SOME_UUID)])
def test_object_ids_and_uuids_are_found_in_any_case_of_letters(text: str) -> None:
    assert values_of(text.upper()) == [text.upper(), *values_of(text)[1:]]
    assert len(values_of(text)) > 1


VALUES = st.binary(min_size=16, max_size=16).map(lambda bid: b"\x13" + bid) | raw.VALUES


@given(VALUES)
def test_no_value_raises_and_its_spelling_leads_back_to_it(element: bytes) -> None:
    value = bson.decode(raw.document(("", element))[1:], codec_options=LENIENT)[""]
    found = identity(value)
    if found is not None:
        assert found in {identity(one) for one in values_of(found.text)}
        assert found.kind in ("text", "integer") or found.text == found.text.lower()


@given(st.integers(-(2**70), 2**70))
def test_a_number_is_one_id_in_every_type(number: int) -> None:
    values = [bson.decode(raw.document(("", one))[1:])[""] for one in raw.spellings(number)]
    expected = number if -(2**63) <= number < 2**63 else None
    assert {whole(value) for value in values} <= {expected}
