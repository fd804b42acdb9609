"""A task as the relay knows it between two changes. Pure.

A milestone is an event whose type has a lifecycle message, such as `task:pr_opened`. Audience keys (`team:s:red`) say
who may see a task: a user must hold at least one of the keys of the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from relay.protocol.types import Kind
from relay.tasks.packed_keys import TaskKeys
from relay.tasks.paths import Document
from relay.tasks.summary import Summary
from relay.tasks.timeline import Timeline

Keys = frozenset[str]


@dataclass(frozen=True, slots=True)
class Milestone:
    """An event that has a lifecycle message: the kind, such as `task:pr_opened`, and the event's index."""

    kind: Kind
    index: int


class Task(NamedTuple):
    """A task as it was after one change: what the relay needs of it to make messages and to decide who may see it."""

    id: str  # the taskId of the wire
    document: Document  # only the fields that the mapping and the visibility rules read
    timeline: Timeline
    summary: Summary
    keys: TaskKeys  # users who hold one of these audience keys may see the task
    status: Kind | None  # the kind of lifecycle message that belongs to its status
    last: Milestone | None  # the last event that has a lifecycle message

    def without_elements(self) -> Task:
        """Return this task with a timeline that has no elements, which saves memory and is enough for most changes."""
        return self._replace(timeline=self.timeline.without_elements()) if self.timeline.held else self

    def shows_the_same(self, other: Task) -> bool:
        """Whether the two tasks have equal summaries, equal audience keys and equally long timelines."""
        return (self.summary, self.keys, self.timeline.without_elements()) == (
            other.summary,
            other.keys,
            other.timeline.without_elements(),
        )
