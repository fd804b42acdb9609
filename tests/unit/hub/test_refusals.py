"""Refusals: when they are sent, and what keeps them from being sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from simulation.clock import VirtualLoop
from support.hub_in_memory import HubFixture, Receiver, running_hub, settled, until

from relay.hub.refusals import STEP_S, wait_s

AFTER_S = STEP_S / 2  # the reads are over by then, and the refusal is not due


def insert(task: str, *numbers: int) -> tuple[Any, ...]:
    return ("insert", task, [{"n": number} for number in numbers], "new")


class Slow(HubFixture):
    """A database whose reads take their time: longer if they compare the rights of a document."""

    slowness_s: float

    async def read_at(self, *args: Any, **options: Any) -> list[dict[str, Any]]:
        await asyncio.sleep(self.slowness_s)
        return await super().read_at(*args, **options)


def played(story: Any) -> None:
    """Run a story on a virtual clock."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(story)
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("asked_at", "now"), [(5.0, 5.0), (5.0, 5.01), (5.0, 5.0999), (5.0, 5.1), (5.0, 6.234)]
)
def test_a_request_is_refused_a_whole_number_of_steps_after_it_was_made(asked_at: float, now: float) -> None:
    wait = wait_s(asked_at, now)

    assert 0 < wait <= STEP_S
    steps = (now + wait - asked_at) / STEP_S
    assert steps == pytest.approx(round(steps))


@pytest.mark.parametrize("slowness_s", [0.0, 0.001, 0.02, 0.04])
@pytest.mark.parametrize("task", ["t0", "missing"])
def test_a_refusal_takes_the_same_time_however_long_the_reads_take(task: str, slowness_s: float) -> None:
    async def story() -> None:
        fixture = Slow([insert("t0", 0)])
        fixture.slowness_s = slowness_s
        async with fixture.hub:
            fixture.write()
            receiver, loop = Receiver(), asyncio.get_running_loop()
            fixture.hub.join_task(fixture.listener("mallory", receiver), task, None, None, "1")
            began = loop.time()
            while not receiver.messages:
                await asyncio.sleep(0.001)
            took = loop.time() - began

        assert took == pytest.approx(STEP_S, abs=0.0015)
        assert receiver.of("error")[0]["code"] == "forbidden"
        assert not fixture.read

    played(story())


@pytest.mark.parametrize("how", ["created", "new rights", "stream lost"])
def test_a_task_that_becomes_visible_before_its_refusal_is_sent_is_shown(how: str) -> None:
    """The list may show the task already, and a refusal after that would contradict the list."""

    async def story() -> None:
        fixture = HubFixture([insert("t0", 0)], [insert("t1", 0)])
        async with fixture.hub:
            fixture.write()
            receiver = Receiver()
            listener = fixture.listener("alice" if how != "new rights" else "mallory", receiver)
            fixture.hub.join_task(listener, "t1" if how != "new rights" else "t0", None, None, "1")
            await asyncio.sleep(AFTER_S)
            assert not receiver.messages

            if how == "created":
                fixture.write()
            elif how == "stream lost":
                fixture.lose_stream()
            else:
                alice = fixture.listener("alice")
                fixture.hub.change_rights(listener, alice.keys, alice.filter)
            await asyncio.sleep(3 * STEP_S)

        assert "error" not in receiver.types()
        assert receiver.of("task:state")

    played(story())


def test_a_task_that_appears_is_shown_although_another_document_of_its_id_is_deleted() -> None:
    """A taskId of 24 hexadecimal digits may stand for an ObjectId and for a string."""

    async def story() -> None:
        task = "0" * 24
        fixture = HubFixture([insert("t0", 0)])
        async with fixture.hub:
            fixture.write()
            receiver = Receiver()
            fixture.hub.join_task(fixture.listener(receiver=receiver), task, None, None, "1")
            await asyncio.sleep(AFTER_S)

            for write in (
                ("insert", ObjectId(task), [], "new"),
                ("insert", task, [], "new"),
                ("delete", task),
            ):
                fixture.write([write])
            await asyncio.sleep(3 * STEP_S)

        assert receiver.types() == ["task:state"]

    played(story())


def test_a_request_that_is_withdrawn_before_its_refusal_is_not_answered() -> None:
    async def story() -> None:
        fixture = HubFixture([insert("t0", 0)])
        async with fixture.hub:
            fixture.write()
            receiver = Receiver()
            listener = fixture.listener("mallory", receiver)
            fixture.hub.join_task(listener, "t0", None, None, "1")
            await asyncio.sleep(AFTER_S)

            fixture.hub.leave_task(listener, "t0")
            await asyncio.sleep(2 * STEP_S)

            assert receiver.messages == []
            assert not listener.tasks

    played(story())


def test_a_listener_that_joins_the_task_before_its_refusal_is_sent_stays_a_member() -> None:
    async def story() -> None:
        fixture = HubFixture([insert("t0", 0)], [insert("t1", 0)])
        async with fixture.hub:
            fixture.write()
            receiver = Receiver()
            listener = fixture.listener("alice", receiver)
            fixture.hub.join_task(listener, "t1", None, None, "1")
            await asyncio.sleep(AFTER_S)
            fixture.write()

            fixture.hub.join_task(listener, "t1", None, None, "2")
            await asyncio.sleep(3 * STEP_S)

            assert {frame["replyTo"] for frame in receiver.messages} == {"1", "2"}
            assert receiver.types() == ["task:state", "task:state"]
            assert fixture.hub.has_joined(listener, "t1")

    played(story())


def test_what_waits_for_its_refusal_is_forgotten_after_it() -> None:
    async def story() -> None:
        fixture = HubFixture([insert("t0", 0)])
        async with fixture.hub:
            fixture.write()
            listener = fixture.listener("mallory")
            fixture.hub.join_task(listener, "t0", None, None, "1")
            await asyncio.sleep(AFTER_S)
            (key,) = fixture._tasks
            assert fixture.hub.is_listened(key)

            await asyncio.sleep(STEP_S)

            assert not fixture.hub.is_listened(key)

    played(story())


async def test_a_stranger_who_asks_for_a_task_does_not_cost_its_subscribers_their_positions() -> None:
    """Who shares a read that does not look for it is read for again, and would be sent the whole timeline then."""
    async with running_hub([insert("t0", 0, 1, 2)]) as fixture:
        fixture.write()
        receiver = Receiver()
        alice = fixture.listener(receiver=receiver)
        fixture.hub.join_task(alice, "t0", None, None, "1")
        await until(lambda: "task:state" in receiver.types())
        (state,) = receiver.of("task:state")

        gate = asyncio.Event()
        fixture.gates.append(gate)
        fixture.hub.join_task(fixture.listener("mallory"), "t0", None, None, "1")
        await until(lambda: not fixture.gates)  # mallory's read has begun, and looks for what mallory may see
        fixture.hub.show_task(alice, "t0", state["next"], state["head"], lambda _: None, "2")
        await settled()
        gate.set()
        await until(lambda: len(receiver.of("task:state")) == 2)

        assert receiver.of("task:state")[1] == state | {"events": [], "from": 3, "reset": False}
