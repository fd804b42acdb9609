"""Reads of states at position S: when they move on, are tried again, are shared, and whom they are made for."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import bson
import orjson
import pytest
from bson import Timestamp
from support.hub_in_memory import AUDIENCE, TRANSLATOR, Receiver, settled
from support.mongo_model import DECODER

from relay.errors import PositionLost, Unavailable, Unwanted
from relay.hub.list_reads import PARALLEL_LISTS, ListReads
from relay.hub.list_subscription import ListRequest, ListSubscription
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.position import StreamPosition
from relay.hub.reads import FairReads
from relay.hub.registry import Group
from relay.hub.task_reads import BATCH, TaskAnswer, TaskBatch, TaskReads
from relay.hub.task_subscription import TaskRequest, TaskSubscription
from relay.metrics import Metrics
from relay.source.change import Change, Inserted, key_of
from relay.tasks.translate import LENGTH_FIELD
from relay.tasks.visibility import Principal

S = Timestamp(10, 1)
LATER = Timestamp(20, 1)


class Database:
    """Answers with the documents that the filter names; the first questions get what `outcomes` says."""

    is_routed = False

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = documents
        self.outcomes: list[Exception | asyncio.Event | None] = []
        self.asked: list[tuple[Timestamp, Mapping[str, Any]]] = []
        self.questions = 0  # for the time
        self.answers = asyncio.Event()  # to these questions
        self.answers.set()
        self.is_away = False  # no answer to any of these questions

    async def read_at(
        self, position: Timestamp, filter: Mapping[str, Any], **options: Any
    ) -> Sequence[dict[str, Any]]:
        self.asked.append((position, filter))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, asyncio.Event):
            await outcome.wait()
        elif outcome is not None:
            raise outcome
        return [DECODER.document(bson.encode(document)) for document in self.documents]

    async def keys_at(
        self, position: Timestamp, filter: Mapping[str, Any], **options: Any
    ) -> Sequence[bytes]:
        return [key_of(one["_id"]) for one in await self.read_at(position, filter, **options)]

    async def now(self) -> Timestamp:
        self.questions += 1
        await self.answers.wait()
        if self.is_away:
            raise Unavailable("the question for the time failed")
        return S


class Wanted:
    """A reading that may be one which nobody would ask for again."""

    def __init__(self, *, needed: bool = False) -> None:
        self.position = S
        self.needed = needed
        self.wanted = True
        self.failures = 0

    def move_to(self, position: Timestamp) -> None:
        self.position = position

    def is_wanted(self) -> bool:
        return self.wanted

    def is_needed(self) -> bool:
        return self.needed

    def note_failed(self) -> None:
        self.failures += 1

    def users(self) -> set[str]:
        return {"alice"}


class Given:
    def __init__(self, *documents: dict[str, Any]) -> None:
        self.database = Database(*documents)
        self.position = StreamPosition()
        self.position.move_to(S)
        self.reads = FairReads(self.database, self.position, Metrics())
        self.refused: list[Any] = []  # requests of clients, because a read that is retried has failed
        self.tasks = TaskReads(self.reads, TRANSLATOR, self.refused.extend)
        self.lists = ListReads(self.reads, TRANSLATOR, self.refused.extend)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.hub.reads.RETRY_S", 0)
    monkeypatch.setattr("relay.hub.reads.CATCH_UP_S", 0.01)


def listener_of(sub: str) -> Listener:
    principal = Principal(sub, {"sub": sub}, 0)
    keys = AUDIENCE.keys_for(principal)
    return Listener(keys, lambda: AUDIENCE.filter_for(principal), user=sub, receiver=Receiver())


def request(task: str, sub: str = "alice", *, unasked: bool = False) -> TaskRequest:
    return TaskRequest(TaskSubscription(listener_of(sub), task), None, None, unasked=unasked)


def step_of(task: str, creator: str = "alice") -> StepFrames:
    document = DECODER.document(bson.encode({"_id": task, "createdBy": creator, "events": []}))
    step = TRANSLATOR.translate(None, Change(key_of(task), task, S, None, Inserted(document)))
    assert step is not None
    return StepFrames(step, TRANSLATOR.view)


async def answers_of(given: Given, batch: TaskBatch | None) -> list[TaskAnswer]:
    assert batch is not None
    return [answer async for answer in given.tasks.answers(batch)]


# Any read.


async def test_a_read_is_made_at_the_position_of_its_reading() -> None:
    given = Given({"_id": "t"})

    (document,) = await given.reads.read(Wanted(), {"a": 1})

    assert document["_id"] == "t"
    assert given.database.asked == [(S, {"a": 1})]


async def test_a_reading_that_nobody_waits_for_any_more_is_not_read() -> None:
    given, reading = Given({"_id": "t"}), Wanted()
    reading.wanted = False

    with pytest.raises(Unwanted):
        await given.reads.read(reading, {})

    assert given.database.asked == []


async def test_a_reading_that_is_wanted_again_while_it_ends_is_read_again() -> None:
    given, reading = Given({"_id": "t"}), Wanted()
    given.database.outcomes.append(Unwanted())

    (document,) = await given.reads.read(reading, {})

    assert document["_id"] == "t"


@pytest.mark.usefixtures("unhurried")
async def test_a_position_that_cannot_be_read_is_left_for_a_later_one() -> None:
    given, reading = Given(), Wanted()
    given.database.outcomes.append(PositionLost("too old"))
    read = asyncio.ensure_future(given.reads.read(reading, {}))
    await settled()

    given.position.move_to(LATER)
    await read

    assert [position for position, _ in given.database.asked] == [S, LATER]


async def test_a_position_that_cannot_be_read_is_unavailable_if_no_later_one_comes() -> None:
    given = Given()
    given.database.outcomes.append(PositionLost("too old"))

    with pytest.raises(Unavailable):
        await given.reads.read(Wanted(), {})


@pytest.mark.parametrize("needed", [True, False])
async def test_a_read_that_fails_is_tried_again_only_if_a_subscription_depends_on_it(needed: bool) -> None:
    given = Given()
    given.database.outcomes += [Unavailable("away"), Unavailable("away")]

    if needed:
        await given.reads.read(Wanted(needed=True), {})
        assert len(given.database.asked) == 3
    else:
        with pytest.raises(Unavailable):
            await given.reads.read(Wanted(), {})
        assert len(given.database.asked) == 1


async def test_a_read_that_is_tried_again_is_made_at_the_current_position_and_buffers_from_there_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a read that always fails would buffer everything that is published for its task or list."""
    given, gate = Given({"_id": "t", "createdBy": "alice"}), asyncio.Event()
    read_at = given.database.read_at

    async def fails_once(*args: Any, **options: Any) -> Any:
        if gate.is_set():
            return await read_at(*args, **options)
        await gate.wait()
        raise Unavailable("away")

    monkeypatch.setattr(given.database, "read_at", fails_once)
    reading = asyncio.ensure_future(answers_of(given, given.tasks.ask(request("t", unasked=True))))
    await settled()

    given.tasks.buffer(step_of("t"))
    given.position.move_to(LATER)
    gate.set()
    (answer,) = await reading

    assert [position for position, _ in given.database.asked] == [LATER]
    assert answer.reading.batch.moved
    assert answer.found[0].since == []


