"""Values at dotted paths of a document."""

from __future__ import annotations

from typing import Any

import pytest
from bson import DBRef

from relay.tasks.paths import array_index, at_path, fields_of, first_present

DOCUMENT = {"a": {"b": {"c": 1}, "n": None}, "list": [{"b": 2}], "x": 0, "ref": DBRef("tasks", 7)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("x", 0),
        ("a.b.c", 1),
        ("a.b", {"c": 1}),
        ("a.n", None),
        ("a.missing.c", None),
        ("x.b", None),
        ("list.b", None),  # a candidate of a summary is one value, so arrays are not searched
        ("list.0", None),
        ("ref.$id", 7),
    ],
)
def test_a_path_leads_through_sub_documents_only(path: str, value: Any) -> None:
    assert at_path(DOCUMENT, path) == value


def test_the_first_candidate_that_is_not_null_counts() -> None:
    assert first_present((DOCUMENT,), ("a.n", "missing", "x", "a.b.c")) == 0
    assert first_present(({}, DOCUMENT), ("a.b.c", "x")) == 1
    assert first_present((DOCUMENT,), ("missing",)) is None


def test_a_reference_has_the_fields_that_mongodb_finds_in_it() -> None:
    assert fields_of(DBRef("tasks", 7)) == {"$ref": "tasks", "$id": 7}
    assert fields_of(5) == 5


@pytest.mark.parametrize("name", ["", "00", "01", "-1", "1.0", "a", "\u0663", "12345678"])
def test_a_name_that_mongodb_takes_for_no_index_is_none(name: str) -> None:
    assert array_index(name) is None


@pytest.mark.parametrize(("name", "index"), [("0", 0), ("7", 7), ("1234567", 1234567)])
def test_a_number_without_leading_zeros_is_an_index(name: str, index: int) -> None:
    assert array_index(name) == index
