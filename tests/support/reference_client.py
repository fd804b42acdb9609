"""A client that follows PROTOCOL.md and fails on messages that the protocol forbids."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson

from relay.app import Relay
from support.relay_fixture import SocketClient, connected

FENCE = "fence"  # a task that every user sees; its events arrive after all earlier writes
SEEN: Counter[str] = Counter()


class ReferenceClient:
    """Applies the messages of one user as PROTOCOL.md requires. Fails on gaps, repeats and unexpected errors."""

    def __init__(self, sub: str) -> None:
        self.sub = sub
        self.wanted: set[str] = set()
        self.timelines: dict[str, list[Any]] = {}
        self.positions: dict[str, tuple[int, str]] = {}
        self.summaries: dict[str, Any] = {}
        self.dashboard: dict[str, Any] | None = None
        self.unanswered: set[str] = set()
        self.fence = -1
        self.moved = asyncio.Event()
        self.client: SocketClient | None = None
        self._number = 0
        self._offered: dict[str, int] = {}
        self._joins: dict[str, set[str]] = {}
        self._resyncs: set[str] = set()

    async def live(self, relay: Relay | str, joined: asyncio.Event) -> None:
        """Connect, join what is wanted, and apply messages, until cancelled."""
        self.unanswered.clear()
        self._offered.clear()
        async with connected(relay, sub=self.sub, teams=["everyone"]) as client:
            self.client = client
            for task_id in {*self.wanted, FENCE}:
                await self.join(task_id)
            if self.dashboard is not None:
                await self.join_dashboard()
            joined.set()
            async for frame in client.socket:
                self.apply(orjson.loads(frame))
                self.moved.set()

    async def ask(self, kind: str, data: dict[str, Any]) -> str:
        assert self.client is not None
        self._number += 1
        self.unanswered.add(str(self._number))
        await self.client.send(kind, data, id=str(self._number))
        return str(self._number)

    async def join(self, task_id: str) -> None:
        self.wanted.add(task_id)
        position = self.positions.get(task_id)
        data: dict[str, Any] = {"taskId": task_id}
        if position is not None:
            data |= {"since": position[0], "head": position[1]}
        asked = await self.ask("task:join", data)
        self._joins.setdefault(task_id, set()).add(asked)
        if position is not None and position[0]:
            self._offered[asked] = position[0]

    async def leave(self, task_id: str) -> None:
        self.wanted.discard(task_id)
        self.unanswered -= self._joins.pop(task_id, set())  # a join gets no answer after its task was left
        await self.ask("task:leave", {"taskId": task_id})

    async def resync(self, task_id: str) -> None:
        """Request a fresh state of a task, if it is joined."""
        if task_id in self.wanted:
            self._resyncs.add(await self.ask("resync_requested", {"taskIds": [task_id]}))

    async def join_dashboard(self) -> None:
        self.dashboard = {}
        await self.ask("dashboard:join", {})

    def apply(self, frame: dict[str, Any]) -> None:
        data, kind = frame["data"], frame["type"]
        task_id = data.get("taskId", "")
        match kind:
            case "task:state":
                held = self.timelines.setdefault(task_id, [])
                assert data["from"] <= len(held) or data["from"] == 0, "a state that leaves a gap"
                self.timelines[task_id] = held[: data["from"]] + data["events"]
                assert len(self.timelines[task_id]) == data["next"]
                self.positions[task_id] = (data["next"], data["head"])
                self.summaries[task_id] = data["task"]
                answered = frame.get("replyTo", "")
                if answered in self._joins.get(task_id, ()):
                    self.wanted.add(task_id)  # it was refused or revoked while this join was on its way
                offered = self._offered.pop(answered, 0)
                if offered:
                    SEEN["resumed" if data["from"] == offered else "begun again"] += 1
            case "task:event_added":
                held = self.timelines[task_id]
                assert data["index"] == len(held), "a gap or a repeat"
                held.append(data["event"])
                assert data["next"] == len(held)
                self.positions[task_id] = (data["next"], data["head"])
                if task_id == FENCE:
                    self.fence = data["event"]["data"]
            case "task:updated":
                self.summaries[task_id] = data["task"]
            case "task:deleted" | "task:revoked":
                self.timelines.pop(task_id, None)
                self.positions.pop(task_id, None)
                self.wanted.discard(task_id)
            case "error":
                assert data["code"] == "forbidden", data
                self.timelines.pop(task_id, None)
                self.positions.pop(task_id, None)
                self.wanted.discard(task_id)
            case "dashboard:state":
                listed = {} if data["reset"] else self.dashboard
                assert listed is not None
                self.dashboard = listed | {task["taskId"]: task for task in data["tasks"]}
            case "dashboard:task_list_updated":
                assert self.dashboard is not None
                if data.pop("change") == "upserted":
                    self.dashboard[task_id] = data
                else:
                    self.dashboard.pop(task_id, None)
        of_resync = kind == "task:state" and frame.get("replyTo") in self._resyncs
        if "replyTo" in frame and not data.get("more") and not of_resync:
            self.unanswered.discard(frame["replyTo"])