async def test_a_read_whose_reading_was_moved_meanwhile_is_repeated() -> None:
    given, reading, gate = Given(), Wanted(), asyncio.Event()
    given.database.outcomes.append(gate)
    read = asyncio.ensure_future(given.reads.read(reading, {}))
    await settled()

    reading.move_to(LATER)
    gate.set()
    await read

    assert [position for position, _ in given.database.asked] == [S, LATER]


@pytest.mark.usefixtures("unhurried")
async def test_all_that_ask_for_the_time_during_a_question_share_the_next_one() -> None:
    given = Given()
    given.database.answers.clear()
    first = asyncio.ensure_future(given.reads.catch_up())
    await settled()

    later = [asyncio.ensure_future(given.reads.catch_up()) for _ in range(5)]
    await settled()
    given.database.answers.set()
    await asyncio.gather(first, *later)

    assert given.database.questions == 2


async def test_a_question_for_the_time_that_fails_after_all_gave_up_logs_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: after an outage of the database, the log had a traceback of the driver."""
    monkeypatch.setattr("relay.hub.reads.CATCH_UP_S", 0.0)
    given = Given()
    given.database.answers.clear()
    given.database.is_away = True
    await given.reads.catch_up()  # it gives up

    given.database.answers.set()
    await settled()
    del given
    gc.collect()  # the event loop logs it when nothing refers to the question any more

    assert not caplog.records


@pytest.mark.parametrize(("routed", "surely"), [(False, False), (False, True), (True, False)])
async def test_a_relay_that_has_not_caught_up_in_time_may_refuse_a_task_only_in_a_replica_set(
    routed: bool, surely: bool
) -> None:
    given = Given()
    given.database.is_routed = routed
    given.position.move_to(Timestamp(S.time - 1, 0))

    assert await given.reads.catch_up(surely=surely) is not routed


async def test_an_idle_shard_is_waited_for_before_a_task_is_refused() -> None:
    given = Given()
    given.database.is_routed = True
    given.position.move_to(Timestamp(S.time - 1, 0))
    waiting = asyncio.ensure_future(given.reads.catch_up(surely=True))
    await asyncio.wait({waiting}, timeout=0.1)  # longer than CATCH_UP_S is here
    assert not waiting.done()

    given.position.move_to(S)

    assert await waiting


async def test_a_shard_that_holds_the_stream_back_for_too_long_makes_the_answer_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.reads.IDLE_SHARD_S", 0.02)
    given = Given()
    given.database.is_routed = True
    given.position.move_to(Timestamp(S.time - 1, 0))

    with pytest.raises(Unavailable):
        await given.reads.catch_up(surely=True)


# Tasks.


async def test_tasks_that_one_user_asks_for_at_once_are_read_together() -> None:
    given = Given()

    batches = [given.tasks.ask(request(f"t{number}")) for number in range(BATCH + 1)]
    other = given.tasks.ask(request("t0", "bob"))

    assert [batch is not None for batch in batches] == [True, *[False] * (BATCH - 1), True]
    assert other is None  # it shares the read of alice's t0
    assert len(await answers_of(given, batches[0])) == BATCH


async def test_a_read_is_shared_until_its_task_changes() -> None:
    given = Given()
    batch = given.tasks.ask(request("t"))

    assert given.tasks.ask(request("t", "bob")) is None
    given.tasks.buffer(step_of("t"))

    assert given.tasks.ask(request("t", "carol")) is not None
    (answer,) = await answers_of(given, batch)
    assert [one.subscription.listener.user for one in answer.reading.requests] == ["alice", "bob"]
    assert len(answer.reading.since) == 1


async def test_only_documents_are_read_that_one_of_those_that_asked_may_see() -> None:
    given = Given()
    batch = given.tasks.ask(request("t", "alice"))
    given.tasks.ask(request("t", "bob"))

    await answers_of(given, batch)

    ((_, asked),) = given.database.asked
    assert "alice" in repr(asked["$or"])
    assert "bob" in repr(asked["$or"])


async def test_a_read_for_more_rights_than_a_filter_can_hold_looks_for_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", 10)
    given = Given()
    requests = [request("t", f"user {number}") for number in range(11)]
    batch, *_ = [given.tasks.ask(one) for one in requests]

    (answer,) = await answers_of(given, batch)

    assert len(given.database.asked) == 3
    assert all("$or" in asked for _, asked in given.database.asked)
    assert not any(answer.must_look_again(one) for one in requests)


async def test_a_read_in_several_queries_begins_again_if_its_position_is_moved_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", 1)
    given, gate = Given(), asyncio.Event()
    batch = given.tasks.ask(request("t", "alice"))
    given.tasks.ask(request("t", "bob"))
    given.database.outcomes = [asyncio.Event(), gate]
    given.database.outcomes[0].set()  # type: ignore[union-attr]
    reading = asyncio.ensure_future(answers_of(given, batch))
    await settled()

    given.tasks.restart(LATER)
    gate.set()
    await reading

    assert [position for position, _ in given.database.asked][-2:] == [LATER, LATER]


async def test_a_read_that_nobody_waits_for_any_more_asks_for_nothing() -> None:
    given = Given({"_id": "t", "createdBy": "alice"})
    asked = request("t")
    batch = given.tasks.ask(asked)
    asked.end()

    (answer,) = await answers_of(given, batch)

    assert not given.database.asked
    assert not answer.found


async def test_a_document_that_none_of_those_who_wait_may_see_is_not_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It can come all the same: the rights of the one who asked may have changed during the read."""
    monkeypatch.setattr(TaskReads, "_state_of", None)
    given = Given({"_id": "t", "createdBy": "alice"})

    (answer,) = await answers_of(given, given.tasks.ask(request("t", "mallory")))

    assert answer.is_read
    assert answer.exists
    assert not answer.found


