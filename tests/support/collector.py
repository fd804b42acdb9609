"""A publisher for the pump that keeps the messages and the timelines that they build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from bson import Timestamp

from relay.feed.pump import Pump
from relay.tasks.event_view import element_json, event_json
from relay.tasks.mapping import Mapping
from relay.tasks.step import EventAdded, StateReset, Step
from relay.tasks.timeline import timeline_of
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

MAPPING = Mapping()


TRANSLATOR = Translator(MAPPING, Audience(MAPPING.visibility).keys_of, max_text=100)


def run_to_the_end(pump: Pump) -> None:
    """Run a pump whose source ends, and which never waits but only lets others run."""
    running = pump.run()
    with suppress(StopIteration):
        while True:
            running.send(None)


class Collector:
    """A publisher that keeps the messages in the form in which they are sent, and applies them to timelines as a client
    does."""

    def __init__(self, timelines: dict[str, list[bytes]]) -> None:
        self.timelines = timelines
        self.published: list[tuple[Timestamp, str, tuple[Any, ...], Any]] = []

    def prepare(self, step: Step) -> Callable[[], None] | None:
        return step.make_beside_timeline

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        for step in steps:
            if step.after is None:
                del self.timelines[step.id]
            elif step.before is None:  # a new task: a client that joins it is sent its state
                self.timelines[step.id] = shown(step.after.timeline.elements or ())
            messages = tuple(self._sent(step, message) for message in step.messages)
            shows = step.after and (step.after.summary, step.after.keys)
            self.published.append((position, step.id, messages, shows))

    def _sent(self, step: Step, message: Any) -> Any:
        timeline = self.timelines[step.id]
        match message:
            case EventAdded(index, event):
                assert index == len(timeline), "a gap or a repeat"
                timeline.append(event_json(event, TRANSLATOR.view))
                return index, timeline[-1]
            case StateReset(elements):
                timeline[:] = shown(elements)
                return tuple(timeline)
        return message

    def resync(self, position: Timestamp) -> None:
        raise AssertionError("nothing was lost")


def shown(elements: Sequence[bytes]) -> list[bytes]:
    return [element_json(element, TRANSLATOR.view) for element in elements]


def stored(document: dict[str, Any]) -> list[bytes]:
    return shown(timeline_of(document, "events").elements or ())
