"""A reader that polls, and applies section 8 of PROTOCOL.md to the letter."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bson import Timestamp

from simulation.instance import keys_of
from simulation.polls import Polls
from simulation.readers.reader import Reader, Scene
from simulation.world import Event

PAUSE_S = (0.0, 0.0, 0.1, 0.4)
RETRY_S = 0.5


class Poller(Reader):
    """One poll after the other, each to any instance; asks for some tasks and perhaps the list."""

    def __init__(self, scene: Scene, name: str, sub: str) -> None:
        super().__init__(scene, name, sub)
        chance = self._chance
        self._watch = Polls(self._referee, name, self._memory)
        self._asked: dict[str, dict[str, Any]] = {
            one: {} for one in chance.sample(scene.tasks, chance.randint(1, len(scene.tasks)))
        }
        self._content: dict[str, list[Event]] = {}
        self._summaries: dict[str, Any] = {}
        self._forbidden: set[str] = set()
        self._has_list = chance.random() < 0.6
        self._updates = chance.random() < 0.5  # it applies list updates
        self._etag: str | None = None
        self._list: dict[str, Any] | None = None
        self._moment: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._polls = self._polls_when_calm = 0

    def start(self) -> None:
        self._task = self._loop.create_task(self._run())

    def act(self) -> None:
        chance, task_id = self._chance, self._chance.choice(self._scene.tasks)
        match chance.choices(("add", "remove", "rights", "hang up"), (4, 3, 2, 1))[0]:
            case "add":
                self._asked.setdefault(task_id, {})
            case "remove" if len(self._asked) > 1 and task_id in self._asked:
                self._forget(task_id)
                del self._asked[task_id]
            case "rights" if self._plan.has("rights"):
                self.rights = chance.choice(("none", "admin"))
            case "hang up" if self._waiting is not None and self._plan.has("drops"):
                self._waiting.cancel()

    def calm(self) -> None:
        self._polls_when_calm = self._polls

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def differences(self) -> list[tuple[str, str]]:
        found = []
        if self._task is not None and self._task.done():
            return [("died", repr(self._task.exception()))]
        if self._polls == self._polls_when_calm:
            found.append(("unanswered", "no poll was answered"))
        for task_id in self._asked:
            shown = None if task_id in self._forbidden else self._content.get(task_id)
            found += self.wrong_task(task_id, shown, self._summaries.get(task_id))
        if self._has_list:
            found += self.wrong_list(self._list or {})
        return found

    async def _run(self) -> None:
        while True:
            self.move()
            body: dict[str, Any] = {"tasks": [{"taskId": one, **asked} for one, asked in self._asked.items()]}
            if self._has_list:
                body["dashboard"] = {"etag": self._etag} if self._etag is not None else {}
                if self._updates:
                    body["dashboard"]["updates"] = True
            if self._moment is not None:
                body["moment"] = self._moment
            asked, keys = dict(self._asked), keys_of(self.sub, self.rights)
            text = json.dumps(body)
            poll = self._watch.sent(text, self._instance, keys)
            call = self._network.call(self._instance.port, "POST", "/poll", self.token(), text.encode())
            self._waiting = self._loop.create_task(call)
            try:
                status, content = await self._waiting
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
                continue  # it hung up
            finally:
                self._waiting = None
            answer = self._watch.received(poll, status, content.decode())
            if status == 200:
                # What was removed meanwhile, and perhaps asked for afresh, is not what this answers.
                self._take(answer, {name for name, one in asked.items() if self._asked.get(name) is one})
                await asyncio.sleep(self._chance.choice(PAUSE_S))
            else:
                self._on_refusal(status, answer["data"])
                await asyncio.sleep(answer["data"].get("retryAfterMs", RETRY_S * 1000) / 1000)

    def _on_refusal(self, status: int, error: dict[str, Any]) -> None:
        code = error["code"]
        if code == "too_many_tasks" and self._plan.has("cap"):
            if len(self._asked) > 1:  # else one has been removed meanwhile
                task_id = self._chance.choice(sorted(self._asked))
                self._forget(task_id)
                del self._asked[task_id]
        elif not error["temporary"] or (code == "rate_limited" and not self._plan.has("rate")):
            self.blame("refused", f"a poll is answered {status} {code}")

    def _take(self, answer: dict[str, Any], asked: set[str]) -> None:
        self._polls += 1
        for message in answer["messages"]:
            data = message["data"]
            task_id = data.get("taskId")
            is_listed = message["type"] == "dashboard:task_list_updated"
            if task_id is not None and task_id not in asked and not is_listed:
                continue
            match message["type"]:
                case "task:state":
                    self._take_state(data)
                case "error":
                    if task_id in self._forbidden:
                        self.blame("answers", f"{task_id} is forbidden once more")
                    if data["code"] != "forbidden":
                        self.blame("refused", f"{task_id} is answered {data['code']}")
                    self._forget(task_id)
                    self._forbidden.add(task_id)
                    self._asked[task_id] = {"forbidden": True}
                case "dashboard:state":
                    self._list = ({} if data["reset"] else self._list or {}) | {
                        one["taskId"]: one for one in data["tasks"]
                    }
                case "dashboard:task_list_updated":
                    if not self._updates:
                        self.blame("answers", "a list update that it did not ask for")
                    rest = {one: held for one, held in (self._list or {}).items() if one != task_id}
                    shown = {name: value for name, value in data.items() if name != "change"}
                    self._list = rest | {task_id: shown} if data["change"] == "upserted" else rest
        if "dashboard" in answer:
            self._etag = answer["dashboard"]["etag"]
        for task_id, etag in answer.get("tasks", {}).items():
            if task_id in asked:
                self._asked[task_id]["etag"] = etag["etag"]
        moment = _moment(answer["moment"])
        if self._moment is None or moment > _moment(self._moment):
            self._moment = answer["moment"]

    def _take_state(self, data: dict[str, Any]) -> None:
        task_id, start = data["taskId"], data["from"]
        held = self._content.get(task_id, [])
        if start > len(held):
            self.blame("gap", f"a state of {task_id} from {start}, and it holds {len(held)}")
        self._content[task_id], self._summaries[task_id] = [*held[:start], *data["events"]], data["task"]
        self._asked[task_id] = {"since": data["next"], "head": data["head"]}
        self._forbidden.discard(task_id)

    def _forget(self, task_id: str) -> None:
        self._content.pop(task_id, None)
        self._summaries.pop(task_id, None)
        self._forbidden.discard(task_id)


def _moment(shown: str) -> Timestamp:
    time, inc = shown.split(".")
    return Timestamp(int(time), int(inc))