async def test_those_who_may_not_see_a_task_do_not_wait_until_it_is_encoded_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = asyncio.Event()
    made = TaskReads._state_of

    async def state_of(self: TaskReads, task: Any) -> Any:
        await gate.wait()
        return await made(self, task)

    monkeypatch.setattr(TaskReads, "_state_of", state_of)
    given = Given({"_id": "t", "createdBy": "alice"})
    batch = given.tasks.ask(request("t", "alice"))
    mallory = request("t", "mallory")
    given.tasks.ask(mallory)
    assert batch is not None
    answers = given.tasks.answers(batch)

    first = await anext(answers)
    mallory.wait_in(None)
    # Nor does somebody wait who asks now; but somebody who may see the task shares the read.
    assert given.tasks.ask(request("t", "mallory")) is not None
    assert given.tasks.ask(request("t", "alice")) is None
    gate.set()
    second = await anext(answers)

    assert (list(first.requests), list(first.found)) == ([mallory], [])
    assert [one.subscription.listener.user for one in second.requests] == ["alice", "alice"]
    assert second.found
    await answers.aclose()


async def test_a_read_for_one_listener_is_restricted_to_its_rights_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.task_filters.MAX_KEYS", 0)
    given = Given()

    await answers_of(given, given.tasks.ask(request("t")))

    ((_, asked),) = given.database.asked
    assert "$or" in asked


