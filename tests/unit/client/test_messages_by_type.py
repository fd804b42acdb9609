"""Callbacks and iterations of the Python client for one type of message, and messages that only a newer relay knows."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from support.fake_relay import FakeRelay, FakeTime, close

from relay.client import Client, Message


def client_of(relay: FakeRelay) -> Client:
    time = FakeTime()
    return Client(relay.url, "t0ken", clock=time.clock, sleep=time.sleep, random=lambda: 0.5)


async def until(client: Client, wanted: str) -> Message:
    async for item in client:
        if isinstance(item, Message) and item.type == wanted:
            return item
    raise AssertionError(f"the client ended before {wanted}")


async def test_a_callback_of_one_type_is_called_after_the_views_show_the_message() -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay) as client:
        task = client.join_task("t1")
        called: list[Any] = []
        client.on("task:event_added", lambda data, message: called.append((data["index"], len(task.events))))
        client.on("task:failed", lambda data, message: called.append("failed"))
        await until(client, "task:state")
        await relay.append("t1", {"type": "note"})
        await until(client, "task:event_added")
        assert called == [(0, 1)]


async def test_a_removed_callback_is_not_called_and_one_added_twice_is_called_twice() -> None:
    async with FakeRelay() as relay, client_of(relay) as client:
        await until(client, "welcome")
        called: list[str] = []
        removals = [client.on("task:failed", lambda data, _: called.append(data["taskId"])) for _ in range(2)]
        await relay.send("task:failed", {"taskId": "1"})
        await until(client, "task:failed")
        removals[0]()
        removals[0]()
        await relay.send("task:failed", {"taskId": "2"})
        await until(client, "task:failed")
        assert called == ["1", "1", "2"]


async def test_an_error_of_a_callback_ends_the_iteration_which_can_be_continued() -> None:
    async with FakeRelay() as relay, client_of(relay) as client:
        await until(client, "welcome")
        remove = client.on("task:failed", lambda data, message: int("x"))
        await relay.send("task:failed", {"taskId": "1"})
        await relay.send("task:failed", {"taskId": "2"})
        with pytest.raises(ValueError, match="invalid literal"):
            await client.run()
        remove()
        assert (await until(client, "task:failed")).data == {"taskId": "2"}


async def test_a_coroutine_function_is_refused_because_nobody_would_await_it() -> None:
    async def show(data: Any, message: Any) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="coroutine function"):
        Client("http://relay", "t0ken").on("task:failed", show)  # type: ignore[arg-type]


async def test_what_cannot_be_called_is_refused_when_it_is_added() -> None:
    with pytest.raises(TypeError, match="has to be callable, and None is not"):
        Client("http://relay", "t0ken").on("task:failed", None)  # type: ignore[call-overload]


async def test_iterating_over_one_type_passes_over_everything_else_and_ends_with_the_client() -> None:
    async with FakeRelay({}, close(1000, after=4)) as relay, client_of(relay) as client:
        client.join_dashboard()
        messages = client.messages("task:failed")
        first = asyncio.ensure_future(anext(messages))
        await relay.has_received("dashboard:join")
        await relay.send("task:failed", {"taskId": "1", "error": "no disk"})
        assert (await first).data.get("error") == "no disk"
        await relay.send("task:created", {"taskId": "2"})
        assert [message.type async for message in messages] == []


async def test_a_second_task_that_iterates_is_refused_because_it_would_take_items_of_the_first() -> None:
    async with FakeRelay() as relay, client_of(relay) as client:
        await until(client, "welcome")
        messages = client.messages("task:failed")
        first = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task iterates"):
            await anext(client)
        await relay.send("task:failed", {"taskId": "1"})
        assert (await first).data["taskId"] == "1"
        # A task that stopped waiting is no longer in the way.
        waiting = asyncio.ensure_future(anext(client))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await relay.send("task:failed", {"taskId": "2"})
        assert (await until(client, "task:failed")).data["taskId"] == "2"


async def test_a_message_that_only_a_newer_relay_knows_reaches_those_who_ask_for_it() -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay) as client:
        task = client.join_task("t1")
        await until(client, "task:state")
        called: list[Any] = []
        cast(Any, client).on("task:reopened", lambda data, message: called.append(data))
        await relay.send("task:reopened", {"taskId": "t1", "by": ["bob"]})
        await relay.append("t1", {"type": "note"})
        await until(client, "task:event_added")
        assert called == [{"taskId": "t1", "by": ["bob"]}]
        assert (task.state, len(task.events)) == ("ready", 1)
