"""The Python client when a message was lost on the way, or came twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.fake_relay import FakeRelay, event, position

from relay.client import connect

HELD, LIVE = [event("a"), event("b")], event("c")


async def followed(change: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """The events that a client shows after this change of the relay, and the joins that it sent."""
    async with (
        FakeRelay({"t1": list(HELD)}) as relay,
        connect(relay.url, "token") as client,
        asyncio.timeout(30),
    ):
        task = client.join_task("t1")
        async for _ in client:
            if task.events == HELD:
                break
        await change(relay)
        async for _ in client:
            if len(task.events) == len(relay.tasks["t1"]):
                return task.events, [frame["data"]["tasks"][0] for frame in relay.received]
    raise AssertionError("the client has ended")


@pytest.mark.parametrize("index", [1, 3])
async def test_an_event_that_is_not_the_next_one_is_not_applied_and_the_task_joined_again(index: int) -> None:
    async def change(relay: FakeRelay) -> None:
        relay.tasks["t1"] += [LIVE, event("d")]
        wrong = {"taskId": "t1", "index": index, "event": event("wrong"), "next": index + 1, "head": "1.x"}
        await relay.send("task:event_added", wrong)

    events, (first, again) = await followed(change)
    assert events == [*HELD, LIVE, event("d")]
    held = position(HELD)
    assert (first, again) == ({"taskId": "t1"}, {"taskId": "t1", "since": held["next"], "head": held["head"]})


async def test_a_state_that_does_not_continue_is_not_applied_and_the_task_joined_from_its_beginning() -> None:
    async def change(relay: FakeRelay) -> None:
        relay.tasks["t1"] += [LIVE]
        page = {"taskId": "t1", "task": {}, "events": [LIVE], "from": 7, "reset": False, "more": False}
        await relay.send("task:state", page | {"next": 8, "head": "1.x"})

    events, (_, again) = await followed(change)
    assert events == [*HELD, LIVE]
    assert again == {"taskId": "t1"}
