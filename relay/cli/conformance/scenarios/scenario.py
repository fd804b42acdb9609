"""What a scenario is. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay.cli.conformance.exam import Exam


@dataclass(frozen=True, slots=True)
class Scenario:
    """`section` of PROTOCOL.md is what it is about; `optional` says that a client may do without it."""

    name: str
    section: str
    what: str
    play: Callable[[Exam], Awaitable[None]]
    optional: bool = False
