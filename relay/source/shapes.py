"""A raw change event -> Change: all knowledge of the stream's BSON shapes. Pure.

Rules of this file: it never raises on what the server may send, it decides nothing about meaning,
an operation it does not know becomes nothing (the position still moves past it), and one it knows in a
shape it does not know becomes Unreadable. Nearly all changes are updates that only set fields: those are
read where their parts stand, which brings what decoding them whole would have brought.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from relay.source.arrays import Decoder, Document, decode, opened
from relay.source.changes import (
    Change,
    Deleted,
    Inserted,
    Invalidated,
    Operation,
    Replaced,
    Unreadable,
    Updated,
    key_of,
)
from relay.source.identity import exact_id, field

log = logging.getLogger(__name__)

# The parts of an update that only sets fields, in the server's order, each with its type and its name.
_TOKEN = b"\x03_id\0"
_TIME = b"\x02operationType\0\x07\0\0\0update\0\x11clusterTime\0"
_WALL = b"\x09wallTime\0"
_NAMESPACE = b"\x03ns\0"
_KEY = b"\x03documentKey\0"
_DESCRIPTION = b"\x03updateDescription\0"
_FIELDS = b"\x03updatedFields\0"
_NOTHING_ELSE = b"\x04removedFields\0\x05\0\0\0\0\x04truncatedArrays\0\x05\0\0\0\0\0\0"

_LENGTH = 4  # bytes of a length, which counts itself
_TO_TOKEN = Struct(f"<i{len(_TOKEN)}si")
_TO_NAMESPACE = Struct(f"<{len(_TIME)}sII{len(_WALL)}sq{len(_NAMESPACE)}si")
_TO_KEY = Struct(f"<{len(_KEY)}si")
_TO_FIELDS = Struct(f"<{len(_DESCRIPTION)}si{len(_FIELDS)}si")

_EPOCH = datetime(1970, 1, 1)
_YEAR_10000_MS = 253_402_300_800_000
_IDS_CACHED = 10_000
_LONGEST_CACHED = 128  # bytes of a documentKey


def read_changes(
    batch: Sequence[bytes], decoder: Decoder
) -> Iterator[Change | Invalidated | Unreadable | None]:
    """What each element of a change stream's batch says; None for operations of no concern."""
    usual = [_fields_set(raw) for raw in batch]
    fields = iter(decoder.fields([one[1] for one in usual if one is not None]))
    for raw, one in zip(batch, usual, strict=True):
        if one is None or (set_to := next(fields)) is None:
            yield read_change(raw, decoder)
        else:
            yield Change(*one[0], Updated(set_to))


def read_change(raw: bytes, decoder: Decoder) -> Change | Invalidated | Unreadable | None:
    """The same of one element, of any shape."""
    try:
        event = decoder.change(raw)
        if event.get("operationType") == "invalidate":
            return Invalidated(RawBSONDocument(raw)["_id"])
        return _change(event, raw)
    except Exception as failure:  # whatever the shape, the stream has to go on
        log.error("a change could not be read", extra={"error": type(failure).__name__, "bytes": len(raw)})
        return Unreadable(_time_of(raw))


def _fields_set(raw: bytes) -> tuple[tuple[bytes, Any, Timestamp, int], bytes] | None:
    """Of an update that only sets fields what a Change begins with, and the fields, still BSON; None for any
    other change, and for one that is broken."""
    try:
        size, token, length = _TO_TOKEN.unpack_from(raw)
        at = _TO_TOKEN.size - _LENGTH + length
        time, increment, seconds, wall, wall_ms, namespace, length = _TO_NAMESPACE.unpack_from(raw, at)
        at += _TO_NAMESPACE.size - _LENGTH + length
        key, key_length = _TO_KEY.unpack_from(raw, at)
        key_at = at + len(_KEY)
        at = key_at + key_length
        description, _, fields, length = _TO_FIELDS.unpack_from(raw, at)
        at += _TO_FIELDS.size - _LENGTH
        if (
            raw[at + length :] != _NOTHING_ELSE
            or (size, token, time, wall) != (len(raw), _TOKEN, _TIME, _WALL)
            or (namespace, key, description, fields) != (_NAMESPACE, _KEY, _DESCRIPTION, _FIELDS)
            or not 0 <= wall_ms < _YEAR_10000_MS
        ):
            return None
        identify = _identity if key_length <= _LONGEST_CACHED else _identity.__wrapped__
        task, document_id = identify(raw[key_at : key_at + key_length])
        return (task, document_id, Timestamp(seconds, increment), wall_ms), raw[at : at + length]
    except Exception:  # whatever is broken, `read_change` sees it as well
        return None


@lru_cache(_IDS_CACHED)
def _identity(document_key: bytes) -> tuple[bytes, Any]:
    """The `_id` in a documentKey, and before it its key."""
    document_id = exact_id(decode(document_key)["_id"], document_key)
    return key_of(document_id), document_id


def _change(event: Document, raw: bytes) -> Change | None:
    operation = _operation(event)
    if operation is None:
        return None
    time, wall = event["clusterTime"], event.get("wallTime")
    if not isinstance(time, Timestamp):
        raise TypeError("clusterTime")
    document_id = exact_id(event["documentKey"]["_id"], field(raw, b"documentKey"))
    if isinstance(operation, Inserted | Replaced):
        operation.document["_id"] = document_id
    return Change(
        key_of(document_id),
        document_id,
        time,
        (wall - _EPOCH) // timedelta(milliseconds=1) if isinstance(wall, datetime) else None,
        operation,
        "txnNumber" in event,
    )


def _time_of(raw: bytes) -> Timestamp:
    """When the change was made, from what of it can be read; the beginning of time if nothing can."""
    try:
        return token_time(RawBSONDocument(raw)["_id"])
    except Exception:  # as above
        return Timestamp(0, 0)


def _operation(event: Document) -> Operation | None:
    match event.get("operationType"):
        case "insert":
            return Inserted(_document(event))
        case "update":
            described = event["updateDescription"]
            fields = opened(described.get("updatedFields")) or {}
            removed = described.get("removedFields") or ()
            cuts = described.get("truncatedArrays") or ()
            if not isinstance(fields, dict) or not all(isinstance(path, str) for path in removed):
                raise TypeError("updateDescription")
            return Updated(fields, removed, tuple((str(cut["field"]), int(cut["newSize"])) for cut in cuts))
        case "replace":
            return Replaced(_document(event))
        case "delete":
            return Deleted()
        case _:
            return None  # drop and rename among them: an invalidate follows


def _document(event: Document) -> Document:
    document: Document = opened(event["fullDocument"])
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