async def test_a_task_that_is_not_found_is_looked_for_without_rights_only_for_its_members() -> None:
    given = Given()
    member = request("t")
    member.subscription.member = True

    await answers_of(given, given.tasks.ask(request("other")))
    assert len(given.database.asked) == 1
    await answers_of(given, given.tasks.ask(member))

    assert len(given.database.asked) == 3
    assert "$or" not in given.database.asked[-1][1]


async def test_a_batch_that_cannot_be_read_answers_all_of_its_readings() -> None:
    given = Given()
    given.database.outcomes.append(Unavailable("away"))
    batch = given.tasks.ask(request("t"))
    given.tasks.ask(request("u"))

    answers = await answers_of(given, batch)

    assert [answer.is_read for answer in answers] == [False, False]


async def test_one_document_that_cannot_be_read_does_not_keep_the_others(monkeypatch: Any) -> None:
    given = Given({"_id": "t", "createdBy": "alice"}, {"_id": "u", "createdBy": "alice"})
    read = TRANSLATOR.read

    def reads(document: Any) -> Any:
        if document["_id"] == "t":
            raise ValueError("undecodable")
        return read(document)

    monkeypatch.setattr(TRANSLATOR, "read", reads)
    batch = given.tasks.ask(request("t"))
    given.tasks.ask(request("u"))

    answers = await answers_of(given, batch)

    assert [answer.is_read for answer in answers] == [False, True]


