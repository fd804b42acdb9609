"""Hardening: only clients with a valid token, an allowed origin and a free place are served.

Each docstring begins with the rows of the security checklist (S1 to S38) that its test covers. Close codes and statuses
are those of PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import orjson
import pytest
from support.command_process import started
from support.hostile_client import bearer, ending_of, get, status_of, text_frame
from support.raw_client import CLOSE, PING, TEXT, frame, handshake, tcp_connection, upgraded
from support.relay_fixture import SECRET, SOON_S, connected, running, token
from support.relay_metrics import becomes, metric
from support.token_forgery import hmac_signed, jwk, jwks, segment, signed

from relay.app import Relay
from relay.auth.tokens import MAX_TOKEN_BYTES
from relay.errors import StartupError


async def test_only_pages_of_allowed_origins_connect(with_: Any) -> None:
    """S1: Origin exact; null, a longer host, another scheme or port, none but a cookie: 403, no upgrade."""
    allowed = "https://app.example.com"
    async with running(with_(relay_allowed_origins=allowed)) as relay:
        good = bearer(token("alice"))
        for origin in (
            *("https://app.example.com.evil.test", "https://evilapp.example.com", "null", "", "*"),
            *("http://app.example.com", "https://app.example.com:444", "https://app.example.com:443"),
            *("https://app.example.com/", "HTTPS://APP.EXAMPLE.COM", "https://app.example.com@evil.test"),
            *("https://app.example.com, https://evil.test", "https://app.example.com https://evil.test"),
        ):
            assert await status_of(relay.url, "/ws", f"Origin: {origin}", good) == 403, origin
            # An attacker's page would send the host that fits its origin.
            host = origin.partition("://")[2] or "x"
            assert await status_of(relay.url, "/ws", f"Origin: {origin}", good, host=host) == 403, origin
        for path in ("/ws/dashboard", "/ws/tasks/t"):
            assert await status_of(relay.url, path, "Origin: https://evil.test", good) == 403
        twice = (f"Origin: {allowed}", "Origin: https://evil.test")
        assert await status_of(relay.url, "/ws", *twice, good) != 101
        assert await status_of(relay.url, "/ws", f"Origin: {allowed}", good) == 101
        # Without an origin a cookie does not admit anybody either: the token decides.
        cookie = f"Cookie: token={token('alice')}; Authorization=Bearer {token('alice')}"
        async with upgraded(relay.url, "/ws", cookie, sub=None) as peer:
            peer.send(text_frame("ping"))
            assert await peer.ending() == 4401


def test_a_token_in_the_query_is_refused_and_no_token_is_logged(environment: dict[str, str]) -> None:
    """S2: a token in the query: 4500 token_in_query. No part of the JWT is in any log line."""

    async def offer(url: str, text: str) -> None:
        for name in ("token", "access_token", "jwt", "tok%65n"):
            for path in ("/ws", "/ws/dashboard", "/ws/tasks/t"):
                assert await ending_of(url, f"{path}?{name}={text}") == (4500, "token_in_query")
            # Also beside a valid token in a header, and where there is no endpoint.
            assert (await ending_of(url, f"/ws?{name}={text}", bearer(text)))[0] == 4500
            assert (await get(f"{url}/config?{name}={text}"))[0] == 401
            assert await status_of(url, f"/nowhere?{name}={text}") == 404
        for headers in ([bearer(text)], [f"Sec-WebSocket-Protocol: relay.v1, bearer.{text}"]):
            async with upgraded(url, "/ws", *headers, sub=None) as peer:
                assert b'"welcome"' in (await peer.frame())[1]
                peer.send(text_frame("auth", {"token": text}), text_frame(text), frame(3))
                await peer.ending()
        for broken in (text + "x", text[1:], f"{text}.{text}"):
            assert (await ending_of(url, "/ws", bearer(broken)))[0] == 4401
        async with upgraded(url, sub=None) as peer:
            peer.send(text_frame("auth", {"token": text}), frame(TEXT, text.encode()))
            peer.send(frame(CLOSE, b"\x0f\xa0" + text[:120].encode()))
            await peer.ending()

    text = token("alice")
    with started("serve", until="listening on", **environment) as (process, before):
        url = re.search(r"http://\S+", before)
        assert url is not None
        asyncio.run(offer(url[0], text))
        process.send_signal(signal.SIGTERM)
        logged = before + process.printed()
        assert process.wait(SOON_S) == 0
    assert "following the change stream" in logged
    for part in (*text.split("."), SECRET):
        assert part not in logged


async def test_a_token_among_the_subprotocols_is_never_sent_back(with_: Any) -> None:
    """S3: relay.v1, bearer.<token>: no response contains the token. One that is too long gets 431 or 4401."""
    async with running(with_()) as relay:
        text = token("alice")
        for offer, chosen in (
            (f"relay.v1, bearer.{text}", b"relay.v1"),
            (f"bearer.{text}, relay.v1", b"relay.v1"),
            (f"bearer.{text}", None),
            (f"relay.v2, bearer.{text}", None),
        ):
            async with tcp_connection(relay.url) as peer:
                peer.send(handshake("/ws", f"Sec-WebSocket-Protocol: {offer}"))
                status, head_ = await peer.answer()
                found = re.search(rb"(?i)sec-websocket-protocol: (.*)\r", head_)
                assert (status, found and found[1]) == (101, chosen)
                assert text.encode() not in head_
        for size, ending in ((MAX_TOKEN_BYTES, (4401, "unauthenticated")), (40_000, None)):
            long = token("alice", padding="x" * size)
            for header in (bearer(long), f"Sec-WebSocket-Protocol: relay.v1, bearer.{long}"):
                if ending is None:
                    assert await status_of(relay.url, "/ws", header) == 431
                else:
                    assert await ending_of(relay.url, "/ws", header) == ending
        # A token of 9 KB is accepted, in a first frame as well. There a longer one than permitted is refused.
        async with upgraded(relay.url, "/ws", bearer(token("alice", padding="x" * 9_000)), sub=None) as peer:
            assert b'"welcome"' in (await peer.frame())[1]
        async with upgraded(relay.url, sub=None) as peer:
            peer.send(text_frame("auth", {"token": token("alice", padding="x" * 9_000)}))
            assert b'"welcome"' in (await peer.frame())[1]
        async with upgraded(relay.url, sub=None) as peer:
            peer.send(text_frame("auth", {"token": token("alice", padding="x" * MAX_TOKEN_BYTES)}))
            assert await peer.ending() == 4401


async def test_a_connection_without_a_token_is_closed_in_time(with_: Any) -> None:
    """S4: silence; 1 byte at a time; a first message of 100 KB: closed in time, and no task was joined."""
    async with (
        running(with_(relay_auth_timeout_ms=400)) as relay,
        upgraded(relay.url, "/ws/tasks/t", sub=None) as silent,
        upgraded(relay.url, "/ws/dashboard", sub=None) as dripping,
        upgraded(relay.url, sub=None) as pinging,
    ):
        drip = asyncio.create_task(dripping.drip(frame(TEXT, b"x" * 60_000), 0.02))
        pinging.send(frame(PING, b"still here"))
        assert await metric(relay, "relay_rooms ") == 0
        assert [await one.ending() for one in (silent, dripping, pinging)] == [4408] * 3
        assert not drip.done()  # it would have dripped for twenty minutes
        drip.cancel()
    async with running(with_()) as relay, upgraded(relay.url, sub=None) as peer:
        peer.send(frame(TEXT, b"x" * 100_000))
        assert await peer.ending() == 1009


def forged() -> list[Any]:
    header, claims = {"alg": "HS256", "typ": "JWT"}, {"sub": "alice", "exp": int(time.time()) + 600}
    good = hmac_signed(header, claims, SECRET)
    unsigned = ".".join(good.split(".")[:2])
    none = f"{segment({'alg': 'none'})}.{segment(claims)}"
    twice = '{"sub":"a","sub":"b","exp":9999999999}'
    deep = '{"sub":"a","exp":9999999999,"x":' + "[" * 2_000 + "]" * 2_000 + "}"
    return [
        pytest.param(f"{none}.", id="S6 alg none"),
        pytest.param(f"{unsigned}.", id="S6 no signature"),
        pytest.param(signed(claims, "RSA", "RS256"), id="S7 RS256 where HS256 is configured"),
        pytest.param(hmac_signed({**header, "jwk": jwk("RSA")}, claims, ""), id="S9 a key inside the token"),
        pytest.param(hmac_signed({**header, "kid": "../../dev/null"}, claims, ""), id="S9 kid is a path"),
        pytest.param(hmac_signed({**header, "kid": None}, claims, SECRET), id="S9 kid is null"),
        pytest.param(hmac_signed(header, {"sub": "alice"}, SECRET), id="S11 no exp"),
        pytest.param(hmac_signed(header, {**claims, "exp": "9999999999"}, SECRET), id="S11 exp as a string"),
        pytest.param(hmac_signed(header, {**claims, "sub": ""}, SECRET), id="S11 empty sub"),
        pytest.param(hmac_signed(header, {**claims, "nbf": 9e9}, SECRET), id="S11 not yet valid"),
        pytest.param(hmac_signed({**header, "crit": ["x"], "x": 1}, claims, SECRET), id="S12 crit"),
        pytest.param(hmac_signed(header, twice, SECRET), id="S13 sub twice"),
        pytest.param(hmac_signed(header, deep, SECRET), id="S13 deep"),
    ]


@pytest.mark.parametrize("text", forged())
async def test_a_forged_token_is_refused_everywhere(with_: Any, text: str) -> None:
    """S6, S7, S9, S11, S12, S13: in a header, a subprotocol, a first frame, a refresh, for /config: 4401 or 401."""
    async with running(with_()) as relay:
        assert await ending_of(relay.url, "/ws", bearer(text)) == (4401, "unauthenticated")
        offer = f"Sec-WebSocket-Protocol: relay.v1, bearer.{text}"
        assert await ending_of(relay.url, "/ws/dashboard", offer) == (4401, "unauthenticated")
        for sub in (None, "alice"):
            async with upgraded(relay.url, sub=sub) as peer:
                peer.send(text_frame("auth", {"token": text}))
                assert await peer.ending() == 4401
        status, _, body = await get(f"{relay.url}/config", Authorization=f"Bearer {text}")
        assert (status, text.encode() in body) == (401, False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"relay_jwt_algorithms": "HS256,RS256"}, "RELAY_JWT_ALGORITHMS: must name some of"),
        ({"relay_jwt_algorithms": "none"}, "RELAY_JWT_ALGORITHMS: must name some of"),
        ({"relay_jwt_algorithms": "RS256"}, "RELAY_JWT_ALGORITHMS: must name some of"),
        ({"relay_jwt_secret": "12345"}, "RELAY_JWT_SECRET: must be at least 32 bytes long"),
        ({"relay_jwks_url": "http://id.example.com/keys"}, "RELAY_JWKS_URL: must begin with https://"),
        ({"relay_jwks_url": "file:///etc/passwd"}, "RELAY_JWKS_URL: must"),
    ],
)
def test_a_relay_with_unusable_keys_does_not_start(with_: Any, given: Any, says: str) -> None:
    """S8, S10: HS256 with RS256, a secret of 5 bytes, keys from file:// or over plain HTTP: no start."""
    with pytest.raises(StartupError) as failure:
        with_(**given)
    assert str(failure.value).startswith(says)
    assert "12345" not in str(failure.value)


