"""Compare a task computed from changes with the task read from its stored document."""

from __future__ import annotations

from typing import Any

import bson

from relay.source.decoder import Decoder
from relay.source.raw_bson import RawArray
from relay.tasks.event_view import element_json
from relay.tasks.mapping import Mapping
from relay.tasks.task import Task
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

MAPPING = Mapping()
DECODER = Decoder("events")
TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)


def of(document: dict[str, Any]) -> Task:
    """Return the task that is read from a document after storing it."""
    return TRANSLATOR.read(DECODER.document(bson.encode(document)))


def same(task: Task | None, document: dict[str, Any]) -> None:
    """Check that a task equals the one read from its stored document."""
    read = TRANSLATOR.read(document) if isinstance(document.get("events"), RawArray) else of(document)
    assert task is not None
    assert (task.summary, task.keys, task.status, task.last) == (
        read.summary,
        read.keys,
        read.status,
        read.last,
    )
    assert task.timeline.without_elements() == read.timeline.without_elements()
    if task.timeline.elements is not None:
        assert shown(task) == shown(read)


def shown(task: Task) -> list[bytes]:
    """Return the JSON of each event of a task."""
    return [element_json(element, TRANSLATOR.view) for element in task.timeline.elements or ()]
