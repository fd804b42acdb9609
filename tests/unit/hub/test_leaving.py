"""The hub keeps nothing of a connection that is gone, nor of requests that were withdrawn, whatever is in flight."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import Timestamp
from support.hub_in_memory import HubFixture, Receiver, running_hub, settled, until

from relay.errors import Unavailable
from relay.hub.position import StreamPosition
from relay.hub.task_reads import TaskReading


def insert(task: str, *numbers: int) -> tuple[Any, ...]:
    return ("insert", task, [{"n": number} for number in numbers], "new")


def merged(task: str, number: int) -> tuple[Any, ...]:
    return ("push", task, [{"type": "merged", "n": number}], None)


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Left:
    """A connection that has asked for something and has left since. Only the hub could still refer to it."""

    def __init__(self, fixture: HubFixture, ask: Callable[[HubFixture, Any, Receiver], None]) -> None:
        self._hub = fixture.hub
        receiver = Receiver()
        self._listener: Any = fixture.listener(receiver=receiver)
        self._connection = weakref.ref(receiver)
        ask(fixture, self._listener, receiver)

    def leave(self) -> None:
        self._hub.leave(self._listener)
        self._listener = None

    @property
    def is_freed(self) -> bool:
        return self._connection() is None


def joins_list(fixture: HubFixture, listener: Any, _: Receiver) -> None:
    fixture.hub.join_list(listener, 100, "1", caught_up=True)


def joins_task(fixture: HubFixture, listener: Any, _: Receiver) -> None:
    fixture.hub.join_task(listener, "t0", None, None, "1")


def is_shown_task(fixture: HubFixture, listener: Any, receiver: Receiver) -> None:
    # As a session does it: what is called with the answer refers to the connection.
    fixture.hub.show_task(listener, "t0", None, None, lambda answer: receiver.messages.append({}), "1")


@pytest.mark.parametrize("ask", [joins_list, joins_task, is_shown_task])
async def test_a_read_in_flight_keeps_nothing_of_a_connection_that_is_gone(ask: Any) -> None:
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        gate = asyncio.Event()
        fixture.gates.append(gate)
        left = Left(fixture, ask)
        await until(lambda: not fixture.gates)
        assert not left.is_freed

        left.leave()

        assert left.is_freed
        gate.set()
        await settled()


async def test_a_list_that_waits_for_the_read_after_the_one_in_flight_keeps_nothing_either() -> None:
    async with running_hub([insert("t0")], [merged("t0", 1)], [merged("t0", 2)]) as fixture:
        fixture.write()
        gates = asyncio.Event(), asyncio.Event()
        for gate in gates:  # as many reads of a list as may be in flight, and both are outdated
            fixture.gates.append(gate)
            fixture.hub.join_list(fixture.listener(), 100, None, caught_up=True)
            await until(lambda: not fixture.gates)
            fixture.write()
        left = Left(fixture, joins_list)

        left.leave()

        assert left.is_freed
        for gate in gates:
            gate.set()
        await settled()


@pytest.mark.parametrize("subject", ["list", "task"])
async def test_a_connection_that_is_gone_is_not_kept_until_the_relay_has_caught_up_with_the_database(
    subject: str,
) -> None:
    def ask(fixture: HubFixture, listener: Any, _: Receiver) -> None:
        if subject == "list":
            fixture.hub.join_list(listener, 100, "1")
        else:
            fixture.hub.join_task(listener, "t0", 1, "1.abc", "1")

    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        fixture.database_at = Timestamp(99, 1)
        left = Left(fixture, ask)
        await settled()

        left.leave()

        assert left.is_freed


async def test_a_connection_that_is_gone_is_not_kept_until_its_list_is_read_again() -> None:
    async with running_hub([insert("t0")], [merged("t0", 1)]) as fixture:
        fixture.write()
        left = Left(fixture, joins_list)
        await settled()
        fixture.failures.append(ValueError("a document nobody can read"))
        fixture.lose_stream()
        await settled()

        left.leave()

        assert left.is_freed


async def test_a_change_that_a_read_in_flight_buffers_keeps_nothing_of_a_connection_it_was_sent_to() -> None:
    async with running_hub([insert("t0", 0)], [merged("t0", 1)]) as fixture:
        fixture.write()
        left = Left(fixture, joins_task)
        await settled()
        gate = asyncio.Event()
        fixture.gates.append(gate)
        fixture.hub.join_list(fixture.listener(), 100, None, caught_up=True)
        await until(lambda: not fixture.gates)
        fixture.write()

        left.leave()

        assert left.is_freed
        gate.set()
        await settled()


async def test_requests_that_are_withdrawn_during_a_read_do_not_add_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings: list[TaskReading] = []
    add = TaskReading.add

    def noted(self: TaskReading, request: Any) -> None:
        readings.append(self)
        add(self, request)

    monkeypatch.setattr(TaskReading, "add", noted)
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        listener, gate = fixture.listener(), asyncio.Event()
        fixture.gates.append(gate)
        for _ in range(100):
            fixture.hub.join_task(listener, "t0", None, None, None)
            fixture.hub.leave_task(listener, "t0")
        fixture.hub.join_task(listener, "t0", None, None, None)

        assert len(set(readings)) == 1
        assert len(readings[0].requests) == 1
        gate.set()
        await settled()


async def test_callers_that_give_up_waiting_for_a_position_do_not_add_up_while_it_does_not_move() -> None:
    position = StreamPosition()
    for _ in range(100):
        waiting = asyncio.ensure_future(position.reached(Timestamp(5, 1)))
        await settled()
        waiting.cancel()
        await asyncio.wait({waiting})

    assert not position._waiting


@pytest.mark.usefixtures("unhurried")
async def test_a_task_that_somebody_without_rights_asks_for_all_the_time_is_shown_to_one_with_rights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of mallory's reads has begun before alice asks again, so it does not look for what only she may see."""
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        receiver, gates, moments = Receiver(), [asyncio.Event() for _ in range(2)], [asyncio.Event()]
        fixture.gates += gates
        fixture.hub.join_task(fixture.listener("mallory"), "t0", None, None, None)
        await until(lambda: len(fixture.gates) == 1)
        fixture.hub.join_task(fixture.listener("alice", receiver), "t0", None, None, None)

        async def now() -> Timestamp:
            await moments[0].wait()
            return fixture.hub.position

        monkeypatch.setattr(fixture, "now", now)
        gates[0].set()  # neither of them is shown the task; both wait for the relay to have caught up
        await settled()
        fixture.hub.join_task(fixture.listener("mallory"), "t0", None, None, None)
        await until(lambda: not fixture.gates)
        moments[0].set()
        await until(lambda: bool(receiver.messages))  # although mallory's second read has not ended

        assert receiver.types() == ["task:state"]
        gates[1].set()
        await settled()


