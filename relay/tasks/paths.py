"""Values at dotted paths of a document, which a mapping names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from relay.source.identity import RawId, document_of
from relay.source.raw_bson import decode, opened

Document = dict[str, Any]


@lru_cache(maxsize=4096)
def array_index(name: str) -> int | None:
    """The array index that a part of a path stands for; None where it can only be the name of a field."""
    # Seven digits suffice for every array of MongoDB: a document has at most 16 MB.
    if name.isascii() and name.isdigit() and len(name) <= 7 and (name == "0" or name[0] != "0"):
        return int(name)
    return None


def at_path(document: Any, path: str) -> Any:
    """The value at a dotted path through sub-documents; None if there is none."""
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
    """A value that has fields in MongoDB as a mapping, whatever class the driver or the relay made of it; any other
    value unchanged."""
    if isinstance(value, RawId):
        value = decode(document_of(value.element))[""]
    return opened(value)


def first_present(documents: Iterable[Any], paths: Sequence[str]) -> Any:
    """The first value that exists and is not null. The documents are searched in order, each at all paths in order."""
    for document in documents:
        for path in paths:
            value = at_path(document, path)
            if value is not None:
                return value
    return None
