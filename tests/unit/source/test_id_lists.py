"""The keys of many documents are read from a reply as they would be from each document."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import NAMES

from relay.source.change import key_of
from relay.source.id_lists import keys_in


def array_of(*documents: dict[str, Any]) -> bytes:
    return bson.encode({"": list(documents)})[6:-1]


SCALARS = NAMES | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans() | st.none() | st.binary()
IDS = SCALARS | st.dictionaries(NAMES, SCALARS, max_size=3)
OBJECT_IDS = st.binary(min_size=12, max_size=12).map(ObjectId)


@given(st.lists(OBJECT_IDS, max_size=120))
def test_object_ids_are_read_whatever_bytes_they_have(ids: list[ObjectId]) -> None:
    assert keys_in(array_of(*({"_id": id} for id in ids))) == [key_of(id) for id in ids]


def test_an_object_id_that_looks_like_the_start_of_the_next_document_is_one_id() -> None:
    ids = [ObjectId(b"\x031\0\x16\0\0\0\x07_id\0"), ObjectId(b"\0\x032\0\x16\0\0\0\x07_id"), ObjectId()]
    assert keys_in(array_of(*({"_id": id} for id in ids))) == [key_of(id) for id in ids]


@given(st.lists(IDS | OBJECT_IDS, max_size=20))
def test_ids_of_any_type_are_read_in_their_order(ids: list[Any]) -> None:
    assert keys_in(array_of(*({"_id": id} for id in ids))) == [key_of(id) for id in ids]


def test_equal_numbers_of_any_type_have_one_key() -> None:
    sevens = [7, Int64(7), 7.0, Decimal128("7")]
    assert len(set(keys_in(array_of(*({"_id": one} for one in sevens))))) == 1


def test_a_document_without_a_usable_id_is_left_out_and_counted() -> None:
    lost: list[int] = []
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    keys = keys_in(array_of({"_id": "a"}, {}, {"_id": deep}, {"_id": "b"}), lost.append)
    assert keys == [key_of("a"), key_of("b")]
    assert lost == [2]


def test_an_array_that_is_cut_off_is_refused() -> None:
    whole = array_of({"_id": "a"}, {"_id": "b"})
    for end in range(len(whole)):
        with pytest.raises(InvalidBSON):
            keys_in(whole[:end])
