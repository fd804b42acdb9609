"""Access over time: a client receives each change of a task that its user may see, and no other change.

The documents change their visibility all the time. There are principals of all kinds, clients that stay, and clients
that connect, leave and resume. Every write puts its number into each string it writes, so a message shows which write
it comes from. The referee is a change stream with the documents before and after each change, and a second
implementation of the rules that shares no code with the relay.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from pymongo import AsyncMongoClient
from support.relay_fixture import SOON_S, SocketClient, connected, running, settings_for

from relay.app import Relay

WRITES = int(os.environ.get("RELAY_TEST_ACCESS_WRITES", "600"))
SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
TASKS = [f"t{number}" for number in range(6)]
GRACE, HEIDI = ObjectId(), uuid4()
# Forms in which programs store an id that is not a string.
NUMBERS = (1017, Int64(1017), 1017.0, Decimal128("1017.00"))
UUIDS = (Binary(HEIDI.bytes, 4), Binary(HEIDI.bytes, 3))
FENCE = "fence"  # a task that all may see; its last change comes after all other writes

# Principals by name: their `sub`, and the other claims of their token.
PRINCIPALS: dict[str, tuple[str, dict[str, Any]]] = {
    "creator": ("alice", {"teams": ["all"]}),
    "member": ("bob", {"teams": ["all"]}),
    "of a team": ("carol", {"teams": ["red", "all"]}),
    "of two teams": ("dave", {"teams": ["red", "blue", "all"]}),
    "with an ObjectId": (str(GRACE), {"teams": ["all"]}),
    "with a number": ("1017", {"teams": ["all"]}),
    "with a UUID": (str(HEIDI), {"teams": ["all"]}),
    "of a team with a number": ("ivan", {"teams": [7.0, "all"]}),
    "who sees all": ("root", {"roles": ["admin"]}),
    "nobody": ("eve", {"teams": ["all", "", None, True, 7.5], "roles": ["Admin", "administrator"]}),
}


def may_see(name: str, document: dict[str, Any] | None) -> bool:
    """The default rules of visibility, implemented a second time."""
    if document is None:
        return False
    sub, claims = PRINCIPALS[name]
    if "admin" in claims.get("roles", []):
        return True
    own = [sub, *{str(GRACE): [GRACE], "1017": NUMBERS, str(HEIDI): UUIDS}.get(sub, [])]
    creator = next((document[one] for one in ("createdBy", "creator", "userId") if document.get(one)), None)
    teams: list[Any] = [team for team in claims["teams"] if isinstance(team, str) and team]
    teams += ["7", 7, Decimal128("7E0")] if 7.0 in claims["teams"] else []
    members = document.get("members") or []
    return creator in own or any(one in own for one in members) or document.get("teamId") in teams


def mark(n: int) -> str:
    return f"mark-{n}."


def marks(frame: dict[str, Any]) -> set[int]:
    """The numbers of the writes that this message shows. The events of a state are older, and do not count."""
    data = {name: value for name, value in frame["data"].items() if name != "events"}
    return {int(n) for n in re.findall(rb"mark-(\d+)\.", orjson.dumps(data))}


@dataclass
class Seen:
    """What the referee has seen, by the number of the write."""

    before: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    after: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    task: dict[int, str] = field(default_factory=dict)

    def shown_to(self, name: str) -> set[int]:
        """The numbers of the writes after which this principal could see the task."""
        return {n for n, document in self.after.items() if may_see(name, document)}


async def referee(tasks: Any, seen: Seen, opened: asyncio.Event) -> None:
    async with await tasks.watch(full_document="required", full_document_before_change="required") as stream:
        opened.set()
        async for change in stream:
            after = change.get("fullDocument")
            if change["operationType"] != "delete" and after["_id"] != FENCE:
                n = after["n"]
                seen.before[n], seen.after[n] = change.get("fullDocumentBeforeChange"), after
                seen.task[n] = after["_id"]
            elif after is not None and after.get("title") == "over":
                return


class Client:
    """A client that keeps all messages it receives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[dict[str, Any]] = []
        self.positions: dict[str, tuple[int, str]] = {}
        self.listed: dict[str, Any] = {}
        self.over = asyncio.Event()
        self.socket: SocketClient | None = None

    def take(self, frame: dict[str, Any]) -> None:
        self.received.append(frame)
        data, kind = frame["data"], frame["type"]
        if kind in ("task:state", "task:event_added"):
            self.positions[data["taskId"]] = data["next"], data["head"]
        elif kind == "dashboard:state":
            self.listed = {} if data["reset"] else self.listed
            self.listed |= {task["taskId"]: task for task in data["tasks"]}
        elif kind == "dashboard:task_list_updated":
            self.listed.pop(data["taskId"], None)
            if data["change"] == "upserted":
                self.listed[data["taskId"]] = data
        if self.listed.get(FENCE, {}).get("title") == "over":
            self.over.set()

    async def stay(self, relay: Relay, ready: asyncio.Event) -> None:
        """Join the list once, and each task when it appears there."""
        sub, claims = PRINCIPALS[self.name]
        async with connected(relay, "/ws/dashboard", sub=sub, **claims) as self.socket:
            while not self.over.is_set():
                # A client that may see nothing receives nothing until the end, however long the writer takes.
                frame = orjson.loads(await self.socket.socket.recv())
                before = set(self.listed)
                self.take(frame)
                ready.set()
                for task_id in set(self.listed) - before:
                    await self.socket.send("task:join", {"taskId": task_id})

    async def wander(self, relay: Relay, chance: random.Random) -> None:
        """Connect, join and resume at random, disconnect, and do it again, until the end."""
        sub, claims = PRINCIPALS[self.name]
        while not self.over.is_set():
            self.listed = {}
            async with connected(relay, sub=sub, **claims) as client:
                await client.send("dashboard:join")
                for _ in range(chance.randrange(3, 40)):
                    await self._wish(client, chance)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.01):
                            while not self.over.is_set():
                                self.take(orjson.loads(await client.socket.recv()))

    async def _wish(self, client: SocketClient, chance: random.Random) -> None:
        task_id = chance.choice(TASKS)
        match chance.randrange(6):
            case 0 | 1 | 2:
                since, head = self.positions.get(task_id, (None, None))
                position = {} if since is None else {"since": since, "head": head}
                await client.send("task:join", {"taskId": task_id} | position)
            case 3:
                await client.send("task:leave", {"taskId": task_id})
            case 4:
                await client.send("resync_requested", {"taskIds": chance.sample(TASKS, 3)})
            case 5:
                await client.send("dashboard:join")


