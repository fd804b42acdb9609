"""The types that hold what a change stream says: one Change for each change of a task (a document). Pure.

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
    """The operation of a change by which a document was inserted. `document` is the new document."""

    document: Document


# The value of `Updated.paths` if no name in the paths contains a dot: every path is split at its dots.
SPLIT: Mapping[str, Sequence[str]] = MappingProxyType({})


class Updated(NamedTuple):
    """The operation of a change that set values by path, removed paths, and cut arrays to a new length.

    `truncated` holds the path and the new length of each array that was cut. `paths` has an entry for each path with a
    name that contains a dot: the names along that path. Every other path is split at its dots. `paths` is None if the
    database did not say which dots separate names: "a.0" is then either the first element of `a` or a field called
    "a.0".
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
    """The operation of a change that replaced a document, and does not describe what became different.

    `document` is the new document. If `update` is set, the writer did not replace the document but updated it, and
    `update` can be understood in two ways. `document` is then the document as it was read after the update, to be
    compared with the document before the update.
    """

    document: Document
    update: Updated | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The operation of a change by which a document was deleted. Only the `_id` of the document is known."""


Operation = Inserted | Updated | Replaced | Deleted


class Change(NamedTuple):
    """One change of one task.

    `key` identifies the task inside the relay: it is equal for two `_id`s exactly if MongoDB treats them as equal. `id`
    is the task's `_id`. `time` is the cluster time. `wall_ms` is the wall clock of the database in milliseconds since
    1970, None if the server did not send it. `grouped` is true for a change of a transaction: all changes of a
    transaction have one cluster time.
    """

    key: bytes
    id: Any
    time: Timestamp
    wall_ms: int | None
    operation: Operation
    grouped: bool = False


def key_of(document_id: Any) -> bytes:
    """Return the key that identifies a task: equal for two `_id`s exactly if MongoDB treats them as equal.

    The `_id` itself cannot be the key: to Python 1 and True are equal, and an `_id` may be a document, which has no
    hash.
    """
    return canonical(document_id)


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Says that the collection was dropped or renamed, which ends the change stream.

    A new stream can start after the resume token `token`.
    """

    token: RawBSONDocument


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a change event that the relay cannot read.

    The task that changed is unknown, so every listener has to be brought up to date from the documents. `time` is the
    cluster time of the event, Timestamp(0, 0) if it cannot be read either.
    """

    time: Timestamp


def just_before(time: Timestamp) -> Timestamp:
    """Return the greatest cluster time that is less than `time`."""
    return Timestamp(time.time, time.inc - 1) if time.inc else Timestamp(time.time - 1, 2**32 - 1)
