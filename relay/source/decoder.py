"""Decode documents and change events, but keep their array of events as raw BSON. Pure.

A task is a document whose events are an array. The array is cut out of a document before the rest is decoded.

Rules of this file: bytes that are not BSON raise InvalidBSON. A value that the driver cannot decode becomes an
Undecodable, and the other values of the document are decoded as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct, error
from typing import Any

import bson
from bson.errors import InvalidBSON

from relay.source.identity import exact_id
from relay.source.pieces import LARGE
from relay.source.raw_bson import LENIENT, REFERENCE, Document, RawArray, decode, decode_apart, ignore
from relay.source.walk import ARRAY, DOCUMENT, body, end_of

_INT32 = Struct("<i")


class Decoder:
    """Decodes the documents and the change events of one collection, and keeps the array at `path` as a RawArray.

    `path` is a path with dots between its names. `noticed` is called with the number of values that could not be
    decoded. MongoDB stores documents in which a name occurs twice: its queries use the first field, while the driver
    keeps the last. For the fields in `names`, the decoder keeps the first, too, because a visibility rule must find the
    same value as the database query for the same rule.

    `kept` takes the operation of a change whose event is large, and returns it without the values that nobody needs.
    """

    def __init__(
        self,
        path: str,
        *,
        names: Iterable[str] = (),
        noticed: Callable[[int], None] = ignore,
        kept: Callable[[Any], Any] | None = None,
    ) -> None:
        self.path = path
        self.kept = kept
        self._names = [name.encode() + b"\0" for name in names]
        self._noticed = noticed
        parts = path.split(".")
        # An update may set the array itself or a sub-document around it: the array is then inside the new value.
        changed = [(".".join(parts[:cut]), *parts[cut:]) for cut in range(1, len(parts) + 1)]
        # In a diff, "u" and "i" hold the values that were set, and "s" before a name holds the diff of that field.
        differing = [
            (*("s" + name for name in parts[:cut]), section, *parts[cut:])
            for cut in range(len(parts))
            for section in ("u", "i")
        ]
        self._in_document = [tuple(parts)]
        self._in_fields = changed
        self._in_diff = differing
        self._in_change = [
            ("fullDocument", *parts),
            *(("updateDescription", "updatedFields", *names) for names in changed),
            *(("rawUpdateDescription", "diff", *names) for names in differing),
        ]
        # The array is named by the last part of the path or, in an update of the array itself, by the whole path.
        self._last, self._whole = (bytes([ARRAY]) + name.encode() + b"\0" for name in (parts[-1], path))

    def document(self, raw: bytes) -> Document:
        """Decode a stored document. The array at `path` stays a RawArray.

        If decoding would change the `_id`, a RawId stands for it. Raises InvalidBSON if the document is not BSON.
        """
        raw = bytes(raw)  # the driver gives a memoryview of a long reply, and a view has no search methods
        document = self._decode(raw, self._in_document)
        if "_id" in document:
            document["_id"] = exact_id(document["_id"], raw)
        return document

    def change(self, raw: bytes) -> Document:
        """Decode a change event. Each value in it that is the array at `path` stays a RawArray.

        Raises InvalidBSON if the event is not BSON.
        """
        return self._decode(raw, self._in_change)

    def fields(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """Decode the `updatedFields` of several updates, and return the results in the same order.

        None stands for `updatedFields` that cannot be decoded. The array at `path` stays a RawArray.
        """
        return self._all(raws, self._in_fields)

    def diffs(self, raws: Sequence[bytes]) -> Sequence[Document | None]:
        """Decode the oplog diffs of several updates, and return the results in the same order.

        None stands for a diff that cannot be decoded. The array at `path` stays a RawArray.
        """
        return self._all(raws, self._in_diff)

    def _all(self, raws: Sequence[bytes], places: Sequence[Sequence[str]]) -> Sequence[Document | None]:
        """Decode several documents, with one call of the driver if possible. None stands for an undecodable one."""
        joined = b"".join(raws)
        # The array is looked for first: it is found at the beginning, before megabytes are searched for a reference.
        if len(joined) < LARGE and not self._may_hold_array(joined) and REFERENCE not in joined:
            try:
                return bson.decode_all(joined, LENIENT)  # much faster than one by one
            except Exception:  # one document is malformed: decode one by one to keep the others
                return [self._one(raw, places) for raw in raws]
        return [self._one(raw, places) for raw in raws]

    def _one(self, raw: bytes, places: Sequence[Sequence[str]]) -> Document | None:
        try:
            return self._decode(raw, places)
        except Exception:  # the caller then parses the whole event, and logs the error if that fails, too
            return None

    def _may_hold_array(self, raw: bytes) -> bool:
        """Return whether the bytes contain an array with the name of the events array, as a quick test."""
        return self._last in raw or self._whole in raw

    def _decode(self, raw: bytes, places: Sequence[Sequence[str]]) -> Document:
        """Decode a document, but keep the array of events as a RawArray at each of these `places` that has one.

        A place is the list of names that leads to the array. Raises InvalidBSON if the document is malformed.
        """
        if not self._may_hold_array(raw):
            return self._decode_whole(raw)
        left = raw
        taken: list[tuple[Sequence[str], RawArray]] = []
        for place in places:
            cut = cut_out(left, [name.encode() for name in place])
            if cut is not None:
                left, array = cut
                taken.append((place, array))
        document = self._decode_whole(left)
        for (*holders, name), array in taken:
            holder: Any = document
            for one in holders:
                holder = holder.get(one) if isinstance(holder, dict) else None
            if not isinstance(holder, dict):  # a name occurs twice in the document
                return decode(raw, self._noticed)
            holder[name] = array
        return document

    def _decode_whole(self, raw: bytes) -> Document:
        """Decode a document. If a name of `names` may occur twice, decode value by value, to keep the first field."""
        for name in self._names:
            if raw.count(name) > 1:  # twice in one document, or once in each of two nested documents
                return decode_apart(raw, self._noticed)
        return decode(raw, self._noticed)


def cut_out(raw: bytes, path: Sequence[bytes]) -> tuple[bytes, RawArray] | None:
    """Cut the array at `path` out of a document. `path` lists field names, the outermost first.

    Returns the document without the array, and the array; None if there is no array at `path`. Raises InvalidBSON if
    the document is malformed.
    """
    holders = []  # the offsets of the documents in which the array lies
    start, after = 0, len(raw)
    try:
        for depth, name in enumerate(path, 1):
            holders.append(start)
            position, end = body(raw, start, after)
            while position < end:
                kind, name_end = raw[position], raw.index(0, position + 1)
                after = end_of(raw, kind, name_end + 1)
                if after > end:
                    raise InvalidBSON("a field that does not end in its document")
                if raw[position + 1 : name_end] == name:
                    break
                position = after
            else:
                return None
            if kind != (ARRAY if depth == len(path) else DOCUMENT):
                return None
            start = name_end + 1
    except (ValueError, IndexError, error) as failure:
        raise InvalidBSON("a document that is cut off") from failure
    # The array may have megabytes, so it is copied only once.
    left = bytearray(raw[:position])
    left += raw[after:]
    for holder in holders:
        _INT32.pack_into(left, holder, _INT32.unpack_from(left, holder)[0] - (after - position))
    return bytes(left), RawArray(raw[start:after])