class Writer:
    """Writes to the collection. Each write carries its number, and many change who may see the task."""

    def __init__(self, mongo: Any, tasks: Any, chance: random.Random) -> None:
        self._mongo = mongo
        self._tasks = tasks
        self._chance = chance
        self._n = 0

    def _rights(self) -> dict[str, Any]:
        pick = self._chance.choice
        return {
            "createdBy": pick(
                ["alice", "bob", GRACE, str(GRACE), None, "nobody", "1017", True, *NUMBERS, *UUIDS]
            ),
            "members": pick(
                [[], ["bob"], ["bob", 1017.5], [GRACE, "alice"], None, [*NUMBERS[2:], "bob"], [UUIDS[1]]]
            ),
            "teamId": pick(["red", "blue", "green", "all2", "", None, 7, 7.5, "7", Decimal128("7E0")]),
        }

    def _content(self) -> dict[str, Any]:
        self._n += 1
        return {"n": self._n, "title": mark(self._n)}

    def _event(self, n: int) -> dict[str, Any]:
        kind = self._chance.choice(["log", "pr_opened", "analyzing", "failed"])
        return {"type": kind, "message": mark(n), "prUrl": f"https://x.test/{mark(n)}", "error": mark(n)}

    def _update(self) -> dict[str, Any]:
        content = self._content()
        n = content["n"]
        update: dict[str, Any] = {"$set": content}
        what = self._chance.randrange(10)
        if what < 4:
            name, value = self._chance.choice(list(self._rights().items()))
            content[name] = value
        if what == 4:
            update["$unset"] = {self._chance.choice(["createdBy", "members", "teamId"]): 1}
        if what != 9:
            update["$push"] = {"events": self._event(n)}
        if what == 8:
            update["$push"] = {"events": {"$each": [self._event(n)], "$slice": -3}}
        return update

    def document(self, task_id: str) -> dict[str, Any]:
        content = self._content()
        return {"_id": task_id, **content, **self._rights(), "events": [self._event(content["n"])]}

    async def write(self) -> None:
        task_id = self._chance.choice(TASKS)
        match self._chance.randrange(12):
            case 0:
                await self._tasks.replace_one({"_id": task_id}, self.document(task_id))
            case 1:
                await self._tasks.delete_one({"_id": task_id})
                await self._tasks.insert_one(self.document(task_id))
            case 2:
                async with self._mongo.start_session() as session, await session.start_transaction():
                    for one in self._chance.sample(TASKS, 2):
                        await self._tasks.update_one({"_id": one}, self._update(), session=session)
            case _:
                await self._tasks.update_one({"_id": task_id}, self._update())


