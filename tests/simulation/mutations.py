"""Faults that can be put into the code for one run: `scripts/simulate --mutation NAME` must find each of them.

A mutation patches the relay or the Python client in the process of the simulation, and replaces text in the
copy of the browser client that Node is given. It is the way to show that the simulation would find a fault
that was mended: write down here what the code was, and how many histories it takes to notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from relay.gateway.wire import Wire
from relay.hub.frames import StepFrames
from relay.hub.hub import Hub

Patch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`kind`: what it is found as (`referee.KINDS`), by these `readers`. `python` patches; `javascript` is (a
    file below relay/web/client, the text that must be in it once, what stands there instead)."""

    about: str
    kind: str
    readers: Sequence[str] = ("naive",)
    python: Patch = nullcontext
    javascript: Sequence[tuple[str, str, str]] = ()


def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Patch:
    """A patch of one attribute, made from what it was."""

    @contextmanager
    def patched() -> Iterator[None]:
        with patch.object(owner, name, make(getattr(owner, name))):
            yield

    return patched


def _loses_some(send: Any) -> Any:
    count = 0

    def sends(self: Any, payloads: Sequence[bytes]) -> None:
        nonlocal count
        count += 1
        if count % 20:
            send(self, payloads)

    return sends


def _keeps_quiet(_: Any) -> Any:
    def dismiss(self: Hub, listener: Any, frames: StepFrames) -> None:
        self.leave_room(listener, frames.step.key)

    return dismiss


# Those that show that the simulation itself sees; those of faults that were mended follow.
MUTATIONS: dict[str, Mutation] = {
    "lost-frame": Mutation(
        "one write of live messages in twenty is lost",
        "gap",
        python=replaced(Wire, "send", _loses_some),
    ),
    "silent-revocation": Mutation(
        "who loses a task is not told so in its room",
        "differs",
        python=replaced(Hub, "_dismiss", _keeps_quiet),
    ),
    "deaf-list": Mutation(
        "the list of the browser client takes no updates",
        "list",
        ("browser",),
        javascript=[("task-list.js", "this.#byId.set(task.taskId, task);", "")],
    ),
}
