"""Make a step of one document and one operation on it, and name the messages of a step."""

from __future__ import annotations

from typing import Any

from bson import ObjectId, Timestamp

from relay.protocol.types import Kind
from relay.source.change import Change, Operation, key_of
from relay.tasks.mapping import Mapping
from relay.tasks.step import Lifecycle, Step
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

ID = ObjectId("65f000000000000000000001")
WALL_MS = 1_767_323_045_000  # 2026-01-02T03:04:05Z
MAPPING = Mapping()


def translator(mapping: Mapping = MAPPING) -> Translator:
    return Translator(mapping, Audience(mapping.visibility).keys_of, max_text=50)


def step_of(before: dict[str, Any] | None, operation: Operation, mapping: Mapping = MAPPING) -> Step:
    reader = translator(mapping)
    task = reader.read({"_id": ID, **before}) if before is not None else None
    change = Change(key_of(ID), ID, Timestamp(10, 1), WALL_MS, operation)
    step = reader.translate(task, change)
    assert step is not None
    return step


def names(step: Step) -> list[str]:
    """The names of the messages of a step; lifecycle messages by the short name of their kind."""
    return [
        one.kind.value.removeprefix("task:") if isinstance(one, Lifecycle) else type(one).__name__
        for one in step.messages
    ]


def event(kind: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def lifecycle_of(step: Step) -> list[Kind]:
    return [one.kind for one in step.messages if isinstance(one, Lifecycle)]
