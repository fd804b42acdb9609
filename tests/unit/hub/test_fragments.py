"""The summaries that lists share: which of them a list may take, and what is known after a change."""

from __future__ import annotations

import tracemalloc
from typing import Any

import bson
import orjson
import pytest
from bson import Timestamp
from support.hub_in_memory import TRANSLATOR
from support.mongo_model import DECODER

from relay.hub import fragments as module
from relay.hub.fragments import PAGE, Fragments, number_of
from relay.source.change import Change, Deleted, Inserted, key_of
from relay.tasks.step import Step

T, U, V = key_of("t"), key_of("u"), key_of("v")


def at(time: int) -> int:
    return number_of(Timestamp(time, 1))


def step_of(task: str, title: str = "new", *, deleted: bool = False) -> Step:
    document = DECODER.document(bson.encode({"_id": task, "title": title, "events": []}))
    before = TRANSLATOR.read(document) if deleted else None
    operation = Deleted() if deleted else Inserted(document)
    step = TRANSLATOR.translate(before, Change(key_of(task), task, Timestamp(9, 9), None, operation))
    assert step is not None
    return step


def read(fragments: Fragments, position: int, **made: bytes) -> None:
    """Read these summaries, by the `_id` of their task."""
    loads, _ = fragments.begin([key_of(task) for task in made], at(position))
    for load in loads:
        fragments.finish(load, {key: made[_task(key)] for key in load.keys})


def _task(key: bytes) -> str:
    return key[5:-1].decode()


def publish(fragments: Fragments, position: int, *steps: Step) -> None:
    fragments.note(steps, Timestamp(position, 1))


def title_of(json: bytes | None) -> Any:
    assert json is not None
    return orjson.loads(json)["title"]


def test_a_list_takes_what_was_read_at_its_position_or_before() -> None:
    fragments = Fragments()
    read(fragments, 10, t=b"old")

    assert fragments.valid([T, U], at(10)) == [b"old", None]
    assert fragments.valid([T], at(20)) == [b"old"]
    assert fragments.valid([T], at(9)) == [None]


def test_after_a_change_only_later_lists_take_the_summary_and_it_is_the_new_one() -> None:
    fragments = Fragments()
    read(fragments, 10, t=b"old", u=b"other")

    publish(fragments, 20, step_of("t", "middle"), step_of("t", "newest"))

    assert fragments.valid([T, U], at(19)) == [None, b"other"]
    assert title_of(fragments.valid([T], at(20))[0]) == "newest"


def test_the_summary_of_a_task_that_was_deleted_is_forgotten() -> None:
    fragments = Fragments()
    read(fragments, 10, t=b"old")

    publish(fragments, 20, step_of("t", deleted=True))

    assert fragments.valid([T], at(30)) == [None]


def test_a_change_of_a_task_that_no_list_showed_keeps_nothing() -> None:
    fragments = Fragments()
    read(fragments, 10, t=b"old")

    publish(fragments, 20, step_of("u"))

    assert fragments.valid([U], at(20)) == [None]


def test_lists_that_lack_a_summary_at_the_same_time_share_one_read() -> None:
    fragments = Fragments()
    (load,), _ = fragments.begin([T, U], at(10))

    own, shared = fragments.begin([U, V], at(12))

    assert [list(one.keys) for one in own] == [[V]]
    assert shared == {U: load}
    fragments.finish(load, {T: b"t", U: b"u"})
    assert load.ended.is_set()
    assert fragments.valid([T, U], at(12)) == [b"t", b"u"]


def test_a_list_shares_no_read_that_is_made_at_a_later_position() -> None:
    fragments = Fragments()
    fragments.begin([T], at(12))

    own, shared = fragments.begin([T], at(10))

    assert (len(own), shared) == (1, {})


def test_what_has_changed_while_it_was_read_is_neither_shared_nor_kept() -> None:
    fragments = Fragments()
    (load,), _ = fragments.begin([T, U], at(10))

    publish(fragments, 20, step_of("t"))
    own, shared = fragments.begin([T, U], at(20))
    fragments.finish(load, {T: b"old", U: b"u"})

    assert [list(one.keys) for one in own] == [[T]]
    assert shared == {U: load}
    assert fragments.valid([T, U], at(20)) == [None, b"u"]


