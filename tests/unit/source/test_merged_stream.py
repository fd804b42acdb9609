"""The stream of a sharded cluster: its router merges the oplogs of the shards, in which cluster times may be equal."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import bson
import pytest
from bson import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.played_router import LOST, NOOP, Entry, PlayedRouter, token_of

from relay.source.decoder import Decoder
from relay.source.shared.entry import Entry as Passed
from relay.source.shared.entry import joined
from relay.source.stream import Batch, Reopened
from relay.source.tail import Tail

START, END = Timestamp(9, 1), Timestamp(99, 1)
# The seconds from each entry of an oplog to the next, and whether it is a change. So shards often have equal times.
OPLOG = st.lists(st.tuples(st.sampled_from([1, 1, 2]), st.booleans()), max_size=8)
SHARDS = st.lists(OPLOG, min_size=1, max_size=3)
TURNS = st.lists(st.integers(0, 3), max_size=25)
# `mongos` of every version since 6.0, and one that does not exist yet.
HELLOS = st.builds(
    lambda version, more: {"msg": "isdbgrid", "maxWireVersion": version, **more},
    st.sampled_from([17, 18, 21, 25, 26, 27, 999]),
    st.sampled_from([{}, {"setName": "rs0"}]),
)


def oplogs(shards: list[list[tuple[int, bool]]]) -> list[list[Entry]]:
    """Return the oplogs that are described: each change is of a task of its own, and each oplog ends with a no-op."""
    made: list[list[Entry]] = []
    for number, entries in enumerate(shards):
        at, oplog = 10, []
        for task, (seconds, is_change) in enumerate(entries):
            oplog.append((Timestamp(at, 1), 100 * number + task if is_change else NOOP))
            at += seconds
        made.append([*oplog, (Timestamp(END.time + number, 1), NOOP)])
    return made


async def delivered(router: PlayedRouter) -> list[Batch]:
    """Return the batches that a tail gives out until the position has passed all changes."""
    tail = Tail(router, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    await tail.open()
    assert tail.position == START
    batches: list[Batch] = []
    async with aclosing(tail.batches()) as items:
        async for item in items:
            assert not isinstance(item, Reopened), item.reason
            batches.append(item)
            if item.position.time >= END.time - 1:
                return batches
    raise AssertionError("the stream ended")


def numbers(batch: Batch) -> list[Any]:
    return [change.id for change in batch.changes]


def check(batches: list[Batch], router: PlayedRouter) -> None:
    """Check that each batch has all changes from its start to its position, and that a stream which is resumed at its
    token sends all changes after its position."""
    position = START
    for batch in batches:
        assert batch.start == position
        position = batch.position
        assert numbers(batch) == [one for one, time in router.changes if batch.start < time <= position]
        resumed = bson.decode(batch.token)["_data"]
        assert all(token_of(time, one) > resumed for one, time in router.changes if time > position)


ONE_AT_ONE_TIME_ON_EACH_SHARD = ([[(1, True), (1, False)]] * 2, [4, 1, 0, 0, 0, 4, 4])


@settings(max_examples=500)
@given(SHARDS, TURNS, HELLOS)
@example(*ONE_AT_ONE_TIME_ON_EACH_SHARD, {"msg": "isdbgrid", "maxWireVersion": 27})
def test_a_batch_has_all_changes_of_its_cluster_times_whichever_shard_is_slow(
    shards: list[list[tuple[int, bool]]], turns: list[int | str], hello: dict[str, Any]
) -> None:
    router = PlayedRouter(oplogs(shards), turns, hello, START)

    batches = asyncio.run(delivered(router))

    check(batches, router)


@settings(max_examples=300)
@given(SHARDS, TURNS, st.integers(0, 20))
def test_a_stream_that_is_interrupted_goes_on_where_it_was(
    shards: list[list[tuple[int, bool]]], turns: list[int | str], at: int
) -> None:
    # A change that is published before the interruption, by which the cluster is recognised.
    shards = [[(3, True), *entries] for entries in shards]
    hello = {"msg": "isdbgrid", "maxWireVersion": 21}
    turns = [1] * 2 * len(shards) + [2] * len(shards) + turns[:at] + [LOST] + turns[at:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.source.tail.BACKOFF_MIN_S", 0.0)
        router = PlayedRouter(oplogs(shards), turns, hello, START)

        batches = asyncio.run(delivered(router))

    check(batches, router)


@settings(max_examples=200)
@given(SHARDS, TURNS)
def test_a_process_that_the_stream_is_passed_on_to_has_the_same_changes(
    shards: list[list[tuple[int, bool]]], turns: list[int | str]
) -> None:
    """A part of a cluster time that came after the position would be taken for a part that is known already."""
    router = PlayedRouter(oplogs(shards), turns, {"msg": "isdbgrid", "maxWireVersion": 25}, START)
    other = Tail(router, "app", "tasks", Decoder("events"), jitter=lambda: 0.0)  # type: ignore[arg-type]
    other.take_over(START, b"")

    taken = []
    for batch in asyncio.run(delivered(router)):
        sent = Passed(batch.start, batch.position, batch.token, joined(batch.raws))
        if sent.end > other.position:
            received = Passed.decode(sent.encode())
            taken.append(other.take(received.split(), received.end, received.token, is_current=True))

    assert [number for batch in taken for number in numbers(batch)] == [
        number for number, _ in router.changes
    ]


def test_what_was_written_before_a_change_is_given_out_while_the_change_is_held_back() -> None:
    """An idle shard may hold a change back for seconds. A join must not wait as long for what was written before."""
    oplog = [[(Timestamp(10, 1), 1), (Timestamp(20, 1), 2), (END, NOOP)], [(END, NOOP)]]
    router = PlayedRouter(oplog, [1, 2, 0, 0, 0, 0], {"msg": "isdbgrid", "maxWireVersion": 21}, START)

    batches = asyncio.run(delivered(router))

    check(batches, router)
    waiting = [batch for batch in batches if batch.position == Timestamp(20, 0)]
    assert numbers(waiting[0]) == [1]
    assert len(waiting) > 2
    assert all(batch.is_current for batch in waiting)


def test_the_resume_token_goes_on_although_changes_are_always_held_back() -> None:
    """Where much is written, each reply ends with a change that is held back. The token must not grow old by that."""
    oplog: list[Entry] = [(Timestamp(10 + second, 1), second) for second in range(20)]
    router = PlayedRouter([[*oplog, (END, NOOP)]], [1] * 20, {"msg": "isdbgrid", "maxWireVersion": 21}, START)

    batches = asyncio.run(delivered(router))

    check(batches, router)
    tokens = [bson.decode(batch.token)["_data"] for batch in batches if batch.position < END]
    assert len(set(tokens)) > 8
