"""Say what is kept of a document: the fields that the relay reads, and of their values what it can use. Pure.

A document may hold a log of megabytes in `error`, or an object of thousands of fields where the relay looks for a
title. Of a text the relay sends its beginning, and of an object nothing. So that is all that is kept, and the database
is asked for no more.

Rules of this file: a summary and the audience keys are the same for a value and for what is kept of it; what is kept of
a value that was kept already is that value; False stands for a value that is there, and of which nothing can be used.
An update by path has the same effect on what is kept as on the document (`document.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId

from relay.tasks.mapping import Fields, Rule
from relay.tasks.needs import MAX_CHARACTERS, MAX_ELEMENTS
from relay.tasks.packed_ids import LONG, MAX_ID, PackedIds
from relay.tasks.paths import array_index, fields_of
from relay.tasks.summary import ERROR_TEXTS, MAX_QUESTIONS, PARTS, QUESTION_TEXTS

UNUSABLE = False
_SMALL = frozenset(
    {bool, int, float, type(None), datetime, ObjectId, Int64, Decimal128, UUID, DatetimeMS, PackedIds}
)
UUID_BYTES = 16


@dataclass(slots=True)
class Kept:
    """What is kept of the values at one place of a document.

    `max_text` is the number of characters that are kept of a string, None if all are. `inner` says what is kept of the
    fields of a sub-document, and `items` what is kept of the elements of a list, of which `max_items` are kept. A list
    for which `items` is None is not kept. `packs`: the elements can only be ids, and many of them are kept as
    PackedIds. `whole`: values that are no strings are kept as they are, because they are compared. `beyond`: a string
    that is cut differs from every other string.
    """

    max_text: int | None = 0
    inner: dict[str, Kept] = field(default_factory=dict)
    items: Kept | None = None
    max_items: int | None = None
    packs: bool = False
    whole: bool = False
    beyond: bool = False

    def of(self, value: Any) -> Any:
        """Return what is kept of a value."""
        kind = type(value)
        if kind is str:
            return value if self.max_text is None or len(value) <= self.max_text else self._cut(value)
        if kind in _SMALL:
            return value
        if not self.whole:
            value = fields_of(value)
        if self.whole and not isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            if not self.inner:
                return UNUSABLE
            return {name: kept.of(value[name]) for name, kept in self.inner.items() if name in value}
        if isinstance(value, list):
            return self._of_list(value)
        if isinstance(value, str):  # code
            return value if self.max_text is None or len(value) <= self.max_text else self._cut(value)
        return value if isinstance(value, Binary) and len(value) <= UUID_BYTES else UNUSABLE

    def _of_list(self, values: list[Any]) -> Any:
        if self.items is None:
            return UNUSABLE
        if self.packs and len(values) > LONG:
            return PackedIds(values)
        return [*map(self.items.of, values[: self.max_items])]

    def _cut(self, text: str) -> str:
        assert self.max_text is not None
        if not self.beyond:
            return text[: self.max_text]
        # Nothing is added to what was cut already.
        return text if len(text) <= self.max_text + 64 else text[: self.max_text] + sha256_of(text)

    def grown(self, values: Any) -> Any:
        """Return a list to which an update has added elements, as it is kept."""
        return PackedIds(values) if self.packs and isinstance(values, list) and len(values) > LONG else values


def sha256_of(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Place:
    """What the relay reads at one path of a document, while the paths are collected."""

    def __init__(self) -> None:
        self.inner: dict[str, _Place] = {}
        self.text = self.questions = self.ids = self.need = self.order = self.reference = False

    def at(self, path: str) -> _Place:
        place = self
        for name in path.split("."):
            place = place.inner.setdefault(name, _Place())
        return place

    def _any(self, flag: str) -> bool:
        return getattr(self, flag) or any(one._any(flag) for one in self.inner.values())

    def kept(self, max_text: int) -> Kept:
        """Return what is kept here, with `max_text` characters of a text."""
        if self.reference:
            return Kept(max_text=max_text, whole=True)  # it only matters that there is something
        limit = 0
        if self.text:
            limit = max_text
        if self.ids:
            limit = max(limit, MAX_ID + 1)
        if self.need:
            limit = max(limit, MAX_CHARACTERS + 1)
        if self.order:
            return Kept(max_text=max(limit, max_text), whole=True, beyond=True)
        made = Kept(limit, {name: place.kept(max_text) for name, place in self.inner.items()})
        texts = Kept(max_text)
        if self.questions:
            inside = dict.fromkeys(QUESTION_TEXTS, texts) | made.inner
            made.inner = inside
            made.items, made.max_items = Kept(limit, inside), MAX_QUESTIONS
        if self._any("ids"):
            # A name in a path may be an index as well, and a list of questions may hold ids: then all of it counts.
            is_odd = self.questions or any(array_index(name) is not None for name in self.inner)
            if is_odd:
                return Kept(None, whole=True)
            made.items, made.max_items = Kept(limit, made.inner), None
            made.packs = self.ids and not made.inner
        elif self._any("need") and made.items is None:
            made.items, made.max_items = Kept(limit, made.inner), MAX_ELEMENTS
        if self._any("order"):  # the elements of a list decide about the order, too
            made.items, made.max_items, made.packs = Kept(None, whole=True), None, False
        return made


def kept_of(
    fields: Fields, rules: Iterable[Rule], needs: Iterable[str], order: str | None, max_text: int
) -> dict[str, Kept]:
    """Return what is kept of a document: for each top-level field that is read, what is kept of its value.

    `fields` are the paths of the summary, `rules` those of the visibility rules, `needs` those that say whom a task
    waits for, and `order` is the one by which the list is ordered; None if it is not needed. `max_text` is the number
    of characters that are kept of a text.
    """
    root = _Place()
    for part in PARTS:
        for path in getattr(fields, part):
            place = root.at(path)
            place.text = True
            if part == "error":
                for name in ERROR_TEXTS:
                    place.at(name).text = True
            place.questions |= part == "questions"
    for rule in rules:
        for path in rule.field:
            root.at(path).ids = True
            names = path.split(".")
            for count in range(1, len(names)):
                root.at(".".join([*names[:count], "$ref"])).reference = True
    for path in needs:
        root.at(path).need = True
    if order is not None and order != "_id":
        root.at(order).order = True
    return {name: place.kept(max_text) for name, place in root.inner.items()}
