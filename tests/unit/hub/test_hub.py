"""The hub over a database in memory: joins, lists and live messages where reads fail, wait or come too late."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest
from bson import ObjectId, Timestamp
from simulation.clock import VirtualLoop
from support.hub_in_memory import HubFixture, Receiver, running_hub, settled, until

from relay.errors import Unavailable
from relay.hub import registry
from relay.hub.listener import Listener


def insert(task: str, *numbers: int, status: str = "new") -> tuple[Any, ...]:
    return ("insert", task, [{"n": number} for number in numbers], status)


def push(task: str, number: int, kind: str = "log") -> tuple[Any, ...]:
    return ("push", task, [{"type": kind, "n": number}], None)


def status(task: str, value: str, creator: str = "alice") -> tuple[Any, ...]:
    return ("fields", task, value, creator)


async def joined(fixture: HubFixture, task: str = "t0") -> tuple[Listener, Receiver]:
    receiver = Receiver()
    listener = fixture.listener(receiver=receiver)
    fixture.hub.join_task(listener, task, None, None, "1")
    await until(lambda: bool(receiver.messages))
    return listener, receiver


# The list.


@pytest.mark.parametrize(
    ("lost", "sent"),
    [(("delete", "t0"), "task:deleted"), (("fields", "t0", "new", "bob"), "task:revoked")],
)
async def test_a_listener_that_loses_a_task_is_sent_the_changes_published_together_with_the_loss(
    lost: Any, sent: str
) -> None:
    push = ("push", "t0", [{"type": "log", "n": 1}], None)
    async with running_hub([("insert", "t0", [], "new")], [push, lost]) as fixture:
        receiver = Receiver()
        fixture.write()
        fixture.hub.join_task(fixture.listener(receiver=receiver), "t0", None, None, "1")
        await until(lambda: bool(receiver.messages))

        fixture.write()

        assert receiver.types() == ["task:state", "task:event_added", sent]


def test_a_list_update_that_waits_is_dropped_by_a_resync() -> None:
    writes = [insert("t0")], [status("t0", "merged")], [status("t0", "failed")], [("delete", "t0")]

    async def scenario() -> Receiver:
        async with running_hub(*writes, list_interval_s=0.05) as fixture:
            receiver = Receiver()
            fixture.hub.join_list(fixture.listener(receiver=receiver), 100, None)
            await until(lambda: bool(receiver.messages))
            for _ in range(3):
                fixture.write()  # the last of these updates waits for the interval

            fixture.lose_stream()  # the task is deleted, and the hub gets no change
            await asyncio.sleep(1)
            return receiver

    with closing(VirtualLoop()) as loop:  # whose time passes at once
        receiver = loop.run_until_complete(scenario())

    assert receiver.types()[-1] == "dashboard:state"
    assert receiver.messages[-1]["data"]["tasks"] == []


async def test_a_list_that_could_not_be_brought_up_to_date_is_tried_again(caplog: Any) -> None:
    async with running_hub([insert("t0")], [insert("t1")], [insert("t2")]) as fixture:
        receiver = Receiver()
        fixture.write()
        fixture.hub.join_list(fixture.listener(receiver=receiver), 100, None)
        await until(lambda: bool(receiver.messages))

        fixture.failures.append(ValueError("a document nobody can read"))
        fixture.lose_stream()
        await until(lambda: len(receiver.of("dashboard:state")) == 2)
        fixture.write()

        assert "error" not in receiver.types()
        assert len(receiver.of("dashboard:state")[-1]["tasks"]) == 2
        assert receiver.of("dashboard:task_list_updated")[-1]["taskId"] == "t2"
    assert "a dashboard failed" in caplog.text


@pytest.mark.usefixtures("unhurried")
async def test_a_list_is_not_read_before_the_relay_has_come_as_far_as_the_database() -> None:
    async with running_hub([insert("t0")], [status("t0", "merged")]) as fixture:
        receiver = Receiver()
        fixture.write()
        fixture.database_at = Timestamp(11, 1)  # the second group, which another instance has published

        fixture.hub.join_list(fixture.listener(receiver=receiver), 100, None)
        await settled()
        assert not receiver.messages
        fixture.write()
        await until(lambda: bool(receiver.messages))

        assert receiver.of("dashboard:state")[0]["tasks"][0]["status"] == "merged"


# A sharded cluster, in which an idle shard holds the change stream back.


async def test_a_task_that_was_just_written_is_found_although_a_shard_holds_the_stream_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.reads.CATCH_UP_S", 0.01)
    async with running_hub([insert("t0")], [insert("t1")]) as fixture:
        fixture.is_routed = True
        fixture.write()
        fixture.database_at = Timestamp(11, 1)  # the second group, which is held back
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)

        fixture.hub.join_task(listener, "t1", None, None, "1")
        fixture.hub.join_task(listener, "t1", 1, "1.abc", "2")
        fixture.hub.join_list(listener, 100, "3")
        await until(lambda: len(receiver.messages) == 1)
        fixture.write()
        await until(lambda: "task:state" in receiver.types())

        # The list comes after CATCH_UP_S seconds as it is at the relay's position, and then the change.
        assert receiver.messages[0]["replyTo"] == "3"
        assert not receiver.of("error")
        assert {task["taskId"] for task in receiver.of("dashboard:task_list_updated")} == {"t1"}


@pytest.mark.parametrize("held_for_ever", [False, True])
async def test_a_task_that_does_not_exist_is_refused_only_when_the_stream_has_come_as_far_as_the_database(
    held_for_ever: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.hub.reads.CATCH_UP_S", 0.01)
    if held_for_ever:
        monkeypatch.setattr("relay.hub.reads.IDLE_SHARD_S", 0.02)
    async with running_hub([insert("t0")], [insert("t1")]) as fixture:
        fixture.is_routed = True
        fixture.write()
        fixture.database_at = Timestamp(11, 1)
        receiver = Receiver()

        fixture.hub.join_task(fixture.listener(receiver=receiver), "t2", None, None, "1")
        if not held_for_ever:
            await settled()
            assert not receiver.messages
            fixture.write()
        await until(lambda: bool(receiver.messages))

        assert receiver.of("error")[0]["code"] == ("unavailable" if held_for_ever else "forbidden")


# Positions.


@pytest.mark.usefixtures("unhurried")
async def test_a_join_with_a_position_of_an_instance_that_is_ahead_waits_until_this_one_has_caught_up() -> (
    None
):
    async with running_hub([insert("t0", 0)], [push("t0", 1)]) as ahead:
        ahead.write()
        _, receiver = await joined(ahead)
        ahead.write()
        position = receiver.of("task:event_added")[0]
    async with running_hub([insert("t0", 0)], [push("t0", 1)]) as behind:
        behind.write()
        behind.database_at = Timestamp(11, 1)
        receiver = Receiver()
        listener = behind.listener(receiver=receiver)

        behind.hub.join_task(listener, "t0", position["next"], position["head"], "1")
        await settled()
        assert not receiver.messages
        behind.write()
        await until(lambda: bool(receiver.messages))

        state = receiver.of("task:state")[0]
        assert (state["reset"], state["from"], state["next"]) == (False, 2, 2)


async def test_a_state_continues_only_from_messages_that_cannot_be_dropped_any_more() -> None:
    async with running_hub([insert("t0", 0)], [push("t0", 1)], [push("t0", 2)]) as fixture:
        fixture.write()
        listener, receiver = await joined(fixture)
        receiver.takes = False
        fixture.hub.note_paused(listener)
        fixture.write()  # the event waits for the socket

        fixture.lose_stream()
        await until(lambda: len(receiver.waiting) > 1)
        receiver.drop_live()
        fixture.hub.lag(listener, since_pause=True)
        receiver.take()
        fixture.hub.catch_up(listener)
        await until(lambda: len(receiver.of("task:state")) == 3)

        held = 0
        for message in receiver.messages:
            assert message["data"].get("from", message["data"].get("index")) <= held, "a gap"
            held = message["data"]["next"]
        assert held == 3


@pytest.mark.parametrize("asks", ["the relay", "the client"])
async def test_a_state_does_not_continue_from_messages_that_were_dropped_before_the_hub_was_told(
    asks: str,
) -> None:
    async with running_hub([insert("t0", 0)], [push("t0", 1)], [push("t0", 2)]) as fixture:
        fixture.write()
        listener, receiver = await joined(fixture)
        receiver.takes = False
        fixture.write()
        receiver.drop_live()  # the event; `lag` will be called in a moment
        receiver.has_dropped = True

        if asks == "the client":  # and the answer fails, so that the relay has to resync it
            fixture.failures.append(Unavailable("away"))
            fixture.hub.show_task(listener, "t0", None, None, lambda _: None, "2")
        else:
            fixture.lose_stream()
        fixture.hub.lag(listener, since_pause=False)
        receiver.has_dropped = False
        receiver.take()
        fixture.hub.catch_up(listener)
        await until(lambda: len(receiver.of("task:state")) == 2)

        last = receiver.of("task:state")[-1]
        assert (last["reset"], last["from"]) == (True, 0)


# Members of a room.


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_a_member_whose_resync_fails_repeatedly_is_still_sent_that_its_task_was_deleted(
    failures: int, monkeypatch: Any
) -> None:
    for module in ("driver", "task_reads"):
        monkeypatch.setattr(f"relay.hub.{module}.RETRY_S", 0)
    async with running_hub([insert("t0", 0)], [push("t0", 1)], [("delete", "t0")]) as fixture:
        fixture.write()
        _, receiver = await joined(fixture)

        fixture.failures += [ValueError("not readable") for _ in range(failures)]
        fixture.lose_stream()
        await until(lambda: not fixture.failures)
        fixture.write()
        await until(lambda: "task:deleted" in receiver.types())


async def test_a_member_that_asks_for_a_state_while_the_database_is_away_stays_a_member() -> None:
    async with running_hub([insert("t0", 0)], [("delete", "t0")]) as fixture:
        fixture.write()
        listener, receiver = await joined(fixture)

        answers: list[str] = []
        fixture.failures.append(Unavailable("away"))
        fixture.hub.show_task(listener, "t0", None, None, answers.append, "2")
        await until(lambda: answers == ["unavailable"])
        fixture.write()
        await until(lambda: "task:deleted" in receiver.types())


# Rights.


async def test_documents_that_a_listener_may_not_see_are_not_read() -> None:
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        receiver = Receiver()

        fixture.hub.join_task(fixture.listener("mallory", receiver), "t0", None, None, "1")
        await until(lambda: bool(receiver.messages))

        assert receiver.of("error")[0]["code"] == "forbidden"
        assert not fixture.read


async def test_a_read_that_a_listener_without_rights_began_serves_one_with_rights() -> None:
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        gate = asyncio.Event()
        fixture.gates.append(gate)
        receivers = Receiver(), Receiver()
        fixture.hub.join_task(fixture.listener("mallory", receivers[0]), "t0", None, None, "1")
        await until(lambda: not fixture.gates)

        fixture.hub.join_task(fixture.listener("alice", receivers[1]), "t0", None, None, "1")
        gate.set()
        await until(lambda: all(receiver.messages for receiver in receivers))

        assert [receiver.types() for receiver in receivers] == [["error"], ["task:state"]]


async def test_a_read_that_two_users_share_gives_each_its_own_task(monkeypatch: Any) -> None:
    one, other = ObjectId(), {"createdBy": "bob", "events": [], "status": "of bob"}
    documents = [{"_id": one, "createdBy": "alice", "events": []}, {"_id": str(one), **other}]
    async with running_hub() as fixture:
        monkeypatch.setattr(fixture.model, "at", lambda _: {str(n): d for n, d in enumerate(documents)})
        gate = asyncio.Event()
        fixture.gates.append(gate)
        receivers = Receiver(), Receiver()
        for sub, receiver in zip(("alice", "bob"), receivers, strict=True):
            fixture.hub.join_task(fixture.listener(sub, receiver), str(one), None, None, "1")
        gate.set()
        await until(lambda: all(receiver.messages for receiver in receivers))

        states = [receiver.of("task:state")[0]["task"] for receiver in receivers]
        assert [state["creator"] for state in states] == ["alice", "bob"]


async def test_a_list_that_changed_while_it_was_read_is_read_again_for_a_listener_that_asks_then() -> None:
    async with running_hub([insert("t0")], [status("t0", "merged")]) as fixture:
        fixture.write()
        gate = asyncio.Event()
        fixture.gates.append(gate)
        receivers = Receiver(), Receiver()
        fixture.hub.join_list(fixture.listener(receiver=receivers[0]), 100, "1")
        await until(lambda: not fixture.gates)
        fixture.write()
        fixture.hub.join_list(fixture.listener(receiver=receivers[1]), 100, "2")
        await settled()
        gate.set()
        await until(lambda: all(receiver.messages for receiver in receivers))

        first, second = (receiver.of("dashboard:state")[0]["tasks"][0]["status"] for receiver in receivers)
        assert (first, second) == ("new", "merged")
        assert "dashboard:task_list_updated" in receivers[0].types()
        assert "dashboard:task_list_updated" not in receivers[1].types()


async def test_after_a_resync_the_reads_in_flight_answer_also_those_who_waited_for_the_next_read() -> None:
    async with running_hub([insert("t0")], [status("t0", "a")], [status("t0", "b")]) as fixture:
        fixture.write()
        gates, receivers = (
            [asyncio.Event(), asyncio.Event()],
            [Receiver(), Receiver(), Receiver(), Receiver()],
        )
        listeners = [fixture.listener(receiver=receiver) for receiver in receivers]
        # Given two reads of one list, both before its last change, and a listener that asks after it,
        fixture.gates += gates
        for number in (0, 1):
            fixture.hub.join_list(listeners[number], 100, f"{number}", caught_up=True)
            await until(lambda number=number: len(fixture.gates) == 1 - number)
            fixture.write()
        fixture.hub.join_list(listeners[2], 100, "2", caught_up=True)
        # when both are moved to a later position, and somebody else asks,
        fixture.lose_stream([status("t0", "merged")])
        fixture.hub.join_list(listeners[3], 100, "3", caught_up=True)
        for gate in gates:
            gate.set()
        await until(lambda: all(receiver.messages for receiver in receivers))
        await settled()
        # then everybody is answered by these two reads, each of which was repeated once.
        shown = [receiver.of("dashboard:state")[-1]["tasks"][0]["status"] for receiver in receivers]
        assert shown == ["merged"] * 4
        assert fixture.lists_read == 4


async def test_a_list_is_never_followed_by_an_older_one() -> None:
    async with running_hub([insert("t0")], [status("t0", "merged")]) as fixture:
        fixture.write()
        gate, receiver = asyncio.Event(), Receiver()
        listener = fixture.listener(receiver=receiver)
        fixture.gates.append(gate)
        fixture.hub.join_list(listener, 100, "1")
        await until(lambda: not fixture.gates)
        fixture.write()
        fixture.hub.join_list(listener, 100, "2")
        await until(lambda: len(receiver.messages) == 2)
        gate.set()
        await settled()

        assert [message["replyTo"] for message in receiver.messages] == ["1", "2"]
        shown = [state["tasks"][0]["status"] for state in receiver.of("dashboard:state")]
        assert shown == ["merged", "merged"]


@pytest.mark.parametrize("gone", ["delete", "revoke"])
async def test_a_member_that_lost_its_task_during_a_resync_is_sent_whether_it_was_deleted_or_revoked(
    gone: str,
) -> None:
    lost = ("delete", "t0") if gone == "delete" else status("t0", "new", "bob")
    async with running_hub([insert("t0", 0)], [lost]) as fixture:
        fixture.write()
        _, receiver = await joined(fixture)

        fixture.lose_stream()
        await until(lambda: len(receiver.messages) == 2)

        assert receiver.types()[1] == ("task:deleted" if gone == "delete" else "task:revoked")


# Lifecycle messages.


@pytest.mark.parametrize("buffered_for", ["the list", "the room"])
async def test_a_buffered_lifecycle_message_is_not_sent_after_a_later_one_that_was_not_buffered(
    buffered_for: str,
) -> None:
    writes = [insert("t0")], [push("t0", 1, "dispatched")], [push("t0", 2, "merged")]
    async with running_hub(*writes) as fixture:
        fixture.write()
        receiver, gate = Receiver(), asyncio.Event()
        listener = fixture.listener(receiver=receiver)
        joins = [
            (lambda: fixture.hub.join_list(listener, 100, None), "dashboard:state"),
            (lambda: fixture.hub.join_task(listener, "t0", None, None, None), "task:state"),
        ]
        (join_slowly, late_state), (join, state) = joins if buffered_for == "the list" else joins[::-1]

        fixture.gates.append(gate)
        join_slowly()
        await until(lambda: not fixture.gates)
        fixture.write()  # buffered for the read that waits
        join()
        await until(lambda: state in receiver.types())
        fixture.write()  # sent to the subscription that is live
        gate.set()
        await until(lambda: late_state in receiver.types())

        assert [kind for kind in receiver.types() if kind in LIFECYCLES] == ["task:pr_merged"]


LIFECYCLES = {"task:dispatched", "task:pr_merged"}


# Room for states.


def postponed(listener: Listener) -> int:
    return sum(one.postponed for subscription in listener.subscriptions() for one in subscription.requests)


async def test_states_that_found_no_room_are_sent_when_there_is_room() -> None:
    async with running_hub([insert("t0", 0), insert("t1", 0)], [push("t0", 1)]) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        receiver.room = False
        fixture.hub.join_task(listener, "t0", None, None, "1")
        fixture.hub.join_list(listener, 100, "2")
        await until(lambda: postponed(listener) == 2)
        fixture.write()
        assert not receiver.messages

        receiver.room = True
        fixture.hub.catch_up(listener)
        await until(lambda: len(receiver.messages) == 2)

        assert receiver.of("task:state")[0]["next"] == 2
        assert {message["replyTo"] for message in receiver.messages} == {"1", "2"}


async def test_a_request_that_found_no_room_is_withdrawn_when_its_listener_leaves() -> None:
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        receiver.room = False
        fixture.hub.join_task(listener, "t0", None, None, "1")
        fixture.hub.join_list(listener, 100, "2")
        await until(lambda: postponed(listener) == 2)

        fixture.hub.leave_task(listener, "t0")
        fixture.hub.leave_list(listener)
        receiver.room = True
        fixture.hub.catch_up(listener)
        await settled()

        assert not receiver.messages


# What costs nothing, and what is put off.


async def test_no_message_is_made_of_a_change_that_nobody_may_see() -> None:
    async with running_hub([insert("t0", 1)]) as fixture:
        receiver = Receiver()
        fixture.hub.join_list(fixture.listener("carol", receiver=receiver), 100, None)
        await until(lambda: bool(receiver.messages))
        step = fixture.steps_of([insert("t1", 1)])[0]

        assert fixture.hub.prepare(step) is None
        fixture.hub.publish([step], Timestamp(50, 1))

        assert (step._made, step._beside) == (None, None)
        assert receiver.types() == ["dashboard:state"]


async def test_the_frames_of_a_prepared_step_are_those_of_any_other() -> None:
    sent = []
    for is_prepared in (False, True):
        async with running_hub([insert("t0", 1), insert("t1", 1)]) as fixture:
            fixture.write()
            _, receiver = await joined(fixture)
            _, other = await joined(fixture, "t1")
            fixture.hub.join_list(fixture.listener(receiver=receiver), 100, None)
            await until(lambda receiver=receiver: len(receiver.messages) == 2)
            steps = fixture.steps_of([push("t0", 2), ("edit", "t1", 0, 9), push("t1", 3, "failed")])
            for step in steps if is_prepared else ():
                prepare = fixture.hub.prepare(step)
                assert prepare is not None
                await asyncio.to_thread(prepare)

            fixture.hub.publish(steps, Timestamp(50, 1))
            sent.append((receiver.messages, other.messages))

    assert sent[0] == sent[1]
    assert "task:event_added" in {message["type"] for message in sent[0][1]}


async def test_a_list_is_prepared_the_messages_beside_the_timeline() -> None:
    async with running_hub([insert("t0", 1)]) as fixture:
        fixture.write()
        receiver = Receiver()
        fixture.hub.join_list(fixture.listener(receiver=receiver), 100, None)
        await until(lambda: bool(receiver.messages))
        (step,) = fixture.steps_of([push("t0", 2)])

        assert fixture.hub.prepare(step) == step.make_beside_timeline


async def test_rewrites_beyond_what_may_be_encoded_at_once_are_sent_as_states_that_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "MANY_BYTES", 20)  # the size of one of these timelines, and not of two
    tasks = [f"t{n}" for n in range(4)]
    writes = [insert(task, 1) for task in tasks], [("edit", task, 0, 9) for task in tasks]
    async with running_hub(*writes) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        for task in tasks:
            fixture.hub.join_task(listener, task, None, None, None)
        await until(lambda: len(receiver.messages) == len(tasks))
        read = len(fixture.read)

        fixture.write()
        sent_at_once = len(receiver.messages) - len(tasks)
        await until(lambda: len(receiver.messages) == 2 * len(tasks))

        assert (sent_at_once, len(fixture.read) - read) == (1, 3)
        states = receiver.of("task:state")[len(tasks) :]
        assert sorted(state["taskId"] for state in states) == tasks
        assert all(state["events"][0]["data"] == {"n": 9} for state in states)
