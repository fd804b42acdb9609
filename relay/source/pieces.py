"""Decode a large BSON document in pieces, so that no call of the driver takes long. Pure.

The driver decodes a document in one call, during which no other thread of the process runs: 16 MB of small fields take
about 90 ms. A document that is decoded in pieces, in a thread, holds up nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from relay.source.walk import ARRAY, DOCUMENT, Field, fields, together

LARGE = 1024 * 1024  # bytes of a document that is decoded in pieces
PIECE = 128 * 1024  # bytes that are decoded together; a single value may be larger


def decode_in_pieces(raw: bytes, decode: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """Decode a document with several calls of `decode`, and return what one call would return.

    Raises InvalidBSON if the document is malformed, and what `decode` raises.
    """
    return dict(_decoded(fields(raw), decode))


def _decoded(parts: Iterator[Field], decode: Callable[[bytes], dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield name and decoded value of each of these fields."""
    piece: list[Field] = []
    size = 0
    for kind, name, value in parts:
        if len(value) <= PIECE or kind not in (DOCUMENT, ARRAY):
            piece.append((kind, name, value))
            size += len(value)
            if size < PIECE:
                continue
        if piece:
            yield from decode(together(piece)).items()
            piece, size = [], 0
        if len(value) > PIECE and kind == DOCUMENT:
            yield name.decode("utf-8", "replace"), dict(_decoded(fields(value), decode))
        elif len(value) > PIECE and kind == ARRAY:
            yield name.decode("utf-8", "replace"), [one for _, one in _decoded(_numbered(value), decode)]
    if piece:
        yield from decode(together(piece)).items()


def _numbered(array: bytes) -> Iterator[Field]:
    """Yield the elements of an array as fields, each with a name of its own whatever the array calls it."""
    for index, (kind, _, value) in enumerate(fields(array)):
        yield kind, b"%d" % index, value
