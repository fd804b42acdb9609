"""What relay.client.testing offers beside what a real relay does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.client import Connected, ConnectionRefused, Disconnected, Message, connect
from relay.client.testing import FakeRelay, fake_relay, stages, until
from relay.tasks import mapping, scalars

NONE = "there is no task 't2'; the tasks are 't1'"
NO_FIELD = "a task has no field 'titel'; it has title, creator"
NO_TYPE = "an event needs a type, a string"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda fake: fake.push("t2", {"type": "note"}), NONE),
        (lambda fake: fake.push("t1", {"text": "Hello"}), NO_TYPE),
        (lambda fake: fake.push("t1", {"type": "note"}, titel="Two"), NO_FIELD),
        (lambda fake: fake.set("t2", title="Two"), NONE),
        (lambda fake: fake.set("t1", titel="Two"), NO_FIELD),
        (lambda fake: fake.remove("t2"), NONE),
        (lambda fake: fake.revoke("t2"), NONE),
        (lambda fake: fake.add({"taskId": "t1"}), "there is a task 't1' already"),
        (lambda fake: fake.add({"title": "No id"}), "a task needs a taskId, a string"),
        (lambda fake: fake.add({"taskId": "t3", "events": [{}]}), NO_TYPE),
        (lambda fake: fake.add({"taskId": "t3", "titel": "Three"}), NO_FIELD),
        (lambda fake: fake.fail(99), "from 1000 to 4999, not with 99"),
        (lambda fake: fake.fail_next_join("no"), "a join fails with one of bad_message, .*, not with no"),
        (lambda fake: fake_relay(me={"teams": ["red"]}), "a user needs a sub, a string"),
        (lambda fake: fake_relay().url, "a fake relay has an address inside `async with`"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong_and_changes_nothing(
    call: Callable[[FakeRelay], Any], text: str
) -> None:
    fake = fake_relay(tasks=[{"taskId": "t1", "title": "One"}])
    with pytest.raises(ValueError, match=text):
        call(fake)
    async with fake as relay:
        board = relay.join_dashboard()
        await until(relay, lambda: board.state == "ready")
        assert board.tasks == ({"taskId": "t1", "eventCount": 0, "title": "One"},)


async def test_a_program_reaches_it_by_its_address_and_is_its_user() -> None:
    fake = fake_relay(me={"sub": "alice", "teams": ["red"]})
    async with fake, connect(fake.url, "any") as relay:
        await until(relay, lambda: relay.me)
        assert relay.me == {"sub": ["alice"], "teams": ["red"]}


async def test_times_are_as_on_the_wire() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    fake = fake_relay(tasks=[{"taskId": "t1", "createdAt": at, "events": [{"type": "note", "at": at}]}])
    async with fake as relay:
        task = relay.join_task("t1")
        await until(relay, lambda: task.state == "ready")
        wire = "2026-05-01T12:00:00.000Z"
        assert task.events == [{"type": "note", "at": wire, "data": {"type": "note", "at": wire}}]
        assert task.task == {"taskId": "t1", "eventCount": 1, "createdAt": wire}


async def test_a_connection_that_fails_comes_back_and_a_token_that_is_refused_ends_the_iteration() -> None:
    fake = fake_relay()
    async with fake as relay:
        await until(relay, lambda: relay.me)
        fake.fail()
        items = [await anext(relay) for _ in range(2)]
        assert items == [Disconnected("internal error", 1011, 0.0), Connected(1)]
        fake.fail(4401)
        with pytest.raises(ConnectionRefused) as refused:
            await until(relay, lambda: False)
        assert (refused.value.code, refused.value.reason) == (4401, "unauthenticated")


async def test_a_join_that_fails_for_a_while_is_repeated_and_one_that_fails_for_good_ends() -> None:
    fake = fake_relay(tasks=[{"taskId": "t1"}])
    async with fake as relay:
        fake.fail_next_join("unavailable")
        board = relay.join_dashboard()
        await until(relay, lambda: board.state == "ready")
        fake.fail_next_join("forbidden")
        task = relay.join_task("t1")
        await until(relay, lambda: task.has_ended)
        assert task.state == "forbidden"


async def test_a_relay_that_is_stale_says_so_to_those_who_are_there_and_who_come() -> None:
    fake = fake_relay()
    async with fake as relay:
        await until(relay, lambda: relay.me)
        fake.stale(5_000)
        assert await anext(relay) == Message("stream:status", {"state": "stale", "lagMs": 5_000})
        async with fake.connect() as late:
            async for message in late.messages("stream:status"):
                assert message.data["state"] == "stale"
                break
        fake.live()
        assert await anext(relay) == Message("stream:status", {"state": "live", "lagMs": 0})


async def test_it_may_be_offline_at_first() -> None:
    fake = fake_relay()
    fake.offline()
    async with fake as relay:
        assert isinstance(await anext(relay), Disconnected)
        fake.online()
        assert await anext(relay) == Connected(2)


async def test_waiting_for_what_does_not_happen_ends() -> None:
    async with fake_relay() as relay:
        with pytest.raises(TimeoutError):
            await until(relay, lambda: False, within_s=0.01)


def test_it_has_the_default_mapping() -> None:
    assert stages.EVENT_TYPES == mapping.EVENT_TYPES
    assert stages.STATUSES == mapping.STATUSES
    for name in ("prOpened", "task:pr_opened", "PR-OPENED", "HTTPError", "task_", "-a-"):
        assert stages.snake(name) == scalars.snake(name)
