"""The filters of a read of tasks: what each task is looked for with, and how they are divided into queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bson import ObjectId
from mongomock.filtering import filter_applies
from support.hub_in_memory import AUDIENCE, Receiver

from relay.hub.listener import Listener
from relay.hub.task_filters import Asked, Query, queries
from relay.source.change import key_of
from relay.tasks.visibility import Principal


def listener_of(sub: str, *teams: str, **claims: Any) -> Listener:
    principal = Principal(sub, {"sub": sub, "teams": list(teams), **claims}, 0)
    keys = AUDIENCE.keys_for(principal)
    return Listener(keys, lambda: AUDIENCE.filter_for(principal), user=sub, receiver=Receiver())


def asked(task: Any, *listeners: Listener) -> Asked:
    return Asked({key_of(task): task}, {one.keys: one for one in listeners})


def found(made: Sequence[Query], *documents: dict[str, Any]) -> list[Any]:
    """The `_id`s of the documents that the queries bring, one query after the other."""
    brought: dict[bytes, Any] = {}
    again = []
    for query in made:
        filter = query.filter(brought)
        matching = [one for one in documents if filter is not None and filter_applies(dict(filter), one)]
        again += [one["_id"] for one in matching if key_of(one["_id"]) in brought]
        brought |= {key_of(one["_id"]): one["_id"] for one in matching}
    assert not again, "a document was read twice"
    return sorted(brought.values(), key=repr)


DOCUMENTS = [{"_id": name, "createdBy": name[0]} for name in ("a1", "a2", "b1", "c1")]


def test_tasks_that_the_same_listeners_ask_for_have_one_filter() -> None:
    alice = listener_of("a")

    (query,) = queries([asked("a1", alice), asked("a2", alice), asked("b1", alice)])

    filter = query.filter(())
    assert filter is not None
    assert filter["_id"] == {"$in": ["a1", "a2", "b1"]}
    assert filter["$or"] == [alice.filter()]
    assert found([query], *DOCUMENTS) == ["a1", "a2"]


def test_each_task_is_looked_for_with_the_rights_of_those_who_ask_for_it() -> None:
    """Somebody who may see everything and shares the read of one task must not open the others to the read."""
    alice, root = listener_of("a"), listener_of("root", roles=["admin"])

    made = queries([asked("a1", alice), asked("b1", alice, root), asked("c1", alice)])

    assert len(made) == 1
    assert found(made, *DOCUMENTS) == ["a1", "b1"]


def test_a_task_that_nobody_asks_for_any_more_is_not_looked_for() -> None:
    alice = listener_of("a")

    assert found(queries([asked("a1"), asked("a2", alice)]), *DOCUMENTS) == ["a2"]
    assert queries([asked("a1")]) == []


@pytest.mark.parametrize("most", [1, 2, 3, 5, 100])
def test_more_rights_than_a_filter_can_hold_are_looked_for_in_several_queries(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """With 16 MB of filters, MongoDB would refuse the read, and all that share it would be refused with it."""
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", most)
    listeners = [listener_of(name) for name in "abxyz"]
    assert {len(one.keys) for one in listeners} == {2}, "a creator and a member"

    made = queries([asked(one["_id"], *listeners) for one in DOCUMENTS])

    assert len(made) == {1: 5, 2: 5, 3: 5, 5: 3, 100: 1}[most]
    assert found(made, *DOCUMENTS) == ["a1", "a2", "b1"]


def test_a_document_that_one_query_has_found_is_not_read_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", 1)
    red, other = listener_of("a", "red"), listener_of("b", "red")
    document = {"_id": "t", "teamId": "red"}

    made = queries([asked("t", red, other)])

    assert len(made) == 2
    assert found(made, document) == ["t"]


def test_all_documents_that_a_task_id_stands_for_are_found_for_those_who_may_see_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", 1)
    one, text = ObjectId(), listener_of("b")
    documents = [{"_id": one, "createdBy": "a"}, {"_id": str(one), "createdBy": "b"}]
    ids = {key_of(id): id for id in (one, str(one))}
    alice = listener_of("a")

    made = queries([Asked(ids, {alice.keys: alice, text.keys: text})])

    assert found(made, *documents) == sorted([one, str(one)], key=repr)
