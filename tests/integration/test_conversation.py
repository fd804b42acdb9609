"""Handshakes, tokens and malformed requests get the documented answers from a real relay."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any

import orjson
import pytest
from support.relay_fixture import SOON_S, SocketClient, connected, running, settings_for, token
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


@pytest.fixture
def settings(mongo_url: str, database_name: str) -> Any:
    return settings_for(mongo_url, database_name)


def address(relay: Any, path: str = "/ws") -> str:
    return relay.url.replace("http", "ws", 1) + path


async def closing(socket: Any) -> tuple[int, str]:
    """The code and reason with which the server closes this connection, whatever it sends before."""
    try:
        while True:
            await SocketClient(socket).next()
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, closed.rcvd.reason


async def test_a_browser_offers_its_token_as_a_subprotocol_and_never_gets_it_back(settings: Any) -> None:
    async with running(settings) as relay:
        offer: Any = ["relay.v1", f"bearer.{token('alice')}"]
        async with connect(address(relay), subprotocols=offer, proxy=None) as socket:
            assert socket.subprotocol == "relay.v1"
            welcome = (await SocketClient(socket).next())["data"]
    assert (welcome["sub"], welcome["protocol"]) == ("alice", 1)
    assert welcome["heartbeatMs"] == settings.relay_heartbeat_ms
    assert set(welcome["limits"]) == {"maxMessageBytes", "messagesPerSecond", "maxTasks"}


async def test_a_token_may_come_as_the_first_frame(settings: Any) -> None:
    async with running(settings) as relay, connect(address(relay), proxy=None) as socket:
        await SocketClient(socket).send("auth", {"token": token("alice")}, id="a")
        assert (await SocketClient(socket).next())["replyTo"] == "a"


@pytest.mark.parametrize("first", ['{"type": "ping"}', "nonsense", '{"type": "auth", "data": {}}'])
async def test_any_other_first_frame_is_refused(settings: Any, first: str) -> None:
    async with running(settings) as relay, connect(address(relay), proxy=None) as socket:
        await socket.send(first)
        assert await closing(socket) == (4401, "unauthenticated")


async def test_a_connection_without_a_first_frame_is_closed_in_time(
    mongo_url: str, database_name: str
) -> None:
    settings = settings_for(mongo_url, database_name, relay_auth_timeout_ms=100)
    async with running(settings) as relay, connect(address(relay), proxy=None) as socket:
        assert await closing(socket) == (4408, "auth_timeout")


@pytest.mark.parametrize(
    ("path", "headers", "ending"),
    [
        ("/ws", {"Authorization": "Bearer x.y.z"}, (4401, "unauthenticated")),
        ("/ws", {"Authorization": "Basic YTpi"}, (4500, "bad_handshake")),
        ("/ws?token=x", {}, (4500, "token_in_query")),
        ("/ws?access_token=x", {}, (4500, "token_in_query")),
        ("/ws/dashboard?limit=0", {}, (4500, "bad_handshake")),
        ("/ws/dashboard?limit=many", {}, (4500, "bad_handshake")),
        ("/ws/tasks/t?since=-1", {}, (4500, "bad_handshake")),
    ],
)
async def test_a_bad_handshake_is_closed_with_the_documented_code(
    settings: Any, path: str, headers: dict[str, str], ending: tuple[int, str]
) -> None:
    async with (
        running(settings) as relay,
        connect(address(relay, path), additional_headers=headers, proxy=None) as socket,
    ):
        assert await closing(socket) == ending


async def test_two_tokens_at_once_are_refused(settings: Any) -> None:
    async with running(settings) as relay:
        offer: Any = ["relay.v1", f"bearer.{token('alice')}"]
        headers = {"Authorization": f"Bearer {token('alice')}"}
        async with connect(
            address(relay), subprotocols=offer, additional_headers=headers, proxy=None
        ) as socket:
            assert await closing(socket) == (4500, "bad_handshake")


async def test_a_foreign_origin_gets_403_and_the_relays_own_is_accepted(settings: Any) -> None:
    async with running(settings) as relay:
        headers = {"Authorization": f"Bearer {token('alice')}"}
        for origin in ("https://evil.test", f"{relay.url}.evil.test", "null"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(address(relay), origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403
        async with connect(
            address(relay),
            origin=relay.url,  # type: ignore[arg-type]
            additional_headers=headers,
            proxy=None,
        ) as socket:
            assert (await SocketClient(socket).next())["type"] == "welcome"


async def test_the_expiry_of_a_token_is_announced_and_closes_the_connection(settings: Any) -> None:
    async with running(settings) as relay:
        async with connected(relay, ttl_s=25) as client:
            await client.until("auth:expiring")
        # A second client does not wait so long.
        headers = {"Authorization": f"Bearer {token('alice', ttl_s=2)}"}
        async with connect(address(relay), additional_headers=headers, proxy=None) as socket:
            assert await closing(socket) == (4401, "token_expired")


async def test_heartbeats_are_sent_without_a_request(mongo_url: str, database_name: str) -> None:
    settings = settings_for(mongo_url, database_name, relay_heartbeat_ms=300)
    async with running(settings) as relay, connected(relay) as client:
        await client.until("heartbeat")
        await client.until("heartbeat")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", "bad_message"),
        ("[]", "bad_message"),
        ("{}", "bad_message"),
        ('{"type": 5}', "bad_message"),
        ('{"type": "ping", "id": 5}', "bad_message"),
        ('{"type": "ping", "data": []}', "bad_message"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": "task:join"}', "bad_request"),
        ('{"type": "task:join", "data": {"taskId": {"$ne": null}}}', "bad_request"),
        ('{"type": "task:join", "data": {"taskId": null}}', "bad_request"),
        ('{"type": "task:join", "data": {"taskId": "t", "since": true}}', "bad_request"),
        ('{"type": "task:join", "data": {"taskId": "t", "since": 1, "head": 1}}', "bad_request"),
        ('{"type": "task:join", "data": {"tasks": [{"taskId": "t"}, 5]}}', "bad_request"),
        ('{"type": "task:join", "data": {"tasks": []}}', "bad_request"),
        ('{"type": "task:leave", "data": {}}', "bad_request"),
        ('{"type": "dashboard:join", "data": {"limit": 5001}}', "bad_request"),
        ('{"type": "resync_requested", "data": {"taskIds": "t"}}', "bad_request"),
        ("[" * 10_000, "bad_message"),
    ],
)
async def test_a_malformed_frame_gets_an_error_and_the_connection_stays_open(
    settings: Any, frame: str, code: str
) -> None:
    async with running(settings) as relay, connected(relay) as client:
        await client.socket.send(frame)
        error = await client.next()
        assert (error["type"], error["data"]["code"], error["data"]["temporary"]) == ("error", code, False)
        assert await client.quiet() == []


async def test_a_request_with_one_invalid_element_has_no_effect(settings: Any) -> None:
    async with running(settings) as relay, connected(relay) as client:
        await client.send("task:join", {"tasks": [{"taskId": "a"}, {"taskId": 5}]}, id="j")
        assert [(one["type"], one["replyTo"]) for one in await client.quiet()] == [("error", "j")]


async def test_a_binary_frame_and_one_that_is_too_long_close_the_connection(settings: Any) -> None:
    async with running(settings) as relay:
        async with connected(relay) as client:
            await client.socket.send(b"binary")
            assert (await closing(client.socket))[0] == 1003
        async with connected(relay) as client:
            await client.socket.send("x" * 65_537)
            assert (await closing(client.socket))[0] == 1009


@pytest.mark.usefixtures("standing_clock")
async def test_too_many_tasks_and_too_many_requests_are_refused_with_their_reason(
    mongo_url: str, database_name: str
) -> None:
    settings = settings_for(
        mongo_url, database_name, relay_max_tasks_per_connection=2, relay_messages_per_second=1
    )
    async with running(settings) as relay, connected(relay) as client:
        await client.send("task:join", {"tasks": [{"taskId": str(number)} for number in range(3)]})
        assert (await client.until("error"))["data"]["code"] == "too_many_tasks"
        for _ in range(2):
            await client.send("ping")
        error = (await client.until("error"))["data"]
        assert (error["code"], error["temporary"]) == ("rate_limited", True)
        assert error["retryAfterMs"] > 0
        for _ in range(100):
            await client.send("ping")
        code, reason = await closing(client.socket)
        assert code == 4429
        assert reason.startswith("rate_limited:")


async def test_a_stop_closes_each_connection_with_1001(settings: Any) -> None:
    async with running(settings) as relay:
        headers = {"Authorization": f"Bearer {token('alice')}"}
        async with connect(address(relay), additional_headers=headers, proxy=None) as socket:
            await SocketClient(socket).until("welcome")
            relay.stop()
            assert (await closing(socket))[0] == 1001


async def test_pages_of_an_allowed_origin_may_import_the_client(mongo_url: str, database_name: str) -> None:
    settings = settings_for(mongo_url, database_name, relay_allowed_origins="https://app.example.com")
    async with running(settings) as relay:
        for origin, allowed in (("https://app.example.com", True), ("https://evil.test", False)):
            request = urllib.request.Request(f"{relay.url}/client/index.js", headers={"Origin": origin})
            answer = await asyncio.to_thread(urllib.request.urlopen, request, timeout=SOON_S)
            with answer:
                assert (answer.headers["access-control-allow-origin"] == origin) is allowed
                assert "Origin" in answer.headers["vary"].split(", ") or not allowed


async def test_health_metrics_and_pages_are_served(settings: Any) -> None:
    def get(url: str) -> tuple[int, Any, bytes]:
        with urllib.request.urlopen(url, timeout=SOON_S) as answer:
            return answer.status, answer.headers, answer.read()

    async with running(settings) as relay, connected(relay):
        for path, part in [
            ("/healthz", b"alive"),
            ("/readyz", b'"ready":true'),
            ("/metrics", b"relay_connections 1.0"),
            ("/", b"<title>"),
            ("/client/index.js", b"export"),
            ("/view/index.js", b"stageOf"),
            ("/react/index.js", b"RelayProvider"),
        ]:
            status, headers, body = await asyncio.to_thread(get, relay.url + path)
            assert status == 200
            assert part in body
            assert "default-src 'none'" in headers["content-security-policy"]
        ready = orjson.loads((await asyncio.to_thread(get, relay.url + "/readyz"))[2])
        assert ready["stale"] is False