async def test_a_failed_read_for_nobody_is_not_tried_again() -> None:
    async with running_hub([insert("t0", 0)], [merged("t0", 1)]) as fixture:
        fixture.write()
        listener = fixture.listener()
        fixture.hub.join_task(listener, "t0", None, None, None)
        await settled()
        gate = asyncio.Event()
        fixture.gates.append(gate)
        fixture.failures += [Unavailable("away")] * 2
        fixture.lose_stream()
        await until(lambda: not fixture.gates)

        fixture.hub.leave(listener)
        gate.set()
        await settled()

        assert len(fixture.failures) == 1


async def test_a_list_that_nobody_waits_for_any_more_is_not_made() -> None:
    async with running_hub([insert("t0")]) as fixture:
        fixture.write()
        fixture.gates.append(gate := asyncio.Event())
        left = Left(fixture, joins_list)
        await settled()
        left.leave()
        gate.set()
        await settled()

        assert fixture.lists_read == 0
        assert not fixture.hub._registry.groups


async def test_a_request_that_shares_a_read_keeps_it() -> None:
    async with running_hub([insert("t0")]) as fixture:
        fixture.write()
        fixture.gates.append(gate := asyncio.Event())
        left = Left(fixture, joins_list)
        receiver = Receiver()
        joins_list(fixture, fixture.listener(receiver=receiver), receiver)
        await settled()
        left.leave()
        gate.set()

        await until(lambda: "dashboard:state" in receiver.types())
        assert fixture.lists_read == 1


async def test_of_lists_that_new_rights_replace_again_and_again_only_the_last_is_made() -> None:
    async with running_hub([insert("t0")]) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        joins_list(fixture, listener, receiver)
        await until(lambda: "dashboard:state" in receiver.types())
        gates = [asyncio.Event() for _ in range(8)]  # as many reads as may run at once
        fixture.gates += gates
        for number in range(100):
            other = fixture.listener(teams=[f"team {number}"])
            fixture.hub.change_rights(listener, other.keys, other.filter)
            await asyncio.sleep(0)
        for gate in gates:
            gate.set()

        await until(lambda: len(receiver.of("dashboard:state")) == 2)
        await settled()
        assert fixture.lists_read == 2
        assert set(fixture.hub._registry.groups) == {listener.keys}


async def test_a_change_that_was_sent_is_not_kept() -> None:
    """It may have megabytes, and the process looks for garbage seldom."""
    async with running_hub([insert("t0", 0)], [merged("t0", 1)]) as fixture:
        fixture.write()
        receiver = Receiver()
        joins_task(fixture, fixture.listener(receiver=receiver), receiver)
        await until(lambda: "task:state" in receiver.types())
        (step,) = fixture.steps_of([merged("t0", 1)])
        prepare = fixture.hub.prepare(step)
        assert prepare is not None
        prepare()
        frames = weakref.ref(step.prepared)

        fixture.hub.publish([step], fixture.model.batches[-1].position)
        del step, prepare

        assert "task:event_added" in receiver.types()
        assert frames() is None
