"""Check the polls of one reader against section 8 of PROTOCOL.md, for every kind of reader.

It watches requests as they leave and answers as they reach the reader. No answer may be older than what an
answer before it has shown, unless the second is over that an instance may be waited for.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from bson import Timestamp

from simulation.instance import Instance
from simulation.referee import CATCH_UP_S, Memory, Position, Referee, shows


@dataclass(slots=True)
class Poll:
    """A request that has left: what it asks for, and from which positions."""

    instance: Instance
    keys: frozenset[str]
    at: float
    tasks: dict[str, Position | None]
    floors: dict[str, int]  # the version of each task that the reader has been shown
    listed: int  # and the moment of its list
    moment: Timestamp | None


@dataclass(slots=True)
class Polls:
    """All polls of one reader."""

    referee: Referee
    who: str
    memory: Memory
    _shown: dict[str, int] = field(default_factory=dict)
    _forbidden: set[str] = field(default_factory=set)
    _listed: int = 0
    _moment: Timestamp = field(default_factory=lambda: Timestamp(0, 0))
    _incoming: dict[str, Any] = field(default_factory=dict)

    def sent(self, body: str, instance: Instance, keys: frozenset[str]) -> Poll:
        """A poll leaves for this instance, with a token of these rights."""
        self.referee.note(self.who, lambda: f"→ poll {instance.port} {body[:300]}")
        asked = json.loads(body)
        moment = _moment(asked["moment"]) if "moment" in asked else None
        if moment is not None and moment < self._moment:
            self.referee.blame(
                "moment", self.who, f"it asks from {moment}, and was answered at {self._moment}"
            )
        tasks = {one["taskId"]: self._position(one) for one in asked.get("tasks", ())}
        floors = {one: self._shown.get(one, 0) for one in tasks}
        return Poll(instance, keys, self.referee.now, tasks, floors, self._listed, moment)

    def received(self, poll: Poll, status: int, text: str) -> dict[str, Any]:
        """Its answer, as it reaches the reader."""
        self.referee.note(self.who, lambda: f"← {status} {text[:400]}")
        answer: dict[str, Any] = json.loads(text)
        if status != 200:
            return answer
        early = self._is_early(poll)
        for message in answer["messages"]:
            data = message["data"]
            match message["type"]:
                case "task:state":
                    self._on_state(poll, data, early=early)
                case "dashboard:state":
                    self._on_list(poll, data, early=early)
        moment = _moment(answer["moment"])
        if early and poll.moment is not None and moment < poll.moment:
            self.referee.blame(
                "moment", self.who, f"it is answered at {moment}, and had asked from {poll.moment}"
            )
        self._moment = max(self._moment, moment)
        return answer

    def _on_state(self, poll: Poll, data: dict[str, Any], *, early: bool) -> None:
        task_id, start = data["taskId"], data["from"]
        if task_id not in poll.tasks:
            self.referee.blame("answers", self.who, f"a state of {task_id}, which was not asked for")
            return
        position = poll.tasks[task_id]
        base = position.events if position is not None else []
        if start > len(base) or (data["reset"] and start) or start + len(data["events"]) != data["next"]:
            self.referee.blame("gap", self.who, f"a state of {task_id} from {start}, it holds {len(base)}")
            return
        events = [*base[:start], *data["events"]]
        place = task_id, data["next"], data["head"]
        self.memory.positions.setdefault(place, Position(events))
        if data["more"]:
            poll.tasks[task_id] = Position(events)
            return
        floor = poll.floors[task_id] if early else 0
        version = self.referee.judge(
            self.who, task_id, poll.keys, floor, "a state", shows(events, data["task"])
        )
        if version is not None:
            self._shown[task_id] = version

    def _on_list(self, poll: Poll, data: dict[str, Any], *, early: bool) -> None:
        if data["reset"]:
            self._incoming = {}
        self._incoming |= {one["taskId"]: one for one in data["tasks"]}
        if data["more"]:
            return
        world = self.referee.world
        floor = poll.listed if early else 0
        for moment in range(floor, world.written + 1):
            if world.listed(poll.keys, moment) == self._incoming:
                self._listed = moment
                return
        older = any(world.listed(poll.keys, moment) == self._incoming for moment in range(floor))
        kind = "back" if older else "wrong"
        self.referee.blame(kind, self.who, f"a list that is none from moment {floor} on")

    def _position(self, entry: dict[str, Any]) -> Position | None:
        if "since" not in entry or "head" not in entry:
            return None
        return self.memory.positions.get((entry["taskId"], entry["since"], entry["head"]))

    def _is_early(self, poll: Poll) -> bool:
        """Whether the instance had to wait longer for what this reader has been shown."""
        waited = self.referee.now - poll.at
        loop = asyncio.get_running_loop()
        return waited < CATCH_UP_S and poll.instance.reads.was_away_at < loop.time() - waited


def _moment(shown: str) -> Timestamp:
    time, inc = shown.split(".")
    return Timestamp(int(time), int(inc))
