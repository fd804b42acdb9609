"""The metrics of a relay while it serves: what it is asked, what it sends, and how long that takes."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from typing import Any

import pytest
from support.polling_client import post
from support.relay_fixture import SOON_S, connected, running, token
from support.relay_metrics import becomes, metric
from websockets.asyncio.client import connect

FORGED = {"secret": "another secret that is long enough for HS256"}


async def test_deliveries_and_joins_are_measured(with_: Any, tasks: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
    async with running(with_()) as relay, connected(relay) as alice, connected(relay) as tab:
        # Given a user with two connections, one with the list and one with a task,
        await alice.send("dashboard:join")
        await alice.until("dashboard:state")
        await tab.send("task:join", {"taskId": "t"})
        await tab.until("task:state")
        assert await metric(relay, 'relay_join_seconds_count{what="list"}') == 1
        assert await metric(relay, 'relay_join_seconds_count{what="task"}') == 1
        assert await metric(relay, "relay_delivery_written_seconds_count") == 0
        sent = await metric(relay, "relay_bytes_sent_total")
        # when the task changes,
        tasks.update_one({"_id": "t"}, {"$push": {"events": {"type": "analysis_started"}}})
        await alice.until("dashboard:task_list_updated")
        await tab.until("task:event_added")
        # then it is measured how long that took, once for each change, and what was written.
        await becomes(relay, "relay_delivery_written_seconds_count", lambda count: count == 1)
        assert await metric(relay, "relay_delivery_queued_seconds_count") == 1
        assert 0 <= await metric(relay, "relay_delivery_queued_seconds_sum") < 30
        assert await metric(relay, "relay_bytes_sent_total") > sent
        # And it is known who is there, and how many there may be.
        assert await metric(relay, "relay_users") == 1
        assert await metric(relay, "relay_connections") == 2
        assert await metric(relay, "relay_connections_limit") == 3000
        assert await metric(relay, "relay_known_tasks") == 1
        assert await metric(relay, "relay_outbox_bytes") == 0
        assert await metric(relay, "relay_ready") == 1
        assert await metric(relay, "relay_stale") == 0
        assert await metric(relay, "relay_lag_seconds") < 30
        await becomes(relay, "relay_loop_delay_seconds_count", lambda count: count > 0)


async def test_requests_and_what_is_wrong_with_them_are_counted(with_: Any) -> None:
    async with running(with_()) as relay:
        async with connected(relay) as alice:
            await alice.send("ping")
            await alice.until("pong")
            for kind, data in (("ping", {}), ("dance", {}), ("task:join", {"taskId": "nobody's"})):
                await alice.send(kind, data)
            await alice.socket.send("no JSON")
            for _ in range(3):
                await alice.until("error")
            counts = {"ping": 2, "task:join": 1, "unknown": 2, "auth": 0}
            for type, count in counts.items():
                assert await metric(relay, f'relay_messages_received_total{{type="{type}"}}') == count
            for code in ("unknown_type", "bad_message", "forbidden"):
                assert await metric(relay, f'relay_errors_sent_total{{code="{code}"}}') == 1
            assert await metric(relay, 'relay_tokens_verified_total{result="ok"}') == 1

        # A token that is not valid is refused by every transport,
        headers = {"Authorization": f"Bearer {token('alice', **FORGED)}"}
        async with connect(
            relay.url.replace("http", "ws", 1) + "/ws",
            additional_headers=headers,
            proxy=None,
            open_timeout=SOON_S,
        ) as socket:
            await socket.wait_closed()
        assert (await post(relay, {"dashboard": {}}, **FORGED)).status == 401
        config = urllib.request.Request(f"{relay.url}/config", headers=headers)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            await asyncio.to_thread(urllib.request.urlopen, config)
        for transport in ("websocket", "poll", "config"):
            wanted = f'relay_refusals_total{{reason="unauthenticated",transport="{transport}"}}'
            assert await metric(relay, wanted) == 1
        assert await metric(relay, 'relay_tokens_verified_total{result="invalid"}') == 3
        # and a request without anything to ask for is an error, also if it is a poll.
        assert (await post(relay, {})).status == 400
        assert await metric(relay, 'relay_errors_sent_total{code="bad_request"}') == 1
        await becomes(relay, 'relay_closed_total{code="4401"}', lambda count: count == 1)
        await becomes(relay, "relay_connections", lambda count: count == 0)
        assert await metric(relay, "relay_users") == 0


async def test_clients_that_are_closed_for_a_reason_of_refusals_are_counted_as_such(with_: Any) -> None:
    wanted = with_()
    async with running(wanted, read=lambda: wanted) as relay:

        def refused(reason: str) -> float | None:
            labels = {"transport": "websocket", "reason": reason}
            return relay.metrics.registry.get_sample_value("relay_refusals_total", labels)

        async with connected(relay, sub="alice"), connected(relay, sub="bob") as bob, connected(relay):
            # Clients are closed because an operator disconnects them, because of a reload,
            assert relay.administration is not None
            assert await relay.administration.disconnect("bob") == {"disconnected": 1}
            await bob.socket.wait_closed()
            assert await relay.administration.disconnect("bob") == {"disconnected": 0}
            assert refused("disconnected") == 1
            wanted = with_(feature_websocket_users="carol", feature_websocket_percent=0)
            await relay.reload()
            assert refused("feature_disabled") == 2
            # and because the relay stops.
            async with connected(relay, sub="carol") as carol:
                relay.stop()
                await carol.socket.wait_closed()
                assert refused("restart") == 1
        assert refused("disconnected") == 1
        assert refused("feature_disabled") == 2