async def test_reads_are_repeated_at_the_position_of_a_resync_without_what_was_buffered() -> None:
    given, gate = Given({"_id": "t", "createdBy": "alice"}), asyncio.Event()
    given.database.outcomes.append(gate)
    batch = given.tasks.ask(request("t"))
    reading = asyncio.ensure_future(answers_of(given, batch))
    await settled()
    given.tasks.buffer(step_of("t"))

    given.tasks.restart(LATER)
    gate.set()
    (answer,) = await reading

    assert answer.reading.batch.moved
    assert answer.found[0].since == []
    assert [position for position, _ in given.database.asked] == [S, LATER]


@pytest.mark.parametrize(
    ("creator", "again"),
    [(None, False), ("alice", True), ("bob", False)],
    ids=["looked", "appeared", "appeared to another"],
)
async def test_a_task_that_was_not_found_is_looked_for_again_if_it_has_appeared(
    creator: str | None, again: bool
) -> None:
    given, asked, gate = Given(), request("t"), asyncio.Event()
    given.database.outcomes.append(gate)
    reading = asyncio.ensure_future(answers_of(given, given.tasks.ask(asked)))
    await settled()
    if creator is not None:
        given.tasks.buffer(step_of("t", creator))
    gate.set()

    (answer,) = await reading

    assert answer.must_look_again(asked) is again


# Lists.


def listed(sub: str = "alice", limit: int = 10) -> ListRequest:
    return ListRequest(ListSubscription(listener_of(sub)), limit)


async def test_a_read_of_a_list_is_shared_until_the_list_changes() -> None:
    given, group = Given(), Group(listener_of("alice").keys, {})
    first = given.lists.ask(listed(), group)
    assert first is not None
    assert given.lists.ask(listed(), group) is None

    given.lists.note_outdated([group])
    second = given.lists.ask(listed(), group)
    third = given.lists.ask(listed(limit=5), group)

    assert len(first.requests) == 2
    assert second is not None
    assert third is not None
    given.lists.note_outdated([group])
    assert given.lists.ask(listed(), group) is None  # it waits for the end of a read, and shares the next one
    assert len(second.later) == 1


async def test_a_list_that_cannot_be_read_has_no_pages_and_is_read_no_more() -> None:
    given, group = Given(), Group(listener_of("alice").keys, {})
    given.database.outcomes.append(ValueError("undecodable"))
    reading = given.lists.ask(listed(), group)
    assert reading is not None

    assert await given.lists.pages(reading) is None
    assert not given.lists.is_reading(group)


async def test_what_is_published_to_a_group_is_buffered_with_its_reads() -> None:
    given, group = Given(), Group(listener_of("alice").keys, {})
    reading = given.lists.ask(listed(), group)
    assert reading is not None
    frames = step_of("t")

    given.lists.buffer(group, frames.upserted())
    given.lists.buffer(Group(listener_of("bob").keys, {}), frames.upserted())

    assert reading.since == [(frames.upserted(), None)]


# What lists share.


def row(task: str) -> dict[str, Any]:
    return {"_id": task, LENGTH_FIELD: 0}


def shown(pages: Any) -> list[str]:
    return [task["taskId"] for page in pages for task in orjson.loads(page.body)["data"]["tasks"]]


async def read_list(given: Given, sub: str) -> Any:
    reading = given.lists.ask(listed(sub), Group(listener_of(sub).keys, {}))
    assert reading is not None
    return await given.lists.pages(reading)


@pytest.mark.usefixtures("unhurried")
async def test_two_lists_that_lack_the_same_tasks_read_them_once() -> None:
    given, gate = Given(row("t"), row("u")), asyncio.Event()
    given.database.outcomes += [None, gate]  # the keys of the first list, and its tasks
    lists = [asyncio.ensure_future(read_list(given, sub)) for sub in ("alice", "bob")]
    await settled()
    gate.set()

    for one in lists:
        assert shown(await one) == ["t", "u"]
    assert sum("_id" in filter for _, filter in given.database.asked) == 1


@pytest.mark.usefixtures("unhurried")
async def test_a_list_reads_by_itself_what_another_one_could_not_read() -> None:
    given, gate = Given(row("t")), asyncio.Event()
    given.database.outcomes += [None, gate]  # the keys of the first list, and its tasks
    lists = [asyncio.ensure_future(read_list(given, sub)) for sub in ("alice", "bob")]
    await settled()
    lists[0].cancel()

    assert shown(await lists[1]) == ["t"]


