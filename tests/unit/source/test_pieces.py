"""A large document that is decoded in pieces, and a reply that is parsed in groups."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import JSON

from relay.source import cursor, pieces, raw_bson
from relay.source.raw_bson import decode


@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=6), st.integers(1, 200))
def test_a_document_decoded_in_pieces_is_the_document(document: dict[str, Any], size: int) -> None:
    raw = bson.encode(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", size)
        patch.setattr(raw_bson, "LARGE", 1)
        assert bson.encode(decode(raw)) == raw  # by its BSON, because NaN equals nothing


def test_a_large_document_is_decoded_in_pieces_and_lenient_as_a_small_one() -> None:
    document = {"diff": {f"s{n}": {"u": {"v": n, "text": "x" * 100}} for n in range(10_000)}, "list": [1, 2]}
    raw = bson.encode(document)
    assert len(raw) > pieces.LARGE
    assert decode(raw) == document
    broken = raw.replace(b"xxx\0", b"xx\xff\0", 1)
    assert "�" in decode(broken)["diff"]["s0"]["u"]["text"]
    with pytest.raises(InvalidBSON):
        decode(raw[:-1])


@given(st.lists(st.integers(0, 12).map(bytes), max_size=12))
def test_a_reply_is_parsed_in_groups_that_are_small_or_one_document(raws: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor, "PARSED_BYTES", 10)
        groups = [*cursor._divided(raws)]
    assert [raw for group in groups for raw in group] == raws
    assert all(len(group) == 1 or sum(map(len, group)) <= 10 for group in groups)