def test_what_had_changed_before_its_read_began_is_not_kept() -> None:
    fragments = Fragments()
    read(fragments, 10, v=b"v")
    publish(fragments, 20, step_of("t"))

    read(fragments, 15, t=b"old", u=b"u")  # a list whose position is before the change

    assert fragments.valid([T, U], at(20)) == [None, b"u"]


def test_the_first_list_is_kept_although_other_tasks_change_all_the_time() -> None:
    fragments = Fragments()
    publish(fragments, 20, step_of("t"))

    read(fragments, 15, t=b"old", u=b"u")  # its keys were read before the change

    assert fragments.valid([T, U], at(20)) == [None, b"u"]


def test_if_more_tasks_change_than_are_remembered_an_earlier_read_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CHANGED", 1)
    fragments = Fragments()
    read(fragments, 10, v=b"v")
    publish(fragments, 20, step_of("t"))
    publish(fragments, 30, step_of("u"))

    read(fragments, 15, t=b"old")
    assert fragments.valid([T], at(30)) == [None]
    read(fragments, 20, t=b"new")
    assert fragments.valid([T], at(30)) == [b"new"]


def test_a_read_that_fails_is_made_by_the_next_list() -> None:
    fragments = Fragments()
    (load,), _ = fragments.begin([T], at(10))

    fragments.end(load)

    assert load.ended.is_set()
    assert load.made is None
    own, shared = fragments.begin([T], at(10))
    assert (len(own), shared) == (1, {})


def test_a_list_that_shares_nothing_makes_all_of_its_reads() -> None:
    fragments = Fragments()
    (other,), _ = fragments.begin([T], at(10))

    (own,), shared = fragments.begin([T], at(10), share=False)

    assert not shared
    fragments.finish(own, {T: b"t"})
    assert fragments.begin([T], at(10)) == ([], {T: other})


def test_many_summaries_are_read_in_pages() -> None:
    keys = [key_of(str(number)) for number in range(2 * PAGE + 1)]

    own, _ = Fragments().begin(keys, at(10))

    assert [len(load.keys) for load in own] == [PAGE, PAGE, 1]
    assert [key for load in own for key in load.keys] == keys


def test_nothing_is_known_after_the_stream_was_lost() -> None:
    fragments = Fragments()
    read(fragments, 10, t=b"old")
    (load,), _ = fragments.begin([U], at(10))

    fragments.forget(Timestamp(20, 1))
    fragments.finish(load, {U: b"old"})
    read(fragments, 15, v=b"old")

    assert fragments.valid([T, U, V], at(20)) == [None, None, None]


def test_the_summaries_that_were_known_first_are_forgotten_first() -> None:
    fragments = Fragments(max_bytes=2 * (module.OVERHEAD + len(T) + 10))
    read(fragments, 10, t=b"." * 10)
    read(fragments, 11, u=b"." * 10)
    read(fragments, 12, v=b"." * 10)

    assert [json is not None for json in fragments.valid([T, U, V], at(20))] == [False, True, True]
    publish(fragments, 20, step_of("u"))  # larger than before: it takes the place of the others
    assert fragments.valid([T, V], at(20)) == [None, None]


def test_the_keys_of_summaries_count_as_their_bytes_do() -> None:
    fragments = Fragments(max_bytes=4 * module.OVERHEAD)
    long = "x" * module.OVERHEAD
    read(fragments, 10, **{f"{long}1": b"1", f"{long}2": b"2"})

    assert fragments.valid([key_of(f"{long}1"), key_of(f"{long}2")], at(10)) == [None, b"2"]


def test_to_remember_which_tasks_have_changed_takes_no_more_memory_if_their_ids_are_long() -> None:
    fragments = Fragments()
    tracemalloc.start()
    try:
        for number in range(100):
            publish(fragments, 20 + number, step_of(f"{number}" + "x" * 30_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 300_000
    # The changes are remembered all the same: a summary that was read before them is not kept.
    changed = "50" + "x" * 30_000
    read(fragments, 15, **{changed: b"old", "u": b"u"})
    assert fragments.valid([key_of(changed), U], at(200)) == [None, b"u"]
