"""The rate of requests that cost reads is that of a user, over all connections and transports."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from support.hostile_client import bearer, ending_of
from support.polling_client import post
from support.relay_fixture import SocketClient, connected, running, token

pytestmark = pytest.mark.usefixtures("standing_clock")

RATE = 2  # a second, and at once four on a connection and ten for a user


async def joined(client: SocketClient, kind: str = "dashboard:join", **data: Any) -> dict[str, Any]:
    """Send a request and return the first message of its answer."""
    await client.send(kind, data, id=kind)
    while (frame := await client.next()).get("replyTo") != kind:
        pass
    return frame


async def used_up(*clients: SocketClient) -> int:
    """Ask for lists on these connections in turn until one is refused. Return how many were sent before."""
    sent = 0
    while True:
        answer = await joined(clients[sent % len(clients)], limit=1)
        if answer["type"] == "error":
            assert answer["data"]["code"] == "rate_limited"
            assert answer["data"]["retryAfterMs"] == 1000 / RATE
            return sent
        sent += 1


async def test_all_connections_and_polls_of_a_user_share_a_rate(tasks: Any, with_: Any) -> None:
    async with (
        running(with_(relay_messages_per_second=RATE)) as relay,
        AsyncExitStack() as stack,
        connected(relay, sub="bob") as bob,
    ):
        clients = [await stack.enter_async_context(connected(relay)) for _ in range(5)]
        sent = await used_up(*clients)
        # The handshakes of five connections count, too.
        assert sent == 5

        refused = await post(relay, {"dashboard": {}})
        assert (refused.status, refused.body["data"]["code"]) == (429, "rate_limited")
        code, reason = await ending_of(relay.url, "/ws/dashboard", bearer(token("alice")))
        assert code == 4429
        assert int(reason.removeprefix("rate_limited:")) > 1000
        # What costs no read goes on, and so does everybody else.
        assert (await joined(clients[-1], "ping"))["type"] == "pong"
        assert (await joined(bob))["type"] == "dashboard:state"
        assert (await post(relay, {"dashboard": {}}, sub="bob")).status == 200


async def test_what_the_address_of_a_connection_joins_counts_like_a_join(tasks: Any, with_: Any) -> None:
    async with running(with_(relay_messages_per_second=RATE)) as relay:
        async with connected(relay, "/ws/dashboard?limit=4500") as client:  # 1 + 9 requests
            await client.until("dashboard:state")
            assert await used_up(client) == 0
        async with connected(relay, "/ws/tasks/t", sub="bob") as bob:
            await bob.until("error")
            polls = 0
            while (await post(relay, {"tasks": [{"taskId": "t", "since": 0}]}, sub="bob")).status == 200:
                polls += 1
            assert polls == 8


async def test_a_token_with_other_rights_counts_like_a_join_of_the_list(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "teamId": "red"})
    red = {"token": token("alice", teams=["red"])}
    async with (
        running(with_(relay_messages_per_second=RATE)) as relay,
        connected(relay, "/ws/dashboard?limit=2500") as client,  # 1 + 5 requests
    ):
        await client.until("dashboard:state")
        assert (await joined(client, "auth", token=token("alice")))["type"] == "auth:ok"  # the same rights
        assert (await joined(client, "auth", **red))["type"] == "auth:ok"  # 5 requests
        shown = await client.until("dashboard:state")
        assert [task["taskId"] for task in shown["data"]["tasks"]] == ["t"]
        refused = await joined(client, "auth", token=token("alice"))
        assert (refused["type"], refused["data"]["code"]) == ("error", "rate_limited")
        # Nothing was done: the client still has the rights of its last token.
        tasks.update_one({"_id": "t"}, {"$set": {"title": "Red"}})
        await client.until("dashboard:task_list_updated", taskId="t")


async def test_a_token_with_other_rights_counts_for_the_tasks_that_are_read_again(
    tasks: Any, with_: Any
) -> None:
    async with running(with_(relay_messages_per_second=RATE)) as relay, connected(relay) as client:
        missing = [{"taskId": str(number)} for number in range(11)]
        await client.send("task:join", {"tasks": missing}, id="tasks")  # 2 requests, refused after 100 ms
        answer = await joined(client, "auth", token=token("alice", teams=["red"]))  # 2 more
        assert answer["type"] == "auth:ok"
        async with connected(relay) as other, connected(relay) as third:  # with the first, 3 handshakes
            assert await used_up(other, third) == 3


async def test_ten_tabs_that_come_back_at_once_are_not_refused(tasks: Any, with_: Any) -> None:
    async with running(with_(relay_messages_per_second=20)) as relay, AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(connected(relay, "/ws/dashboard")) for _ in range(10)]
        for tab in tabs:
            await tab.send(
                "task:join", {"tasks": [{"taskId": str(number)} for number in range(70)]}, id="tasks"
            )
        for tab in tabs:
            while sum(frame.get("replyTo") == "tasks" for frame in tab.frames) < 70:
                await tab.next()
            codes = {frame["data"]["code"] for frame in tab.frames if frame["type"] == "error"}
            assert codes == {"forbidden"}  # there are no such tasks
