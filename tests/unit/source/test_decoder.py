"""The array of events is cut out of a document at any depth, and the rest is as if the array had not been there."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st

from relay.source.decoder import cut_out

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.lists(NAMES, min_size=1, max_size=3))
def test_an_array_is_cut_out_at_any_depth(document: dict[str, Any], path: list[str]) -> None:
    *holders, name = path
    holder: Any = document
    for one in holders:
        holder = holder.get(one) if isinstance(holder, dict) else None
    cut = cut_out(bson.encode(document), [one.encode() for one in path])
    if not isinstance(holder, dict) or not isinstance(holder.get(name), list):
        assert cut is None
        return
    assert cut is not None
    left, array = cut
    assert list(bson.decode(array.raw).values()) == holder.pop(name)
    assert left == bson.encode(document)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), NAMES, st.data())
def test_nothing_is_cut_out_of_a_document_that_is_cut_off(
    document: dict[str, Any], name: str, data: st.DataObject
) -> None:
    whole = bson.encode({name: [document]})
    begun = len(b"\x04" + name.encode() + b"\0")  # the array's own type and name
    raw = bytearray(whole[: data.draw(st.integers(4 + begun + 1, len(whole) - 1))])
    raw[-1] = 0
    raw[:4] = len(raw).to_bytes(4, "little")  # so that only its fields tell that something is missing
    with pytest.raises(InvalidBSON):
        cut_out(bytes(raw), [name.encode()])
