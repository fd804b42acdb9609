"""Ids of other types than string are found by their usual spelling, by MongoDB and by the relay alike."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import support.bson_bytes as raw
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from support.polling_client import post
from support.relay_fixture import connected, running, settings_for, token
from support.task_views import FENCE, RAW, Views, by_id

from relay.source.change import key_of
from relay.tasks.mapping import Mapping, Rule, Visibility

OID = "78" * 12
SOMEBODY = "61616161-6161-6161-6161-616161616161"  # of sixteen bytes that are all "a"
INT64 = range(-(2**63), 2**63)
Texts = frozenset[str] | None  # that find a value; None where only MongoDB says which number it is
NOBODY: Texts = frozenset()


def by(*texts: str | None) -> Texts:
    return frozenset(text for text in texts if text is not None)


# Numbers are drawn around one border (such as 2**53), so that the neighbours of an id are in the collection as well.

BORDERS = st.sampled_from([0, 7, 1017, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**22])
OTHERS: list[tuple[raw.Element, Texts]] = [
    *((raw.binary(subtype, b"a" * 16), by(SOMEBODY, SOMEBODY.upper())) for subtype in (3, 4)),
    *((raw.binary(subtype, b"a" * 16), NOBODY) for subtype in (0, 2, 5, 6, 9, 0x80)),
    *((raw.binary(subtype, b"a" * length), NOBODY) for subtype in (3, 4) for length in (0, 15, 17)),
    *((raw.text(text), by(text)) for text in (OID, OID.upper(), SOMEBODY, SOMEBODY.upper(), "07", "7e0")),
    *((raw.object_id(b"x"), by(OID, OID.upper())), (raw.symbol("7"), by("7")), (raw.code("7"), NOBODY)),
    *((one, by("0")) for one in raw.OVERLONG),
    *((value, NOBODY) for value in (raw.TRUE, raw.FALSE, raw.NULL, raw.date(7), raw.timestamp(0, 7))),
]


def near(border: int) -> st.SearchStrategy[int]:
    return st.builds(
        lambda apart, sign: sign * (border + apart), st.integers(-2, 2), st.sampled_from([1, -1])
    )


def digits(number: float) -> str | None:
    return str(int(number)) if int(number) == number and int(number) in INT64 else None


@st.composite
def found(draw: Any, border: int) -> tuple[raw.Element, Texts]:
    """Any value that may be an id, most often a number near a border."""
    number = draw(near(border))
    match draw(st.integers(0, 7)):
        case 0 | 1 | 2:
            return draw(st.sampled_from(raw.spellings(number))), by(digits(number))
        case 3:
            return raw.double(number + 0.5), by(digits(number + 0.5))  # far from 0 rounded to a neighbour
        case 4:
            zeros = draw(st.integers(0, 32 - len(str(number))))
            return raw.decimal(f"{number}.{'0' * zeros}1"), NOBODY
        case 5:
            return raw.text(str(number)), by(str(number))
        case 6:
            return b"\x13" + draw(st.binary(min_size=16, max_size=16)), None
        case _:
            return draw(st.sampled_from(OTHERS))


@st.composite
def holders(draw: Any, border: int) -> tuple[raw.Element, list[Texts]]:
    """A value with ids in it, and the spellings that find each id which a rule reads."""
    held = draw(st.lists(found(border), min_size=1, max_size=3))
    elements, texts = [element for element, _ in held], [text for _, text in held]
    match draw(st.sampled_from(["alone", "alone", "array", "nested", "reference"])):
        case "alone":
            return elements[0], texts[:1]
        case "array":
            return raw.array(*elements), texts
        case "nested":
            return raw.array(raw.array(*elements)), []
        case _:
            return raw.document(*raw.REFERENCE, ("x", elements[0])), []


def claims(border: int) -> st.SearchStrategy[Any]:
    numbers = near(border)
    others = st.sampled_from(
        [SOMEBODY, SOMEBODY.upper(), OID, OID.upper(), "7", "07", "+7", "7e0", "0", True]
    )
    return numbers | numbers.map(str) | numbers.map(float) | others


def meant(claim: Any) -> Texts:
    """The spelling of a claim; none if the number may have been rounded."""
    match claim:
        case bool():
            return NOBODY
        case float():
            return by(str(int(claim))) if abs(claim) < 2**53 else NOBODY
        case _:
            return by(str(claim))


@st.composite
def crowds(draw: Any) -> Any:
    border = draw(BORDERS)
    stored = draw(st.lists(holders(border), min_size=1, max_size=30))
    return stored, draw(st.lists(claims(border), min_size=1, max_size=6))


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name].create_collection("tasks", codec_options=RAW)


@pytest.mark.timeout(600)  # for all examples together
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(crowds())
def test_an_id_of_any_type_is_found_by_its_usual_spelling_only(tasks: Any, crowd: Any) -> None:
    stored, claimed = crowd
    tasks.delete_many({})
    documents = [raw.stored(("_id", raw.int32(n)), ("x", value)) for n, (value, _) in enumerate(stored)]
    tasks.database.command({"insert": "tasks", "documents": documents}, codec_options=RAW)
    mapping = Mapping(visibility=Visibility((Rule("team", ("x",), "teams"),), ()))
    views = Views(tasks, mapping, {"sub": "nobody", "teams": claimed})
    listed = views.listed().keys()
    assert listed == views.visible(views.all()).keys()
    held = frozenset().union(*map(meant, claimed))
    for n, (value, texts) in enumerate(stored):
        if None not in texts:
            assert (key_of(n) in listed) is any(one & held for one in texts if one), value
    event(f"{min(len(listed), 2)} visible")


# One relay, asked by list, join and poll.

PERSON = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
NUMBERS = [1017, Int64(1017), 1017.0, Decimal128("1017.00"), Decimal128("10.17E2"), "1017", [1016, 1017.0]]
NOT_THIS_NUMBER = [1017.5, 1018, True, "01017", "1017.0", [[1017]], {"id": 1017}, Decimal128("1017.01")]
UUIDS = [Binary(PERSON.bytes, 4), Binary(PERSON.bytes, 3), [Binary(PERSON.bytes, 3)], str(PERSON)]
SWAPPED = [Binary(PERSON.bytes_le, 3), Binary(PERSON.bytes[7::-1] + PERSON.bytes[:7:-1], 3)]  # by C#, by Java
NOT_THIS_UUID = [*SWAPPED, Binary(PERSON.bytes, 0), Binary(PERSON.bytes[:15], 4), str(PERSON).upper()]
GRACE = ObjectId("65f0c0ffee65f0c0ffee65f0")


@pytest.mark.parametrize(
    ("sub", "field", "mine", "others"),
    [
        (1017, "createdBy", NUMBERS, NOT_THIS_NUMBER),
        (1017.0, "members", NUMBERS, NOT_THIS_NUMBER),
        ("1017", "createdBy", NUMBERS, NOT_THIS_NUMBER),
        (str(PERSON), "createdBy", UUIDS, NOT_THIS_UUID),
        (str(GRACE), "members", [GRACE, str(GRACE), [GRACE]], [str(GRACE).upper(), GRACE.binary]),
    ],
    ids=["a number", "a number with a point", "digits", "a UUID", "an ObjectId"],
)
async def test_an_id_of_any_type_gives_equal_rights_in_lists_joins_and_polls(
    tasks: Any, mongo_url: str, database_name: str, sub: Any, field: str, mine: list[Any], others: list[Any]
) -> None:
    documents = [{"_id": str(n), field: value} for n, value in enumerate([*mine, *others])]
    every = [{"taskId": one["_id"]} for one in documents]
    async with running(settings_for(mongo_url, database_name)) as relay:
        async with connected(relay, "/ws/dashboard", sub=sub, teams=[42]) as live:
            await live.until("dashboard:state")
            tasks.insert_many([*documents, {"_id": FENCE, "teamId": Int64(42)}])
            await live.until("dashboard:task_list_updated", taskId=FENCE)
        async with connected(relay, "/ws/dashboard", sub=sub) as client:
            listed = (await client.until("dashboard:state"))["data"]["tasks"]
            await client.send("resync_requested", {"taskIds": every})
            await client.until("resync:done")
        polled = (await post(relay, {"tasks": every}, sub=sub)).body["messages"]
    followed = [frame["data"] for frame in live.frames if frame["type"] == "dashboard:task_list_updated"]
    joined = by_id(frame["data"]["task"] for frame in client.frames if frame["type"] == "task:state")
    assert set(joined) == {str(n) for n in range(len(mine))}
    assert by_id(listed) == joined
    assert by_id(one["data"]["task"] for one in polled if one["type"] == "task:state") == joined
    assert by_id(one for one in followed if one.pop("change") and one["taskId"] != FENCE) == joined
    assert live.frames[0]["data"]["sub"] == str(sub).removesuffix(".0")


async def test_a_number_and_its_digits_are_one_user(tasks: Any, mongo_url: str, database_name: str) -> None:
    given = settings_for(mongo_url, database_name, relay_max_connections_per_user=1)
    async with running(given) as relay, connected(relay, "/ws", sub=1017) as client:
        # When the application starts to write the same id as a text, the connection goes on with it,
        await client.send("auth", {"token": token("1017")}, id="a")
        assert (await client.until("auth:ok"))["replyTo"] == "a"
        await client.send("auth", {"token": token(1018)}, id="b")
        assert (await client.until("error"))["data"]["code"] == "forbidden"
        # and it counts as one of that user's.
        assert (await post(relay, {"dashboard": {}}, sub="1017")).status == 429
        assert (await post(relay, {"dashboard": {}}, sub="1018")).status == 200


async def test_a_nested_claim_gives_the_rights_of_its_rule(
    tasks: Any, mongo_url: str, database_name: str, tmp_path: Any
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        """
        [[visibility.rules]]
        name = "project"
        field = "project"
        claim = "https://example.com/claims.projects"
        [[visibility.sees_all]]
        claim = "realm_access.roles"
        value = 1
        """
    )
    tasks.insert_many([{"_id": "theirs", "project": 7}, {"_id": "others", "project": 8}])
    given = settings_for(mongo_url, database_name, relay_mapping=path)
    async with running(given) as relay:
        for claims, visible in (
            ({"https://example.com/claims": {"projects": ["7"]}}, {"theirs"}),
            ({"https://example.com/claims.projects": 8}, {"others"}),
            ({"https://example": {"com/claims": {"projects": ["7"]}}}, {"theirs"}),
            ({"realm_access": {"roles": [2, 1]}}, {"theirs", "others"}),
            ({"realm_access.roles": "user", "realm_access": {"roles": [1]}}, set()),
            ({"realm_access": [{"roles": [1]}]}, set()),
            ({"roles": [1], "projects": 7}, set()),
        ):
            async with connected(relay, "/ws/dashboard", **claims) as client:
                listed = (await client.until("dashboard:state"))["data"]["tasks"]
            assert {one["taskId"] for one in listed} == visible, claims
            polled = (await post(relay, {"tasks": [{"taskId": "theirs"}]}, **claims)).body["messages"]
            assert [one["type"] == "task:state" for one in polled] == ["theirs" in visible]
