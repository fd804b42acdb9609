"""What a handful of stored documents shows of a mapping: which of its parts they have. Pure.

Rules of this file: of the contents only statuses, types of events, names of fields and the types of ids are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import Binary, DatetimeMS, Decimal128
from bson.binary import OLD_UUID_SUBTYPE

from relay.protocol.types import Kind
from relay.source.raw_bson import decode_element
from relay.tasks.ids import identity
from relay.tasks.mapping import Mapping
from relay.tasks.paths import Document, at_path
from relay.tasks.scalars import snake
from relay.tasks.translate import Task, Translator

# The values that the rules of visibility look at in a document, each with the name of its rule.
LookedAt = Callable[[Document], Iterable[tuple[str, Any]]]

PARTS = ("title", "status", "creator")  # of a summary, what every task should have


@dataclass(slots=True)
class Ids:
    """What stands where one rule looks, by type; nulls are not counted."""

    matched: Counter[str] = field(default_factory=Counter)  # what a claim can match
    unmatched: Counter[str] = field(default_factory=Counter)  # what is nobody's, whatever a token says


@dataclass(slots=True)
class Survey:
    """Counted over all documents; `rules` and `administrators_only` count documents."""

    documents: int = 0
    parts: Counter[str] = field(default_factory=Counter)  # how many have each of PARTS
    timelines: int = 0  # how many have an array where the mapping says events are
    statuses: Counter[str] = field(default_factory=Counter)
    event_types: Counter[str] = field(default_factory=Counter)
    untyped_events: int = 0
    other_arrays: Counter[str] = field(default_factory=Counter)  # where there is no timeline
    rules: Counter[str] = field(default_factory=Counter)  # which visibility rule had something to match
    administrators_only: int = 0
    present: Counter[str] = field(default_factory=Counter)  # candidate fields of the visibility rules
    ids: defaultdict[str, Ids] = field(default_factory=lambda: defaultdict(Ids))  # by the rule's name


def survey(documents: Iterable[Document], translator: Translator, looked_at: LookedAt) -> Survey:
    """Read each document as the relay would."""
    found = Survey()
    for document in documents:
        _count(found, document, translator.read(document), translator)
        for rule, value in looked_at(document):
            _count_id(found.ids[rule], value)
    return found


def message_of_status(mapping: Mapping, status: str) -> Kind | None:
    """The message a change to this status is told with."""
    return mapping.statuses.get(snake(status)) if mapping.lifecycle_from != "events" else None


def message_of_event(mapping: Mapping, event_type: str) -> Kind | None:
    """The message, beside `task:event_added`, that an event of this type is told with."""
    return mapping.event_types.get(snake(event_type)) if mapping.lifecycle_from != "status" else None


def _count(found: Survey, document: Document, task: Task, translator: Translator) -> None:
    mapping = translator.mapping
    found.documents += 1
    found.parts.update(name for name in PARTS if name in task.summary)
    if "status" in task.summary:
        found.statuses[task.summary["status"]] += 1
    if task.timeline.is_array:
        found.timelines += 1
    else:
        found.other_arrays.update(_arrays_of_documents(document))
    for element in task.timeline.elements or ():
        name = translator.view.type_of(decode_element(element))
        if name is not None:
            found.event_types[name] += 1
        else:
            found.untyped_events += 1
    matching = [
        rule.name
        for rule in mapping.visibility.rules
        if any(key.startswith(f"{rule.name}:") for key in task.keys)
    ]
    found.rules.update(matching)
    found.administrators_only += not matching
    candidates = {path for rule in mapping.visibility.rules for path in rule.field}
    found.present.update(path for path in candidates if at_path(document, path) is not None)


def _count_id(ids: Ids, value: Any) -> None:
    if value is None:
        return
    found = identity(value)
    if found is None:
        ids.unmatched[_type_of(value)] += 1
    else:
        legacy = isinstance(value, Binary) and value.subtype == OLD_UUID_SUBTYPE
        ids.matched["legacy UUID" if legacy else found.kind] += 1


def _type_of(value: Any) -> str:
    """What a value is that is no id, in a word or two."""
    match value:
        case bool():
            return "boolean"
        case float() | Decimal128():
            return "other number"
        case datetime() | DatetimeMS():
            return "date"
        case "":
            return "empty string"
        case Map():
            return "sub-document"
        case list():
            return "nested array"
        case bytes():  # also the driver's Binary
            return "other binary value"
        case _:
            return "other value"


def _arrays_of_documents(document: Document) -> list[str]:
    """Top-level arrays that could be a timeline: of sub-documents, or empty."""
    return [
        name
        for name, value in document.items()
        if isinstance(value, list) and all(isinstance(item, dict) for item in value)
    ]
