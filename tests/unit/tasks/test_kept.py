"""What is kept of a document says the same as the document: its summary, its audience keys, and every later update."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import bson
import pytest
from bson import Binary, DBRef, Int64, ObjectId, Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import BSON

from relay.source.change import SPLIT, Change, Updated, key_of
from relay.source.decoder import Decoder
from relay.source.events import read_changes
from relay.tasks import kept as kept_module
from relay.tasks import needs, packed_ids, redact, summary, translate
from relay.tasks.document import apply
from relay.tasks.mapping import Fields, Mapping, Rule, Visibility
from relay.tasks.needs import Need
from relay.tasks.packed_ids import CHUNK, LONG, PackedIds, encoded
from relay.tasks.packed_keys import PackedKeys, matching
from relay.tasks.redact import CUT_MARGIN
from relay.tasks.summary import Summaries
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience, Principal

ODD = Mapping(
    fields=replace(
        Fields(),
        title=("title", "meta.title"),
        creator=("owner", "owner.id"),
        error=("error", "meta.error", "owner"),
        questions=("questions", "members"),
    ),
    visibility=Visibility(
        (
            Rule("owner", ("owner", "owner.id"), "sub"),
            Rule("member", ("people", "members", "meta.members.id", "meta.0.id"), "sub"),
            Rule("team", ("teams",), "teams"),
        )
    ),
    list_order="meta.rank",
    needs={
        "failed": (
            Need(("people", "meta.members.id", "owner"), "sub"),
            Need(("teams.id", "meta.id"), "teams"),
        ),
        "pr_opened": (Need(("questions.id", "members", "error.id", "reviewers.id.id"), "sub"),),
    },
)
MAPPINGS = [Mapping(), ODD]
TEXT_LIMIT = 30
SHORT_ID, SHORT_MARGIN = 40, 300  # instead of MAX_ID and CUT_MARGIN, so that examples are short
MANY = 20_000


def translator(mapping: Mapping) -> Translator:
    return Translator(mapping, Audience(mapping.visibility).keys_of, max_text=TEXT_LIMIT)


@contextmanager
def long_from_three() -> Iterator[None]:
    """Lists of more than two elements are packed, in chunks of two; ids and texts are cut early."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (packed_ids, kept_module):
            patch.setattr(module, "MAX_ID", SHORT_ID)
        for module in (redact, summary, translate):
            patch.setattr(module, "CUT_MARGIN", SHORT_MARGIN)
        for module in (packed_ids, kept_module):
            patch.setattr(module, "LONG", 2)
        for module in (needs, kept_module):
            patch.setattr(module, "MAX_ELEMENTS", 3)
        patch.setattr(packed_ids, "CHUNK", 2)
        yield