@pytest.mark.parametrize(
    "answer", ["302 Found\r\nLocation: http://127.0.0.1:{port}/keys", "500 Sorry", "200 OK"]
)
async def test_keys_are_fetched_only_from_the_configured_address_and_within_a_size(
    monkeypatch: pytest.MonkeyPatch, with_: Any, answer: str
) -> None:
    """S10: a redirect, status 500, a body that is too long: no keys. Clients get 1011, and /readyz answers 503."""
    monkeypatch.setattr("relay.app.FIRST_KEYS_S", 0.2)
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        keys = jwks(jwk("RSA", "one"))
        body = keys if asked[-1] == b"/keys" else b" " * 300_000 + keys
        writer.write(f"HTTP/1.1 {answer.format(port=port)}\r\n\r\n".encode() + body)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as issuer:
        port = issuer.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/jwks"
        async with running(with_(relay_jwt_secret=None, relay_jwks_url=url)) as relay:
            text = signed({"sub": "alice", "exp": time.time() + 60}, "RSA", "RS256", kid="one")
            assert await ending_of(relay.url, "/ws", bearer(text)) == (1011, "keys_unavailable")
            assert (await get(f"{relay.url}/readyz"))[0] == 503
    assert set(asked) == {b"/jwks"}


async def test_a_connection_ends_when_its_token_expires(tasks: Any, with_: Any) -> None:
    """S14: no data after `exp`; a refreshed connection goes on; a token of another sub: error forbidden."""
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running(with_()))
        ends = int(time.time()) + 5
        short = hmac_signed({"alg": "HS256"}, {"sub": "alice", "exp": ends}, SECRET)
        one, other = [
            await stack.enter_async_context(upgraded(relay.url, "/ws/tasks/t", bearer(short), sub=None))
            for _ in range(2)
        ]
        other.send(text_frame("auth", {"token": token("mallory")}))
        other.send(text_frame("auth", {"token": token("alice")}))
        # When changes are written until both tokens have expired,
        ended = asyncio.create_task(one.ending())
        written = 0
        while not ended.done():
            await asyncio.to_thread(tasks.update_one, {"_id": "t"}, {"$push": {"events": written}})
            written += 1
        # then the connection that was not refreshed was closed then and not before,
        assert (ended.result(), 0 <= time.time() - ends < SOON_S) == (4401, True)
        assert await ending_of(relay.url, "/ws", bearer(short)) == (4401, "token_expired")
        # and the refreshed one receives the next event, and was refused the token of another user.
        tasks.update_one({"_id": "t"}, {"$push": {"events": "the last"}})
        received = []
        while not received or received[-1]["data"].get("event", {}).get("data") != "the last":
            received.append(json.loads((await other.frame())[1]))
        assert {"auth:ok", "error"} <= {one["type"] for one in received}
        assert [one["data"]["code"] for one in received if one["type"] == "error"] == ["forbidden"]


