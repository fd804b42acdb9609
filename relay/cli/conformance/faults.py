"""What a client did wrong, and where PROTOCOL.md says so. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One sentence about the client, which is its subject, and a section of PROTOCOL.md."""

    sentence: str
    section: str


class Failed(Exception):
    """The scenario cannot go on after this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault
