"""Two relays that share counts keep the caps and the rate of a user together, as workers of one relay do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from support.hostile_client import bearer, ending_of, get
from support.polling_client import post
from support.raw_client import tcp_connection
from support.relay_fixture import connected, running, token
from support.relay_metrics import becomes

from relay.app import Place, Relay
from relay.auth.shared_counts import SharedCounts


@pytest.fixture
def two(with_: Any) -> Callable[..., Any]:
    @asynccontextmanager
    async def run(**given: Any) -> AsyncIterator[tuple[Relay, Relay]]:
        counts = SharedCounts.create(2, connections=20_000)
        counts.close()
        settings = with_(**given)
        places = [Place(counts=counts.worker(slot)) for slot in range(2)]
        async with running(settings, places[0]) as one, running(settings, places[1]) as other:
            yield one, other

    return run


@pytest.mark.parametrize(
    "cap", ["relay_max_connections", "relay_max_connections_per_address", "relay_max_connections_per_user"]
)
async def test_a_connection_above_a_cap_of_both_is_refused_until_one_of_them_ends(
    two: Callable[..., Any], cap: str
) -> None:
    # The HTTP protocol counts connections separately until they become WebSockets. That is not the subject here.
    async with two(**{cap: 2}) as (one, other), connected(one):
        async with connected(other):
            for relay in (one, other):
                assert await ending_of(relay.url, "/ws", bearer(token("alice"))) == (4430, "at_capacity")
                assert (await post(relay, {"dashboard": {}})).status == 429
        await becomes(other, "relay_connections ", lambda count: count == 0)
        async with connected(other):
            pass


@pytest.mark.parametrize("cap", ["relay_max_connections", "relay_max_connections_per_address"])
async def test_an_http_connection_above_a_cap_of_both_is_closed_until_one_of_them_ends(
    two: Callable[..., Any], cap: str
) -> None:
    async with two(**{cap: 3}) as (one, other), AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(tcp_connection(relay.url)) for relay in (one, one, other)]
        for peer in peers:
            peer.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await peer.answer())[0] == 200
        for relay in (one, other):
            async with tcp_connection(relay.url) as refused:
                assert await refused.reader.read() == b""
        peers[0].send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await peers[0].reader.read()
        assert (await get(f"{other.url}/healthz"))[0] == 200


@pytest.mark.usefixtures("standing_clock")
async def test_the_rate_of_polls_is_that_of_a_user_on_both(two: Callable[..., Any]) -> None:
    body = {"tasks": [{"taskId": "nothing"}]}
    async with two(relay_messages_per_second=1) as (one, other):
        statuses = [(await post(relay, body)).status for relay in (one, other, one, other, one)]
        assert statuses == [200] * 5
        for relay in (one, other):
            refused = await post(relay, body)
            assert (refused.status, refused.body["data"]["code"]) == (429, "rate_limited")
        assert (await post(other, body, sub="bob")).status == 200
        # A poll for many tasks costs more than a poll for one.
        many = {"tasks": [{"taskId": str(number)} for number in range(60)]}
        assert (await post(one, many, sub="carol")).status == 200
        assert (await post(other, body, sub="carol")).body["data"]["retryAfterMs"] > 1000


@pytest.mark.usefixtures("standing_clock")
async def test_the_connections_of_a_user_share_its_rate_on_both(two: Callable[..., Any]) -> None:
    async with (
        two(relay_messages_per_second=1) as (one, other),
        connected(one) as first,
        connected(other) as second,
        connected(other, "/ws/dashboard?limit=1500") as third,  # 1 + 3 requests: more than are left
    ):
        await third.until("dashboard:state")
        for client in (first, second):
            await client.send("dashboard:join")
            await client.until("error", code="rate_limited")
        for relay in (one, other):
            assert (await ending_of(relay.url, "/ws", bearer(token("alice"))))[0] == 4429