@pytest.mark.parametrize(
    ("cap", "other"),
    [
        ("relay_max_connections", None),
        ("relay_max_connections_per_address", None),
        ("relay_max_connections_per_user", "bob"),
    ],
)
async def test_a_connection_above_a_cap_is_refused_until_another_ends(
    with_: Any, cap: str, other: str | None
) -> None:
    """S24: above the cap in total, of an address, or of a user: 4430, until another connection ends."""
    async with running(with_(**{cap: 3}, relay_auth_timeout_ms=300)) as relay:
        for _ in range(3):
            async with connected(relay), connected(relay), connected(relay) as last:
                for path in ("/ws", "/ws/dashboard"):
                    assert await ending_of(relay.url, path, bearer(token("alice"))) == (4430, "at_capacity")
                if other is not None:
                    async with connected(relay, sub=other):
                        pass
                await last.socket.close()
                await becomes(relay, "relay_connections ", lambda count: count == 2)
                async with connected(relay) as client:
                    assert await client.quiet() == []
            await becomes(relay, "relay_connections ", lambda count: count == 0)
        # Connections that never send a token, send nonsense, or are cut no longer count either.
        for ends in (frame(TEXT, b"x"), frame(3), b""):
            async with AsyncExitStack() as stack:
                for _ in range(3):
                    peer = await stack.enter_async_context(upgraded(relay.url, sub=None))
                    peer.send(ends)
                assert await peer.ending() is not None
        await becomes(relay, "relay_connections ", lambda count: count == 0)
        async with connected(relay), connected(relay), connected(relay):
            pass


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(with_: Any) -> None:
    """S28: X-Forwarded-For from any peer: the peer's address counts; from a trusted proxy: the client's. Settings
    that trust every address are refused."""

    async def come_in(relay: Relay, *addresses: str) -> str:
        """Keep a connection open for each of these forwarded addresses. Return "welcome", or why one was refused."""
        async with AsyncExitStack() as stack:
            for one in addresses:
                headers = [f"X-Forwarded-For: {one}", f"Forwarded: for={one}", f"X-Real-IP: {one}"]
                peer = await stack.enter_async_context(upgraded(relay.url, "/ws", *headers))
                opcode, payload = await peer.frame()
                if opcode == CLOSE:
                    return payload[2:].decode()
        await becomes(relay, "relay_connections ", lambda count: count == 0)
        return "welcome"

    many = [f"1.2.3.{last}" for last in range(4)]
    async with running(with_(relay_max_connections_per_address=2)) as relay:
        assert await come_in(relay, *many) == "at_capacity"
    settings = with_(relay_max_connections_per_address=2, relay_trusted_proxies="127.0.0.1")
    async with running(settings) as relay:
        assert await come_in(relay, *many) == "welcome"
        assert await come_in(relay, *[f"{one}, 9.9.9.9" for one in many]) == "at_capacity"
    for everyone in ("*", "0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0"):
        with pytest.raises(StartupError, match="RELAY_TRUSTED_PROXIES"):
            with_(relay_trusted_proxies=everyone)


