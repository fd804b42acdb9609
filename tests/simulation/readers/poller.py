"""A reader that polls, and applies section 8 of PROTOCOL.md to the letter."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bson import Timestamp

from simulation.instance import keys_of
from simulation.readers.reader import Reader, Scene
from simulation.referee import CATCH_UP_S, shows
from simulation.world import Event

PAUSE_S = (0.0, 0.0, 0.1, 0.4)
RETRY_S = 0.5


class Poller(Reader):
    """One poll after the other, each to any instance; asks for some tasks and perhaps the list."""

    def __init__(self, scene: Scene, name: str, sub: str) -> None:
        super().__init__(scene, name, sub)
        chance = self._chance
        self._asked: dict[str, dict[str, Any]] = {
            one: {} for one in chance.sample(scene.tasks, chance.randint(1, len(scene.tasks)))
        }
        self._content: dict[str, list[Event]] = {}
        self._summaries: dict[str, Any] = {}
        self._forbidden: set[str] = set()
        self._paging: set[str] = set()  # tasks in the middle of a state
        self._has_list = chance.random() < 0.6
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
            if self._moment is not None:
                body["moment"] = self._moment
            asked, keys, began = dict(self._asked), keys_of(self.sub, self.rights), self._referee.now
            self.note(f"→ poll {self._instance.port} {body}")
            call = self._network.call(
                self._instance.port, "POST", "/poll", self.token(), json.dumps(body).encode()
            )
            self._waiting = self._loop.create_task(call)
            try:
                status, content = await self._waiting
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
                continue  # it hung up
            finally:
                self._waiting = None
            answer = json.loads(content)
            self.note(f"← {status} {content.decode()[:400]}")
            if status == 200:
                # What was removed meanwhile, and perhaps asked for afresh, is not what this answers.
                answered = {name for name, one in asked.items() if self._asked.get(name) is one}
                self._take(answer, answered, keys, began)
                await asyncio.sleep(self._chance.choice(PAUSE_S))
            else:
                self._hear_refusal(status, answer["data"])
                await asyncio.sleep(answer["data"].get("retryAfterMs", RETRY_S * 1000) / 1000)

    def _hear_refusal(self, status: int, error: dict[str, Any]) -> None:
        code = error["code"]
        if code == "too_many_tasks" and self._plan.has("cap"):
            task_id = self._chance.choice(sorted(self._asked))
            self._forget(task_id)
            del self._asked[task_id]
        elif not error["temporary"] or (code == "rate_limited" and not self._plan.has("rate")):
            self.blame("refused", f"a poll is answered {status} {code}")

    def _take(self, answer: dict[str, Any], asked: set[str], keys: frozenset[str], began: float) -> None:
        self._polls += 1
        reads = self._instance.reads
        waited = self._referee.now - began
        early = waited < CATCH_UP_S and reads.was_away_at < self._loop.time() - waited
        floor = self._world.moment_of(_moment(self._moment)) if self._moment is not None and early else 0
        for message in answer["messages"]:
            data = message["data"]
            task_id = data.get("taskId")
            if task_id is not None and task_id not in asked:
                continue
            match message["type"]:
                case "task:state":
                    self._take_state(data, keys, floor)
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
                    if not data["more"]:
                        self._judge_list(keys, floor)
        if "dashboard" in answer:
            self._etag = answer["dashboard"]["etag"]
        for task_id, etag in answer.get("tasks", {}).items():
            if task_id in asked:
                self._asked[task_id]["etag"] = etag["etag"]
        if self._moment is None or _moment(answer["moment"]) > _moment(self._moment):
            self._moment = answer["moment"]
        elif early and _moment(answer["moment"]) < _moment(self._moment):
            self.blame("moment", f"{answer['moment']} after {self._moment}")

    def _take_state(self, data: dict[str, Any], keys: frozenset[str], moment: int) -> None:
        task_id, start = data["taskId"], data["from"]
        held = self._content.get(task_id, [])
        if start > len(held) or (data["reset"] and start):
            self.blame("gap", f"a state of {task_id} from {start}, and it holds {len(held)}")
        events = [*held[:start], *data["events"]]
        if len(events) != data["next"]:
            self.blame("gap", f"a state of {task_id} ends at {data['next']}, and it holds {len(events)}")
        self._content[task_id], self._summaries[task_id] = events, data["task"]
        self._asked[task_id] = {"since": data["next"], "head": data["head"]}
        self._forbidden.discard(task_id)
        if data["more"]:
            self._paging.add(task_id)
            return
        self._paging.discard(task_id)
        floor = self._world.current(task_id, moment)
        self._referee.judge(self.name, task_id, keys, floor, "a state", shows(events, data["task"]))

    def _judge_list(self, keys: frozenset[str], floor: int) -> None:
        moments = range(floor, self._world.happened + 1)
        if not any(self._world.listed(keys, one) == self._list for one in moments):
            older = any(self._world.listed(keys, one) == self._list for one in range(floor))
            self.blame("back" if older else "wrong", f"a list that is none from moment {floor} on")

    def _forget(self, task_id: str) -> None:
        self._content.pop(task_id, None)
        self._summaries.pop(task_id, None)
        self._forbidden.discard(task_id)


def _moment(shown: str) -> Timestamp:
    time, inc = shown.split(".")
    return Timestamp(int(time), int(inc))
