"""Whatever is written while the mapping is changed again and again, clients hold what the last mapping makes of the
documents, lose what it denies, and never hold a timeline of two mappings."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from support.reference_client import FENCE, ReferenceClient
from support.relay_fixture import SOON_S, running

from relay.app import Relay
from relay.config import Settings

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
SWITCHES = int(os.environ.get("RELAY_TEST_SWITCHES", "12"))
TASKS = [f"t{number}" for number in range(6)]
USERS = ("alice", "bob", "carol")


@dataclass(frozen=True)
class Rules:
    """One mapping: the array of events, the field of the title, and the fields that open a task to a user."""

    array: str
    title: str
    owner: str | None
    members: bool

    def written(self) -> str:
        def rule(name: str, field: str, claim: str) -> str:
            return f'[[visibility.rules]]\nname = "{name}"\nfield = "{field}"\nclaim = "{claim}"\n'

        return (
            f'events = "{self.array}"\n[fields]\ntitle = "{self.title}"\n'
            + rule("team", "teamId", "teams")
            + (rule("owner", self.owner, "sub") if self.owner else "")
            + (rule("member", "members", "sub") if self.members else "")
        )

    def shows(self, document: dict[str, Any], user: str) -> bool:
        return (
            document.get("teamId") == "everyone"
            or (self.owner is not None and document.get(self.owner) == user)
            or (self.members and user in document.get("members", ()))
        )


def some_rules(chance: random.Random, before: Rules | None) -> Rules:
    """Other rules. Often only those of visibility are others than before."""
    made = Rules(
        chance.choice(("events", "log")),
        chance.choice(("title", "subject")),
        chance.choice(("createdBy", "owner", None)),
        chance.random() < 0.5,
    )
    if before is not None and chance.random() < 0.5:
        made = Rules(before.array, before.title, made.owner, made.members)
    return made


def document(chance: random.Random, n: int) -> dict[str, Any]:
    return {
        "title": f"title {n}",
        "subject": f"subject {n}",
        "createdBy": chance.choice(USERS),
        "owner": chance.choice(USERS),
        "members": chance.sample(USERS, 2),
        "events": [{"via": "events", "n": n}],
        "log": [{"via": "log", "n": n}],
    }


async def write(tasks: Any, chance: random.Random, n: int) -> None:
    """Change a task: mostly append to both of its arrays, sometimes rewrite, open, close, delete or replace it."""
    id = chance.choice(TASKS)
    new = document(chance, n)
    update: dict[str, Any] = {"$push": {name: {"via": name, "n": n} for name in ("events", "log")}}
    match chance.randrange(12):
        case 0:
            await tasks.delete_one({"_id": id})
            return
        case 1 | 6 | 7 | 8:
            # The whole array is in the change. Another decoder than that of the mapping would not recognise it.
            new["events"] *= chance.randrange(4)
            new["log"] *= chance.randrange(4)
            await tasks.replace_one({"_id": id}, new, upsert=True)
            return
        case 2:
            update = {"$set": {f"{name}.0": {"via": name, "n": n} for name in ("events", "log")}}
        case 3 | 4:
            rights = {name: new[name] for name in ("createdBy", "owner", "members")}
            update |= {"$set": rights}
        case 5:
            update |= {"$set": {"title": f"title {n}", "subject": f"subject {n}"}}
    await tasks.update_one({"_id": id}, update)


def held_are_of_one_mapping(client: ReferenceClient) -> None:
    for task_id, timeline in client.timelines.items():
        if task_id != FENCE:
            assert len({event["data"]["via"] for event in timeline}) < 2, (task_id, timeline)


class Watched(ReferenceClient):
    """A client that checks after each message that no timeline has events of two mappings."""

    def __init__(self, sub: str) -> None:
        super().__init__(sub)
        self._outdated: set[str] = set()  # joins with a position that a revocation has taken back meanwhile
        self._joining: set[asyncio.Task[None]] = set()

    def apply(self, frame: dict[str, Any]) -> None:
        data, kind = frame["data"], frame["type"]
        task_id = data.get("taskId", "")
        if kind in ("task:revoked", "task:deleted"):
            self._outdated |= self._joins.get(task_id, set())
        if kind == "task:state" and data["from"] > len(self.timelines.get(task_id, ())):
            # The task was taken away and given back while the join was on its way.
            assert frame.get("replyTo") in self._outdated, "a state that leaves a gap"
            self.unanswered.discard(frame["replyTo"])
            self.positions.pop(task_id, None)
            self._joining.add(joining := asyncio.create_task(self.join(task_id)))
            joining.add_done_callback(self._joining.discard)
            return
        super().apply(frame)
        held_are_of_one_mapping(self)

    @property
    def is_joining(self) -> bool:
        return bool(self._joining)


async def test_clients_hold_what_the_last_mapping_makes_of_the_documents(
    tmp_path: Path, with_: Callable[..., Settings], mongo_url: str, database_name: str
) -> None:
    chance = random.Random(SEED)
    print(f"RELAY_TEST_SEED={SEED}")
    path, rules = tmp_path / "mapping.toml", some_rules(chance, None)
    path.write_text(rules.written())

    def read() -> Settings:
        return with_(relay_mapping=str(path))

    async with (
        AsyncMongoClient[dict[str, Any]](mongo_url) as mongo,
        running(read(), read=read) as relay,
    ):
        tasks = mongo[database_name]["tasks"]
        await tasks.insert_one({"_id": FENCE, "teamId": "everyone", "events": [], "log": []})
        await tasks.insert_many([{"_id": id} | document(chance, 0) for id in TASKS])
        clients = [Watched(USERS[number % 3]) for number in range(6)]
        for client in clients:
            client.dashboard = {}
            client.wanted = set(chance.sample(TASKS, 4))
        living = [await lives(client, relay) for client in clients]
        over = asyncio.Event()
        writing = asyncio.create_task(write_until(over, tasks, random.Random(SEED + 1)))
        for _ in range(SWITCHES):
            rules = some_rules(chance, rules)
            path.write_text(rules.written())
            await relay.reload()
            raise_what_went_wrong(living)
            for client in chance.sample(clients, 2):
                await client.join(chance.choice(TASKS))
            await asyncio.sleep(chance.random() * 0.1)  # so that changes come at any moment of a switch
        over.set()
        await writing
        await caught_up(tasks, clients, living)
        documents = {one["_id"]: one async for one in tasks.find({"_id": {"$ne": FENCE}})}
        # A rewritten timeline may be sent up to a quarter of a second later than what follows it.
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON_S):
                while any(map(partial(differences, documents, rules), clients)):
                    raise_what_went_wrong(living)
                    await asyncio.sleep(0.02)
        assert [differences(documents, rules, client) for client in clients] == [[]] * len(clients)
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)


def differences(documents: dict[str, Any], rules: Rules, client: ReferenceClient) -> list[Any]:
    """Return what this client holds that differs from what these rules make of the documents."""
    visible = {id: one for id, one in documents.items() if rules.shows(one, client.sub)}
    assert client.dashboard is not None
    listed = {id: one.get("title") for id, one in client.dashboard.items() if id != FENCE}
    shown = {id: one[rules.title] for id, one in visible.items()}
    found: list[Any] = [] if listed == shown else [(client.sub, listed, shown)]
    timelines = {id: events for id, events in client.timelines.items() if id != FENCE}
    if timelines.keys() != (client.wanted & visible.keys()) - {FENCE}:
        found.append((client.sub, timelines.keys(), client.wanted, visible.keys()))
    for id, events in timelines.items():
        stored = visible[id][rules.array] if id in visible else None
        if [one["data"] for one in events] != stored:
            found.append((client.sub, id, events, stored))
    return found


async def lives(client: ReferenceClient, relay: Relay) -> asyncio.Task[None]:
    joined = asyncio.Event()
    living = asyncio.create_task(client.live(relay, joined))
    await joined.wait()
    return living


async def write_until(over: asyncio.Event, tasks: Any, chance: random.Random) -> None:
    n = 0
    while not over.is_set():
        n += 1
        await write(tasks, chance, n)


async def caught_up(tasks: Any, clients: list[Watched], living: list[asyncio.Task[None]]) -> None:
    """Wait until every client has been sent everything that was written before this call, and all its answers."""
    mark = 10**6
    event = {"via": "fence", "data": mark}
    await tasks.update_one({"_id": FENCE}, {"$push": {"events": event, "log": event}})
    async with asyncio.timeout(SOON_S):
        for client in clients:
            while (
                client.unanswered
                or not client.timelines[FENCE]
                or client.timelines[FENCE][-1]["data"] != event
            ):
                client.moved.clear()
                moved = asyncio.ensure_future(client.moved.wait())
                await asyncio.wait((moved, *living), return_when=asyncio.FIRST_COMPLETED)
                raise_what_went_wrong(living)


def raise_what_went_wrong(living: list[asyncio.Task[None]]) -> None:
    for one in living:
        if one.done():
            one.result()
