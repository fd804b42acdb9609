"""A raw change event -> Change: all knowledge of the stream's BSON shapes. Pure.

Rules of this file: it never raises on what the server may send, it decides nothing about meaning,
an operation it does not know becomes nothing (the position still moves past it), and one it knows in a
shape it does not know becomes Unreadable.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import bson
from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from relay.source.arrays import Decoder, Document

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inserted:
    """A document appeared, or was written whole (`replace`)."""

    document: Document


@dataclass(frozen=True, slots=True)
class Updated:
    """The update description: values set by path, paths removed, arrays cut to a new size."""

    fields: Mapping[str, Any]
    removed: Sequence[str] = ()
    truncated: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class Replaced:
    """The document was written whole; what changed in it is not told."""

    document: Document


@dataclass(frozen=True, slots=True)
class Deleted:
    """The document is gone; all that is left is its `_id`."""


Operation = Inserted | Updated | Replaced | Deleted


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one task.

    `key` is the task's identity inside the relay (see `key_of`), `time` the cluster time, `wall` the
    database's wall clock, UTC and naive as BSON dates are; `grouped`: it is part of a transaction, whose
    changes have one cluster time.
    """

    key: bytes
    id: Any
    time: Timestamp
    wall: datetime | None
    operation: Operation
    grouped: bool = False


def key_of(document_id: Any) -> bytes:
    """The identity of a task: the BSON of its `_id`.

    Python's equality would make one task of 1, 1.0 and True, and `_id`s may be unhashable documents.
    """
    return bson.encode({"": document_id})


@dataclass(frozen=True, slots=True)
class Invalidated:
    """The collection was dropped or renamed, which ends the stream; `token` is where to go on."""

    token: RawBSONDocument


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A change of a shape that we do not know: what it says, and of which task, is lost."""

    time: Timestamp


def read_change(raw: RawBSONDocument, decoder: Decoder) -> Change | Invalidated | Unreadable | None:
    """What one element of a change stream's batch says; None for operations of no concern."""
    try:
        event = decoder.change(bytes(raw.raw))
        if event.get("operationType") == "invalidate":
            return Invalidated(raw["_id"])
        return _change(event)
    except Exception as failure:  # whatever the shape, the stream has to go on
        log.error(
            "a change could not be read", extra={"error": type(failure).__name__, "bytes": len(raw.raw)}
        )
        return Unreadable(_time_of(raw))


def _change(event: Document) -> Change | None:
    operation = _operation(event)
    if operation is None:
        return None
    document_id, time, wall = event["documentKey"]["_id"], event["clusterTime"], event.get("wallTime")
    if not isinstance(time, Timestamp):
        raise TypeError("clusterTime")
    return Change(
        key_of(document_id),
        document_id,
        time,
        wall if isinstance(wall, datetime) else None,
        operation,
        "txnNumber" in event,
    )


def _time_of(raw: RawBSONDocument) -> Timestamp:
    """When the change was made, from what of it can be read; the beginning of time if nothing can."""
    try:
        return token_time(raw["_id"])
    except Exception:  # as above
        return Timestamp(0, 0)


def _operation(event: Document) -> Operation | None:
    match event.get("operationType"):
        case "insert":
            return Inserted(_document(event))
        case "update":
            described = event["updateDescription"]
            fields = described.get("updatedFields") or {}
            removed = described.get("removedFields") or ()
            cuts = described.get("truncatedArrays") or ()
            if not isinstance(fields, dict) or not all(isinstance(path, str) for path in removed):
                raise TypeError("updateDescription")
            return Updated(fields, removed, [(str(cut["field"]), int(cut["newSize"])) for cut in cuts])
        case "replace":
            return Replaced(_document(event))
        case "delete":
            return Deleted()
        case _:
            return None  # drop and rename among them: an invalidate follows


def _document(event: Document) -> Document:
    document: Document = event["fullDocument"]
    if "_id" not in document:
        raise ValueError("fullDocument")
    return document


def token_time(token: Mapping[str, Any]) -> Timestamp:
    """The cluster time inside a resume token.

    `_data` is hexadecimal: 0x82, then a big-endian Timestamp (seconds, increment). The format is the
    server's own, so it is checked at start against a known time. Raises ValueError when it differs.
    """
    data = token.get("_data")
    if not isinstance(data, str):
        raise ValueError("a resume token without _data text")
    head = bytes.fromhex(data[:18])
    if len(head) != 9 or head[0] != 0x82:
        raise ValueError("a resume token of an unknown format")
    return Timestamp(int.from_bytes(head[1:5], "big"), int.from_bytes(head[5:9], "big"))
