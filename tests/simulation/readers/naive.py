"""A reader that applies PROTOCOL.md to the letter, and does nothing that the contract does not say."""

from __future__ import annotations

import json
from typing import Any

from simulation.conversation import Asked, Conversation
from simulation.instance import keys_of
from simulation.readers.reader import BAD_ID, Reader, Scene
from simulation.socket import Socket
from simulation.world import Event

RETRY_S = 1.0
BACK_S = (0.0, 0.0, 0.05, 0.4)


class Naive(Reader):
    """Holds timelines and a list; asks for them, leaves them, resyncs them, in any order."""

    def __init__(self, scene: Scene, name: str, sub: str) -> None:
        super().__init__(scene, name, sub)
        self._socket: Socket | None = None
        self._conversation: Conversation | None = None
        self._wanted: set[str] = set()  # the tasks it is in, or will be when it is answered
        self._content: dict[str, list[Event]] = {}
        self._places: dict[str, tuple[int, str]] = {}
        self._summaries: dict[str, Any] = {}
        self._list: dict[str, Any] | None = None
        self._incoming: dict[str, Any] = {}
        self._wants_list = False
        self._alone: set[str] = set()  # to be asked for one by one: a request with others was turned down
        self._given_up: set[str] = set()  # tasks that were left, and not shown since
        self._outlived: set[tuple[str | None, str]] = set()  # requests whose task was left since
        self._number = 0
        self._shown_rights = "none"  # those of the token it connected with
        self._breaks = scene.plan.has("drops")
        self._over = False

    def start(self) -> None:
        self._connect()
        self._join(self._chance.sample(self._scene.tasks, self._chance.randint(1, len(self._scene.tasks))))
        if self._chance.random() < 0.7:
            self._join_list()

    def act(self) -> None:
        chance, task_id = self._chance, self._chance.choice(self._scene.tasks)
        match chance.choices(
            ("join", "batch", "leave", "list", "unlist", "resync", "drop", "rights", "stall"),
            (22, 4, 7, 7, 3, 8, 9, 9, 9),
        )[0]:
            case "join":
                self._join([task_id])
            case "batch":
                bad = [BAD_ID] if self._plan.has("bad") else []
                self._join([*self._scene.tasks, *bad])
            case "leave":
                self._leave(task_id)
            case "list":
                self._join_list()
            case "unlist":
                self._leave_list()
            case "resync" if task_id in self._wanted:
                self._ask("resync_requested", {"taskIds": [self._entry(task_id)]})
            case "drop" if self._breaks:
                self._drop()
            case "rights" if self._plan.has("rights"):
                self.rights = chance.choice(("none", "admin"))
                self._renew()
            case "stall" if self._plan.has("stalls"):
                self.stall(chance.choice((0.01, 0.2, 0.6, 1.5)))

    def calm(self) -> None:
        self._breaks = False
        self._go_on()

    def stall(self, seconds: float) -> None:
        if self._socket is not None and (end := self._socket.end) is not None:
            end.stall()
            self._loop.call_later(seconds, end.go_on)

    async def stop(self) -> None:
        self._over = True
        if self._socket is not None:
            self._socket.close()

    def differences(self) -> list[tuple[str, str]]:
        conversation = self._conversation
        if conversation is None or self._socket is None or not self._socket.is_open:
            return [("status", "it is not connected")]
        found = [("unanswered", f"{one.kind} {name}") for name, one in conversation.asked.items()]
        for task_id in self._wanted:
            events = self._content.get(task_id)
            found += self.wrong_task(task_id, events, self._summaries.get(task_id))
            if events is not None and task_id not in conversation.rooms:
                found.append(("ended", f"{task_id} is not joined any more"))
        found += [("kept", name) for name in sorted(conversation.serves()) if name not in self._wanted]
        if self._wants_list:
            found += self.wrong_list(self._list or {})
        return found

    # The connection.

    def _connect(self) -> None:
        self._conversation, self._shown_rights = None, self.rights
        self._socket = Socket(self.token(), on_text=self._on_text, on_close=self._closed, on_open=self._open)
        self._loop.create_task(self._reach(self._socket))

    async def _reach(self, socket: Socket) -> None:
        try:
            await socket.open(self._network, self._instance.port)
        except OSError:
            self._come_back()

    def _open(self) -> None:
        self._conversation = Conversation(
            self._referee, self.name, self._memory, self._instance, keys_of(self.sub, self._shown_rights)
        )
        self._incoming = {}
        self._given_up.clear()
        self.note(f"connected to {self._instance.port}")
        self._join(sorted(self._wanted))
        if self._wants_list:
            self._join_list()
        if self.rights != self._shown_rights:
            self._renew()

    def _closed(self, code: int, reason: str) -> None:
        self.on_end(code, reason)
        self._come_back()

    def _drop(self) -> None:
        self.cut(self._socket.end if self._socket is not None else None)

    def _come_back(self) -> None:
        if not self._over:
            self.move()
            self._loop.call_later(self._chance.choice(BACK_S), self._connect)

    def _go_on(self) -> None:
        if self._socket is not None and self._socket.end is not None:
            self._socket.end.go_on()

    # What it asks.

    def _ask(self, kind: str, data: dict[str, Any], keys: frozenset[str] | None = None) -> None:
        if self._conversation is None or self._socket is None or not self._socket.is_open:
            return  # all that is wanted is asked for when it is
        self._number += 1
        text = json.dumps({"type": kind, "id": str(self._number), "data": data})
        self._conversation.sent(text, keys)
        self._socket.send(text)

    def _entry(self, task_id: str) -> dict[str, Any]:
        if task_id not in self._places:
            return {"taskId": task_id}
        since, head = self._places[task_id]
        return {"taskId": task_id, "since": since, "head": head}

    def _join(self, task_ids: list[str]) -> None:
        self._wanted.update(task_ids)
        together = [one for one in task_ids if one not in self._alone]
        for batch in [together, *([one] for one in task_ids if one in self._alone)]:
            if batch:
                self._ask("task:join", {"tasks": [self._entry(one) for one in batch]})

    def _leave(self, task_id: str) -> None:
        self._forget(task_id)
        self._given_up.add(task_id)
        if self._conversation is not None:
            # Their states begin no membership. Before the answer to a later join they belong to none; after it they
            # belong to the membership that the answer began (PROTOCOL.md 6.2).
            asked = self._conversation.asked.items()
            self._outlived |= {(name, task_id) for name, one in asked if task_id in one.tasks}
        self._ask("task:leave", {"taskId": task_id})

    def _forget(self, task_id: str) -> None:
        self._wanted.discard(task_id)
        self._drop_content(task_id)

    def _drop_content(self, task_id: str) -> None:
        self._content.pop(task_id, None)
        self._places.pop(task_id, None)
        self._summaries.pop(task_id, None)

    def _join_list(self) -> None:
        self._wants_list = True
        self._ask("dashboard:join", {})

    def _leave_list(self) -> None:
        self._wants_list, self._list = False, None
        self._ask("dashboard:leave", {})

    def _renew(self) -> None:
        self._ask("auth", {"token": self.token()}, self.keys)

    # What it receives.

    def _on_text(self, text: str) -> None:
        conversation = self._conversation
        if conversation is None or self._over:
            return
        reply_to = json.loads(text).get("replyTo")
        asked = conversation.asked.get(reply_to or "")
        tasks = list(asked.tasks) if asked is not None else []
        message = conversation.received(text)
        kind, data = message["type"], message["data"]
        task_id = data.get("taskId")
        if self._is_of_before(kind, task_id, reply_to, asked):
            return
        match kind:
            case "task:state" if task_id in self._wanted:
                self._apply(data)
            case "task:event_added" if task_id in self._content:
                self._content[task_id] = [*self._content[task_id], data["event"]]
                self._places[task_id] = data["next"], data["head"]
            case "task:updated" if task_id in self._content:
                self._summaries[task_id] = data["task"]
            case "task:deleted" | "task:revoked":
                # Where an answer is awaited it decides, and continues from the position that was given.
                if not conversation.joining(task_id):
                    self._forget(task_id)
            case "dashboard:state" if self._wants_list:
                self._incoming = {} if data["reset"] else self._incoming
                self._incoming |= {one["taskId"]: one for one in data["tasks"]}
                if not data["more"]:
                    self._list, self._incoming = self._incoming, {}
            case "dashboard:task_list_updated" if self._wants_list and self._list is not None:
                if data["change"] == "upserted":
                    row = {name: value for name, value in data.items() if name != "change"}
                    self._list = {**self._list, task_id: row}
                else:
                    self._list = {name: one for name, one in self._list.items() if name != task_id}
            case "auth:expiring":
                self._renew()
            case "error":
                self._on_error(data, asked.kind if asked is not None else "", tasks)

    def _is_of_before(
        self, kind: str, task_id: str | None, reply_to: str | None, asked: Asked | None
    ) -> bool:
        """Is it of a membership that it has given up? That ends for the relay when it executes the leave, which
        it may have no time for; for the reader the next one begins with the answer to a later join."""
        if task_id not in self._given_up or not kind.startswith("task:"):
            return False
        if asked is not None and asked.kind == "task:join" and (reply_to, task_id) not in self._outlived:
            self._given_up.discard(task_id)
            return False
        return kind not in ("task:left", "task:deleted", "task:revoked")

    def _apply(self, state: dict[str, Any]) -> None:
        task_id, start = state["taskId"], state["from"]
        held = self._content.get(task_id, [])
        if start > len(held):
            self.blame("gap", f"a state of {task_id} from {start}, and it holds {len(held)}")
        self._content[task_id] = [*held[:start], *state["events"]]
        self._places[task_id] = state["next"], state["head"]
        self._summaries[task_id] = state["task"]

    def _on_error(self, error: dict[str, Any], kind: str, tasks: list[str]) -> None:
        code, task_id = error["code"], error.get("taskId")
        concerned = [task_id] if task_id is not None else tasks
        if error["temporary"]:
            wait_s = error.get("retryAfterMs", RETRY_S * 1000) / 1000 + self._chance.random() * 0.2
            conversation = self._conversation
            self._loop.call_later(
                wait_s, lambda: conversation is self._conversation and self._again(kind, concerned)
            )
        elif kind == "task:join" and len(concerned) > 1:
            self._alone.update(concerned)
            self._join([one for one in concerned if one in self._wanted])
        elif kind == "task:join":
            self._refused(concerned[0], code)

    def _again(self, kind: str, tasks: list[str]) -> None:
        match kind:
            case "task:join":
                self._join([one for one in tasks if one in self._wanted])
            case "task:leave":
                for task_id in tasks:
                    if task_id not in self._wanted:
                        self._ask("task:leave", {"taskId": task_id})
            case "dashboard:join" if self._wants_list:
                self._join_list()
            case "dashboard:leave" if not self._wants_list:
                self._leave_list()
            case "auth":
                self._renew()

    def _refused(self, task_id: str, code: str) -> None:
        deserved = {"forbidden", "bad_request", "too_many_tasks"}
        if code not in deserved or (code == "bad_request" and task_id != BAD_ID):
            self.blame("refused", f"a join of {task_id[:20]} is answered {code}")
        if code == "too_many_tasks" and not self._plan.has("cap"):
            self.blame("refused", f"a join of {task_id} is answered {code}")
        if self._conversation is not None and self._conversation.joining(task_id):
            return
        if code != "too_many_tasks" or self._conversation is None or task_id not in self._conversation.rooms:
            self._forget(task_id)
