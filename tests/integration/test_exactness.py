"""Exactness: whatever writers do and whenever clients come and go, what they built equals the document.

Random sequences of every write shape MongoDB has for an array, over a few tasks, while clients of two
users join, leave, drop, come back with their positions, and the relay itself restarts.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, UpdateOne, WriteConcern
from pymongo.errors import OperationFailure
from support.reference_client import FENCE, SEEN, ReferenceClient
from support.relay_fixture import SOON_S, running, settings_for

from relay.tasks.event_view import EventView, event_json

SEQUENCES = int(os.environ.get("RELAY_TEST_SEQUENCES", "100"))  # for each memory of the relay
SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
TASKS, CLIENTS = range(3), range(3)
USERS = ("alice", "bob", "alice")  # the clients'
FIELDS = EventView()


def append(n: int) -> dict[str, Any]:
    return {"$push": {"events": {"type": "log", "n": n}}}


def each(n: int, **modifiers: Any) -> dict[str, Any]:
    return {"$push": {"events": {"$each": [{"n": n}, {"type": "pr_opened", "n": n}], **modifiers}}}


def events_or_none(expression: Any) -> list[dict[str, Any]]:
    """A pipeline that sets the array to an expression over it, whatever is there now."""
    held = {"$cond": [{"$isArray": "$events"}, "$events", []]}
    return [{"$set": {"events": {"$let": {"vars": {"held": held}, "in": expression}}}}]


UPDATES: dict[str, Callable[[int], Any]] = {
    "push": append,
    "push several": each,
    "push with a status": lambda n: append(n) | {"$set": {"status": ("analyzing", "merged")[n % 2]}},
    "push at the end by position": lambda n: each(n, **{"$position": 10_000}),
    "push in front": lambda n: each(n, **{"$position": 0}),
    "push and cut": lambda n: each(n, **{"$slice": -4}),
    "push and sort": lambda n: each(n, **{"$sort": {"n": -1}}),
    "add to set": lambda n: {"$addToSet": {"events": {"n": n % 3}}},
    "pull": lambda n: {"$pull": {"events": {"n": n % 5}}},
    "pop": lambda n: {"$pop": {"events": (1, -1)[n % 2]}},
    "set an element": lambda n: {"$set": {f"events.{n % 6}": {"n": n}}},
    "edit in place": lambda n: {"$set": {"events.0.edited": n}},
    "unset an element": lambda n: {"$unset": {f"events.{n % 3}": 1}},
    "unset a field": lambda n: {"$unset": {f"events.{n % 3}.n": 1}},
    "unset all": lambda n: {"$unset": {"events": 1}},
    "set all": lambda n: {"$set": {"events": [{"n": n}, n, None]}},
    "set the same": lambda n: {"$set": {"touched": n}},
    "no array": lambda n: {"$set": {"events": {"0": n}}},
    "pipeline append": lambda n: events_or_none({"$concatArrays": ["$$held", [{"n": n}]]}),
    "pipeline cut": lambda n: events_or_none({"$slice": ["$$held", 2]}),
    "pipeline cut and append": lambda n: events_or_none(
        {"$concatArrays": [{"$slice": ["$$held", 1]}, [{"n": n}, {"n": n + 1}]]}
    ),
    "give away": lambda n: {"$set": {"createdBy": ("alice", "bob", "nobody")[n % 3]}},
    "give away and push": lambda n: append(n) | {"$set": {"createdBy": ("alice", "bob")[n % 2]}},
    "ask": lambda n: {
        "$set": {"status": "pr_opened", "reviewers": [["alice"], [{"id": 1}, "bob"], []][n % 3]}
    },
    "share": lambda n: {"$set": {"members": [["alice", "bob"], ["bob"], []][n % 3]}},
}
# Most of real life is appends, and a position can only be resumed where nothing was rewritten.
SHAPES = st.one_of(
    st.sampled_from(["push", "push several", "push with a status"]), st.sampled_from(list(UPDATES))
)
UPDATE = st.tuples(st.just("update"), st.sampled_from(TASKS), SHAPES, st.integers(0, 99))
WRITES = st.one_of(
    UPDATE,
    UPDATE,
    st.tuples(st.just("replace"), st.sampled_from(TASKS), st.just(""), st.integers(0, 99)),
    st.tuples(st.just("delete and create"), st.sampled_from(TASKS), st.just(""), st.integers(0, 99)),
    st.tuples(st.just("bulk"), st.lists(UPDATE, min_size=2, max_size=6)),
    st.tuples(st.just("transaction"), st.lists(UPDATE, min_size=2, max_size=6)),
)
VISITS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(CLIENTS), st.sampled_from(TASKS)),
    st.tuples(st.just("join"), st.sampled_from(CLIENTS), st.sampled_from(TASKS)),
    st.tuples(st.just("leave"), st.sampled_from(CLIENTS), st.sampled_from(TASKS)),
    st.tuples(st.just("dashboard"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("resync"), st.sampled_from(CLIENTS), st.sampled_from(TASKS)),
    st.tuples(st.just("drop"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("pause"), st.integers(1, 30)),
)
SEQUENCE = st.lists(
    st.one_of(WRITES, WRITES, VISITS, st.sampled_from([("restart",), ("pause", 5)])), min_size=5, max_size=40
)


def _is_at(timelines: dict[str, list[Any]], task_id: str, expected: list[Any]) -> bool:
    return timelines[task_id] == expected


class Play:
    """One sequence being played."""

    def __init__(self, url: str, database: str, known: int) -> None:
        self._settings = settings_for(url, database, relay_known_tasks_max=known)
        self._url = url
        self._database = database
        self.members = [ReferenceClient(sub) for sub in USERS]
        self._living: dict[int, asyncio.Task[None]] = {}
        self._stack = AsyncExitStack()

    async def run(self, sequence: list[Any]) -> None:
        async with AsyncMongoClient[dict[str, Any]](self._url) as client:
            self.client = client
            self.tasks = client[self._database].get_collection(
                "tasks", write_concern=WriteConcern("majority")
            )
            await self.tasks.delete_many({})
            await self.tasks.insert_one({"_id": FENCE, "teamId": "everyone", "events": [0]})
            for number in TASKS:
                await self._create(number, number)
            try:
                await self._start_relay()
                for number in CLIENTS:
                    await self._connect(number)
                for step in sequence:
                    await self._step(*step)
                await self._settle()
                await self._check()
            finally:
                for living in self._living.values():
                    living.cancel()
                await asyncio.gather(*self._living.values(), return_exceptions=True)
                await self._stack.aclose()

    async def _start_relay(self) -> None:
        self.relay = await self._stack.enter_async_context(running(self._settings))

    async def _connect(self, number: int) -> None:
        connected = asyncio.Event()
        living = self._living[number] = asyncio.create_task(self.members[number].live(self.relay, connected))
        waiting = asyncio.create_task(connected.wait())
        await asyncio.wait((living, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if living.done():
            await living

    async def _disconnect(self, number: int) -> None:
        living = self._living[number]
        living.cancel()
        (ended,) = await asyncio.gather(living, return_exceptions=True)
        if isinstance(ended, AssertionError):
            raise ended

    async def _step(self, kind: str, *what: Any) -> None:
        SEEN[kind] += 1
        match kind, what:
            case "update", (task, shape, n):
                await self._write(lambda: self.tasks.update_one({"_id": f"t{task}"}, UPDATES[shape](n)))
            case "replace", (task, _, n):
                document = {
                    "createdBy": ("alice", "bob")[n % 2],
                    "events": [{"n": one} for one in range(n % 7)],
                }
                await self._write(lambda: self.tasks.replace_one({"_id": f"t{task}"}, document))
            case "delete and create", (task, _, n):
                await self.tasks.delete_one({"_id": f"t{task}"})
                await self._create(task, n)
            case "bulk", (updates,):
                orders = [UpdateOne({"_id": f"t{task}"}, UPDATES[shape](n)) for _, task, shape, n in updates]
                await self._write(lambda: self.tasks.bulk_write(orders, ordered=False))
            case "transaction", (updates,):
                async with self.client.start_session() as session:

                    async def write(session: Any) -> None:
                        for _, task, shape, n in updates:
                            await self.tasks.update_one(
                                {"_id": f"t{task}"}, UPDATES[shape](n), session=session
                            )

                    await self._write(lambda: session.with_transaction(write))
            case "join", (client, task):
                await self.members[client].join(f"t{task}")
            case "leave", (client, task):
                await self.members[client].leave(f"t{task}")
            case "resync", (client, task):
                await self.members[client].resync(f"t{task}")
            case "dashboard", (client,):
                await self.members[client].join_dashboard()
            case "drop", (client,):
                await self._disconnect(client)
                await self._connect(client)
            case "restart", ():
                for number in CLIENTS:
                    await self._disconnect(number)
                await self._stack.aclose()
                await self._start_relay()
                for number in CLIENTS:
                    await self._connect(number)
            case "pause", (turns,):
                for _ in range(turns):  # a moment of its own for whatever is under way
                    await asyncio.sleep(0)

    async def _create(self, task: int, n: int) -> None:
        owner = ("alice", "bob")[n % 2]
        await self.tasks.insert_one({"_id": f"t{task}", "createdBy": owner, "events": [{"n": n}] * (n % 3)})

    async def _write(self, write: Callable[[], Awaitable[Any]]) -> None:
        """An update may not fit what is there (a push to an object): then nothing is written."""
        try:
            await write()
        except OperationFailure:
            SEEN["refused by the database"] += 1

    async def _settle(self) -> None:
        """Everyone has been sent everything that was written, and every join has been answered."""
        await self.tasks.update_one({"_id": FENCE}, {"$push": {"events": -7}})
        for number, member in enumerate(self.members):
            assert await self._until(number, partial(self._has_received_all, member))

    @staticmethod
    def _has_received_all(member: ReferenceClient) -> bool:
        timeline = member.timelines.get(FENCE)
        return bool(timeline) and timeline[-1]["data"] == -7 and not member.unanswered

    async def _until(self, number: int, holds: Callable[[], bool]) -> bool:
        """Does it come to hold while this member listens?"""
        member, living = self.members[number], self._living[number]
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON_S):
                while not holds():
                    member.moved.clear()
                    moved = asyncio.create_task(member.moved.wait())
                    await asyncio.wait((moved, living), return_when=asyncio.FIRST_COMPLETED)
                    moved.cancel()
                    if living.done():
                        await living
        return holds()

    async def _check(self) -> None:
        stored = {document["_id"]: document async for document in self.tasks.find({})}
        for number, member in enumerate(self.members):
            visible = {
                task_id: document
                for task_id, document in stored.items()
                if document.get("createdBy") == member.sub
                or member.sub in document.get("members", [])
                or task_id == FENCE
            }
            assert member.wanted <= set(visible), "a task that may not be seen is still joined"
            for task_id in member.wanted:
                events = visible[task_id].get("events")
                expected = [
                    orjson.loads(event_json(one, FIELDS))
                    for one in (events if isinstance(events, list) else [])
                ]
                # Of rewrites that follow each other closely the last is shown a little later.
                await self._until(number, partial(_is_at, member.timelines, task_id, expected))
                assert member.timelines[task_id] == expected
                assert member.summaries[task_id].get("status") == visible[task_id].get("status")
                assert member.summaries[task_id].get("waitsFor") == _waits_for(visible[task_id])
                SEEN["timelines compared"] += 1
            if member.dashboard is not None:
                assert set(member.dashboard) == set(visible)
                for task_id, summary in member.dashboard.items():
                    events = visible[task_id].get("events")
                    assert summary["eventCount"] == (len(events) if isinstance(events, list) else 0)
                    assert summary.get("status") == visible[task_id].get("status")
                    assert summary.get("waitsFor") == _waits_for(visible[task_id])
                SEEN["dashboards compared"] += 1


def _waits_for(document: dict[str, Any]) -> dict[str, list[str]] | None:
    """Those for whom a task waits, as the default mapping says of these statuses."""
    if document.get("status") != "pr_opened":
        return None
    reviewers = [one for one in document["reviewers"] if isinstance(one, str)]
    named = reviewers or [document["createdBy"]]
    return {"sub": named}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("known", [1, 1000])
def test_what_clients_built_equals_the_documents(
    mongo_url: str, database_name: str, known: int, capsys: Any
) -> None:
    @seed(SEED)
    @settings(
        max_examples=SEQUENCES,
        deadline=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(SEQUENCE)
    def play(sequence: list[Any]) -> None:
        SEEN["sequences"] += 1
        asyncio.run(Play(mongo_url, database_name, known).run(sequence))

    SEEN.clear()
    play()
    with capsys.disabled():
        print(
            f"\n  known {known}, RELAY_TEST_SEED={SEED}: "
            + ", ".join(f"{count} {what}" for what, count in SEEN.most_common())
        )
    assert SEEN["resumed"] > SEEN["begun again"]
