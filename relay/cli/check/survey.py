"""Count what some stored documents have of what the mapping looks for. Pure.

Rule of this file: of the contents, only statuses, types of events, names of fields and the types of ids are kept.
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
from relay.tasks.links import fills
from relay.tasks.mapping import Mapping
from relay.tasks.packed_keys import rules_of
from relay.tasks.paths import Document, at_path
from relay.tasks.scalars import snake
from relay.tasks.task import Task
from relay.tasks.translate import Translator

# Yields the values that the visibility rules look at in a document, each with the name of its rule.
LookedAt = Callable[[Document], Iterable[tuple[str, Any]]]

LINKED_STAGES = {"answer": "clarification_needed", "retry": "failed"}  # `task` is for every stage
PARTS = ("title", "status", "creator")  # of a summary; every task should have them


@dataclass(slots=True)
class Ids:
    """The number of values that one rule looks at, by their type. Nulls are not counted."""

    matched: Counter[str] = field(default_factory=Counter)  # a claim of a token can equal them
    unmatched: Counter[str] = field(
        default_factory=Counter
    )  # no claim can equal them, so nobody sees a task by them


@dataclass(slots=True)
class Survey:
    """What was counted over all documents."""

    documents: int = 0
    parts: Counter[str] = field(default_factory=Counter)  # documents that have each of PARTS
    timelines: int = 0  # documents that have an array where the mapping looks for events
    statuses: Counter[str] = field(default_factory=Counter)
    event_types: Counter[str] = field(default_factory=Counter)
    untyped_events: int = 0
    other_arrays: Counter[str] = field(
        default_factory=Counter
    )  # arrays of sub-documents in documents without a timeline
    rules: Counter[str] = field(
        default_factory=Counter
    )  # documents with a value that each visibility rule can match
    administrators_only: int = 0  # documents in which no rule has a value to match
    waiting: int = 0  # documents in a stage in which the mapping says whom they wait for
    waiting_for_nobody: int = 0  # of those, documents in which it finds nobody
    linking: Counter[str] = field(
        default_factory=Counter
    )  # documents in a stage for which each link is meant
    linked: Counter[str] = field(
        default_factory=Counter
    )  # of those, documents that have all fields of the link
    present: Counter[str] = field(
        default_factory=Counter
    )  # documents that have each field the visibility rules look at
    ids: defaultdict[str, Ids] = field(default_factory=lambda: defaultdict(Ids))  # by the name of the rule


def survey(documents: Iterable[Document], translator: Translator, looked_at: LookedAt) -> Survey:
    """Read each document as the relay does, and count what it has."""
    found = Survey()
    for document in documents:
        _count(found, document, translator.read(document), translator)
        for rule, value in looked_at(document):
            _count_id(found.ids[rule], value)
    return found


def message_of_status(mapping: Mapping, status: str) -> Kind | None:
    """Return the type of the message that is sent when a task gets this status; None for no message."""
    return mapping.statuses.get(snake(status)) if mapping.lifecycle_from != "events" else None


def message_of_event(mapping: Mapping, event_type: str) -> Kind | None:
    """Return the type of the message that is sent for an event of this type, beside `task:event_added`; None for no
    message."""
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
    waits_for = task.summary.get("waitsFor")
    found.waiting += waits_for is not None
    found.waiting_for_nobody += waits_for == {}
    stage = task.summary.get("stage")
    for name, template in mapping.links.named().items():
        if LINKED_STAGES.get(name, stage) == stage:
            found.linking[name] += 1
            found.linked[name] += fills(str(template), task.summary)
    rules = rules_of(task.keys)
    matching = [rule.name for rule in mapping.visibility.rules if rule.name in rules]
    found.rules.update(matching)
    found.administrators_only += not matching
    candidates = {path for rule in mapping.visibility.rules for path in rule.field}
    found.present.update(path for path in candidates if at_path(document, path) is not None)


def _count_id(ids: Ids, value: Any) -> None:
    if value is None:
        return
    found = identity(value)
    if found is None:
        ids.unmatched[type_of(value)] += 1
    else:
        legacy = isinstance(value, Binary) and value.subtype == OLD_UUID_SUBTYPE
        ids.matched["legacy UUID" if legacy else found.kind] += 1


def type_of(value: Any) -> str:
    """Return the name of the type of a value that cannot be an id."""
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
    """Return the names of the top-level arrays that could be a timeline: those of sub-documents, and empty ones."""
    return [
        name
        for name, value in document.items()
        if isinstance(value, list) and all(isinstance(item, dict) for item in value)
    ]
