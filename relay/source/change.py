"""What a change stream tells, as the stages after it know it. Pure.

Tuples are what comes with every change: a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from relay.source.identity import canonical
from relay.source.raw_bson import Document


@dataclass(frozen=True, slots=True)
class Inserted:
    """A document appeared, or was written whole (`replace`)."""

    document: Document


SPLIT: Mapping[str, Sequence[str]] = MappingProxyType({})


class Updated(NamedTuple):
    """The update description: values set by path, paths removed, arrays cut to a new size.

    `paths` holds the names along each path in which one has a dot; any other path is split at its dots. It is
    None where the database did not tell names and paths apart: "a.0" is then the first element of `a`, or a
    field of that name.
    """

    fields: Mapping[str, Any]
    removed: Sequence[str] = ()
    truncated: Sequence[tuple[str, int]] = ()
    paths: Mapping[str, Sequence[str]] | None = SPLIT


UNTOLD = Updated({}, (), (), None)  # of an update that was told in no way that we know


@dataclass(frozen=True, slots=True)
class Replaced:
    """The document was written whole; what changed in it is not told. `update`: it was not, but what this
    update did can only be told by comparing the document that was read after it."""

    document: Document
    update: Updated | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The document is gone; all that is left is its `_id`."""


Operation = Inserted | Updated | Replaced | Deleted


class Change(NamedTuple):
    """One change of one task.

    `key` is the task's identity inside the relay (see `key_of`), `time` the cluster time, `wall_ms` the
    database's wall clock as milliseconds since 1970; `grouped`: it is part of a transaction, whose
    changes have one cluster time.
    """

    key: bytes
    id: Any
    time: Timestamp
    wall_ms: int | None
    operation: Operation
    grouped: bool = False


def key_of(document_id: Any) -> bytes:
    """The identity of a task: the same bytes for every `_id` that MongoDB calls equal, and for no other.

    Python's equality would make one task of 1 and True, and `_id`s may be unhashable documents.
    """
    return canonical(document_id)


@dataclass(frozen=True, slots=True)
class Invalidated:
    """The collection was dropped or renamed, which ends the stream; `token` is where to go on."""

    token: RawBSONDocument


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A change of a shape that we do not know: what it says, and of which task, is lost."""

    time: Timestamp
