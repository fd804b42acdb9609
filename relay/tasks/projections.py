"""The projections with which documents are read, so that MongoDB sends no more of them than is kept. Pure.

Rules of this file: a summary, and the audience keys, are the same whether a document was read with a projection or
whole. An expression is only used where it saves something: for a document of short fields all of them together cost
MongoDB 2 µs.
"""

from __future__ import annotations

from typing import Any

from relay.source.projection import Projection
from relay.tasks.kept import UNUSABLE, UUID_BYTES, Kept, kept_of
from relay.tasks.mapping import Mapping
from relay.tasks.summary import roots

# Fields that a projection adds to a document, so that the whole array of events need not be read.
LENGTH_FIELD = "relay_event_count"  # the length of the array of events
ENDING_FIELD = "relay_last_events"  # the last elements of that array
ENDING = 20  # elements in ENDING_FIELD; nearly always one of them is a milestone, so the array is not read
_LARGE_KINDS = ["object", "array", "binData", "regex", "dbPointer"]


class Projections:
    """The projections for one mapping. `max_text` is the number of characters that are kept of a text."""

    def __init__(self, mapping: Mapping, max_text: int) -> None:
        self._events = mapping.events
        shown = kept_of(mapping.fields, (), mapping.need_paths(), None, max_text)
        shown.pop("_id", None)  # it is always sent, and whole, because the taskId is made from it
        length = {LENGTH_FIELD: self._of_array({"$size": [f"${self._events}"]})}
        texts = {name: _cut(kept, f"${name}") for name, kept in shown.items()}
        # For `Translator.summarise`: the length of the array of events in place of the array.
        self.list = Projection({**texts, **length}, {**dict.fromkeys(shown, 1), **length})
        # For `Translator.outline`: the length and the last elements of the array of events. It is None if the mapping
        # reads another field with the same top-level name as the array, which cannot be read without the array.
        self.outline: Projection | None = None
        whole = roots(mapping.roots())
        if self._events.split(".")[0] not in whole:
            ending = self._of_array({"$slice": [f"${self._events}", -ENDING]})
            added = {**length, ENDING_FIELD: ending}
            # Fields that decide who may see the task are projected whole: a projection by path drops the scalars of
            # arrays that hold both scalars and documents, and the visibility rules read those.
            rights = roots(path for rule in mapping.visibility.rules for path in rule.field)
            exact = {*rights, *roots([mapping.list_order]), "_id"}
            texts = {name: texts.get(name, 1) if name not in exact else 1 for name in whole}
            self.outline = Projection({**texts, **added}, {**dict.fromkeys(whole, 1), **added})

    def _of_array(self, expression: Any) -> dict[str, Any]:
        # Where a field on the way is an array, MongoDB would collect values from all of its elements.
        names = self._events.split(".")
        holders = [f"${'.'.join(names[:count])}" for count in range(1, len(names))]
        found: list[Any] = [{"$isArray": [f"${self._events}"]}]
        found += [{"$not": [{"$isArray": [holder]}]} for holder in holders]
        return {"$cond": [{"$and": found} if holders else found[0], expression, None]}


def _cut(kept: Kept, value: str, depth: int = 0) -> Any:
    """Return the MongoDB expression for what is kept of a value. `value` is the expression of the value, such as
    `$title`, and `depth` the number of `$map` around it."""
    found = _cut_scalar(kept.max_text or 0, value)
    if kept.items is not None:
        name = f"item{depth}"
        items = value if kept.max_items is None else {"$slice": [value, kept.max_items]}
        each = {"$map": {"input": items, "as": name, "in": _cut(kept.items, f"$${name}", depth + 1)}}
        found = {"$cond": [{"$isArray": [value]}, each, found]}
    if kept.inner:
        fields = {name: _cut(inner, f"{value}.{name}", depth) for name, inner in kept.inner.items()}
        found = {"$cond": [{"$eq": [{"$type": value}, "object"]}, fields, found]}
    return found


def _cut_scalar(max_text: int, value: str) -> Any:
    kind = {"$type": value}
    is_text = {"$eq": [kind, "string"]}
    is_long = {"$and": [is_text, {"$gt": [{"$strLenBytes": value}, max_text]}]}
    is_id = {"$and": [{"$eq": [kind, "binData"]}, {"$lte": [{"$binarySize": value}, UUID_BYTES]}]}
    # A few more characters, because the last one of a string that is not valid may be cut through.
    large = {"$cond": [is_text, {"$substrCP": [value, 0, max_text + 4]}, {"$cond": [is_id, value, UNUSABLE]}]}
    return {"$cond": [{"$or": [is_long, {"$in": [kind, _LARGE_KINDS]}]}, large, value]}
