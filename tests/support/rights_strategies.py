"""Hypothesis strategies for documents, paths of visibility rules and claims of tokens, of which many match."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import support.bson_bytes as raw

# Documents with values of every type, in fields that the mappings below read.

NAMES = ("x", "x", "y", "y", "0", "items")


def containers(inner: Any) -> Any:
    fields = st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3, unique_by=lambda field: field[0])
    return (
        st.lists(inner, max_size=3).map(lambda elements: raw.array(*elements))
        | fields.map(lambda listed: raw.document(*listed))
        | fields.map(lambda listed: raw.document(*raw.REFERENCE, *listed))
        | fields.map(lambda listed: raw.array(raw.document(*raw.REFERENCE, *listed), raw.pointer("a")))
        | fields.map(lambda listed: raw.scoped("a", raw.document(*listed)))
    )


# Values that a rule may match are drawn more often than others.
UUID = "61616161-6161-6161-6161-616161616161"  # of sixteen bytes that are all "a"
MATCHING = st.sampled_from(
    [raw.text("a")] * 7
    + [raw.symbol("a"), raw.object_id(b"x"), raw.double(7), raw.decimal("7.0"), raw.binary(3, b"a" * 16)]
)
ODD = st.sampled_from([raw.NULL, raw.UNDEFINED, raw.pointer("a")]) | raw.plain() | raw.NESTED_ONLY


@st.composite
def scalars(draw: Any) -> raw.Element:
    return draw(MATCHING if draw(st.integers(0, 2)) else ODD)


ANY = st.recursive(scalars(), containers, max_leaves=6)


@st.composite
def values(draw: Any) -> raw.Element:
    """Any value; half of them have fields that the paths of the mappings lead through."""
    if draw(st.booleans()):
        return draw(ANY)
    value = draw(scalars())
    for step in draw(st.sampled_from([(), ("array",), ("x",), ("y",), ("y", "array"), ("x", "array", "x")])):
        reference = raw.REFERENCE if draw(st.booleans()) else ()
        beside = [draw(scalars()) for _ in range(draw(st.integers(0, 1)))]
        value = raw.array(value, *beside) if step == "array" else raw.document(*reference, (step, value))
    return value


FIELDS = st.fixed_dictionaries({"x": values()}, optional=dict.fromkeys(("y", "h"), values()))

PATHS = st.lists(
    st.sampled_from(
        ["x", "x", "x", "y", "h", "x.y", "x.x", "x.0", "h.x", "h.y", "x.x.y", "h.0.x", "_id", "_id.x"]
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
CLAIMS = st.fixed_dictionaries(
    {
        "sub": st.sampled_from(["a", "a", "a", "78" * 12, "\ufffd", 7]),
        "teams": st.sampled_from(
            ["a", ["a", 7.0], ["a", "\ufffd"], ["78" * 12, None], ["b", ""], ["a", UUID]]
        ),
    }
)
