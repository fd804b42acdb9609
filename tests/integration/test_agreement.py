"""Lists, joins, live messages and polls agree about a task, for any document and any mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import support.bson_bytes as raw
from bson import SON
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from support.polling_client import post
from support.relay_fixture import connected, running, settings_for
from support.rights_strategies import CLAIMS, FIELDS, PATHS, scalars, values
from support.task_views import FENCE, RAW, Views, by_id

from relay.tasks.mapping import Fields, Mapping, Rule, Visibility
from relay.tasks.task import Task

DOCUMENTS = st.lists(
    st.tuples(raw.plain() | st.builds(raw.document, st.tuples(st.just("x"), values())), FIELDS),
    min_size=1,
    max_size=5,
)
PLACES = st.sampled_from(["x", "y", "h", "x.y", "x.0", "x.items", "h.items", "h.items.0", "x.x.y"])
WRITES = st.lists(st.tuples(st.integers(0, 4), PLACES, st.none() | values()), max_size=4)

# Mappings with any paths that do not lead into the array of events.

EVENTS = st.sampled_from(["events", "h.items", "h.x.items", "x.y"])


@st.composite
def mappings(draw: Any) -> Mapping:
    events = draw(EVENTS)
    outside = PATHS.map(
        lambda paths: tuple(path for path in paths if not f"{path}.".startswith(f"{events}."))
    )
    names = ("title", "status", "creator", "createdAt", "prNumber", "error", "questions")
    fields = {name: draw(outside) for name in names}
    rules = [Rule(f"r{n}", draw(outside), draw(st.sampled_from(["sub", "teams"]))) for n in range(2)]
    return Mapping(fields=Fields(**fields), events=events, visibility=Visibility(tuple(rules), ()))


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name].create_collection("tasks", codec_options=RAW)


@pytest.mark.timeout(600)  # for all examples together
@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS, mappings(), CLAIMS, WRITES)
def test_lists_joins_and_polls_show_a_principal_equal_tasks(
    tasks: Any, documents: Any, mapping: Mapping, claims: Any, writes: Any
) -> None:
    tasks.delete_many({})
    views = Views(tasks, mapping, claims)
    with tasks.watch(max_await_time_ms=50) as stream:
        for id_, fields in documents:
            tasks.database.command(
                {"insert": "tasks", "documents": [raw.stored(("_id", id_), *fields.items())]},
                codec_options=RAW,
            )
        before = views.all()
        assert views.listed() == views.visible(before)
        for number, path, value in writes:
            if number < len(documents):
                write(tasks, documents[number][0], path, value)
        tasks.database.command({"insert": "tasks", "documents": [{"_id": FENCE}]}, codec_options=RAW)
        changes = list(until_fence(stream))
    after = views.all()
    seen = views.visible(after)
    assert views.listed() == seen
    live = views.followed({}, changes)
    assert {key: contents(task) for key, task in live.items()} == {
        key: contents(task) for key, task in after.items()
    }
    for key, task in views.outlined().items():
        assert contents(task) == contents(after[key])
    event(f"{min(len(seen), 2)} visible")


def contents(task: Task) -> Any:
    return task.summary, task.keys, task.status, task.timeline.length


def write(tasks: Any, id_: raw.Element, path: str, value: raw.Element | None) -> None:
    """Set or remove the value at a path. MongoDB may reject the update, and then nothing is written."""
    change = (
        ("$unset", raw.document((path, raw.TRUE))) if value is None else ("$set", raw.document((path, value)))
    )
    update = raw.document(
        ("q", raw.document(("_id", raw.document(("$eq", id_))))), ("u", raw.document(change))
    )
    command = SON([("update", "tasks"), ("updates", [RawBSONDocument(update[1:])])])
    tasks.database.command(command, codec_options=RAW)


def until_fence(stream: Any) -> Iterator[bytes]:
    while True:
        change = stream.try_next()
        if change is None:
            continue
        yield bytes(change.raw)
        if FENCE.encode() in bytes(change.raw):
            return


MINE = [
    *(
        ("createdBy", one)
        for one in (raw.text("a"), raw.symbol("a"), raw.array(raw.text("a"), raw.code("b")))
    ),
    *(("members", one) for one in (raw.array(raw.symbol("a")), raw.array(raw.pointer("a"), raw.text("a")))),
    ("owner", raw.document(*raw.REFERENCE, ("name", raw.text("a")))),
    ("owner", raw.array(raw.document(*raw.REFERENCE, ("name", raw.text("a"))))),
]
NOT_MINE = [
    *(("createdBy", one) for one in (raw.code("a"), raw.scoped("a", raw.document()), raw.pointer("a"))),
    *(
        ("createdBy", one)
        for one in (raw.binary(0, b"a"), raw.array(raw.array(raw.text("a"))), raw.UNDEFINED)
    ),
    *(("createdBy", one) for one in (raw.text(b"\xff"), raw.text("\ufffd"))),
    ("owner", raw.scoped("f", raw.document(("name", raw.text("a"))))),
]
MAPPING = """
events = "history.items"
[fields]
title = ["title", "owner.title"]
[[visibility.rules]]
name = "creator"
field = "createdBy"
claim = "sub"
[[visibility.rules]]
name = "member"
field = "members"
claim = "sub"
[[visibility.rules]]
name = "owner"
field = ["by.name", "owner.name"]
claim = "sub"
[[visibility.rules]]
name = "fence"
field = "fence"
claim = "teams"
"""


@pytest.mark.parametrize(("sub", "visible"), [("a", len(MINE)), ("\ufffd", 0)])
async def test_a_relay_lists_what_it_lets_join_and_poll_and_follows_live(
    tasks: Any, mongo_url: str, database_name: str, tmp_path: Any, sub: str, visible: int
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING)
    items = ("history", raw.array(raw.document(("items", raw.array(raw.TRUE)))))  # in an array: no timeline
    documents = [
        raw.stored(("_id", raw.text(str(n))), one, items) for n, one in enumerate([*MINE, *NOT_MINE])
    ]
    every = [{"taskId": str(n)} for n in range(len(documents))]
    async with running(settings_for(mongo_url, database_name, relay_mapping=path)) as relay:
        async with connected(relay, "/ws/dashboard", sub=sub, teams="all") as live:
            await live.until("dashboard:state")
            tasks.insert_many([*documents, {"_id": FENCE, "fence": "all"}])
            await live.until("dashboard:task_list_updated", taskId=FENCE)
        async with connected(relay, "/ws/dashboard", sub=sub) as client:
            listed = (await client.until("dashboard:state"))["data"]["tasks"]
            await client.send("resync_requested", {"taskIds": every})
            await client.until("resync:done")
        polled = (await post(relay, {"tasks": every}, sub=sub)).body["messages"]
    followed = [frame["data"] for frame in live.frames if frame["type"] == "dashboard:task_list_updated"]
    joined = by_id(frame["data"]["task"] for frame in client.frames if frame["type"] == "task:state")
    assert set(joined) == {str(n) for n in range(visible)}
    assert {one["eventCount"] for one in joined.values()} <= {0}
    assert by_id(listed) == joined
    assert by_id(one["data"]["task"] for one in polled if one["type"] == "task:state") == joined
    assert by_id(one for one in followed if one.pop("change") and one["taskId"] != FENCE) == joined


HALF = raw.document(("$ref", raw.text("c")))  # to the driver no reference: it has no `$id`


@pytest.mark.parametrize("pipeline", [False, True], ids=["inserted", "updated"])
async def test_no_candidate_after_a_reference_gives_rights_to_live_messages(
    tasks: Any, mongo_url: str, database_name: str, tmp_path: Any, pipeline: bool
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        '[[visibility.rules]]\nname = "owner"\nfield = ["owner.name", "createdBy"]\nclaim = "sub"\n'
    )
    mine = ("createdBy", raw.text("a"))
    async with running(settings_for(mongo_url, database_name, relay_mapping=path)) as relay:
        async with connected(relay, "/ws/dashboard", sub="a") as live:
            await live.until("dashboard:state")
            first = raw.document() if pipeline else HALF
            tasks.insert_one(raw.stored(("_id", raw.text("t")), mine, ("owner", first)))
            if pipeline:
                changed = {"$setField": {"field": {"$literal": "$ref"}, "input": "$owner", "value": "c"}}
                tasks.update_one({"_id": "t"}, [{"$set": {"owner": changed}}])
            tasks.insert_one({"_id": FENCE, "createdBy": "a"})
            await live.until("dashboard:task_list_updated", taskId=FENCE)
        async with connected(relay, "/ws/dashboard", sub="a") as client:
            listed = (await client.until("dashboard:state"))["data"]["tasks"]
    messages = [one["data"] for one in live.frames if one["data"].get("taskId") == "t"]
    assert [one["taskId"] for one in listed] == [FENCE]
    assert [one["change"] for one in messages[-1:]] == (["revoked"] if pipeline else [])


# Documents with two fields of one name: no driver writes them, but MongoDB stores them.


def twice(inner: Any) -> Any:
    fields = st.lists(st.tuples(st.sampled_from(["x", "y"]), inner), max_size=4)
    return fields.map(lambda listed: raw.document(*listed))


TWICE = st.recursive(scalars(), twice, max_leaves=6)
FIELDS_TWICE = st.lists(st.tuples(st.sampled_from(["x", "x", "y", "h"]), TWICE), min_size=1, max_size=5)


@pytest.mark.timeout(600)  # for all examples together
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(FIELDS_TWICE, min_size=1, max_size=5), mappings(), CLAIMS)
def test_the_first_of_several_fields_with_one_name_decides_the_visibility(
    tasks: Any, documents: Any, mapping: Mapping, claims: Any
) -> None:
    tasks.delete_many({})
    for number, fields in enumerate(documents):
        stored = raw.stored(("_id", raw.int32(number)), *fields)
        tasks.database.command({"insert": "tasks", "documents": [stored]}, codec_options=RAW)
    views = Views(tasks, mapping, claims)
    # (Whom they are shown to; what of them, MongoDB's own projections do not agree about.)
    assert views.visible(views.all()).keys() == views.listed().keys()
