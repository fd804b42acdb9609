"""Parse raw change events into `Change` values. Pure.

An event is one entry of MongoDB's change stream, as raw BSON; a task is a document of the followed collection.

Rules of this file: `read_changes` and `read_change` raise no error, whatever the server sends. Nothing is decided about
what a change means. An unknown operation is ignored (the position in the stream still moves past it). A known operation
in an unknown layout becomes Unreadable. Nearly all changes are updates that only set fields: for those there is a fast
path that reads fields at fixed offsets, with the same result as a full decode (`usual_update.py`).

A server describes an update in one of three forms:
- `updateDescription` alone, in which "a.0" is either an element of an array or a field with that name;
- `updateDescription` with `disambiguatedPaths`, which lists the names along each ambiguous path. MongoDB 6.1 and newer
  send it on streams with `showExpandedEvents`; it is empty if no path is ambiguous;
- `rawUpdateDescription`, the diff from the oplog (`oplog_diff.py`), on streams with `showRawUpdateDescription`. It is
  the only form of MongoDB 6.0 without ambiguous paths.

An update that none of these forms describes exactly becomes an Updated whose `paths` is None.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from relay.source.change import (
    UNKNOWN_UPDATE,
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
from relay.source.decoder import Decoder
from relay.source.identity import exact_id
from relay.source.oplog_diff import DELTA, read_diff
from relay.source.raw_bson import Document, opened
from relay.source.usual_update import AS_DIFF, EXACT_PATHS, PATHS, push_to, usual_update
from relay.source.walk import names as names_of

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1)
LARGE_EVENT = 64 * 1024  # bytes of a change event whose values are let go as far as nobody needs them


def read_changes(
    batch: Sequence[bytes], decoder: Decoder, *, split: bool = True
) -> Iterator[Change | Invalidated | Unreadable | None]:
    """Parse the change events of a batch, and yield one result for each event, in order.

    A result is a Change; an Invalidated if the collection was dropped or renamed; an Unreadable if the event has an
    unknown layout; None for an operation that does not concern tasks.

    `split` says what becomes of an update that comes without information about which dots of its paths separate names:
    if true, paths are split at all dots; if false, the Updated has `paths=None`.
    """
    for raw, change in zip(batch, _changes(batch, decoder, split), strict=True):
        if len(raw) > LARGE_EVENT and decoder.kept is not None and isinstance(change, Change):
            # A batch of changes may hold a thousand times what is kept of them, until the last one is published.
            change = change._replace(operation=decoder.kept(change.operation))
        yield change


def _changes(
    batch: Sequence[bytes], decoder: Decoder, split: bool
) -> Iterator[Change | Invalidated | Unreadable | None]:
    """Do what `read_changes` does, with all values."""
    push = push_to(decoder.path)
    usual = [usual_update(raw, push) for raw in batch]
    diffs = iter(decoder.diffs([one[1] for one in usual if one is not None and one[2] == AS_DIFF]))
    fields = iter(decoder.fields([one[1] for one in usual if one is not None and one[2] != AS_DIFF]))
    for raw, one in zip(batch, usual, strict=True):
        told = None
        if one is not None:
            head, _, form = one
            told = next(fields if form != AS_DIFF else diffs)
        if told is None:
            yield read_change(raw, decoder, split=split)
        elif form == EXACT_PATHS or (split and form == PATHS):
            yield Change(*head, Updated(told))
        elif form == AS_DIFF:
            yield Change(*head, read_diff(told))
        else:
            yield Change(*head, Updated(told, (), (), None))


def read_change(
    raw: bytes, decoder: Decoder, *, split: bool = True
) -> Change | Invalidated | Unreadable | None:
    """Parse one change event of any layout.

    Returns a Change; an Invalidated if the collection was dropped or renamed; an Unreadable if the event has an unknown
    layout; None for an operation that does not concern tasks. `split` says what becomes of an update that comes without
    information about which dots of its paths separate names: if true, paths are split at all dots; if false, the
    Updated has `paths=None`.
    """
    try:
        event = decoder.change(raw)
        if event.get("operationType") == "invalidate":
            return Invalidated(RawBSONDocument(raw)["_id"])
        return _change(raw, event, split)
    except Exception as failure:  # one event in an unknown layout must not stop the stream
        log.error("a change could not be read", extra={"error": type(failure).__name__, "bytes": len(raw)})
        return Unreadable(_time_of(raw))


def _change(raw: bytes, event: Document, split: bool) -> Change | None:
    """Convert a decoded event to a Change; None for an operation that does not concern tasks.

    `raw` is the same event as raw BSON. Raises an exception of any type if the layout is unknown.
    """
    operation = _operation(raw, event, split)
    if operation is None:
        return None
    time, wall = event["clusterTime"], event.get("wallTime")
    if not isinstance(time, Timestamp):
        raise TypeError("clusterTime")
    document_id = exact_id(event["documentKey"]["_id"], raw, b"documentKey")
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
    """Return the cluster time of an event that could not be parsed; Timestamp(0, 0) if not even that can be read."""
    try:
        return token_time(RawBSONDocument(raw)["_id"])
    except Exception:  # an event in an unknown layout may have any resume token, or none
        return Timestamp(0, 0)


def _operation(raw: bytes, event: Document, split: bool) -> Operation | None:
    match event.get("operationType"):
        case "insert":
            return Inserted(_document(event))
        case "update":
            if "rawUpdateDescription" in event:
                described = event["rawUpdateDescription"]
                return read_diff(described["diff"]) if described["$v"] == DELTA else UNKNOWN_UPDATE
            return _described(raw, event["updateDescription"], split)
        case "replace":
            return Replaced(_document(event))
        case "delete":
            return Deleted()
        case _:
            return None  # for a drop or a rename, an invalidate event follows


def _described(raw: bytes, described: Document, split: bool) -> Updated:
    """Parse the `updateDescription` of an event. `raw` is the whole event, as raw BSON.

    If the description does not say which dots of its paths separate names, `split` decides: true splits paths at all
    dots, false gives `paths=None`. Returns UNKNOWN_UPDATE if two paths have the same spelling. Raises TypeError or
    KeyError if the layout of the description is unknown.
    """
    fields = opened(described.get("updatedFields")) or {}
    removed = described.get("removedFields") or ()
    cuts = tuple((str(cut["field"]), int(cut["newSize"])) for cut in described.get("truncatedArrays") or ())
    if not isinstance(fields, dict) or not all(isinstance(path, str) for path in removed):
        raise TypeError("updateDescription")
    told = described.get("disambiguatedPaths")
    if told is None:
        return Updated(fields, removed, cuts) if split else Updated(fields, removed, cuts, None)
    if not isinstance(told, dict):
        raise TypeError("disambiguatedPaths")
    paths = {path: tuple(map(str, names)) for path, names in told.items()}
    if not paths:
        return Updated(fields, removed, cuts)
    # Two paths have the same spelling if a field "a.b" and the field `b` in `a` changed together. A decoded document
    # would hold only one of the two, so compare the names in the raw BSON.
    description = RawBSONDocument(raw)["updateDescription"]
    spelled = [*removed, *(path for path, _ in cuts)]
    for part in ("updatedFields", "disambiguatedPaths"):
        names = [name.decode("utf-8", "replace") for name in names_of(bytes(description[part].raw))]
        if part == "updatedFields":
            names += spelled
        if len(names) > len(set(names)):
            return UNKNOWN_UPDATE
    return Updated(fields, removed, cuts, paths)


def _document(event: Document) -> Document:
    document: Document = opened(event["fullDocument"])
    if "_id" not in document:
        raise ValueError("fullDocument")
    return document


def token_time(token: Mapping[str, Any]) -> Timestamp:
    """Return the cluster time inside a resume token.

    The token's `_data` is hexadecimal: 0x82, then a big-endian Timestamp (seconds, increment). MongoDB does not
    document this format, so the relay verifies it when it opens a stream at a known cluster time. Raises ValueError if
    the token has another format.
    """
    data = token.get("_data")
    if not isinstance(data, str):
        raise ValueError("the resume token has no _data string")
    head = bytes.fromhex(data[:18])
    if len(head) != 9 or head[0] != 0x82:
        raise ValueError("the resume token has an unknown format")
    return Timestamp(int.from_bytes(head[1:5], "big"), int.from_bytes(head[5:9], "big"))
