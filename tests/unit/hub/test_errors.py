"""An error of the relay concerns one listener: it gets an answer or the end of its connection, and no other one is
disturbed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.hub_in_memory import HubFixture, Receiver, running_hub, settled, until

from relay.errors import Unavailable
from relay.hub import driver
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.registry import Room


def insert(task: str, *numbers: int) -> tuple[Any, ...]:
    return ("insert", task, [{"n": number} for number in numbers], "new")


def push(task: str, number: int) -> tuple[Any, ...]:
    return ("push", task, [{"type": "log", "n": number}], None)


class Broken(Receiver):
    """A receiver that raises an exception when this method is called, from the moment when `breaks` is set."""

    def __init__(self, method: str, *, breaks: bool = True) -> None:
        super().__init__()
        self.breaks = breaks
        sound = getattr(self, method)

        def called(*args: Any) -> Any:
            if self.breaks:
                raise RuntimeError("a fault of the relay")
            return sound(*args)

        setattr(self, method, called)


def two(fixture: HubFixture, broken: Receiver) -> tuple[list[Listener], Receiver]:
    """A listener with this receiver and a sound one, which the hub serves after it; and the sound one's receiver."""
    sound = Receiver()
    return [fixture.listener(receiver=broken), fixture.listener(receiver=sound)], sound


# Reads.


@pytest.mark.parametrize("method", ["has_room", "answer"])
@pytest.mark.parametrize("subject", ["task", "list"])
async def test_a_listener_that_cannot_be_given_its_state_is_ended_and_others_of_the_read_are_given_theirs(
    subject: str, method: str
) -> None:
    async with running_hub([insert("t0", 0)], [push("t0", 1)]) as fixture:
        fixture.write()
        broken = Broken(method)
        listeners, sound = two(fixture, broken)
        for listener in listeners:
            if subject == "task":
                fixture.hub.join_task(listener, "t0", None, None, "1")
            else:
                fixture.hub.join_list(listener, 100, "1")
        await until(lambda: bool(sound.messages))
        assert broken.failed
        assert not sound.failed

        fixture.hub.leave(listeners[0])  # as its connection does when it has ended
        fixture.write()
        assert sound.types()[1] in ("task:event_added", "dashboard:task_list_updated")
        fixture.hub.leave(listeners[1])
        assert not fixture.hub.is_listened(b"")
        assert not fixture.hub._registry.rooms
        assert not fixture.hub._registry.groups


async def test_a_task_that_cannot_be_shown_is_unavailable_and_others_of_its_batch_are_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenRoom(Room):
        def __init__(self, key: bytes, id: str, *more: Any) -> None:
            if id == "t0":
                raise RuntimeError("a fault of the relay")
            super().__init__(key, id, *more)

    monkeypatch.setattr("relay.hub.driver.Room", BrokenRoom)
    monkeypatch.setattr("relay.hub.driver.RETRY_S", 0)
    async with running_hub([insert("t0", 0), insert("t1", 0)]) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        for number, task in enumerate(("t0", "t1")):
            fixture.hub.join_task(listener, task, None, None, str(number))
        await until(lambda: len(receiver.messages) == 2)

        answers = {message["replyTo"]: message for message in receiver.messages}
        assert answers["0"]["data"]["code"] == "unavailable"
        assert answers["1"]["type"] == "task:state"
    assert "a task could not be shown" in caplog.messages


async def test_a_member_whose_task_cannot_be_shown_is_brought_up_to_date_when_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.driver.RETRY_S", 0)
    async with running_hub([insert("t0", 0)], [push("t0", 1)], [push("t0", 2)]) as fixture:
        fixture.write()
        receiver = Receiver()
        fixture.hub.join_task(fixture.listener(receiver=receiver), "t0", None, None, "1")
        await until(lambda: bool(receiver.messages))
        failures = [RuntimeError("a fault of the relay")] * 3

        def replay(*args: Any) -> Any:
            if failures:
                raise failures.pop()
            return sound(*args)

        sound = driver.replay
        monkeypatch.setattr(driver, "replay", replay)
        fixture.lose_stream()
        await until(lambda: len(receiver.messages) == 2)
        fixture.write()

        assert [message["data"]["next"] for message in receiver.messages] == [1, 2, 3]
        assert not receiver.failed


@pytest.mark.parametrize("failure", [Unavailable, ValueError])
async def test_a_request_is_answered_although_the_relay_cannot_find_out_how_far_the_database_is(
    failure: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub([insert("t0", 0)]) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)

        async def now() -> Any:
            raise failure("played")

        monkeypatch.setattr(fixture, "now", now)
        fixture.hub.join_list(listener, 100, "1")
        fixture.hub.join_task(listener, "t0", 1, "1.abc", "2")
        await until(lambda: len(receiver.messages) == 2)

        assert [data["code"] for data in receiver.of("error")] == ["unavailable", "unavailable"]


