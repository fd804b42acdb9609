"""What a handful of stored documents shows of a mapping: which of its parts they have. Pure.

Rules of this file: of the contents only statuses, types of events and names of fields are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.protocol import Kind
from relay.source.arrays import decode_element
from relay.tasks.mapping import Mapping
from relay.tasks.translate import Task, Translator
from relay.tasks.values import Document, at_path, first_present, snake

PARTS = ("title", "status", "creator")  # of a summary, what every task should have


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


def survey(documents: Iterable[Document], translator: Translator) -> Survey:
    """Read each document as the relay would."""
    found = Survey()
    for document in documents:
        _count(found, document, translator.read(document), translator.mapping)
    return found


def message_of_status(mapping: Mapping, status: str) -> Kind | None:
    """The message a change to this status is told with."""
    return mapping.statuses.get(snake(status)) if mapping.lifecycle_from != "events" else None


def message_of_event(mapping: Mapping, event_type: str) -> Kind | None:
    """The message, beside `task:event_added`, that an event of this type is told with."""
    return mapping.event_types.get(snake(event_type)) if mapping.lifecycle_from != "status" else None


def _count(found: Survey, document: Document, task: Task, mapping: Mapping) -> None:
    found.documents += 1
    found.parts.update(name for name in PARTS if name in task.summary)
    if "status" in task.summary:
        found.statuses[task.summary["status"]] += 1
    if task.timeline.is_array:
        found.timelines += 1
    else:
        found.other_arrays.update(_arrays_of_documents(document))
    for element in task.timeline.elements or ():
        name = first_present((decode_element(element),), mapping.event.type)
        if isinstance(name, str):
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


def _arrays_of_documents(document: Document) -> list[str]:
    """Top-level arrays that could be a timeline: of sub-documents, or empty."""
    return [
        name
        for name, value in document.items()
        if isinstance(value, list) and all(isinstance(item, dict) for item in value)
    ]
