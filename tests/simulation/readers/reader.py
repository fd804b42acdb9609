"""What all readers have in common: a user, rights that change, an instance they go to, and a script."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from relay.protocol.types import ABNORMAL, Close
from simulation.instance import Instance, keys_of, token_of
from simulation.network import End, Network
from simulation.plan import Plan
from simulation.referee import Memory, Referee
from simulation.world import World, lasting

BAD_ID = "bad"  # a task id that the simulated relay answers with `bad_request`
TOKEN_S = (31.0, 40.0)  # a token is renewed 30 s before it ends: so every few seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a history plays."""

    plan: Plan
    world: World
    referee: Referee
    network: Network
    instances: list[Instance]
    tasks: list[str]


class Reader(ABC):
    """One user at one client. The history calls `act` until it has been written, then `calm`."""

    def __init__(self, scene: Scene, name: str, sub: str) -> None:
        self.name = name
        self.sub = sub
        self.rights = "none"
        self.token_rights = "none"  # those of its newest token
        self._scene = scene
        self._plan, self._world, self._referee = scene.plan, scene.world, scene.referee
        self._network = scene.network
        self._loop = asyncio.get_running_loop()
        self._chance = scene.plan.chance(name)
        self._memory = Memory()
        self._instance = self._chance.choice(scene.instances)
        self._serial = 0
        self._cuts = 0  # connections that the network broke, and whose end has not been noticed

    @property
    def keys(self) -> frozenset[str]:
        """What its newest token lets it see."""
        return keys_of(self.sub, self.rights)

    def token(self, seconds: float | None = None) -> str:
        """A fresh token with the reader's rights."""
        self._serial += 1
        self.token_rights = self.rights
        lives_s = seconds if seconds is not None else self._chance.uniform(*TOKEN_S)
        return token_of(self.sub, self.rights, self._loop.time() + lives_s, self._serial)

    def move(self) -> None:
        """Go to an instance, mostly another one, from the next connection on."""
        others = [one for one in self._scene.instances if one is not self._instance]
        if others and self._chance.random() < 0.8:
            self._instance = self._chance.choice(others)

    def cut(self, end: End | None) -> None:
        """The network breaks this connection."""
        if end is not None and end.cut():
            self._cuts += 1
            self.note("the connection breaks")

    def on_end(self, code: int | None, reason: str) -> None:
        """Blame the relay for the end of a connection that did not have to end."""
        if code == ABNORMAL and self._cuts:
            self._cuts -= 1
        elif code != Close.UNAUTHENTICATED and not (code == Close.RATE_LIMITED and self._plan.has("rate")):
            self.blame("closed", f"{code} {reason}")

    def blame(self, kind: str, what: str) -> None:
        self._referee.blame(kind, self.name, what)

    def note(self, what: str) -> None:
        self._referee.note(self.name, what)

    @abstractmethod
    def start(self) -> None:
        """Begin to read."""

    @abstractmethod
    def act(self) -> None:
        """Do one thing that readers do, or that happens to them."""

    @abstractmethod
    def calm(self) -> None:
        """From here on nothing happens to it, and it asks for nothing more."""

    @abstractmethod
    def differences(self) -> list[tuple[str, str]]:
        """What is not as the documents are, as the kind of violation and what it is."""

    def stall(self, seconds: float) -> None:
        """Take nothing from the network for a while, where the reader knows how."""
        self.note(f"does not stall for {seconds}")

    async def stop(self) -> None:
        """End it."""
        self.note("ends")

    # What should be seen in the end.

    def wrong_task(self, task_id: str, events: Any, summary: Any) -> list[tuple[str, str]]:
        """What is wrong with a timeline that shows this; events of None: it says that it may not be seen."""
        should = self._world.seen(task_id, self.keys, self._world.written)
        if should is None:
            return (
                [("differs", f"{task_id} shows {len(events)} events, and may not be seen")]
                if events is not None
                else []
            )
        if events is None:
            return [("hidden", f"{task_id} is not shown, and may be seen")]
        if events != should.events:
            return [("differs", f"{task_id} has {len(events)} events that are not its {len(should.events)}")]
        if lasting(summary) != should.lasting():
            return [("differs", f"{task_id} has the summary {summary}, not {should.summary}")]
        return []

    def wrong_end(self, task_id: str, state: str) -> list[tuple[str, str]]:
        """What is wrong with a view that ended with this code of an error, or has not begun."""
        if state == "bad_request" and task_id == BAD_ID:
            return []
        if state == "too_many_tasks" and self._plan.has("cap"):
            return []
        return [("loading" if state == "loading" else "ended", f"{task_id[:20]} is {state}")]

    def wrong_refusals(self, together: set[str], states: dict[str, str]) -> list[tuple[str, str]]:
        """Views that ended because another task of their request was refused, and were not asked for alone."""
        refused = ("bad_request", "too_many_tasks")
        ended = sorted(one for one in together if one != BAD_ID and states.get(one) in refused)
        return [("ended", f"{', '.join(ended)} were refused together, and never alone")] if ended else []

    def wrong_list(self, listed: Any) -> list[tuple[str, str]]:
        should = self._world.listed(self.keys, self._world.written)
        if listed == should:
            return []
        names = sorted(name for name in should.keys() | listed.keys() if should.get(name) != listed.get(name))
        shown = {name: (listed.get(name), should.get(name)) for name in names}
        return [("list", f"the list has (what it has, what it should) {shown}")]
