"""Read the values at dotted paths of a document, such as `github.prUrl`; the mapping names these paths. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from relay.source.identity import RawId, document_of
from relay.source.raw_bson import decode, opened

Document = dict[str, Any]


@lru_cache(maxsize=4096)
def array_index(name: str) -> int | None:
    """Return the array index that one name in a dotted path may stand for; None if it can only name a field."""
    # Seven digits suffice for every array of MongoDB: a document has at most 16 MB.
    if name.isascii() and name.isdigit() and len(name) <= 7 and (name == "0" or name[0] != "0"):
        return int(name)
    return None


def at_path(document: Any, path: str) -> Any:
    """Return the value at a dotted path through sub-documents; None if there is no value, or if it is null.

    Arrays are not searched.
    """
    if type(document) is dict and "." not in path:  # the commonest case
        return document.get(path)
    for name in path.split("."):
        if not isinstance(document, dict):  # a cheap test, which spares most values the call below
            document = fields_of(document)
            if not isinstance(document, Mapping):
                return None
        document = document.get(name)
    return document


def fields_of(value: Any) -> Any:
    """Return a value as a mapping if MongoDB stores it as a document; return any other value unchanged.

    The driver turns a document with `$ref` and `$id` into a DBRef, and the relay keeps some `_id`s as raw BSON (RawId);
    both are converted.
    """
    if isinstance(value, RawId):
        value = decode(document_of(value.element))[""]
    return opened(value)


def first_present(documents: Iterable[Any], paths: Sequence[str]) -> Any:
    """Return the first value, at any of the paths in any of the documents, that exists and is not null; else None.

    The documents are searched in order, and each document at all paths in order.
    """
    for document in documents:
        for path in paths:
            value = at_path(document, path)
            if value is not None:
                return value
    return None
