"""A long list of ids, such as the members of a task, kept as a few byte strings instead of as Python objects. Pure.

A list of 20,000 names takes 1.5 MB as a Python list, and twice as much again as audience keys. Here it takes one byte
per id besides its characters, and both the kept document and the keys of the task use the same bytes.

Rules of this file: an id is encoded as one byte that says its type, followed by its text in UTF-8. These type bytes
occur nowhere in UTF-8, so an id ends where the next one begins, and an encoded id is found exactly or not at all. A
value that can match nobody keeps its place in the list, and only that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

from bson import Int64, ObjectId

from relay.tasks.ids import IdKind, identity

LONG = 100  # elements of a list that is kept as it is; a longer one is packed
CHUNK = 1024  # elements that are encoded together: an update of one element copies so many
# A token has at most 16 KB (relay/auth/tokens.py), so no claim is longer than this, and a longer id matches nobody.
MAX_ID = 16 * 1024
FEW = 32  # ids that are searched one by one; more are compared as sets

_MARKS: dict[IdKind, bytes] = {"string": b"\xff", "integer": b"\xfe", "ObjectId": b"\xfd", "UUID": b"\xfc"}
_NULL, _OTHER = b"\xfb", b"\xfa"
_LEAST_MARK = 0xF8
_ITEMS = re.compile(rb"[\xf8-\xff][^\xf8-\xff]*").findall


def encoded(kind: IdKind, text: str) -> bytes:
    """Return the bytes that stand for an id in a packed list."""
    return _MARKS[kind] + text.encode("utf-8", "surrogatepass")


def _encoded(value: Any) -> bytes:
    if type(value) is str and value and len(value) <= MAX_ID and "\ufffd" not in value:  # the commonest case
        return b"\xff" + value.encode("utf-8", "surrogatepass")
    if value is None:
        return _NULL
    found = identity(value)
    return encoded(*found) if found is not None and len(found.text) <= MAX_ID else _OTHER


def _decoded(item: bytes) -> Any:
    mark, text = item[:1], item[1:].decode("utf-8", "surrogatepass")
    match mark:
        case b"\xff":
            return text
        case b"\xfe":
            return Int64(text)
        case b"\xfd":
            return ObjectId(text)
        case b"\xfc":
            return UUID(text)
        case _:
            return None if mark == _NULL else False


class PackedIds:
    """A list of ids in packed form, in the order of the list.

    It is immutable, except between `copy` and `settle`: in between, elements of the copy may be set with `put`. A copy
    shares the chunks in which nothing was set.
    """

    __slots__ = ("_chunks", "_length", "_open")

    def __init__(self, values: Iterable[Any] = ()) -> None:
        items = [*map(_encoded, values)]
        self._chunks = [b"".join(items[first : first + CHUNK]) for first in range(0, len(items), CHUNK)]
        self._length = len(items)
        self._open: dict[int, list[bytes]] = {}  # chunks in which something was set, by their number

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        """Yield the elements: a value that can match nobody is False."""
        for chunk in self._chunks:
            yield from map(_decoded, _ITEMS(chunk))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedIds) and self._chunks == other._chunks

    def __hash__(self) -> int:
        return hash((self._length, self._chunks[0] if self._chunks else b""))

    @property
    def size(self) -> int:
        """About how many bytes of memory the list takes."""
        return sum(map(len, self._chunks))

    @property
    def has_null(self) -> bool:
        return any(_NULL in chunk for chunk in self._chunks)

    @property
    def has_id(self) -> bool:
        """Whether an element can match somebody."""
        return any(mark in chunk for chunk in self._chunks for mark in _MARKS.values())

    def matching(self, wanted: Collection[bytes]) -> set[bytes]:
        """Return those of the wanted ids, which are encoded, that are in this list."""
        text = b"".join(self._chunks)
        if len(wanted) > FEW:
            return set(wanted).intersection(_ITEMS(text))
        return {item for item in wanted if _is_in(text, item)}

    def copy(self) -> PackedIds:
        """Return a copy in which elements may be set until it is settled."""
        made = PackedIds()
        made._chunks, made._length = [*self._chunks], self._length
        return made

    def put(self, index: int, value: Any) -> None:
        """Set one element. If the list is shorter, it is filled up with nulls."""
        while self._length < index:
            self._put(self._length, _NULL)
        self._put(index, _encoded(value))

    def _put(self, index: int, item: bytes) -> None:
        number, place = divmod(index, CHUNK)
        if number == len(self._chunks):
            self._chunks.append(b"")
        chunk = self._open.get(number)
        if chunk is None:
            chunk = self._open[number] = _ITEMS(self._chunks[number])
        if place == len(chunk):
            chunk.append(item)
            self._length += 1
        else:
            chunk[place] = item

    def settle(self) -> None:
        """End the setting of elements."""
        for number, items in self._open.items():
            self._chunks[number] = b"".join(items)
        self._open = {}

    def first(self, size: int) -> PackedIds | list[Any]:
        """Return the first `size` elements: as a plain list if they are few."""
        if size >= self._length:
            return self
        self.settle()
        if size <= LONG:
            return [_decoded(item) for item in _ITEMS(self._chunks[0])[:size]]
        whole, rest = divmod(size, CHUNK)
        made = PackedIds()
        made._chunks, made._length = self._chunks[:whole], size
        if rest:
            made._chunks.append(b"".join(_ITEMS(self._chunks[whole])[:rest]))
        return made


def _is_in(text: bytes, item: bytes) -> bool:
    at = text.find(item)
    while at >= 0:
        end = at + len(item)
        if end == len(text) or text[end] >= _LEAST_MARK:
            return True
        at = text.find(item, end)
    return False
