"""The browser client under Node, in lockstep: a line goes to it for all that happens, and it says what it does.

Real: everything of `relay/web/client`. Its `Host` is simulated (`browser.mjs`): sockets and requests lead into
the simulated network, timers are those of the virtual clock. `MAX_BATCH` is smaller, so that a few tasks take
several requests.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from relay.protocol.types import ABNORMAL
from simulation.conversation import Conversation
from simulation.instance import keys_of
from simulation.polls import Poll, Polls
from simulation.readers.reader import BAD_ID, TOKEN_S, Reader, Scene
from simulation.readers.view import View
from simulation.socket import Socket

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parents[1] / "browser.mjs"
BATCH = 2  # tasks in one request of the client
# No poll outlives its token, and a fresh one is asked for only then: which mends what went wrong before, so
# it does not happen where rights do not change.
POLL_TOKEN_S, LASTING_TOKEN_S = (3.0, 20.0), 10_000.0


class Node:
    """A Node process with the client, for all histories of a run. `replaced` are texts of the client's files
    that are others in its copy: (file, text, what stands there instead)."""

    def __init__(self, replaced: Sequence[tuple[str, str, str]] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory()
        client = Path(self._folder.name) / "client"
        shutil.copytree(ROOT / "relay" / "web" / "client", client)
        (client.parent / "package.json").write_text('{"type": "module"}')
        for name, old, new in (("protocol.js", "MAX_BATCH = 100", f"MAX_BATCH = {BATCH}"), *replaced):
            text = (client / name).read_text("utf-8")
            assert text.count(old) == 1, f"{name} has {text.count(old)} times {old}"
            (client / name).write_text(text.replace(old, new), "utf-8")
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), str(client)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait()
        process.stdout.close()
        self._folder.cleanup()

    def tell(self, line: dict[str, Any]) -> dict[str, Any]:
        """What the client does when this happens."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer


