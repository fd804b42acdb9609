"""The task and the list that the kit shows to a client, and the messages that say so. Pure.

Rule of this file: every array that the timeline has ever been is kept, so that what a client shows can be judged.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from relay.protocol.types import Kind

TASK, OTHER = "65f0c0ffee65f0c0ffee65f0", "65f0c0ffee00000000000000"
AT = "2026-05-01T12:00:00.000Z"
PAGE = 2  # events in one page of a state, so that a client has to take several

Frame = dict[str, Any]
Event = dict[str, Any]
Position = tuple[int, str]


def event(number: int, text: str = "step") -> Event:
    """Return an event of a timeline. Events of different numbers differ."""
    return {"type": "log", "at": AT, "data": {"type": "log", "n": number, "text": text}}


def frame(kind: str, data: dict[str, Any], reply_to: str | None = None) -> Frame:
    """Return a message of the server."""
    return {"type": str(kind), "data": data} | ({"replyTo": reply_to} if reply_to is not None else {})


class World:
    """One task with its events, in a list with another task."""

    def __init__(self, events: list[Event] | None = None) -> None:
        self.events = [event(number) for number in range(3)] if events is None else events
        self.title, self.stage = "Export invoices", "dispatched"
        self._versions = [self.events]

    def summary(self) -> dict[str, Any]:
        return {
            "taskId": TASK,
            "eventCount": len(self.events),
            "title": self.title,
            "status": "open",
            "stage": self.stage,
        }

    def listed(self) -> list[dict[str, Any]]:
        return [self.summary(), {"taskId": OTHER, "eventCount": 0}]

    def position(self, count: int | None = None) -> Position:
        """Return the position after this number of events, by default after all."""
        held = self.events[:count]
        return len(held), "1." + hashlib.sha256(json.dumps(held).encode()).hexdigest()[:8]

    def has_been(self, events: list[Any]) -> bool:
        """Were these all the events of the timeline, or its first ones, at any time?"""
        return any(version[: len(events)] == events for version in self._versions)

    def append(self, added: Event) -> list[Frame]:
        """Add an event. Return the messages that say so."""
        self.events.append(added)
        next_, head = self.position()
        data = {"taskId": TASK, "index": next_ - 1, "event": added, "next": next_, "head": head}
        return [frame(Kind.EVENT_ADDED, data), self.upserted()]

    def rewrite(self, events: list[Event]) -> None:
        """Replace the timeline by another one."""
        self.events = events
        self._versions.append(events)

    def upserted(self) -> Frame:
        """Return the message that says what the list shows of the task."""
        return frame(Kind.LIST_UPDATED, {"change": "upserted", **self.summary()})

    def list_state(self, reply_to: str | None) -> list[Frame]:
        """Return the list, one task a page."""
        first, last = self.listed()
        return [
            frame(Kind.DASHBOARD_STATE, {"tasks": [first], "reset": True, "more": True}, reply_to),
            frame(Kind.DASHBOARD_STATE, {"tasks": [last], "reset": False, "more": False}, reply_to),
        ]

    def task_state(self, since: int | None, head: str | None, reply_to: str | None) -> list[Frame]:
        """Return the task from this position on, or from the beginning if it does not have this position."""
        known = since is not None and since <= len(self.events) and self.position(since) == (since, head)
        start, reset = (since or 0, False) if known else (0, True)
        pages = []
        while True:
            end = min(start + PAGE, len(self.events))
            next_, reached = self.position(end)
            more = end < len(self.events)
            data = {"taskId": TASK, "task": self.summary(), "events": self.events[start:end], "from": start,
                    "next": next_, "head": reached, "reset": reset, "more": more}  # fmt: skip
            pages.append(frame(Kind.TASK_STATE, data, reply_to))
            if not more:
                return pages
            start, reset = end, False
