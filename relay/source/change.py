"""The changes of a change stream, as values for the stages after it. Pure.

`Change` and `Updated` are named tuples because the relay makes one for every change: a frozen dataclass takes five
times as long to make.
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
    """A document was inserted."""

    document: Document


SPLIT: Mapping[str, Sequence[str]] = MappingProxyType({})


class Updated(NamedTuple):
    """An update: values set by path, paths removed, and arrays cut to a new length.

    `paths` has an entry for each path with a name that contains a dot: the names along that path. Every other path is
    split at its dots. `paths` is None if the database did not say which dots separate names: "a.0" is then either the
    first element of `a` or a field called "a.0".
    """

    fields: Mapping[str, Any]
    removed: Sequence[str] = ()
    truncated: Sequence[tuple[str, int]] = ()
    paths: Mapping[str, Sequence[str]] | None = SPLIT


UNKNOWN_UPDATE = Updated(
    {}, (), (), None
)  # an update whose description has a form that the relay does not know


@dataclass(frozen=True, slots=True)
class Replaced:
    """A document was replaced, without a description of what changed in it.

    If `update` is set, the writer updated the document instead, and the update could be read in two ways. `document`
    is then the document that was read after the update, to be compared with the one before it.
    """

    document: Document
    update: Updated | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A document was deleted. The change holds nothing of it but the `_id`."""


Operation = Inserted | Updated | Replaced | Deleted


class Change(NamedTuple):
    """One change of one task.

    `key` identifies the task inside the relay (see `key_of`). `time` is the cluster time, `wall_ms` the wall clock of
    the database in milliseconds since 1970, None if the server did not send it. `grouped` is true for a change of a
    transaction: all changes of a transaction have one cluster time.
    """

    key: bytes
    id: Any
    time: Timestamp
    wall_ms: int | None
    operation: Operation
    grouped: bool = False


def key_of(document_id: Any) -> bytes:
    """The key that identifies a task: equal for two `_id`s exactly if MongoDB treats them as equal.

    The `_id` itself cannot be the key: to Python 1 and True are equal, and an `_id` may be a document, which has no
    hash.
    """
    return canonical(document_id)


@dataclass(frozen=True, slots=True)
class Invalidated:
    """The collection was dropped or renamed, which ends the stream. A new stream can start after `token`."""

    token: RawBSONDocument


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A change event that the relay cannot read. Its task is unknown, so every listener has to be resynced."""

    time: Timestamp