class Browser(Reader):
    """A page with the client. `polls`: WebSockets are blocked from the beginning, so it polls."""

    def __init__(self, scene: Scene, name: str, sub: str, node: Node, *, polls: bool) -> None:
        super().__init__(scene, name, sub)
        self._node = node
        self._is_blocked = polls
        self._polls = polls
        self._watch = Polls(scene.referee, name, self._memory)
        self._view = View(scene.referee, name)
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: dict[int, Socket] = {}
        self._talks: dict[int, Conversation] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._joined: set[str] = set()
        self._has_list = False
        self._is_over = False

    def start(self) -> None:
        least, most = POLL_TOKEN_S if self._polls and self._plan.has("rights") else TOKEN_S
        if self._polls and not self._plan.has("rights"):
            least = most = LASTING_TOKEN_S
        self._tell(
            {
                "do": "begin",
                "seed": self._chance.randrange(2**32),
                "sub": self.sub,
                "rights": self.rights,
                "tokenMs": [least * 1000, most * 1000],
                "tokenFaults": self._plan.chance(self.name, "tokens").randrange(2**32)
                if self._plan.has("tokens")
                else None,
            }
        )
        for task_id in self._chance.sample(
            self._scene.tasks, self._chance.randint(1, len(self._scene.tasks))
        ):
            self._join(task_id)
        if self._chance.random() < 0.7:
            self._join_list()

    def act(self) -> None:
        chance, task_id = self._chance, self._chance.choice(self._scene.tasks)
        match chance.choices(
            ("join", "leave", "again", "bad", "list", "unlist", "drop", "rights", "stall", "block", "wake"),
            (20, 8, 5, 3, 4, 2, 9, 9, 6, 3, 3),
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
                self._join_list()
            case "unlist" if self._has_list:
                self._has_list = False
                self._tell({"do": "unlist"})
            case "drop" if self._plan.has("drops"):
                self._drop()
            case "rights" if self._plan.has("rights"):
                self.rights = chance.choice(("none", "admin"))
                self._tell({"do": "rights", "rights": self.rights})
            case "stall" if self._plan.has("stalls"):
                self.stall(chance.choice((0.01, 0.2, 0.6, 1.5)))
            case "block" if self._plan.has("blocked"):
                self._is_blocked = not self._is_blocked
                if self._is_blocked:
                    self._drop()
            case "wake":
                self._tell({"do": "happens", "event": chance.choice(("online", "visible"))})
                if self._plan.has("tokens"):
                    self._tell({"do": "renew"})

    def stall(self, seconds: float) -> None:
        for socket in self._sockets.values():
            if (end := socket.end) is not None:
                end.stall()
                self._loop.call_later(seconds, end.go_on)

    def calm(self) -> None:
        self._tell({"do": "calm"})
        self._is_blocked = self._polls
        for socket in self._sockets.values():
            if socket.end is not None:
                socket.end.go_on()
        if self._plan.has("cap"):
            self._drop()

    async def stop(self) -> None:
        self._is_over = True
        self._tell({"do": "end"})
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls.values():
            call.cancel()
        for socket in self._sockets.values():
            socket.close()

    def differences(self) -> list[tuple[str, str]]:
        shown = self._tell({"do": "look"})
        if shown["status"] not in ("live", "polling"):
            return [("status", f"it is {shown['status']}")]
        found = []
        for conversation in self._talks.values():
            found += [("unanswered", f"{one.kind} {name}") for name, one in conversation.asked.items()]
        for task_id, view in shown["tasks"].items():
            found += self._wrong(task_id, view, polls=shown["status"] == "polling")
        for conversation in self._talks.values():
            found += [("kept", name) for name in sorted(conversation.serves()) if name not in self._joined]
            found += self.wrong_refusals(
                conversation.together, {name: view["state"] for name, view in shown["tasks"].items()}
            )
        if self._has_list:
            state = shown["list"]["state"]
            rows = {one["taskId"]: one for one in shown["list"]["tasks"]}
            found += self.wrong_list(rows) if state == "ready" else [("loading", f"the list is {state}")]
        return found

    def _wrong(self, task_id: str, view: dict[str, Any], *, polls: bool) -> list[tuple[str, str]]:
        state = view["state"]
        if state in ("forbidden", "revoked", "deleted"):
            # With the list it learns of a task that may be seen again; without, only polls say so.
            learns = self._has_list or polls
            return self.wrong_task(task_id, None, None) if learns else []
        if state != "ready":
            return self.wrong_end(task_id, state)
        return self.wrong_task(task_id, view["events"], view["task"])

    # What its user does.

    def _join(self, task_id: str) -> None:
        if task_id not in self._joined:
            self._joined.add(task_id)
            self._tell({"do": "join", "task": task_id})

    def _leave(self, task_id: str) -> None:
        if task_id in self._joined:
            self._joined.discard(task_id)
            self._view.forget(task_id)
            self._tell({"do": "leave", "task": task_id})

    def _join_list(self) -> None:
        if not self._has_list:
            self._has_list = True
            self._tell({"do": "list"})

    # In lockstep.

    def _tell(self, what: dict[str, Any]) -> Any:
        """Something happens to the client; do what it does then. Returns what it shows, if it was looked at."""
        now_ms = self._loop.time() * 1000
        line = {"client": self.name, "time": now_ms, "what": what}
        if what["do"] != "text":
            self.note(f"• {json.dumps(what)[:160]}")
        answer = self._node.tell(line)
        shown = None
        for did in answer["did"]:
            if "all" in did:
                shown = did["all"]
            else:
                self._obey(did)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if answer["next"] is not None and not self._is_over:
            self._timer = self._loop.call_at(answer["next"] / 1000 + 1e-6, self._pass_time)
        return shown

    def _pass_time(self) -> None:
        self._timer = None
        self._tell({"do": "time"})

    def _obey(self, did: dict[str, Any]) -> None:
        if "open" in did:
            self._open(did["open"], did["token"])
        elif "send" in did:
            self._send(did["send"], did["text"])
        elif "close" in did:
            self._talks.pop(did["close"], None)
            self._sockets.pop(did["close"]).close()
        elif "fetch" in did:
            self._fetch(did["fetch"], did)
        elif "abort" in did:
            if (call := self._calls.pop(did["abort"], None)) is not None:
                call.cancel()
        elif "shows" in did:
            self._look(did)
        else:
            self.blame("died", str(did))

    def _look(self, did: dict[str, Any]) -> None:
        task_id = did["shows"]
        if did["state"] == "ready" and task_id in self._joined:
            self._view.show(task_id, did["events"], is_partial=did["partial"])
        else:
            self._view.forget(task_id)

    # Its connections.

    def _open(self, number: int, token: str) -> None:
        self.move()
        instance = self._instance
        sub, rights, *_ = token.split(".")
        conversation = Conversation(self._referee, self.name, self._memory, instance, keys_of(sub, rights))

        def opened() -> None:
            self._talks[number] = conversation
            self._tell({"do": "opened", "socket": number})

        def on_text(text: str) -> None:
            if number in self._sockets:
                conversation.received(text)
                self._tell({"do": "text", "socket": number, "text": text})
                if not self._plan.has("rate"):
                    for task_id in sorted(conversation.overlooked & self._joined):
                        what = f"{task_id} was listed while it was asked for, and is not asked for again"
                        self.blame("hidden", what)
                conversation.overlooked.clear()

        def closed(code: int, reason: str) -> None:
            self._talks.pop(number, None)
            if self._sockets.pop(number, None) is not None and not self._is_over:
                self.on_end(code, reason)
                self._tell({"do": "closed", "socket": number, "code": code, "reason": reason})

        socket = self._sockets[number] = Socket(token, on_text=on_text, on_close=closed, on_open=opened)
        self.note(f"opens a socket to {instance.port}")
        self._loop.create_task(self._reach(socket, instance.port, closed))

    async def _reach(self, socket: Socket, port: int, closed: Any) -> None:
        if self._is_blocked:
            self._cuts += 1
            await asyncio.sleep(0.01)
            closed(ABNORMAL, "")
        else:
            await socket.open(self._network, port)

    def _send(self, number: int, text: str) -> None:
        keys = None
        if '"auth"' in text[:20]:
            sub, rights, *_ = json.loads(text)["data"]["token"].split(".")
            keys = keys_of(sub, rights)
        conversation = self._talks.get(number)
        if conversation is not None:
            conversation.sent(text, keys)
            self._sockets[number].send(text)

    def _drop(self) -> None:
        for socket in list(self._sockets.values()):
            self.cut(socket.end)
        if self._chance.random() < 0.5:
            for number, call in list(self._calls.items()):
                del self._calls[number]
                call.cancel()
                self._loop.call_soon(self._tell, {"do": "failed", "request": number})

    def _fetch(self, number: int, did: dict[str, Any]) -> None:
        """The client asks: what it asks for and from where is what it is by now."""
        self.move()
        poll = None
        if did["path"] == "/poll":
            sub, rights, *_ = did["token"].split(".")
            poll = self._watch.sent(did["body"], self._instance, keys_of(sub, rights))
        call = self._call(number, self._instance.port, did, poll)
        self._calls[number] = self._loop.create_task(call)

    async def _call(self, number: int, port: int, did: dict[str, Any], poll: Poll | None) -> None:
        status, content = await self._network.call(
            port, did["method"], did["path"], did["token"], did["body"].encode()
        )
        if self._calls.pop(number, None) is not None and not self._is_over:
            if poll is not None:
                self._watch.received(poll, status, content.decode())
            self._tell({"do": "answered", "request": number, "status": status, "text": content.decode()})