# Ids that a claim may have, and one that is too long for a token.
NAMES = st.sampled_from(["a", "b", "ab", "", "5", str(ObjectId(b"x" * 12)), "x" * SHORT_ID, "�"])
IDS = (
    NAMES
    | st.just("x" * (SHORT_ID + 1))
    | st.sampled_from([5, 5.0, Int64(5), ObjectId(b"x" * 12), Binary(b"a" * 16, 4), None, True])
)
TEXTS = st.sampled_from(["short", "x" * 1_000, "é" * 500, "password=" + "y" * 400])
LEAVES = IDS | TEXTS | BSON | st.just(DBRef("c", 1, None, {"id": "a", "message": "z" * 500, "rank": 3}))
INNER = st.sampled_from(
    ["id", "title", "error", "message", "question", "text", "rank", "members", "0", "$ref"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(INNER, inner, max_size=3),
    max_leaves=8,
)
TOPS = (
    "title",
    "name",
    "status",
    "owner",
    "error",
    "questions",
    "people",
    "members",
    "teams",
    "meta",
    "createdBy",
    "reviewers",
    "assignee",
)
STATUSES = st.fixed_dictionaries({}, optional={"status": st.sampled_from(["failed", "pr_opened", "a"])})
DOCUMENTS = st.builds(
    lambda fields, status: {**fields, **status},
    st.dictionaries(st.sampled_from(TOPS), VALUES, max_size=6),
    STATUSES,
)
PATHS = st.one_of(
    st.sampled_from(TOPS),
    st.builds(lambda *names: ".".join(names), st.sampled_from(TOPS), INNER | st.sampled_from("1234")),
    st.builds(
        lambda *names: ".".join(names),
        st.sampled_from(TOPS),
        INNER | st.sampled_from("123"),
        INNER | st.sampled_from("12"),
    ),
)
CLAIMS = st.lists(NAMES, max_size=3).map(lambda names: {"sub": names[0] if names else "a", "teams": names})


def held_by(mapping: Mapping, claims: dict[str, Any]) -> frozenset[str]:
    return Audience(mapping.visibility).keys_for(Principal(claims["sub"], claims, 0))


@given(st.sampled_from(MAPPINGS), DOCUMENTS, CLAIMS)
@long_from_three()
def test_what_is_kept_has_the_summary_and_the_keys_of_the_document(
    mapping: Mapping, document: dict[str, Any], claims: dict[str, Any]
) -> None:
    document = {"_id": "t", **document}
    reader, audience = translator(mapping), Audience(mapping.visibility)
    task = reader.read(document)
    uncut = Summaries(mapping, reader.view.redactor, TEXT_LIMIT)

    assert task.summary == uncut.of("t", document, 0)
    whole = audience.keys_of(document)
    assert isinstance(whole, frozenset)
    held = held_by(mapping, claims)
    assert set(matching(task.keys, held)) == whole & held
    assert task.keys.isdisjoint(held) == (not matching(task.keys, held))


@given(st.sampled_from(MAPPINGS), DOCUMENTS)
@long_from_three()
def test_nothing_more_is_cut_of_what_was_cut_before(mapping: Mapping, document: dict[str, Any]) -> None:
    reader = translator(mapping)
    once = reader.keep({"_id": "t", **document})
    assert _shown(reader.keep(once)) == _shown(once)
    again, task = reader.read(once), reader.read({"_id": "t", **document})
    assert (again.summary, again.keys) == (task.summary, task.keys)


@given(
    st.sampled_from(MAPPINGS),
    DOCUMENTS,
    st.lists(
        st.tuples(
            st.dictionaries(PATHS, VALUES, max_size=3),
            st.lists(PATHS, max_size=2),
            st.lists(st.tuples(PATHS, st.integers(0, 4)), max_size=1),
        ),
        max_size=3,
    ),
    CLAIMS,
)
@long_from_three()
def test_an_update_has_the_same_effect_on_what_is_kept_as_on_the_document(
    mapping: Mapping, document: dict[str, Any], updates: Any, claims: dict[str, Any]
) -> None:
    reader, held = translator(mapping), held_by(mapping, claims)
    document = {"_id": "t", **document}
    task = reader.read(document)
    for fields, removed, truncated in updates:
        # MongoDB never reports two paths of which one lies inside the other.
        named = [*fields, *removed, *(path for path, _ in truncated)]
        if any(a != b and b.startswith(a + ".") for a in named for b in named) or len(named) > len(
            set(named)
        ):
            continue
        document = apply(_opened(document), fields, removed, truncated)
        change = Change(key_of("t"), "t", Timestamp(1, 1), 0, Updated(fields, removed, truncated))
        step = reader.translate(task, change)
        # The values that are not needed may be let go before that.
        again = reader.translate(task, change._replace(operation=reader.keep_of(change.operation)))
        assert step is not None
        assert again is not None
        assert step.after is not None
        assert again.after is not None
        assert (again.after.summary, again.after.keys) == (step.after.summary, step.after.keys)
        assert _shown(again.after.document) == _shown(step.after.document)
        task, stored = step.after, reader.read(document)
        assert task.summary == stored.summary
        assert set(matching(task.keys, held)) == set(matching(stored.keys, held))


def _shown(kept: dict[str, Any]) -> str:
    """What distinguishes this from another document; NaN equals nothing."""
    return repr({name: [*value] if isinstance(value, PackedIds) else value for name, value in kept.items()})


def _opened(value: Any) -> Any:
    """To MongoDB, a reference is a sub-document like any other."""
    if isinstance(value, DBRef):
        value = dict(value.as_doc())
    if isinstance(value, dict):
        return {name: _opened(one) for name, one in value.items()}
    return [*map(_opened, value)] if isinstance(value, list) else value


@given(
    st.lists(IDS, max_size=9),
    st.lists(st.tuples(st.integers(0, 12), IDS), max_size=6),
    st.integers(0, 10),
    st.lists(NAMES.filter(bool), max_size=3),
)
@long_from_three()
def test_a_packed_list_is_changed_and_searched_like_a_list(
    values: list[Any], changes: list[tuple[int, Any]], size: int, wanted: list[str]
) -> None:
    packed = PackedIds(values)
    before, copy = [*packed], packed.copy()
    for index, value in changes:
        values += [None] * (index + 1 - len(values))
        values[index] = value
        copy.put(index, value)
    copy.settle()

    assert [*packed] == before
    assert (len(copy), copy, copy.has_null) == (len(values), PackedIds(values), None in values)
    assert [*copy.first(size)] == [*PackedIds(values)][:size]
    for few in (0, 32):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed_ids, "FEW", few)
            ids = {encoded("string", name) for name in wanted}
            found = {name for name in wanted if "�" not in name and name in values}
            assert copy.matching(ids) == {encoded("string", name) for name in found}