async def test_a_list_waits_only_for_a_moment_for_the_read_of_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.fragment_reads.PATIENCE_S", 0.01)
    given, gate = Given(row("t")), asyncio.Event()
    given.database.outcomes += [None, gate]  # the keys of the first list, and its tasks
    hangs, other = (asyncio.ensure_future(read_list(given, sub)) for sub in ("alice", "bob"))

    assert shown(await other) == ["t"]
    assert not hangs.done()
    gate.set()
    assert shown(await hangs) == ["t"]


async def test_a_task_that_cannot_be_summarised_is_left_out_and_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, summarise = Given(row("t"), row("u")), TRANSLATOR.summarise

    def fails_once(document: Any) -> Any:
        if document["_id"] == "t":
            raise ValueError("broken")
        return summarise(document)

    monkeypatch.setattr(TRANSLATOR, "summarise", fails_once)

    assert shown(await read_list(given, "alice")) == ["u"]
    assert shown(await read_list(given, "bob")) == ["u"]
    assert sum("_id" in filter for _, filter in given.database.asked) == 1


@pytest.mark.usefixtures("unhurried")
async def test_a_list_whose_position_is_lost_while_its_summaries_are_read_is_read_at_a_later_one() -> None:
    given = Given(row("t"))
    given.database.outcomes += [None, PositionLost("gone")]
    reading = asyncio.ensure_future(read_list(given, "alice"))
    await settled()

    given.position.move_to(LATER)

    assert shown(await reading) == ["t"]
    assert given.database.asked[-1][0] == LATER


async def test_a_list_that_waits_for_its_turn_is_read_at_the_position_of_then() -> None:
    given, gate = Given(row("t")), asyncio.Event()
    given.database.outcomes += [gate] * PARALLEL_LISTS
    lists = [asyncio.ensure_future(read_list(given, f"user {n}")) for n in range(PARALLEL_LISTS + 1)]
    await settled()
    assert len(given.database.asked) == PARALLEL_LISTS

    given.position.move_to(LATER)
    gate.set()
    for one in lists:
        assert shown(await one) == ["t"]

    assert given.database.asked[-1][0] == LATER


async def test_a_list_that_waits_keeps_its_position_if_it_has_lifecycle_messages_of_later() -> None:
    given, gate = Given(row("t")), asyncio.Event()
    given.database.outcomes += [gate] * PARALLEL_LISTS
    lists = [asyncio.ensure_future(read_list(given, f"user {n}")) for n in range(PARALLEL_LISTS)]
    await settled()
    group, frames = Group(listener_of("last").keys, {}), step_of("t")
    reading = given.lists.ask(listed("last"), group)
    assert reading is not None
    last = asyncio.ensure_future(given.lists.pages(reading))
    await settled()

    given.lists.buffer(group, frames.upserted(), frames)
    given.position.move_to(LATER)
    gate.set()
    for one in (*lists, last):
        assert shown(await one) == ["t"]

    assert reading.position == S
    assert reading.since == [(frames.upserted(), frames)]


async def test_lists_that_the_relay_needs_do_not_keep_others_from_an_answer_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, waits = Given(row("t")), asyncio.Event()

    async def wait_to_retry(self: FairReads, reading: Any) -> None:
        await waits.wait()

    monkeypatch.setattr(FairReads, "wait_to_retry", wait_to_retry)
    given.database.outcomes += [Unavailable("away")] * (PARALLEL_LISTS + 1)
    needed = []
    for number in range(PARALLEL_LISTS):
        request = ListRequest(ListSubscription(listener_of(f"user {number}")), 10, unasked=True)
        reading = given.lists.ask(request, Group(listener_of(f"user {number}").keys, {}))
        assert reading is not None
        needed.append(asyncio.ensure_future(given.lists.pages(reading)))
    await settled()

    assert await read_list(given, "alice") is None

    waits.set()
    for one in needed:
        assert shown(await one) == ["t"]
