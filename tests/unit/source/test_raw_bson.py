"""Reading parts of BSON without decoding gives the same values as a full decode, for every type."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st
from support import bson_bytes

from relay.source.change import Change, Inserted
from relay.source.decoder import Decoder
from relay.source.events import read_change
from relay.source.raw_bson import LENIENT, RawArray, decode_element, encode_element

NAMES = st.sampled_from(["events", "log", "a", "", "log.events"])
VALUES = st.recursive(
    st.sampled_from(
        [
            None,
            True,
            1,
            Int64(2),
            1.5,
            "text",
            b"bytes",
            Binary(b"xy", 5),
            ObjectId("65f0c0ffee65f0c0ffee65f0"),
            datetime(2026, 1, 2),
            Decimal128("1.5"),
            Regex("a+", "i"),
            Code("x()"),
            Code("x()", {"y": 1}),
            Timestamp(1, 2),
            MinKey(),
            MaxKey(),
        ]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=5)


def whole(value: Any) -> Any:
    """Return the document with its raw arrays decoded."""
    if isinstance(value, RawArray):
        return [decode_element(element) for element in value.elements()]
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return value


@given(DOCUMENTS, st.sampled_from(["events", "log.events", "log.a"]))
def test_a_document_read_by_parts_equals_a_full_decode(document: Any, path: str) -> None:
    raw = bson.encode(document)
    assert whole(Decoder(path).document(raw)) == bson.decode(raw, codec_options=LENIENT)


@given(DOCUMENTS, st.sampled_from(["events", "log.events", "log.a"]))
def test_a_change_read_by_parts_equals_a_full_decode(fields: Any, path: str) -> None:
    raw = bson.encode({"fullDocument": fields, "updateDescription": {"updatedFields": fields}, "x": 1})
    assert whole(Decoder(path).change(raw)) == bson.decode(raw, codec_options=LENIENT)


@pytest.mark.parametrize("path", ["events", "log.events"])
def test_the_events_array_is_not_decoded(path: str) -> None:
    decoder = Decoder(path)
    document = {"events": [1]} if path == "events" else {"log": {"events": [1]}}
    for shape in ({"fullDocument": document}, {"updateDescription": {"updatedFields": document}}):
        assert "RawArray" in str(decoder.change(bson.encode(shape)))
    changed = decoder.change(bson.encode({"updateDescription": {"updatedFields": {path: [1, "x"]}}}))
    assert isinstance(changed["updateDescription"]["updatedFields"][path], RawArray)
    assert "RawArray" in str(decoder.document(bson.encode(document)))


@given(st.lists(VALUES, max_size=120))
def test_elements_are_the_values_in_order(values: list[Any]) -> None:
    document = Decoder("a").document(bson.encode({"a": values}))
    elements = document["a"].elements()
    assert elements == [encode_element(value) for value in values]
    assert [decode_element(element) for element in elements] == values


ELEMENTS = st.lists(st.sampled_from([{"n": 1}, {"n": 2}, {}, None, 1, "text", ["a"]]), max_size=6)


@given(ELEMENTS, st.integers(0, 6), ELEMENTS, ELEMENTS)
def test_elements_do_not_depend_on_the_elements_before_them(
    old: list[Any], dropped: int, added: list[Any], other: list[Any]
) -> None:
    array = RawArray(bson.encode({str(index): value for index, value in enumerate(old[dropped:] + added)}))
    for before in (old, other):
        assert array.elements([encode_element(value) for value in before]) == array.elements()


def test_a_field_name_that_resembles_encoded_elements_is_a_name() -> None:
    before = [encode_element(value) for value in ({}, None, {})]
    array = RawArray(bson.encode({"0": {}, "1\n\x032": {}}))
    assert array.elements(before) == [encode_element({})] * 2


def test_invalid_bson_raises_invalid_bson_and_does_not_loop() -> None:
    array = bson.encode({"0": {"a": 1}, "1": "x"})
    for cut in range(len(array)):
        with pytest.raises(InvalidBSON):
            RawArray(array[:cut]).elements()
    looping = bytearray(array)
    looping[7:11] = (0).to_bytes(4, "little")  # a document with length 0
    with pytest.raises(InvalidBSON):
        RawArray(bytes(looping)).elements()
    looping[7:11] = (-4).to_bytes(4, "little", signed=True)
    with pytest.raises(InvalidBSON):
        RawArray(bytes(looping)).elements()
    assert decode_element(b"\x99") == "[undecodable]"


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_but_invalid_bson(raw: bytes) -> None:
    with suppress(InvalidBSON):
        RawArray(raw).elements()


def test_the_events_array_of_a_document_in_a_memoryview_is_not_decoded() -> None:
    """The driver returns memoryviews of a long reply."""
    raw = bson.encode({"_id": 1, "events": [1, 2]})
    decoder = Decoder("events")
    assert decoder.document(memoryview(raw)) == decoder.document(raw)  # type: ignore[arg-type]


def test_a_document_with_the_fields_of_a_dbref_is_read_as_a_document() -> None:
    """The driver would decode it as a DBRef, which loses its fields."""
    history = bson_bytes.document(*bson_bytes.REFERENCE, ("items", bson_bytes.array(bson_bytes.TRUE)))
    stored = bson_bytes.document(("_id", bson_bytes.int32(1)), *bson_bytes.REFERENCE, ("history", history))
    event = bson_bytes.document(
        ("operationType", bson_bytes.text("insert")),
        ("clusterTime", bson_bytes.timestamp(5, 1)),
        ("fullDocument", stored),
        ("documentKey", bson_bytes.document(("_id", bson_bytes.int32(1)))),
    )
    decoder = Decoder("history.items")
    change = read_change(event[1:], decoder)
    assert isinstance(change, Change)
    assert isinstance(change.operation, Inserted)
    for document in (decoder.document(stored[1:]), change.operation.document):
        assert document["$ref"] == "c"
        assert document["history"]["items"].elements() == [bson_bytes.TRUE]
