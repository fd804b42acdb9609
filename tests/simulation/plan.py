"""What one history has in it, drawn from its seed: every trouble can be switched off by its name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

# Troubles that a history may have. Each is on in about half of the histories that may have it.
TROUBLES = (
    "stalls",  # readers take nothing for a while, and outboxes are small
    "overflow",  # so small that one state is more than all the answers which may wait
    "lost",  # the stream's place is lost, so everybody is resynced
    "unavailable",  # reads fail, one by one and for seconds
    "slow",  # reads take their time, and overtake each other
    "rights",  # what a reader may see changes with a fresh token
    "drops",  # connections break
    "instances",  # two instances, one behind the other, and readers that move
    "pages",  # states leave in many small pages
    "bad",  # readers ask for an id that is a bad request
    "cap",  # a connection may join few tasks
    "rate",  # few requests a second
    "waits",  # list updates wait for each other
    "repeats",  # equal events
    "large",  # events with a lot of text
    "blocked",  # WebSockets are blocked for a while (browser client)
    "tokens",  # the application has no token, an old one, or no answer for a while (browser and Python client)
)
READERS = {"naive": 0.8, "poller": 0.5, "python": 0.5, "browser": 0.3}  # and in how many histories they are


def chance_of(*names: object) -> Random:
    """An own source of randomness for each part of a history: what one draws moves no other's."""
    return Random("/".join(map(str, names)))


@dataclass(frozen=True, slots=True)
class Plan:
    """One history: which troubles and which readers it has."""

    seed: int
    number: int
    troubles: frozenset[str]
    readers: tuple[str, ...]
    is_strict: bool = False  # see `referee.KINDS["flicker"]`

    @property
    def name(self) -> str:
        return f"{self.seed}/{self.number}"

    def chance(self, *names: object) -> Random:
        return chance_of(self.seed, self.number, *names)

    def has(self, trouble: str) -> bool:
        assert trouble in TROUBLES
        return trouble in self.troubles


def planned(
    seed: int,
    number: int,
    *,
    without: Collection[str] = (),
    readers: Collection[str] = READERS,
    is_strict: bool = False,
) -> Plan:
    """The plan of this history. `without` takes troubles away and changes nothing else of it."""
    chance = chance_of(seed, number)
    troubles = {trouble for trouble in TROUBLES if trouble != "tokens" and chance.random() < 0.5}
    if (
        chance_of(seed, number, "tokens").random() < 0.4
    ):  # of its own: the histories before it stay as they were
        troubles.add("tokens")
    drawn = {reader for reader, share in READERS.items() if chance.random() < share}
    chosen = [reader for reader in READERS if reader in drawn.intersection(readers)] or list(readers)
    return Plan(seed, number, frozenset(troubles - set(without)), tuple(chosen), is_strict)
