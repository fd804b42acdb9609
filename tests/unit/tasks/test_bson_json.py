"""BSON values as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import given
from support.bson_strategies import BSON

from relay.tasks.bson_json import plain

OID = ObjectId("65f0c0ffee65f0c0ffee65f0")
SOME_UUID = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (OID, "65f0c0ffee65f0c0ffee65f0"),
        (datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02T03:04:05.678Z"),
        (DatetimeMS(253402300800001), 253402300800001),
        (Decimal128("1.50"), "1.50"),
        (float("nan"), "nan"),
        (2**53, "9007199254740992"),
        (Int64(5), 5),
        (b"\x01", "AQ=="),
        (Binary.from_uuid(SOME_UUID), str(SOME_UUID)),
        (Regex("a+", "i"), "a+"),
        (Code("x()"), "x()"),
        (Timestamp(1, 2), {"t": 1, "i": 2}),
        (DBRef("c", 1), {"$ref": "c", "$id": 1}),
        (MinKey(), "MinKey"),
        (MaxKey(), "MaxKey"),
    ],
)
def test_every_bson_type_has_a_json_form(value: Any, shown: Any) -> None:
    assert plain({"v": [value]}) == {"v": [shown]}
    assert type(plain(value)) is type(shown)


@given(BSON)
def test_every_bson_value_can_be_sent_in_a_message(value: Any) -> None:
    orjson.loads(orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS))


def test_deep_nesting_is_cut() -> None:
    value: Any = 1
    for _ in range(5000):
        value = {"a": [value]}
    assert b"nested too deeply" in orjson.dumps(plain(value))
