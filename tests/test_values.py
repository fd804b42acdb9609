"""BSON values as JSON, names of tasks, and the small questions a mapping asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
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
from hypothesis import strategies as st

from relay.source.changes import key_of
from relay.tasks.values import candidate_ids, moment, number, plain, snake, text, wire_id

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
def test_every_kind_of_value_has_its_json(value: Any, shown: Any) -> None:
    assert plain({"v": [value]}) == {"v": [shown]}
    assert type(plain(value)) is type(shown)


BSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary(max_size=8)
    | st.datetimes()
    | st.builds(ObjectId)
    | st.builds(DatetimeMS, st.integers(-(2**62), 2**62))
    | st.sampled_from([Decimal128("NaN"), MinKey(), MaxKey(), Regex("x"), Timestamp(0, 0), Code("y")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(BSON)
def test_no_value_keeps_a_message_from_being_sent(value: Any) -> None:
    orjson.loads(orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS))


def test_what_is_nested_too_deeply_is_cut() -> None:
    value: Any = 1
    for _ in range(5000):
        value = {"a": [value]}
    assert b"nested too deeply" in orjson.dumps(plain(value))


@pytest.mark.parametrize(
    "value", [OID, "x", 1, Int64(1), 1.0, True, None, {"a": 1}, Decimal128("1"), SOME_UUID]
)
def test_the_name_of_a_task_leads_back_to_it(value: Any) -> None:
    value = Binary.from_uuid(value) if isinstance(value, UUID) else value
    found = candidate_ids(wire_id(value))[0]
    assert key_of(found) == key_of(value)  # the same `_id` to MongoDB, whose 1 is one in every type


@pytest.mark.parametrize(
    "name",
    [
        '{"$ne": null}',
        '{"$gt": ""}',
        "[1]",
        '{"$regularExpression": {"pattern": "", "options": ""}}',
        "{",
        '{"$numberLong": "99999999999999999999"}',
        '{"a\\u0000b": 1}',
        '{"a": "\\ud800"}',
    ],
)
def test_a_name_is_never_a_question(name: str) -> None:
    assert candidate_ids(name) == [name]


def test_an_object_id_wins_over_a_text_that_reads_like_one() -> None:
    assert candidate_ids(str(OID)) == [OID, str(OID)]
    assert candidate_ids(str(OID).upper()) == [str(OID).upper()]


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
def test_times_come_in_the_forms_writers_use(value: Any, shown: str | None) -> None:
    assert moment(value) == shown


@pytest.mark.parametrize(
    "name", ["task:pr_opened", "PR_OPENED", "prOpened", "pr-opened", "Task PR opened", "PrOpened"]
)
def test_the_spellings_of_a_name_are_one(name: str) -> None:
    assert snake(name) == "pr_opened"


def test_texts_are_bounded_and_numbers_are_whole() -> None:
    assert text("abcdef", 4) == "abc…"
    assert [text(value, 9) for value in (5, OID, True, None, [1])] == ["5", "65f0c0ff…", None, None, None]
    assert [number(value) for value in (5, 5.0, "5", 5.5, "x", True, 2**60, None)] == [5, 5, 5] + [None] * 5


def test_the_clock_of_python_is_not_asked() -> None:
    assert moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
