"""What was computed of a task, compared with what its stored document shows."""

from __future__ import annotations

from typing import Any

import bson

from relay.source.raw_bson import Decoder, RawArray
from relay.tasks.mapping import Mapping
from relay.tasks.timeline import element_json
from relay.tasks.translate import Task, Translator
from relay.tasks.visibility import Audience

MAPPING = Mapping()
DECODER = Decoder("events")
TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)


def of(document: dict[str, Any]) -> Task:
    """The task that a document shows, once it was stored."""
    return TRANSLATOR.read(DECODER.document(bson.encode(document)))


def same(task: Task | None, document: dict[str, Any]) -> None:
    """The task is what the stored document shows."""
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
    return [element_json(element, TRANSLATOR.view) for element in task.timeline.elements or ()]
