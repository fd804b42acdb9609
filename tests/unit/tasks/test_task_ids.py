"""The `taskId` of an `_id`, and the way back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from bson import (
    Binary,
    Decimal128,
    Int64,
    ObjectId,
)

from relay.source.change import key_of
from relay.tasks.task_ids import candidate_ids, wire_id

OID = ObjectId("65f0c0ffee65f0c0ffee65f0")
SOME_UUID = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    "value", [OID, "x", 1, Int64(1), 1.0, True, None, {"a": 1}, Decimal128("1"), SOME_UUID]
)
def test_a_task_id_leads_back_to_its_id(value: Any) -> None:
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
def test_a_task_id_is_never_a_query(name: str) -> None:
    assert candidate_ids(name) == [name]


def test_an_object_id_comes_before_a_string_with_its_spelling() -> None:
    assert candidate_ids(str(OID)) == [OID, str(OID)]
    assert candidate_ids(str(OID).upper()) == [str(OID).upper()]
