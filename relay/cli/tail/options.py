"""The options of `relay tail`, and its exit codes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from relay.cli.tail.types import CONVERSATION, Types, parse
from relay.client import Message

EXIT_DONE = 0  # by the count, the duration or Ctrl-C, without a reader, or with nothing left to follow
EXIT_NOT_SEEN = 1  # with `until`: it ended in one of these ways before that message came
EXIT_BAD_ARGUMENTS = 2
EXIT_REFUSED = 3  # the relay refused, or nobody answered


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to print, in which form, and for how long."""

    tasks: tuple[str, ...] = ()
    dashboard: bool = False
    since: int | None = None  # print each event from this index on
    json: bool = False
    duration: float | None = None  # seconds
    count: int | None = None  # of lines; with --direct, of changes
    types: tuple[str, ...] = ()  # of the messages to print; empty: all but those of CONVERSATION
    until: str | None = None  # the type of the message to end with
    color: bool | None = None  # None: if standard output is a terminal

    @property
    def ended_early(self) -> int:
        """The exit code of an end before the message of `until`, or of any end without one."""
        return EXIT_DONE if self.until is None else EXIT_NOT_SEEN

    def prints(self, message: Message) -> bool:
        """Is this a message to print?"""
        chosen = self._types.has(message) if self.types else message.type not in CONVERSATION
        return chosen or self.ends_with(message)

    def ends_with(self, message: Message) -> bool:
        """Is this the message of `until`?"""
        return self._last.has(message)

    @cached_property
    def _types(self) -> Types:
        return parse(self.types, "--type")

    @cached_property
    def _last(self) -> Types:
        return parse(() if self.until is None else (self.until,), "--until")


def check(wanted: Selection) -> None:
    """Raise ValueError, with one sentence, for options that contradict each other or have no meaning."""
    if wanted.since is not None and wanted.since < 0:
        raise ValueError("--since must be 0 or more")
    if wanted.since is not None and not wanted.tasks:
        raise ValueError("--since needs a --task: a list of tasks has no positions")
    if wanted.count is not None and wanted.count < 1:
        raise ValueError("--count must be 1 or more")
    if wanted.duration is not None and not wanted.duration > 0:
        raise ValueError("--duration must be more than 0 seconds")
    if not all(wanted.tasks):
        raise ValueError("a task id must not be empty")
    parse(wanted.types, "--type")
    parse(() if wanted.until is None else (wanted.until,), "--until")
