"""Hypothesis strategies for decoded BSON values."""

from __future__ import annotations

from bson import (
    Code,
    DatetimeMS,
    Decimal128,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import strategies as st

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

# Values of JSON, in documents whose names MongoDB can store.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