@pytest.mark.timeout(300)
async def test_each_client_receives_every_change_it_may_see_and_no_other(
    mongo_url: str, database_name: str, capsys: Any
) -> None:
    """S14, S16, S17, S21: no client received a change after which it could not see the task. The clients that stayed
    received every change after which they could."""
    chance, seen, opened = random.Random(SEED), Seen(), asyncio.Event()
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as mongo:
        tasks = await mongo[database_name].create_collection(
            "tasks", changeStreamPreAndPostImages={"enabled": True}
        )
        watching = asyncio.create_task(referee(tasks, seen, opened))
        await opened.wait()
        writer = Writer(mongo, tasks, chance)
        await tasks.insert_one({"_id": FENCE, "teamId": "all", "title": "", "n": 0})
        for task_id in TASKS:
            await tasks.insert_one(writer.document(task_id))
        async with running(settings_for(mongo_url, database_name)) as relay:
            staying = [Client(name) for name in PRINCIPALS]
            wandering = [Client(name) for name in PRINCIPALS]
            ready = [asyncio.Event() for _ in staying]
            async with asyncio.TaskGroup() as group:
                for one, there in zip(staying, ready, strict=True):
                    group.create_task(one.stay(relay, there))
                for one in wandering:
                    group.create_task(one.wander(relay, random.Random(chance.random())))
                for there in ready:
                    await there.wait()
                first = max(seen.after)
                for _ in range(WRITES):
                    await writer.write()
                await tasks.update_one({"_id": FENCE}, {"$set": {"title": "over"}})
        async with asyncio.timeout(SOON_S):
            await watching
    received: Counter[str] = Counter()
    for one in (*staying, *wandering):
        shown = seen.shown_to(one.name)
        for frame in one.received:
            assert marks(frame) <= shown, f"{one.name} received {frame}, RELAY_TEST_SEED={SEED}"
            received[one.name] += len(marks(frame))
    for one in staying:
        shown = {n for n in seen.shown_to(one.name) if n > first}
        listed = set().union(*(marks(f) for f in one.received if f["type"].startswith("dashboard:")))
        assert listed >= shown, f"{one.name} did not receive everything, RELAY_TEST_SEED={SEED}"
        visible = {t for t, last in last_writes(seen).items() if may_see(one.name, seen.after[last])}
        assert set(one.listed) - {FENCE} == visible
        assert {t: one.listed[t]["title"] for t in visible} == {
            t: mark(last_writes(seen)[t]) for t in visible
        }
        assert missed_events(one, seen, first) == set(), f"{one.name}, RELAY_TEST_SEED={SEED}"
    assert received["nobody"] == 0
    assert all(received[name] > WRITES // 20 for name in PRINCIPALS if name != "nobody")
    with capsys.disabled():
        counts = ", ".join(f"{name} {count}" for name, count in received.items())
        print(f"\n  {len(seen.after)} changes, RELAY_TEST_SEED={SEED}; received: {counts}")


def last_writes(seen: Seen) -> dict[str, int]:
    """The number of the last write to each task."""
    return {task_id: max(n for n, task in seen.task.items() if task == task_id) for task_id in TASKS}


def missed_events(client: Client, seen: Seen, first: int) -> set[int]:
    """The numbers of events that were pushed while the client was joined to their task, and that it did not receive."""
    missed: set[int] = set()
    joined: dict[str, int] = {}  # by joined task: the last write that its state showed
    for frame in client.received:
        data, kind = frame["data"], frame["type"]
        task_id = data.get("taskId", "")
        if kind == "task:state" and not data["more"]:
            joined[task_id] = max(marks(frame), default=0)
        elif kind == "task:event_added" and task_id in joined:
            (n,) = marks(frame)
            between = {m for m, task in seen.task.items() if task == task_id and joined[task_id] < m < n}
            missed |= {m for m in between if pushed_one(seen, m)}
            joined[task_id] = n
        elif kind in ("task:revoked", "task:deleted"):
            joined.pop(task_id, None)
    return missed


def pushed_one(seen: Seen, n: int) -> bool:
    """Did this write append one event, and remove none?"""
    before, after = seen.before[n], seen.after[n]
    if before is None or after is None:
        return False
    return bool(after["events"][:-1] == before["events"])
