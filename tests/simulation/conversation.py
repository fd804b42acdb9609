"""Check one WebSocket connection against PROTOCOL.md, frame by frame, for every kind of reader.

It watches the frames of one connection as they leave and reach the reader, and keeps what a reader of the
contract would hold: rooms with their events, the list, the requests without an answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulation.instance import Instance
from simulation.referee import (
    CATCH_UP_S,
    Memory,
    Position,
    Referee,
    grows_to,
    listed_as,
    shows,
    summed_up,
)
from simulation.world import Event

LIST = None  # the list among the rooms
LIFECYCLE = frozenset(
    f"task:{name}"
    for name in (
        "created",
        "analyzing",
        "clarification_needed",
        "dispatched",
        "pr_opened",
        "pr_merged",
        "failed",
    )
)


@dataclass(slots=True)
class Asked:
    """A request without its whole answer. `tasks`: what is left of it, with the position each was asked
    from; `moment`: the last write when it was sent. `floors` and `listed`: what the reader had then."""

    kind: str
    number: int
    at: float
    moment: int
    tasks: dict[str, Position | None] = field(default_factory=dict)
    keys: frozenset[str] | None = None  # the rights an `auth` asks for
    floors: dict[str, int] = field(default_factory=dict)
    listed: int = 0


@dataclass(slots=True)
class Room:
    """What the reader holds of a task it is in."""

    events: list[Event]
    summary: dict[str, Any]


class Conversation:
    """`received` takes what reaches the reader, `sent` what it asks. `rooms` and `list` are what it holds;
    `list` is None before the first state."""

    def __init__(
        self, referee: Referee, who: str, memory: Memory, instance: Instance, keys: frozenset[str]
    ) -> None:
        self._referee = referee
        self._world = referee.world
        self._who = who
        self._memory = memory
        self._instance = instance
        self._keys = keys
        self._number = 0
        self._welcomed = False
        self._paging: dict[str | None, str | None] = {}  # the rooms in the middle of a state, and whose
        self._partial: dict[str, list[Event]] = {}  # what the pages of a state amount to so far
        self._lifecycle: dict[str, tuple[str, int]] = {}
        self._incoming: dict[str, Any] = {}
        self._is_listed = False  # whether it is sent list updates
        self._forbidden: set[str] = set()  # tasks it is in, and was answered that it may not see
        self.asked: dict[str, Asked] = {}
        self._latest: dict[str, str] = {}  # the last join of a task
        self.together: set[str] = set()  # tasks refused in one request with others, and not asked for since
        self._seen: set[str] = set()  # tasks whose row came while a join of them was in flight
        self.overlooked: set[str] = set()  # those of them that were refused then, and not asked for since
        self.rooms: dict[str, Room] = {}
        self.list: dict[str, Any] | None = None

    @property
    def keys(self) -> frozenset[str]:
        """What it may see, as the relay has confirmed."""
        return self._keys

    def joining(self, task_id: str) -> bool:
        """Whether a join of this task has no answer yet."""
        return any(one.kind == "task:join" and task_id in one.tasks for one in self.asked.values())

    def ends_before_answer(self, text: str) -> bool:
        """Whether this frame, which the reader has not received yet, ends a membership whose task was joined again
        since, without an answer so far."""
        message = orjson.loads(text)
        if message["type"] not in ("task:deleted", "task:revoked"):
            return False
        task_id = message["data"]["taskId"]
        latest = self.asked.get(self._latest.get(task_id, ""))
        return latest is not None and task_id in latest.tasks and not self.is_paging(task_id)

    def sent(self, text: str, keys: frozenset[str] | None = None) -> None:
        """A frame of the reader, as it leaves; `keys` are the rights of an `auth`."""
        frame = orjson.loads(text)
        kind, data = frame["type"], frame.get("data", {})
        self._referee.note(self._who, lambda: f"→ {text[:200]}")
        self._number += 1
        asked = Asked(kind, self._number, self._referee.now, self._world.written, keys=keys)
        if kind == "task:join":
            entries = data.get("tasks", [data])
            asked.tasks = {one["taskId"]: self._position(one) for one in entries}
        elif kind == "resync_requested":
            asked.tasks = {one["taskId"]: self._position(one) for one in data["taskIds"]}
        elif kind == "task:leave":
            asked.tasks = {data["taskId"]: None}
        self.together.difference_update(asked.tasks)
        self.overlooked.difference_update(asked.tasks)
        self._seen.difference_update(asked.tasks)
        asked.floors = {one: self._shown_of(one) for one in asked.tasks}
        asked.listed = self._memory.listed.get(self._instance.port, 0)
        request = frame.get("id", f"without id {self._number}")
        self.asked[request] = asked
        if kind == "task:join":
            self._latest |= dict.fromkeys(asked.tasks, request)

    def received(self, text: str) -> dict[str, Any]:
        """A frame of the relay, as it reaches the reader."""
        message: dict[str, Any] = orjson.loads(text)
        self._referee.note(self._who, lambda: f"← {text[:300]}")
        kind, data, reply_to = message["type"], message["data"], message.get("replyTo")
        if not self._welcomed and kind != "welcome":
            self._blame("answers", f"{kind} before welcome")
        task_id = data.get("taskId")
        self._look_for_pages(kind, task_id, reply_to)
        match kind:
            case "welcome":
                self._welcomed = True
            case "task:state":
                self._on_state(data, reply_to)
            case "task:event_added":
                self._on_event(data)
            case "task:updated":
                self._on_summary(data)
            case "task:deleted" | "task:revoked":
                if self.rooms.pop(task_id, None) is None:
                    self._blame("uninvited", f"{kind} of {task_id}")
            case "task:left":
                self._on_left(task_id, reply_to)
            case "dashboard:state":
                self._on_list(data, reply_to)
            case "dashboard:task_list_updated":
                self._on_row(data)
            case "dashboard:left":
                self._on_list_left(reply_to)
            case "resync:done":
                self._answered(reply_to)
            case "auth:ok":
                self._on_rights(reply_to)
            case "error":
                self._on_error(data, reply_to)
            case "pong":
                self._answered(reply_to)
            case _ if kind in LIFECYCLE:
                self._on_lifecycle(kind, message.get("at", ""), data)
        return message

    def serves(self) -> set[str]:
        """The tasks that the relay is to send messages of, as far as the reader can know."""
        return self.rooms.keys() - self._forbidden

    def is_paging(self, room: str | None) -> bool:
        return room in self._paging

    # States and what follows them.

    def _on_state(self, data: dict[str, Any], reply_to: str | None) -> None:
        task_id, start = data["taskId"], data["from"]
        asked = self._request(reply_to, task_id)
        if reply_to is not None and asked is None:
            return
        base, looks = self._base(task_id, asked)
        if task_id in self._partial:
            base = self._partial[task_id]
        elif asked is None and task_id not in self.rooms:
            self._blame("uninvited", f"a state of {task_id}")
            return
        if start > len(base) or (data["reset"] and start):
            self._blame("gap", f"a state of {task_id} from {start}, it holds {len(base)}")
            return
        events = base[:start] + data["events"]
        if len(events) != data["next"]:
            self._blame("gap", f"a state of {task_id} ends at {data['next']}, it holds {len(events)}")
            return
        floor = self._floor(task_id, asked, whole=start == 0)
        if data["more"]:
            self._partial[task_id] = events
            self._paging[task_id] = reply_to
            self._keep_position(data, events, 0)
            if asked is None or not looks:
                self.rooms[task_id] = Room(events, data["task"])
            return
        self._partial.pop(task_id, None)
        self._paging.pop(task_id, None)
        version = self._judge(task_id, floor, "a state", shows(events, data["task"]))
        if version is None:
            return
        had = self._shown_of(task_id) if asked is None else asked.floors[task_id]
        if self._referee.find(task_id, had, shows(events, data["task"])) is None:
            self._flicker(f"a state of {task_id} is version {version}, it had {had}")
        self._keep_position(data, events, version)
        if not looks:
            self._forbidden.discard(task_id)
            place = self._instance.port, task_id
            self._memory.events[place] = self._memory.summaries[place] = version
            self.rooms[task_id] = Room(events, data["task"])
        if asked is not None:
            self._answered_for(reply_to, task_id)

    def _base(self, task_id: str, asked: Asked | None) -> tuple[list[Event], bool]:
        """What a state continues from, and whether its request joins nothing."""
        if asked is None:
            return self.rooms[task_id].events if task_id in self.rooms else [], False
        position = asked.tasks[task_id]
        looks = asked.kind == "resync_requested" and task_id not in self.rooms
        return position.events if position is not None else [], looks

    def _floor(self, task_id: str, asked: Asked | None, *, whole: bool) -> int:
        """The oldest version that a state may be of. What an instance cannot see from the position, it
        cannot know; and it may wait for a second only."""
        position = asked.tasks[task_id] if asked is not None else None
        if asked is None or not whole or asked.kind != "task:join" or position is None or not position.events:
            return 0
        port = self._instance.port
        ahead = [version for other, version in position.versions.items() if other != port]
        return max(ahead, default=0) if self._is_early(asked) else 0

    def _shown_of(self, task_id: str) -> int:
        """The version of a task that this instance has shown."""
        place = self._instance.port, task_id
        return max(self._memory.events.get(place, 0), self._memory.summaries.get(place, 0))

    def _is_early(self, asked: Asked) -> bool:
        """Whether the relay still has to wait until it has caught up with the moment of this request."""
        waited = self._referee.now - asked.at
        loop = asyncio.get_running_loop()
        return waited < CATCH_UP_S and self._instance.reads.was_away_at < loop.time() - waited

    def _on_event(self, data: dict[str, Any]) -> None:
        task_id, index = data["taskId"], data["index"]
        room = self.rooms.get(task_id)
        if room is None:
            self._blame("uninvited", f"event {index} of {task_id}")
            return
        if index != len(room.events) or data["next"] != index + 1:
            self._blame("gap", f"event {index} of {task_id}, it holds {len(room.events)}")
            return
        room.events = [*room.events, data["event"]]
        place = self._instance.port, task_id
        floor = self._memory.events.get(place, 0)
        version = self._judge(task_id, floor, f"event {index}", grows_to(room.events))
        if version is not None:
            self._memory.events[place] = version
            self._keep_position(data, room.events, version)

    def _on_summary(self, data: dict[str, Any]) -> None:
        task_id = data["taskId"]
        room = self.rooms.get(task_id)
        if room is None:
            self._blame("uninvited", f"a summary of {task_id}")
            return
        room.summary = data["task"]
        place = self._instance.port, task_id
        floor = self._memory.summaries.get(place, 0)
        version = self._judge(task_id, floor, "a summary", summed_up(data["task"]))
        if version is not None:
            self._memory.summaries[place] = version

    def _keep_position(self, data: dict[str, Any], events: list[Event], version: int) -> None:
        place = data["taskId"], data["next"], data["head"]
        known = self._memory.positions.get(place)
        if known is None:
            known = self._memory.positions[place] = Position(events)
        elif known.events != events:
            self._blame("wrong", f"one position of {data['taskId']} for different events")
        port = self._instance.port
        known.versions[port] = max(known.versions.get(port, 0), version)

    def _position(self, entry: dict[str, Any]) -> Position | None:
        if entry.get("since") is None or entry.get("head") is None:
            return None
        return self._memory.positions.get((entry["taskId"], entry["since"], entry["head"]))

    def _on_left(self, task_id: str, reply_to: str | None) -> None:
        leave = self._answered(reply_to)
        if leave is None:
            return
        self.rooms.pop(task_id, None)
        for request, asked in list(self.asked.items()):
            if asked.kind == "task:join" and asked.number < leave.number and task_id in asked.tasks:
                self._answered_for(request, task_id)

    # The list.

    def _on_list(self, data: dict[str, Any], reply_to: str | None) -> None:
        asked = self._request(reply_to, None)
        if reply_to is not None and asked is None:
            return
        if reply_to is None and not self._is_listed:
            self._blame("uninvited", "a list")
            return
        if data["reset"]:
            self._incoming = {}
        self._incoming |= {one["taskId"]: one for one in data["tasks"]}
        if data["more"]:
            self._paging[LIST] = reply_to
            return
        self._paging.pop(LIST, None)
        self.list, self._is_listed = self._incoming, True
        self._incoming = {}
        if reply_to is not None:
            self._answered(reply_to)
        port = self._instance.port
        had = self._memory.listed.get(port, 0) if asked is None else asked.listed
        moments = [
            moment
            for moment in range(self._world.written + 1)
            if self._world.listed(self._keys, moment) == self.list
        ]
        if not moments:
            self._blame("wrong", f"a list of {sorted(self.list)} that is that of no moment")
            return
        if moments[-1] < had:
            self._flicker(f"a list of moment {moments[-1]}, it had {had}")
        moment = moments[0]  # the oldest it can be of: other reads may have been faster than this one
        self._memory.listed[port] = moment
        for task_id in self._world.history.versions:
            self._memory.rows[port, task_id] = self._world.current(task_id, moment)

    def _on_row(self, data: dict[str, Any]) -> None:
        task_id = data["taskId"]
        if not self._is_listed or self.list is None:
            self._blame("uninvited", f"a list update of {task_id}")
            return
        if data["change"] != "upserted":
            self.list.pop(task_id, None)
            self._seen.discard(task_id)
            return
        if self.joining(task_id):
            self._seen.add(task_id)
        row = {name: value for name, value in data.items() if name != "change"}
        self.list[task_id] = row
        place = self._instance.port, task_id
        version = self._judge(task_id, self._memory.rows.get(place, 0), "a row", listed_as(row))
        if version is not None:
            self._memory.rows[place] = version
            moment = self._world.versions(task_id)[version].moment
            port = self._instance.port
            self._memory.listed[port] = max(self._memory.listed.get(port, 0), moment)

    def _on_list_left(self, reply_to: str | None) -> None:
        leave = self._answered(reply_to)
        if leave is None:
            return
        self.list, self._is_listed = None, False
        for request, asked in list(self.asked.items()):
            if asked.kind == "dashboard:join" and asked.number < leave.number:
                del self.asked[request]

    # Lifecycle messages.

    def _on_lifecycle(self, kind: str, at: str, data: dict[str, Any]) -> None:
        task_id = data["taskId"]
        if task_id not in self.rooms and not self._is_listed:
            self._blame("uninvited", f"{kind} of {task_id}")
            return
        messages = self._world.history.lifecycle.get(at, [])
        last_at, last = self._lifecycle.get(task_id, ("", -1))
        first = last + 1 if at == last_at else 0
        content = {name: value for name, value in data.items() if name != "taskId"}
        for number in range(first, len(messages)):
            one = messages[number]
            if (
                one.type == kind
                and {name: value for name, value in one.data.items() if name != "taskId"} == content
            ):
                break
        else:
            self._blame("lifecycle", f"{kind} of {task_id} at {at} is twice or none of its change")
            return
        if at < last_at:
            self._blame("lifecycle", f"{kind} of {task_id} of {at} after one of {last_at}")
            return
        self._lifecycle[task_id] = at, number
        if one.keys.isdisjoint(self._keys):
            self._blame("leak", f"{kind} of {task_id} at {at}, which it may not see")

    # Requests and their answers.

    def _on_rights(self, reply_to: str | None) -> None:
        reply_to = reply_to if reply_to is not None else self._nameless()
        asked = self._answered(reply_to)
        if asked is not None and asked.keys is not None:
            self._keys = asked.keys

    def _nameless(self) -> str | None:
        """The first request that has no id, which is an `auth` of the Python client."""
        return next((one for one, asked in self.asked.items() if asked.kind == "auth"), None)

    def _on_error(self, data: dict[str, Any], reply_to: str | None) -> None:
        code, task_id = data["code"], data.get("taskId")
        if reply_to is None and code == "rate_limited":
            reply_to = self._nameless()
        asked = self.asked.get(reply_to or "")
        if asked is None:
            self._blame("answers", f"error {code} in answer to nothing")
            return
        if code == "forbidden" and task_id is not None and self._is_there(task_id, asked):
            self._blame("refused", f"{task_id} is there, and forbidden")
        if code in ("bad_message", "unknown_type", "internal"):
            self._blame("refused", f"{asked.kind} is answered {code}")
        if code == "forbidden" and task_id in self._seen:
            self.overlooked.add(task_id)
        if code == "forbidden" and task_id in self.rooms:
            self._forbidden.add(task_id)  # `task:revoked` may follow, or not: it knows
        if code in ("bad_request", "too_many_tasks") and len(asked.tasks) > 1:
            self.together.update(asked.tasks)
        if task_id is not None and len(asked.tasks) > 1:
            self._answered_for(reply_to, task_id)
        else:
            del self.asked[reply_to or ""]

    def _is_there(self, task_id: str, asked: Asked) -> bool:
        """Whether it was visible ever since it was requested, so that the relay had to find it."""
        moments = range(min(asked.moment, self._instance.moment), self._world.written + 1)
        return self._is_early(asked) and all(
            self._world.seen(task_id, self._keys, moment) is not None for moment in moments
        )

    def _request(self, reply_to: str | None, task_id: str | None) -> Asked | None:
        if reply_to is None:
            return None
        asked = self.asked.get(reply_to)
        if asked is None or (task_id is not None and task_id not in asked.tasks):
            self._blame("answers", f"a state of {task_id or 'the list'} in answer to nothing ({reply_to})")
            return None
        return asked

    def _answered(self, reply_to: str | None) -> Asked | None:
        asked = self.asked.pop(reply_to or "", None)
        if asked is None:
            self._blame("answers", f"an answer to nothing ({reply_to})")
        return asked

    def _answered_for(self, reply_to: str | None, task_id: str) -> None:
        """This much of the request is answered; `resync:done` answers the rest of a resync."""
        asked = self.asked[reply_to or ""]
        if asked.kind == "resync_requested":
            return
        asked.tasks.pop(task_id, None)
        if not asked.tasks:
            del self.asked[reply_to or ""]

    def _look_for_pages(self, kind: str, task_id: str | None, reply_to: str | None) -> None:
        """Nothing of a room comes between the pages of one of its states."""
        room: str | None = task_id
        if kind.startswith("dashboard:"):
            room = LIST
        elif kind not in ("task:state", "task:event_added", "task:updated", "task:deleted", "task:revoked"):
            return
        if room in self._paging and (self._paging[room] != reply_to or not kind.endswith(":state")):
            self._blame("pages", f"{kind} of {room or 'the list'} between the pages of another state")
            del self._paging[room]
            self._partial.pop(room or "", None)

    def _judge(self, task_id: str, floor: int, what: str, fits: Any) -> int | None:
        return self._referee.judge(self._who, task_id, self._keys, floor, what, fits)

    def _flicker(self, what: str) -> None:
        """A state older than what the same instance had shown, which other reads were faster to show: the
        messages since follow at once."""
        if self._referee.is_strict:
            self._blame("flicker", what)

    def _blame(self, kind: str, what: str) -> None:
        self._referee.blame(kind, self._who, what)
