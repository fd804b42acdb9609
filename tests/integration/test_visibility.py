"""Nobody is sent what is not theirs: rights that come and go, in live delivery and in states."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Int64, ObjectId
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mongomock_motor import AsyncMongoMockClient
from pymongo import MongoClient
from support.relay_fixture import connected, running, settings_for

from relay.tasks.mapping import Rule, Visibility
from relay.tasks.visibility import Audience, Principal

OWNER = ObjectId("65f0c0ffee65f0c0ffee65f0")


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name)


async def test_each_rule_of_the_defaults_opens_its_tasks(tasks: Any, settings: Any) -> None:
    tasks.insert_many(
        [
            {"_id": "created", "createdBy": "u"},
            {"_id": "by id", "createdBy": OWNER},
            {"_id": "member", "members": ["x", "u"]},
            {"_id": "team", "teamId": "red"},
            {"_id": "nobody's"},
            {"_id": "null's", "createdBy": None, "teamId": None, "members": []},
        ]
    )
    everyone: list[tuple[dict[str, Any], set[str]]] = [
        ({"sub": "u"}, {"created", "member"}),
        ({"sub": str(OWNER)}, {"by id"}),
        ({"sub": "v", "teams": ["red", "blue"]}, {"team"}),
        ({"sub": "v", "teams": "red"}, {"team"}),
        ({"sub": "v", "teams": [None, ""], "roles": "guest"}, set()),
        ({"sub": "v", "roles": ["admin"]}, {"created", "by id", "member", "team", "nobody's", "null's"}),
    ]
    async with running(settings) as relay:
        for claims, visible in everyone:
            async with connected(relay, "/ws/dashboard", **claims) as client:
                state = await client.until("dashboard:state")
                assert {task["taskId"] for task in state["data"]["tasks"]} == visible


async def test_who_loses_a_task_hears_that_and_nothing_more(tasks: Any, settings: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    async with (
        running(settings) as relay,
        connected(relay, "/ws/dashboard") as alice,
        connected(relay, "/ws/dashboard", sub="bob") as bob,
    ):
        await alice.until("dashboard:state")
        await alice.send("task:join", {"taskId": "t"})
        await alice.until("task:state")
        await bob.until("dashboard:state")
        # When one change appends an event and gives the task to somebody else,
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"secret": 1}}, "$set": {"createdBy": "bob"}})
        # then the one is sent that it is gone, and the other that it is there.
        shown = await bob.until("dashboard:task_list_updated")
        assert (shown["data"]["change"], shown["data"]["eventCount"]) == ("upserted", 1)
        updates = [frame for frame in await alice.quiet() if frame["type"] != "dashboard:state"]
        assert [(frame["type"], frame["data"]) for frame in updates] == [
            ("task:revoked", {"taskId": "t"}),
            ("dashboard:task_list_updated", {"change": "revoked", "taskId": "t"}),
        ]
        assert await bob.quiet() == []


async def test_a_deleted_task_is_told_in_both_forms(tasks: Any, settings: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        await client.until("dashboard:state")
        await client.send("task:join", {"taskId": "t"})
        await client.until("task:state")
        tasks.delete_one({"_id": "t"})
        await client.until("task:deleted", taskId="t")
        await client.until("dashboard:task_list_updated", change="deleted", taskId="t")
        # A task created again under the old id is a new one, and nobody is in its room.
        tasks.insert_one({"_id": "t", "createdBy": "alice"})
        await client.until("dashboard:task_list_updated", change="upserted")
        tasks.update_one({"_id": "t"}, {"$push": {"events": 1}})
        await client.until("dashboard:task_list_updated", eventCount=1)
        assert not any(frame["type"] == "task:event_added" for frame in client.frames)


async def test_a_refreshed_token_brings_its_own_rights(tasks: Any, settings: Any) -> None:
    from support.relay_fixture import token

    tasks.insert_many([{"_id": "red", "teamId": "red"}, {"_id": "blue", "teamId": "blue"}])
    async with running(settings) as relay, connected(relay, "/ws/dashboard", teams=["red"]) as client:
        await client.send("task:join", {"taskId": "red"})
        await client.until("task:state")
        await client.send("auth", {"token": token("alice", teams=["blue"])}, id="a")
        assert (await client.until("auth:ok"))["replyTo"] == "a"
        assert (await client.next())["type"] == "task:revoked"
        state = (await client.until("dashboard:state"))["data"]
        assert [task["taskId"] for task in state["tasks"]] == ["blue"]
        await client.send("auth", {"token": token("mallory")}, id="b")
        assert (await client.until("error"))["data"]["code"] == "forbidden"


# The keys and the filter are two spellings of one rule.

IDS = st.sampled_from([OWNER, ObjectId("65f0c0ffee65f0c0ffee65f1")])
PERSON = Binary(b"a" * 16, 4)
NAMES = st.sampled_from(["a", "b", "", str(OWNER), str(OWNER).upper(), "5", str(UUID(bytes=PERSON))])
NUMBERS = st.integers(4, 6) | st.sampled_from([5.0, 5.5, Int64(5)])
SCALARS = NAMES | IDS | st.none() | NUMBERS | st.booleans() | st.just(PERSON)
SHAPES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "0", "1"]), inner, max_size=2)
    ),
    max_leaves=6,
)
DOCUMENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("x", "y", "z"), SHAPES))
PATHS = st.sampled_from(["x", "y", "z", "x.y", "x.0", "x.0.y", "y.x", "y.1.x"])
RULES = st.lists(
    st.tuples(st.lists(PATHS, min_size=1, max_size=3, unique=True), st.sampled_from(["sub", "teams"])),
    min_size=1,
    max_size=3,
)
CLAIMS = st.fixed_dictionaries(
    {"sub": NAMES | NUMBERS}, optional={"teams": st.lists(NAMES | NUMBERS | st.none(), max_size=2) | NAMES}
)


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(DOCUMENTS, max_size=8), RULES, CLAIMS)
def test_keys_and_filter_agree_on_a_real_mongod(tasks: Any, documents: Any, rules: Any, claims: Any) -> None:
    visibility = Visibility(
        tuple(Rule(f"r{number}", tuple(paths), claim) for number, (paths, claim) in enumerate(rules)), ()
    )
    audience, principal = Audience(visibility), Principal(claims["sub"], claims, 0)
    tasks.delete_many({})
    if documents:
        tasks.insert_many([{"_id": number, **document} for number, document in enumerate(documents)])
    held = audience.keys_for(principal)
    by_keys = {number for number, document in enumerate(documents) if held & audience.keys_of(document)}
    by_rules = [any(rule.holds for rule in audience.compare(one, principal)) for one in documents]
    assert by_keys == {number for number, holds in enumerate(by_rules) if holds}
    filter = audience.filter_for(principal)
    assert by_keys == {document["_id"] for document in tasks.find(filter, {"_id": 1})}
    if not any("." in path for paths, _ in rules for path in paths):
        # (mongomock reads dotted paths through arrays and scalars otherwise than MongoDB does.)
        assert by_keys == asyncio.run(mongomock(documents, filter))


async def mongomock(documents: Any, filter: Any) -> set[int]:
    collection = AsyncMongoMockClient()["mock"]["tasks"]
    for number, document in enumerate(documents):
        await collection.insert_one({"_id": number, **document})
    return {document["_id"] async for document in collection.find(filter)}


async def test_a_text_that_spells_the_key_of_an_id_opens_nothing(tasks: Any, settings: Any) -> None:
    tasks.insert_one({"createdBy": OWNER})
    async with running(settings) as relay:
        for sub in (f":{OWNER}", f"o:{OWNER}", f"s:{OWNER}"):
            async with connected(relay, "/ws/dashboard", sub=sub) as client:
                await client.until("dashboard:state", tasks=[])
                tasks.update_one({}, {"$set": {"title": sub}})
                tasks.insert_one({"createdBy": sub, "title": "a fence"})
                assert (await client.next())["data"]["title"] == "a fence"


async def test_the_letters_of_a_name_count_whatever_the_collation(
    mongo: MongoClient[dict[str, Any]], database_name: str, settings: Any
) -> None:
    tasks = mongo[database_name].create_collection("tasks", collation={"locale": "en", "strength": 2})
    tasks.insert_one({"createdBy": "Alice"})
    async with running(settings) as relay, connected(relay, "/ws/dashboard") as client:
        assert (await client.until("dashboard:state"))["data"]["tasks"] == []


async def test_the_strangers_loop_is_not_even_touched(tasks: Any, settings: Any) -> None:
    async with (
        running(settings) as relay,
        connected(relay, "/ws/dashboard", sub="stranger") as stranger,
        connected(relay, "/ws/dashboard") as alice,
    ):
        await stranger.until("dashboard:state")
        await alice.until("dashboard:state")
        await asyncio.to_thread(
            tasks.insert_many, [{"createdBy": "alice", "events": [{"n": n}]} for n in range(50)]
        )
        for _ in range(50):
            await alice.until("dashboard:task_list_updated")
        assert await stranger.quiet() == []
