"""Turn messages into lines: for people, or the frames themselves. Pure, except for the clock that it is given.

Rule of this file: an event of a timeline is printed once, however often the connection is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from relay.cli.printable import json_line
from relay.cli.tail.descriptions import describe, event_text, integer, string
from relay.cli.tail.lines import Entry, line, moment
from relay.cli.tail.printed import PrintedEvents
from relay.client import Message
from relay.protocol.types import Kind


class Renderer:
    """Turns messages into lines: for people, or with `json` the frames themselves.

    It remembers as much of each timeline as it needs to print no event twice.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        since: int | None = None,
        color: bool = False,
        ascii_only: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`since`: print events from this index on. `ascii_only`: escape in JSON what is not ASCII, because the
        encoding of the output has no such characters."""
        self._json = json
        self._since = since
        self._color = color
        self._ascii_only = ascii_only
        self._now = now
        self._timelines: dict[str, PrintedEvents] = {}
        self._listed: list[Any] = []

    def lines(self, message: Message) -> Iterator[str]:
        """Yield the lines of one message, without line endings: with `json` one at most."""
        entries = list(self._entries(message))
        if self._json:
            if entries:
                yield json_line(message.raw, ascii_only=self._ascii_only)
            return
        for entry in entries:
            yield line(entry, self._now(), color=self._color)

    def _entries(self, message: Message) -> Iterator[Entry]:
        """Yield what to print of one message. For people, the pages of a list make one entry, with the last of them."""
        task_id = string(message.data.get("taskId"))
        at = moment(message.at)
        match message.type:
            case Kind.TASK_STATE:
                yield from self._state_entries(message, task_id)
            case Kind.DASHBOARD_STATE:
                yield from self._list_entries(message)
            case Kind.EVENT_ADDED:
                index, event = integer(message.data.get("index")), message.data.get("event")
                if self._since is not None:
                    self._timeline(task_id).append(index, event)
                if index >= (self._since or 0):
                    text = event_text(index, event)
                    yield Entry(message.type, task_id, text, at or _event_time(event), at)
            case _:
                if message.type in (Kind.DELETED, Kind.REVOKED):
                    self._timelines.pop(
                        task_id, None
                    )  # a task that is created again under this id is another one
                yield Entry(message.type, task_id, describe(message.type, message.data), at, at)

    def _state_entries(self, message: Message, task_id: str) -> Iterator[Entry]:
        data = message.data
        events = data.get("events")
        events = events if isinstance(events, list) else []
        timeline = self._timeline(task_id)
        rewritten = data.get("reset") is True and timeline.held > 0
        if not timeline.unfinished:
            # A state that continues our events is printed event by event, as what was missed; any other in one line.
            timeline.as_events = self._since is not None or data.get("reset") is False
            timeline.shown = 0
        timeline.unfinished = data.get("more") is True
        start = integer(data.get("from"))
        fresh = timeline.replace(start, events, remember=self._since is not None)
        at = moment(message.at)
        if self._json and (self._since is None or rewritten):
            yield Entry(message.type, task_id, "", at, at)
        elif timeline.as_events:
            for index in fresh:
                if index >= (self._since or 0):
                    timeline.shown += 1
                    event = events[index - start]
                    yield Entry(message.type, task_id, event_text(index, event), _event_time(event), None)
        if self._since is None and timeline.shown == 0 and not timeline.unfinished and not self._json:
            text = ("rewritten, " if rewritten else "") + describe(message.type, data)
            yield Entry(message.type, task_id, text, at, at)

    def _list_entries(self, message: Message) -> Iterator[Entry]:
        tasks = message.data.get("tasks")
        if message.data.get("reset") is True:
            self._listed = []
        self._listed += tasks if isinstance(tasks, list) else []
        at = moment(message.at)
        if self._json or message.data.get("more") is not True:
            yield Entry(message.type, "", describe(message.type, {"tasks": self._listed}), at, at)
            self._listed = []

    def _timeline(self, task_id: str) -> PrintedEvents:
        return self._timelines.setdefault(task_id, PrintedEvents())


def _event_time(event: object) -> datetime | None:
    return moment(event.get("at")) if isinstance(event, dict) else None
