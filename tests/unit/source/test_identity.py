"""Ids that MongoDB treats as equal have one identity and one task id, which leads back to the stored `_id`."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import support.bson_bytes as raw
from bson import CodecOptions
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from relay.source.change import Change, Inserted, key_of
from relay.source.decoder import Decoder
from relay.source.events import read_change
from relay.source.identity import RawId, among
from relay.tasks.task_ids import candidate_ids, wire_id

DECODER = Decoder("events")
RAW = CodecOptions(document_class=RawBSONDocument)
real = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name].get_collection("tasks", codec_options=RAW)


def read_id(element: raw.Element) -> Any:
    return DECODER.document(raw.stored(("_id", element)).raw)["_id"]


def insert(tasks: Any, element: raw.Element) -> bool:
    """Insert a document with this `_id`. Return whether there was none with an equal `_id`."""
    command = {"insert": tasks.name, "documents": [raw.stored(("_id", element))]}
    # The driver cannot decode every `_id` that an error repeats.
    reply = tasks.database.command(command, codec_options=RAW)
    return bool(reply["n"])


def spelled(element: raw.Element) -> str:
    return f'{{"$bson": "{b64encode(element).decode()}"}}'


def two_of(ids: Any) -> Any:
    """Two values, often two encodings of one value."""
    return st.tuples(ids, ids) | st.lists(raw.NUMBERS | raw.TEXTS, min_size=2, max_size=2).map(
        lambda two: tuple(raw.document(("a", raw.array(one))) for one in two)
    )


SEVEN = [
    raw.int32(7),
    raw.int64(7),
    raw.double(7),
    raw.decimal("7.0"),
    raw.decimal("7E0"),
    raw.decimal("0.7E1"),
]


@real
@example((raw.symbol("a"), raw.text("a")))
@example((raw.code("a"), raw.text("a")))
@example((raw.double(-0.0), raw.decimal("0E5")))
@example((raw.document(("a", raw.NULL)), raw.document(("a", raw.UNDEFINED))))
@example((raw.text(b"\xff"), raw.text(b"\xfe")))
@example((raw.document(("a", raw.TRUE), ("b", raw.TRUE)), raw.document(("b", raw.TRUE), ("a", raw.TRUE))))
@given(two_of(raw.IDS) | two_of(raw.NUMBERS))
def test_two_ids_are_equal_exactly_when_mongodb_treats_them_as_equal(
    tasks: Any, two: tuple[raw.Element, raw.Element]
) -> None:
    tasks.delete_many({})
    assert insert(tasks, two[0])
    equal = not insert(tasks, two[1])
    one, other = map(read_id, two)
    assert (key_of(one) == key_of(other)) is equal
    assert (wire_id(one) == wire_id(other)) is equal or isinstance(one, str) != isinstance(other, str)


@real
@given(raw.IDS)
def test_every_id_that_mongodb_accepts_is_found_by_its_task_id(tasks: Any, element: raw.Element) -> None:
    tasks.delete_many({})
    tasks.insert_one(raw.stored(("_id", element)))
    (stored,) = tasks.find()
    task_id = wire_id(read_id(element))
    # A string that looks like an ObjectId comes second, after the ObjectId.
    (found,) = [one for one in candidate_ids(task_id) if key_of(one) == key_of(read_id(element))]
    assert wire_id(found) == task_id
    assert [one.raw for one in tasks.find(among(candidate_ids(task_id)))] == [stored.raw]


def test_equal_numbers_have_one_task_id_and_no_other_spelling_is_accepted() -> None:
    assert {wire_id(read_id(one)) for one in SEVEN} == {'{"$numberInt": "7"}'}
    for name in (
        '{"$numberLong": "7"}',
        '{"$numberDouble": "7.0"}',
        '{"$numberDecimal": "7"}',
        '{"$numberInt":"7"}',
    ):
        assert candidate_ids(name) == [name]


@given(st.binary(max_size=40) | raw.VALUES.map(lambda one: one[:-1]) | raw.VALUES)
def test_bytes_from_a_client_never_become_a_query_operator(element: bytes) -> None:
    """A `taskId` may contain BSON. Only values that can be the `_id` of a document reach the database."""
    name = spelled(element)
    *named, text = candidate_ids(name)
    assert text == name
    for one in named:
        assert isinstance(one, RawId)
        assert wire_id(one) == name
        assert one.element == key_of(one)


@pytest.mark.parametrize(
    "element",
    [raw.pattern("a"), raw.array(raw.TRUE), raw.UNDEFINED, raw.document(("$gt", raw.code(b"\xff")))],
)
def test_a_value_that_cannot_be_an_id_is_no_candidate(element: raw.Element) -> None:
    name = spelled(element)
    assert candidate_ids(name) == [name]


@given(raw.IDS)
def test_a_change_has_the_same_task_id_as_its_document(element: raw.Element) -> None:
    document = raw.document(("_id", element))
    event = raw.document(
        ("_id", raw.document(("_data", raw.text("82")))),
        ("operationType", raw.text("insert")),
        ("clusterTime", raw.timestamp(5, 1)),
        ("fullDocument", document),
        ("documentKey", document),
    )
    change = read_change(event[1:], DECODER)
    assert isinstance(change, Change)
    assert isinstance(change.operation, Inserted)
    assert (
        key_of(change.id)
        == key_of(change.operation.document["_id"])
        == change.key
        == key_of(read_id(element))
    )


@pytest.mark.parametrize("levels", [180, 181, 1000])
def test_a_value_nested_deeper_than_mongodb_stores_is_no_id(levels: int) -> None:
    element = raw.NULL
    for _ in range(levels):
        element = raw.document(("a", element))
    if levels > 180:
        with pytest.raises(InvalidBSON):
            key_of(RawId(element))
    else:
        assert key_of(candidate_ids(wire_id(RawId(element)))[0]) == key_of(RawId(element))
