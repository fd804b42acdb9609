"""The Python client, over a connection of `websockets` of its own, and a consumer who takes their time.

Real: everything of `relay.client`, and the client side of `websockets`. Its frames are held to the contract
as everybody's are; what its views show must be what a version shows.
"""

from __future__ import annotations

import asyncio
from typing import Any

from relay.client import Disconnected, Message, Position, Timeline
from relay.client.client import Client
from relay.protocol.types import ABNORMAL
from simulation.conversation import Conversation
from simulation.instance import keys_of
from simulation.network import End
from simulation.readers.reader import BAD_ID, Reader, Scene
from simulation.readers.view import View
from simulation.socket import Frames

LATE_S = (0.0, 0.0, 0.02, 0.3)  # how long the consumer is busy with an item
PORTS = 1000  # the first port of such readers: each has its own, which leads to the instance it is at
GONE = frozenset({"deleted", "revoked"})
ENDED = frozenset({"left", *GONE, "forbidden", "bad_request", "too_many_tasks"})


class Python(Reader):
    """Joins and leaves through the client, also with positions that it kept, and iterates."""

    def __init__(self, scene: Scene, name: str, sub: str) -> None:
        super().__init__(scene, name, sub)
        self._port = PORTS + len(scene.network.routes)
        self._network.routes[self._port] = self._route
        self._view = View(scene.referee, name)
        self._client = Client(
            f"http://127.0.0.1:{self._port}",
            self._give_token,
            clock=self._loop.time,
            sleep=asyncio.sleep,
            random=self._chance.random,
        )
        self._token_faults = scene.plan.chance(name, "tokens") if scene.plan.has("tokens") else None
        self._last_token = ""
        self._end: End | None = None
        self._conversation: Conversation | None = None
        self._timelines: dict[str, Timeline] = {}
        self._kept: dict[str, Position] = {}  # of views that were left, as a program would keep them
        self._since: dict[str, set[int]] = {}  # where each view was joined from, first and later
        self._received: list[str] = []  # every frame that reached the client
        self._early: set[int] = set()  # those that end a task for which a join was in flight
        self._taken = 0  # the consumer has had all before this one
        self._began: dict[str, int] = {}  # how many frames had come when the view was made
        self._list: Any = None
        self._task: asyncio.Task[None] | None = None
        self._is_late = scene.plan.has("slow") or scene.plan.has("stalls")

    def start(self) -> None:
        self._task = self._loop.create_task(self._run())
        for task_id in self._chance.sample(
            self._scene.tasks, self._chance.randint(1, len(self._scene.tasks))
        ):
            self._join(task_id)
        if self._chance.random() < 0.7:
            self._list = self._client.join_dashboard()

    def act(self) -> None:
        chance, task_id = self._chance, self._chance.choice(self._scene.tasks)
        match chance.choices(
            ("join", "leave", "again", "bad", "list", "unlist", "drop", "rights", "stall"),
            (22, 8, 12, 2, 4, 3, 9, 9, 9),
        )[0]:
            case "join":
                self._join(task_id)
            case "leave":
                self._leave(task_id)
            case "again":
                self._leave(task_id)
                self._join(task_id)
            case "bad" if self._plan.has("bad"):
                self._join(BAD_ID)
            case "list":
                self._list = self._client.join_dashboard()
            case "unlist":
                self._client.leave_dashboard()
                self._list = None
            case "drop" if self._plan.has("drops"):
                self.cut(self._end)
            case "rights" if self._plan.has("rights"):
                self.rights = chance.choice(("none", "admin"))
            case "stall" if self._plan.has("stalls"):
                self.stall(chance.choice((0.01, 0.2, 0.6, 1.5)))

    def stall(self, seconds: float) -> None:
        if (end := self._end) is not None:
            end.stall()
            self._loop.call_later(seconds, end.go_on)

    def calm(self) -> None:
        self._is_late, self._token_faults = False, None
        if self._end is not None:
            self._end.go_on()
            if self._plan.has("cap"):
                self.cut(self._end)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def differences(self) -> list[tuple[str, str]]:
        if self._task is not None and self._task.done():
            return [("died", repr(self._task.exception()))]
        if self._end is None or self._end.is_lost or self._conversation is None:
            return [("status", "it is not connected")]
        found = [("unanswered", f"{one.kind} {name}") for name, one in self._conversation.asked.items()]
        for task_id, timeline in self._timelines.items():
            found += self._wrong(task_id, timeline)
        found += [
            ("kept", name) for name in sorted(self._conversation.serves()) if name not in self._timelines
        ]
        found += self.wrong_refusals(
            self._conversation.together, {name: one.state for name, one in self._timelines.items()}
        )
        if self._list is not None:
            shown = {one["taskId"]: dict(one) for one in self._list.tasks}
            found += (
                self.wrong_list(shown)
                if self._list.state == "ready"
                else [("loading", f"the list is {self._list.state}")]
            )
        return found

    def _wrong(self, task_id: str, timeline: Timeline) -> list[tuple[str, str]]:
        state = timeline.state
        if state in ("forbidden", "revoked", "deleted"):
            return []  # it was, and this client asks again when its user does
        if state != "ready":
            return self.wrong_end(task_id, state)
        start = timeline.start
        if start and start not in self._since[task_id]:
            joined = ", ".join(map(str, sorted(self._since[task_id])))
            return [("view", f"{task_id} begins at {start}, it was joined from {joined}")]
        should = self._world.seen(task_id, self.keys, self._world.written)
        before = should.events[:start] if should is not None else []
        return self.wrong_task(task_id, [*before, *timeline.events], timeline.task)

    # What its user does.

    def _join(self, task_id: str) -> None:
        """Afresh, from a position kept of an earlier view, or once more from where the view is."""
        held, since = self._timelines.get(task_id), None
        if held is not None and held.state in ENDED:
            held = None
        position = self._kept.get(task_id) if held is None else held.position
        if held is not None and held.start not in self._since[task_id]:
            position = None
        if position is not None and self._chance.random() < 0.6:
            since = position.next
            self._timelines[task_id] = self._client.join_task(task_id, position.next, position.head)
        else:
            self._timelines[task_id] = self._client.join_task(task_id)
        if held is None:
            self._since[task_id], self._began[task_id] = set(), len(self._received)
        self._since[task_id].add(since or 0)
        self.note(f"joins {task_id} from {since}")

    def _leave(self, task_id: str) -> None:
        timeline = self._timelines.pop(task_id, None)
        if timeline is not None:
            if timeline.position is not None:
                self._kept[task_id] = timeline.position
            self._client.leave_task(task_id)
            self._view.forget(task_id)
            self.note(f"leaves {task_id}")

    async def _run(self) -> None:
        async with self._client as client:
            async for item in client:
                if isinstance(item, Message):
                    self._look(item)
                elif isinstance(item, Disconnected) and not item.reason.startswith("no token ("):
                    self.on_end(item.code or ABNORMAL, item.reason)
                self.note(
                    f"takes {item.type} {item.data.get('taskId')}" if isinstance(item, Message) else f"{item}"
                )
                if self._is_late:
                    await asyncio.sleep(self._chance.choice(LATE_S))

    def _look(self, message: Message) -> None:
        """Check what the view shows after this message."""
        number = self._received.index(message.raw, self._taken)
        self._taken = number + 1
        task_id = message.data.get("taskId")
        timeline = self._timelines.get(task_id) if isinstance(task_id, str) else None
        if timeline is None or not isinstance(task_id, str):
            return
        if number < self._began[task_id] and (timeline.state != "loading" or timeline.events):
            self.blame("view", f"{task_id} took {message.type}, which had come before it was joined")
        if number in self._early and timeline.state in GONE:
            self.blame("view", f"{task_id} ended by {message.type}, which came before its join was answered")
        if timeline.state == "ready":
            is_partial = message.type == "task:state" and message.data["more"]
            self._view.show(task_id, timeline.events, start=timeline.start, is_partial=is_partial)
        else:
            self._view.forget(task_id)

    def _give_token(self) -> Any:
        """A fresh token, or what an application gives that has none."""
        if self._token_faults is not None and self._token_faults.random() > 0.6:
            match self._token_faults.randrange(7):
                case 0:
                    return ""
                case 1:
                    raise RuntimeError("signed out")
                case 2:
                    return self._loop.create_future()  # which nobody will ever answer
                case 3:
                    return {"token": self._last_token}
                case 4:
                    return "no token"
                case 5:
                    return asyncio.sleep(20 * self._token_faults.random(), self._last_token)
                case _:
                    return self._last_token  # which may have ended or have other rights
        self._last_token = self.token()
        return self._last_token

    # Its connection.

    def _route(self, end: End) -> int:
        """A connection is made: to where it leads, and watched."""
        self.move()
        self._end = end
        keys = keys_of(self.sub, self.token_rights)
        self._conversation = conversation = Conversation(
            self._referee, self.name, self._memory, self._instance, keys
        )
        self.note(f"connects to {self._instance.port}")

        def on_text(text: str) -> None:
            if conversation.ends_before_answer(text):
                self._early.add(len(self._received))
            self._received.append(text)
            conversation.received(text)

        incoming = Frames(on_text)
        outgoing = Frames(lambda text: conversation.sent(text, self._keys_in(text)))
        end.watch(sent=outgoing.feed, received=incoming.feed)
        return self._instance.port

    def _keys_in(self, text: str) -> frozenset[str] | None:
        if '"auth"' not in text[:20]:
            return None
        sub, rights, *_ = text.split('"token":"')[1].split(".")
        return keys_of(sub, rights)