async def test_a_user_outside_the_rollout_is_refused_with_its_reason(with_: Any) -> None:
    settings = with_(feature_websocket_percent=0, feature_websocket_users="alice")
    async with running(settings) as relay:
        for sub, is_in in (("alice", True), ("bob", False), ("Alice", False), (" alice", False)):
            text = token(sub)
            status, headers, body = await get(f"{relay.url}/config", Authorization=f"Bearer {text}")
            assert (status, json.loads(body)["enabled"]) == (200, is_in)
            assert headers["cache-control"] == "no-cache"
            if is_in:
                async with connected(relay, sub=sub):
                    pass
                continue
            for path in ("/ws", "/ws/dashboard", "/ws/tasks/t"):
                assert await ending_of(relay.url, path, bearer(text)) == (4502, "feature_disabled")
            async with upgraded(relay.url, sub=None) as peer:
                peer.send(text_frame("auth", {"token": text}))
                assert await peer.ending() == 4502
    async with running(with_(feature_websocket_enabled=False, feature_websocket_users="alice")) as relay:
        assert await ending_of(relay.url, "/ws", bearer(token("alice"))) == (4502, "feature_disabled")


async def test_only_pages_of_allowed_origins_may_read_responses(with_: Any) -> None:
    allowed = "https://app.example.com"
    async with running(with_(relay_allowed_origins=allowed)) as relay:
        ask = {
            "Access_Control_Request_Method": "GET",
            "Access_Control_Request_Headers": "authorization",
        }
        for origin, may in ((allowed, True), ("https://app.example.com.evil.test", False), ("null", False)):
            status, headers, _ = await get(f"{relay.url}/config", "OPTIONS", Origin=origin, **ask)
            assert (status == 200) is may
            assert headers["access-control-allow-origin"] == (origin if may else None)
            assert headers["access-control-allow-credentials"] is None
            assert "Origin" in headers["vary"]
            # Pages of other origins may read this one response, which tells them what is wrong, and no other.
            for how, expected in (({"Authorization": f"Bearer {token('a')}"}, 200), ({}, 401)):
                status, headers, body = await get(f"{relay.url}/config", Origin=origin, **how)
                assert status == (expected if may else 403)
                assert headers["access-control-allow-origin"] == (origin if may else "*")
                assert "Origin" in headers["vary"]
                if not may:
                    assert orjson.loads(body)["data"] == {
                        "code": "forbidden",
                        "message": "origin_not_allowed",
                        "temporary": False,
                    }
            for path in ("/client/index.js", "/schema.json", "/healthz", "/", "/poll", "/nowhere"):
                _, headers, _ = await get(f"{relay.url}{path}", Origin=origin)
                assert headers["access-control-allow-origin"] == (origin if may else None), path
        for method in ("POST", "PUT", "DELETE", "TRACE", "PATCH"):
            assert (await get(f"{relay.url}/config", method))[0] in (400, 405)