async def test_a_request_that_shares_the_read_of_a_member_is_refused_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.hub.reads.RETRY_S", 0)
    async with running_hub([insert("t0", 0)], [push("t0", 1)]) as fixture:
        fixture.write()
        member, other, shown = Receiver(), Receiver(), list[str]()
        fixture.hub.join_task(fixture.listener(receiver=member), "t0", None, None, "1")
        fixture.hub.join_list(fixture.listener(receiver=member), 100, "2")
        await until(lambda: len(member.messages) == 2)
        gate, away = asyncio.Event(), asyncio.Event()
        fixture.gates += [gate, gate, away, away]
        fixture.failures += [Unavailable("away")] * 2
        fixture.lose_stream()  # reads the task and the list for the member until it can
        await until(lambda: len(fixture.gates) == 2)

        listener = fixture.listener(receiver=other)
        fixture.hub.show_task(listener, "t0", None, None, shown.append, "3")
        fixture.hub.join_task(listener, "t0", None, None, "4")
        fixture.hub.join_list(listener, 100, "5", caught_up=True)
        gate.set()
        await until(lambda: len(other.messages) == 2)

        assert shown == ["unavailable"]
        refused = {message["replyTo"]: message["data"]["code"] for message in other.messages}
        assert refused == {"4": "unavailable", "5": "unavailable"}
        away.set()
        await until(lambda: len(member.messages) == 4)
        await settled()
        assert len(other.messages) == 2


# Live messages.


async def test_a_receiver_that_fails_on_a_live_message_keeps_it_from_no_other() -> None:
    async with running_hub([insert("t0", 0)], [push("t0", 1)], [("delete", "t0")]) as fixture:
        fixture.write()
        broken = [Broken("send", breaks=False), Broken("answer", breaks=False)]
        sound = [Receiver() for _ in range(8)]  # before and after them, in whatever order the hub has
        for receiver in (*sound[:4], *broken, *sound[4:]):
            fixture.hub.join_task(fixture.listener(receiver=receiver), "t0", None, None, "1")
        await until(lambda: all(receiver.messages for receiver in sound))
        for one in broken:
            one.breaks = True

        fixture.write()
        fixture.write()

        kinds = [receiver.types() for receiver in sound]
        assert kinds == [["task:state", "task:event_added", "task:deleted"]] * len(sound)
        assert [receiver.failed for receiver in broken] == [True, True]
        assert not any(receiver.failed for receiver in sound)


async def test_a_receiver_that_fails_on_a_notice_keeps_it_from_no_other() -> None:
    async with running_hub() as fixture:
        broken, sound = Broken("answer"), [Receiver() for _ in range(8)]
        for receiver in (*sound[:4], broken, *sound[4:]):
            fixture.listener(receiver=receiver)

        fixture.hub.announce("stale", 5)

        assert [receiver.types() for receiver in sound] == [["stream:status"]] * len(sound)
        assert broken.failed


@pytest.mark.parametrize("method", ["for_room", "upserted"])
async def test_a_change_that_cannot_be_sent_brings_everybody_up_to_date(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writes = [push("t0", 1), ("fields", "t0", "merged", "alice"), push("t1", 1)]
    async with running_hub([insert("t0", 0), insert("t1", 0)], writes, [push("t1", 2)]) as fixture:
        fixture.write()
        receivers = [Receiver(), Receiver(), Receiver()]
        listeners = [fixture.listener(receiver=receiver) for receiver in receivers]
        fixture.hub.join_task(listeners[0], "t0", None, None, "1")
        fixture.hub.join_task(listeners[1], "t1", None, None, "1")
        fixture.hub.join_list(listeners[2], 100, "1")
        await until(lambda: all(receiver.messages for receiver in receivers))

        def fails(*_: Any) -> Any:
            raise RuntimeError("a fault of the relay")

        with monkeypatch.context() as fault:
            fault.setattr(StepFrames, method, fails)
            fixture.write()
        await until(lambda: len(receivers[2].of("dashboard:state")) == 2)
        await until(lambda: all(r.of("task:state")[-1]["next"] == 2 for r in receivers[:2]))
        fixture.write()

        rows = {row["taskId"]: row for row in receivers[2].of("dashboard:state")[-1]["tasks"]}
        assert rows["t0"]["status"] == "merged"
        assert receivers[1].of("task:event_added")[-1]["index"] == 2
    assert "a batch of changes could not be sent" in caplog.messages


async def test_a_list_update_that_cannot_be_sent_when_it_is_due_keeps_no_list_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writes = [[("fields", task, status, "alice") for task in ("t0", "t1")] for status in ("merged", "failed")]
    async with running_hub([insert("t0"), insert("t1")], *writes, list_interval_s=1.0) as fixture:
        fixture.write()
        receiver = Receiver()
        fixture.hub.join_list(fixture.listener(receiver=receiver), 100, "1")
        await until(lambda: bool(receiver.messages))
        fixture.write()
        fixture.write()  # these updates wait for the interval

        def fails(*_: Any) -> Any:
            monkeypatch.undo()
            raise RuntimeError("a fault of the relay")

        monkeypatch.setattr(StepFrames, "upserted", fails)
        await until(lambda: len(receiver.of("dashboard:state")) == 2)

        assert [row["status"] for row in receiver.of("dashboard:state")[1]["tasks"]] == ["failed", "failed"]
    assert "list updates could not be sent" in caplog.messages
