"""One step as frames, each encoded once and only when somebody is there to get it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from relay.hub.snapshot import Progress, TaskState
from relay.protocol.frames import Frame, encode
from relay.protocol.types import Kind
from relay.tasks.timeline import EventView, event_json, extend, head
from relay.tasks.translate import EventAdded, Lifecycle, Listed, StateReset, Step, SummaryUpdated


class StepFrames:
    """The frames of one step. Room frames carry a position, so they are made from the room's progress
    and move it on; all who are served from the same progress share them."""

    def __init__(self, step: Step, fields: EventView) -> None:
        self.step = step
        self.told: set[object] = set()  # the listeners that had its lifecycle messages: each has them once
        self._fields = fields
        self._others: dict[int, Frame] = {}
        self._for_room: list[tuple[Frame, bool]] | None = None
        self._after = Progress(0, b"")
        self._upserted: Frame | None = None

    def for_room(self, progress: Progress) -> list[tuple[Frame, bool]]:
        """(frame, is it a lifecycle message) in order; `progress` is moved past this step."""
        if self._for_room is None:
            self._for_room = list(self._room_frames(progress))
            self._after = Progress(progress.next, progress.digest)
        progress.next, progress.digest = self._after.next, self._after.digest
        return self._for_room

    def beside_timeline(self) -> list[tuple[Frame, bool]]:
        """The same without the timeline, for a room that will be shown a later state of it."""
        return [
            (self._other(index, message), isinstance(message, Lifecycle))
            for index, message in enumerate(self.step.messages)
            if isinstance(message, Lifecycle | SummaryUpdated)
        ]

    @property
    def rewrite(self) -> StateReset | None:
        """The rewrite of the timeline this step is, if it is one."""
        return next((one for one in self.step.messages if isinstance(one, StateReset)), None)

    def lifecycles(self) -> list[tuple[Frame, bool]]:
        """(frame, True) of each lifecycle message, for the dashboards that see the task before and after."""
        return [made for made in self.beside_timeline() if made[1]]

    @property
    def is_listed(self) -> bool:
        """Did the summary change?"""
        return any(isinstance(message, Listed) for message in self.step.messages)

    def upserted(self) -> Frame:
        if self._upserted is None:
            assert self.step.after is not None
            data = {"change": "upserted", **self.step.after.summary}
            self._upserted = encode(Kind.LIST_UPDATED, data, at=self.step.at)
        return self._upserted

    def gone_from_list(self) -> Frame:
        change = "deleted" if self.step.after is None else "revoked"
        return encode(Kind.LIST_UPDATED, {"change": change, "taskId": self.step.id}, at=self.step.at)

    def gone_from_room(self) -> Frame:
        kind = Kind.DELETED if self.step.after is None else Kind.REVOKED
        return encode(kind, {"taskId": self.step.id}, at=self.step.at)

    def _room_frames(self, progress: Progress) -> Iterator[tuple[Frame, bool]]:
        step = self.step
        assert step.after is not None
        for index, message in enumerate(step.messages):
            match message:
                case EventAdded(position, event):
                    shown = event_json(event, self._fields)
                    progress.next, progress.digest = position + 1, extend(progress.digest, shown)
                    data = {
                        "taskId": step.id,
                        "index": position,
                        "event": shown,
                        "next": progress.next,
                        "head": head(progress.digest),
                    }
                    yield encode(Kind.EVENT_ADDED, data, at=step.at), False
                case StateReset(elements):
                    state = TaskState(step.after, elements, self._fields, at=step.at)
                    end = state.progress()
                    progress.next, progress.digest = end.next, end.digest
                    for page in state.pages():
                        yield page, False
                case SummaryUpdated():
                    yield self._other(index, message), False
                case Lifecycle():
                    yield self._other(index, message), True
                case Listed():
                    pass

    def _other(self, index: int, message: Lifecycle | SummaryUpdated) -> Frame:
        frame = self._others.get(index)
        if frame is None:
            kind = Kind.UPDATED
            data: dict[str, Any] = {"taskId": self.step.id}
            if isinstance(message, Lifecycle):
                kind, data = message.kind, data | message.data
            elif self.step.after is not None:
                data["task"] = self.step.after.summary
            frame = self._others[index] = encode(kind, data, at=self.step.at)
        return frame


def replay(
    steps: Sequence[StepFrames], progress: Progress
) -> list[tuple[StepFrames, list[tuple[Frame, bool]]]]:
    """What a room is told of these steps from `progress` on; of several rewrites only the last."""
    rewrites = [number for number, frames in enumerate(steps) if frames.rewrite is not None]
    first = rewrites[-1] if rewrites else 0
    return [
        (frames, frames.for_room(progress) if number >= first else frames.beside_timeline())
        for number, frames in enumerate(steps)
    ]