def size_of(value: Any) -> int:
    """The bytes of memory of a value and of everything inside it."""
    size, stack, seen = 0, [value], set()
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        if isinstance(one, dict):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            stack += one
        for owner in type(one).__mro__:
            names = getattr(owner, "__slots__", ())
            stack += [getattr(one, name) for name in names if hasattr(one, name)]
    return size


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        pytest.param({"error": "x" * 1_000_000}, 30_000, id="a log in the error"),
        pytest.param(
            {"error": {"stack": "x" * 1_000_000, "message": "y" * 1_000_000}}, 30_000, id="with a stack"
        ),
        pytest.param({"title": {f"f{n}": n for n in range(10_000)}}, 10_000, id="an object as title"),
        pytest.param({"prUrl": [["x" * 1000] * 1000]}, 10_000, id="a list as an address"),
        pytest.param({"github": {"prUrl": "u", "log": "x" * 1_000_000}}, 10_000, id="beside an address"),
        pytest.param({"createdBy": "x" * 1_000_000}, 80_000, id="a creator that no token can have"),
        pytest.param({"members": [f"user-{n:06}" for n in range(MANY)]}, 13 * MANY, id="members"),
        pytest.param({"members": [["x" * 100] * 10] * MANY}, 3 * MANY, id="lists as members"),
        pytest.param({"members": [{"a": {"b": "x" * 100}}] * MANY}, 3 * MANY, id="objects as members"),
        pytest.param({"questions": ["x" * 10_000] * 1000}, 1_100_000, id="many questions"),
    ],
)
def test_a_task_takes_little_memory_whatever_its_fields_hold(fields: dict[str, Any], limit: int) -> None:
    task = translator(Mapping()).read({"_id": "t", **fields})
    assert size_of(task) < limit


def test_a_member_is_added_without_copying_the_others() -> None:
    members = [f"user-{n:06}" for n in range(MANY)]
    reader = translator(Mapping())
    task = reader.read({"_id": "t", "members": members})
    step = reader.translate(
        task, Change(key_of("t"), "t", Timestamp(1, 1), 0, Updated({f"members.{MANY}": "zoe"}))
    )
    assert step is not None
    assert step.after is not None
    assert isinstance(step.after.keys, PackedKeys)
    assert not step.after.keys.isdisjoint({"member:s:zoe"})
    assert task.keys.isdisjoint({"member:s:zoe"})
    shared = {id(chunk) for chunk in task.document["members"]._chunks}
    new = [chunk for chunk in step.after.document["members"]._chunks if id(chunk) not in shared]
    assert len(new) == 1
    assert len(new[0]) <= CHUNK * 13


def test_of_a_text_no_more_is_kept_than_is_searched_for_secrets() -> None:
    task = translator(Mapping()).read({"_id": "t", "error": "x" * 1_000_000})
    assert len(task.document["error"]) <= TEXT_LIMIT + CUT_MARGIN + 1


def test_a_list_of_a_few_ids_is_kept_as_it_is() -> None:
    task = translator(Mapping()).read({"_id": "t", "members": ["a"] * LONG})
    assert isinstance(task.keys, frozenset)


def test_a_large_change_is_kept_without_what_nobody_needs() -> None:
    reader = translator(Mapping())
    described = {
        "updatedFields": {"log": "x" * 1_000_000, "error": "y" * 1_000_000, "github.prUrl": "u"},
        "removedFields": [],
        "truncatedArrays": [],
        "disambiguatedPaths": {},
    }
    event = {
        "_id": {"_data": "82" + "0" * 16},
        "operationType": "update",
        "clusterTime": Timestamp(1, 1),
        "documentKey": {"_id": "t"},
        "updateDescription": described,
    }
    (change,) = read_changes([bson.encode(event)], Decoder("events", kept=reader.keep_of))
    assert isinstance(change, Change)
    assert isinstance(change.operation, Updated)
    fields = change.operation.fields
    assert (fields["log"], fields["github.prUrl"]) == (None, "u")
    assert len(fields["error"]) <= TEXT_LIMIT + CUT_MARGIN + 1


def test_a_field_that_also_holds_the_events_is_not_cut() -> None:
    mapping = Mapping(fields=replace(Fields(), title=("log.title",)), events="log.events")
    reader = translator(mapping)
    operation = Updated({"log": {"title": "t", "events": [{"n": 1}, {"n": 2}]}}, paths=SPLIT)
    change = Change(key_of("t"), "t", Timestamp(1, 1), 0, reader.keep_of(operation))

    step = reader.translate(reader.read({"_id": "t", "log": {"events": [{"n": 1}]}}), change)

    assert step is not None
    assert step.after is not None
    assert (step.after.summary["title"], step.after.summary["eventCount"]) == ("t", 2)
