"""Strings, integers, times and names as writers store them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from bson import (
    Binary,
    Code,
    Decimal128,
    Int64,
    ObjectId,
)
from hypothesis import given
from hypothesis import strategies as st

from relay.tasks.scalars import moment, number, snake, text

OID = ObjectId("65f0c0ffee65f0c0ffee65f0")
SOME_UUID = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 1, 2), "2026-01-02T00:00:00.000Z"),
        (datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-02T00:00:00.000Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.5+02:00", "2026-01-02T01:04:05.500Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (1e99, None),
        ("yesterday", None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_times_are_read_in_all_forms_that_writers_use(value: Any, shown: str | None) -> None:
    assert moment(value) == shown


@pytest.mark.parametrize(
    "name", ["task:pr_opened", "PR_OPENED", "prOpened", "pr-opened", "Task PR opened", "PrOpened"]
)
def test_all_spellings_of_a_name_are_equal(name: str) -> None:
    assert snake(name) == "pr_opened"


@pytest.mark.parametrize(
    ("name", "snaked"),
    [("3", "3"), ("-3", "-3"), ("3.0", "3"), ("3.5", "3_5"), ("v-3", "v_3"), ("007", "007")],
)
def test_a_number_as_a_name_keeps_its_sign(name: str, snaked: str) -> None:
    assert snake(name) == snaked


def test_only_scalars_that_may_be_names_have_a_text() -> None:
    assert [text(value) for value in (True, None, [1], {}, b"a", Binary(b"a", 4), datetime(2026, 1, 2))] == [
        None
    ] * 7
    assert [text(value) for value in ("a", Code("a"), OID, 1.5, Decimal128("1.50"), 1e300)] == [
        *("a", "a", str(OID), "1.5", "1.50", "1e+300")
    ]
    assert [text(Binary(SOME_UUID.bytes, subtype)) for subtype in (3, 4)] == [str(SOME_UUID)] * 2


def in_every_type(value: int) -> list[Any]:
    decimals = [Decimal128(f"{value}"), Decimal128(f"{value}.00"), Decimal128(f"{value}0E-1")]
    return [value, Int64(value), *([float(value)] if abs(value) <= 2**53 else []), *decimals]


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_read_alike_in_every_type(value: int) -> None:
    expected = value if abs(value) <= 2**53 - 1 else None
    assert {text(one) for one in in_every_type(value)} == {str(value)}
    assert {number(one) for one in in_every_type(value)} == {expected}
    assert len({moment(one) for one in in_every_type(value)}) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal128("1700000000"), "2023-11-14T22:13:20.000Z"),
        (Decimal128("1700000000.5"), "2023-11-14T22:13:20.500Z"),
        (Decimal128("1.700000000123E12"), "2023-11-14T22:13:20.123Z"),
        *((Decimal128(text), None) for text in ("NaN", "sNaN", "-sNaN", "Infinity", "1E6144")),
        (Decimal128.from_bid(b"\xff" * 16), None),
    ],
)
def test_a_decimal_is_a_time_like_any_other_number(value: Any, shown: str | None) -> None:
    assert moment(value) == shown


def test_a_number_is_an_integer_or_a_string_of_digits() -> None:
    values = (5, 5.0, "5", Decimal128("5"), 5.5, "x", True, 2**60, None, Decimal128("5.5"), Decimal128("NaN"))
    assert [number(value) for value in values] == [5, 5, 5, 5] + [None] * 7


def test_a_time_with_a_zone_is_read_without_the_local_zone() -> None:
    assert moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
