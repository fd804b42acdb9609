"""The messages of one step as frames: each message is encoded once, and only when a listener is sent it. Pure.

A step is what one change means for one task: the task before and after the change, and the messages about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from relay.hub.snapshot import MANY_BYTES, Progress, TaskState
from relay.protocol.frames import Frame, encode, error
from relay.protocol.types import ErrorCode, Kind
from relay.source.raw_bson import Element
from relay.tasks.event_view import EventView, event_json, extend, head
from relay.tasks.step import EventAdded, Lifecycle, Listed, StateReset, Step, SummaryUpdated

Made = tuple[Frame, bool]  # a frame, and whether it is a lifecycle message


def revocation(task_id: str, *, deleted: bool, at: str | None = None) -> Frame:
    """Return the frame that ends a subscription to a task: the task was deleted, or the listener may no longer see it.

    All such frames are made here, whatever ends the subscription: a change (`at` is its time), new rights of the
    listener, or the answer of a read.
    """
    return encode(Kind.DELETED if deleted else Kind.REVOKED, {"taskId": task_id}, at=at)


def unavailable(reply_to: str | None, task_id: str | None = None) -> Frame:
    """Return the error frame that answers a request whose task or list could not be read. `task_id` is None for the
    list."""
    message = "The database is unavailable; try again."
    return error(ErrorCode.UNAVAILABLE, message, task_id=task_id, retry_after_ms=1000, reply_to=reply_to)


class StepFrames:
    """The messages of one step (what one change means for one task) as frames, which are shared by everybody who is
    sent them.

    Frames of the timeline contain a position, so they are made from the position of the room (the live subscribers of
    the task) that they are sent to. They are made only once: only the room and the read buffers of this one task use
    the object, and all of these are at the same position before the step.
    """

    def __init__(self, step: Step, fields: EventView) -> None:
        self.step = step
        self.lifecycle_sent_to: set[object] = set()  # listeners: each is sent the lifecycle messages once
        self._fields = fields
        self._others: dict[int, Frame] = {}  # by the identity of the message, which the step keeps
        self._for_room: list[Made] | None = None
        self._after = Progress(0, b"")
        self._events: list[bytes] = []  # the JSON of the events that the step appended, if it was made early
        self._state: TaskState | None = None
        self._revocation: Frame | None = None
        self._upserted: Frame | None = None

    def prepare(self, is_current: bool, *, is_read: bool) -> None:
        """Encode the events of this step, and make its other messages, before the frames are needed.

        `is_current`: the room (the live subscribers of the task) is sent the messages of the timeline. `is_read`: reads
        of the task are in flight, which will replay the step, and encode a rewritten timeline of any size for that. A
        room is sent a small one or none, so that is not encoded before it is certain. The method may be called in any
        thread, while no other one uses the step.
        """
        if not is_current and not is_read:
            self.step.make_beside_timeline()
            return
        for message in self.step.messages:
            match message:
                case EventAdded(_, event):
                    self._events.append(event_json(event, self._fields))
                case StateReset(elements) if is_read and sum(map(len, elements)) > MANY_BYTES:
                    self._state = self._state_of(elements)

    def _state_of(self, elements: Sequence[Element]) -> TaskState:
        assert self.step.after is not None
        return TaskState(self.step.after, elements, self._fields, at=self.step.at)

    def note_lifecycle_sent(self, listeners: Iterable[object]) -> None:
        """Remember that these listeners have been sent the lifecycle messages (`task:created` and the like) of this
        step."""
        self.lifecycle_sent_to.update(listeners)

    def for_room(self, progress: Progress) -> tuple[list[Made], Progress]:
        """Return the frames for the live subscribers of the task, in order, and the position in the timeline after
        these frames.

        Each frame comes with whether it is a lifecycle message. `progress` is the position before the step; it has to
        be the same in every call.
        """
        if self._for_room is None:
            self._for_room, self._after = self._made_for_room(progress)
        return self._for_room, self._after

    def beside_timeline(self) -> list[Made]:
        """Return the frames of this step except those of the timeline, for subscribers of the task who will be sent a
        snapshot of the timeline later."""
        return [
            (self._other(message), isinstance(message, Lifecycle))
            for message in self.step.beside_timeline
            if isinstance(message, Lifecycle | SummaryUpdated)
        ]

    def lifecycles(self) -> list[Made]:
        """Return the lifecycle messages (`task:created` and the like) of this step.

        They are for the list's subscribers who may see the task both before and after the step.
        """
        return [made for made in self.beside_timeline() if made[1]]

    @property
    def rewrite(self) -> StateReset | None:
        """The rewrite of the timeline (a change of earlier events) that this step contains, or None."""
        return next((one for one in self.step.messages if isinstance(one, StateReset)), None)

    @property
    def is_listed(self) -> bool:
        """Whether this step changes what lists show of the task."""
        return any(isinstance(message, Listed) for message in self.step.beside_timeline)

    def upserted(self) -> Frame:
        """Return the list update for subscribers of the list who may see the task after the step."""
        if self._upserted is None:
            assert self.step.after is not None
            data = {"change": "upserted", **self.step.after.summary}
            self._upserted = encode(Kind.LIST_UPDATED, data, at=self.step.at)
        return self._upserted

    def list_revocation(self) -> Frame:
        """Return the list update for subscribers of the list who may no longer see the task after the step."""
        change = "deleted" if self.step.after is None else "revoked"
        return encode(Kind.LIST_UPDATED, {"change": change, "taskId": self.step.id}, at=self.step.at)

    def revocation(self) -> Frame:
        """Return the frame for subscribers of the task who may no longer see it after the step, or whose task was
        deleted."""
        if self._revocation is None:
            step = self.step
            self._revocation = revocation(step.id, deleted=step.after is None, at=step.at)
        return self._revocation

    def _made_for_room(self, progress: Progress) -> tuple[list[Made], Progress]:
        step = self.step
        assert step.after is not None
        made: list[Made] = []
        events = iter(self._events)
        for message in step.messages:
            match message:
                case EventAdded(position, event):
                    shown = next(events, None) or event_json(event, self._fields)
                    progress = Progress(position + 1, extend(progress.digest, shown))
                    data = {
                        "taskId": step.id,
                        "index": position,
                        "event": shown,
                        "next": progress.next,
                        "head": head(progress.digest),
                    }
                    made.append((encode(Kind.EVENT_ADDED, data, at=step.at), False))
                case StateReset(elements):
                    state = self._state or self._state_of(elements)
                    progress = state.progress()
                    made += [(page, False) for page in state.pages()]
                case SummaryUpdated():
                    made.append((self._other(message), False))
                case Lifecycle():
                    made.append((self._other(message), True))
                case Listed():
                    pass
        return made, progress

    def _other(self, message: Lifecycle | SummaryUpdated) -> Frame:
        frame = self._others.get(id(message))
        if frame is None:
            kind = Kind.UPDATED
            data: dict[str, Any] = {"taskId": self.step.id}
            if isinstance(message, Lifecycle):
                kind, data = message.kind, data | message.data
            elif self.step.after is not None:
                data["task"] = self.step.after.summary
            frame = self._others[id(message)] = encode(kind, data, at=self.step.at)
        return frame


def replay(
    steps: Sequence[StepFrames], progress: Progress
) -> tuple[list[tuple[StepFrames, list[Made]]], Progress]:
    """Return each of these steps with its frames for a listener at the position `progress`, and the position after all
    steps.

    If several steps rewrite the timeline, only the last rewrite is sent, as a snapshot: it replaces the whole timeline.
    Of the steps before it, only the frames that do not belong to the timeline are returned.
    """
    rewrites = [number for number, frames in enumerate(steps) if frames.rewrite is not None]
    first = rewrites[-1] if rewrites else 0
    replayed = [(frames, frames.beside_timeline()) for frames in steps[:first]]
    for frames in steps[first:]:
        made, progress = frames.for_room(progress)
        replayed.append((frames, made))
    return replayed, progress
