"""The log has one line for each connection that was opened, closed or refused, and for each refused request."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.hostile_client import bearer, ending_of, get, status_of, text_frame
from support.log_lines import JSON, lines_of, logged, matching
from support.polling_client import post
from support.raw_client import CLOSE, TEXT, Peer, frame, handshake, tcp_connection, upgraded
from support.relay_fixture import SECRET, SOON_S, token
from support.worker_processes import workers

from relay.auth.refusal_log import LINES_PER_NAME

FOREIGN = "https://evil.test"
SETTINGS = {
    **JSON,
    "RELAY_LOG_LEVEL": "DEBUG",
    "RELAY_DRAIN_MS": "0",
    "RELAY_MAX_CONNECTIONS_PER_USER": "3",
    "FEATURE_WEBSOCKET_PERCENT": "0",
    "FEATURE_WEBSOCKET_USERS": "alice,bob,crowd",
}


async def welcome(peer: Peer) -> dict[str, Any]:
    opcode, payload = await peer.frame()
    assert opcode == TEXT
    read: dict[str, Any] = orjson.loads(payload)
    assert read["type"] == "welcome"
    data: dict[str, Any] = read["data"]
    return data


@pytest.mark.parametrize("count", [1, 2])
async def test_an_admitted_client_gets_a_line_when_it_comes_and_one_when_it_goes(
    good: dict[str, str], tmp_path: Path, count: int
) -> None:
    async with workers(tmp_path, "--workers", str(count), **good | SETTINGS) as relay:
        text = token("alice")
        # Given a client for each way to send a token,
        for place, headers in (
            ("header", [bearer(text)]),
            ("subprotocol", [f"Sec-WebSocket-Protocol: relay.v1, bearer.{text}"]),
            ("message", []),
        ):
            path = f"/ws/tasks/{place}"
            async with upgraded(relay.url, f"{path}?since=0", *headers, sub=None) as peer:
                if place == "message":
                    peer.send(text_frame("auth", {"token": text}))
                id = (await welcome(peer))["connectionId"]
                line = await logged(relay, "connection opened", id=id, token=place)
                assert (line["user"], line["address"], line["path"]) == ("alice", "127.0.0.1", path)
                assert ("waitedMs" in line) == (place == "message")
                assert ("worker" in line) == (count > 1)
                peer.send(text_frame("ping"), frame(CLOSE, (4000).to_bytes(2, "big") + b"enough"))
                await peer.ending()
            # when it closes, then the line says who did, how, and how much was said.
            line = await logged(relay, "connection closed", id=id)
            assert (line["user"], line["code"], line["reason"]) == ("alice", 4000, "enough")
            assert (line["closedBy"], line["messagesIn"]) == ("client", 2 if place == "message" else 1)
            assert line["messagesOut"] >= 1
            assert line["seconds"] >= 0
        # A client that is cut off leaves without a close frame,
        async with upgraded(relay.url) as peer:
            id = (await welcome(peer))["connectionId"]
        line = await logged(relay, "connection closed", id=id)
        assert (line["code"], line["closedBy"]) == (1006, "client")
        # one that breaks the rules, and one that is there at the end, are closed by the relay.
        async with upgraded(relay.url) as breaking, upgraded(relay.url, sub="bob") as staying:
            broke, stayed = [(await welcome(one))["connectionId"] for one in (breaking, staying)]
            breaking.send(frame(2, b"binary"))
            assert await breaking.ending() == 1003
            line = await logged(relay, "connection closed", id=broke)
            assert (line["code"], line["closedBy"]) == (1003, "relay")
            relay.process.send_signal(signal.SIGTERM)
            assert await staying.ending() == 1001
            line = await logged(relay, "connection closed", id=stayed)
            assert (line["user"], line["reason"], line["closedBy"]) == ("bob", "restart", "relay")
        assert await asyncio.to_thread(relay.process.wait, SOON_S) == 0


@dataclass(frozen=True)
class Case:
    """A client that is refused: what it does at the relay's address, and what the line about it says."""

    name: str
    visit: Callable[[str], Awaitable[object]]
    says: dict[str, Any]
    event: str = "connection refused"


async def _invalid_first_message(url: str) -> None:
    async with upgraded(url, sub=None) as peer:
        peer.send(text_frame("ping"))
        assert await peer.ending() == 4401


async def _first_message_with(url: str, text: str) -> None:
    async with upgraded(url, "/ws/dashboard", sub=None) as peer:
        peer.send(text_frame("auth", {"token": text}))
        assert await peer.ending() == 4401


async def _fourth_connection(url: str) -> None:
    async with (
        upgraded(url, sub="crowd") as one,
        upgraded(url, sub="crowd") as two,
        upgraded(url, sub="crowd") as three,
    ):
        for peer in (one, two, three):
            await welcome(peer)
        assert await ending_of(url, "/ws", bearer(token("crowd"))) == (4430, "at_capacity")


async def _sent(url: str, data: bytes, status: int) -> None:
    async with tcp_connection(url) as peer:
        peer.send(data)
        assert (await peer.answer())[0] == status


async def _left(url: str) -> None:
    async with upgraded(url, "/ws", sub=None):
        pass


CASES = [
    Case(
        "no token in the first message", _invalid_first_message, {"code": 4401, "reason": "unauthenticated"}
    ),
    Case(
        "an expired token",
        lambda url: ending_of(url, "/ws/dashboard", bearer(token("alice", ttl_s=-60))),
        {"code": 4401, "reason": "token_expired", "user": "alice", "path": "/ws/dashboard", "detail": ...},
    ),
    Case(
        "an expired token in a message",
        lambda url: _first_message_with(url, token("bob", ttl_s=-60)),
        {"code": 4401, "reason": "token_expired", "user": "bob", "path": "/ws/dashboard"},
    ),
    Case(
        "a token of another secret",
        lambda url: ending_of(url, "/ws", bearer(token("mallory", secret="x" * 40))),
        {"code": 4401, "detail": "was signed with another key than the relay has", "path": "/ws"},
    ),
    Case(
        "a token in the query",
        lambda url: ending_of(url, f"/ws?token={token('alice')}"),
        {"code": 4500, "reason": "token_in_query"},
    ),
    Case(
        "outside the rollout",
        lambda url: ending_of(url, "/ws", bearer(token("zoe"))),
        {"code": 4502, "reason": "feature_disabled", "user": "zoe"},
    ),
    Case("too many of a user", _fourth_connection, {"code": 4430, "user": "crowd", "detail": ...}),
    Case(
        "a foreign origin",
        lambda url: status_of(url, "/ws", f"Origin: {FOREIGN}", bearer(token("alice"))),
        {"status": 403, "reason": "origin_not_allowed", "origin": FOREIGN, "path": "/ws"},
    ),
    Case("no endpoint", lambda url: status_of(url, "/wss"), {"status": 404, "path": "/wss"}),
    Case(
        "no valid handshake",
        lambda url: _sent(url, handshake().replace(b"Version: 13", b"Version: 8"), 400),
        {"status": 400, "reason": "invalid_handshake"},
        "request refused",
    ),
    Case(
        "no HTTP",
        lambda url: _sent(url, b"\x16\x03\x01 hello\r\n\r\n", 400),
        {"status": 400, "reason": "invalid_request"},
        "request refused",
    ),
    Case(
        "a head that is too large",
        lambda url: _sent(url, b"GET / HTTP/1.1\r\nCookie: " + b"x" * 40_000, 431),
        {"status": 431, "reason": "too_large"},
        "request refused",
    ),
    Case(
        "a poll without a token",
        lambda url: post(url, {}, sub=None),
        {"status": 401, "path": "/poll", "reason": "unauthenticated"},
        "request refused",
    ),
    Case(
        "a poll of nonsense",
        lambda url: post(url, {"tasks": 7}, sub="bob"),
        {"status": 400, "path": "/poll", "user": "bob"},
        "request refused",
    ),
    Case(
        "a poll of a foreign page",
        lambda url: post(url, {}, f"Origin: {FOREIGN}"),
        {"status": 403, "path": "/poll", "origin": FOREIGN},
        "request refused",
    ),
    Case(
        "a configuration for an expired token",
        lambda url: get(f"{url}/config", Authorization=f"Bearer {token('bob', ttl_s=-60)}"),
        {"status": 401, "path": "/config", "user": "bob", "reason": "token_expired"},
        "request refused",
    ),
    Case("gone before a token", _left, {"code": 1006, "path": "/ws"}, "connection left without a token"),
]


@pytest.mark.parametrize("count", [1, 2])
async def test_each_refusal_has_a_line_that_says_who_where_and_why(
    good: dict[str, str], tmp_path: Path, count: int
) -> None:
    async with workers(tmp_path, "--workers", str(count), **good | SETTINGS) as relay:
        for case in CASES:
            await case.visit(relay.url)
            line = await logged(relay, case.event, **case.says)
            assert (line["level"], line["address"]) == ("info", "127.0.0.1"), case.name
            assert ("user" in line) == ("user" in case.says), case.name
            assert ("worker" in line) == (count > 1), case.name


async def test_a_stranger_cannot_fill_the_log_and_what_is_missing_is_counted(
    good: dict[str, str], tmp_path: Path
) -> None:
    visits = LINES_PER_NAME + 30
    # All of it is within one window, however long it takes.
    async with workers(
        tmp_path, patches={"relay.auth.refusal_log.WINDOW_S": 600}, **good | SETTINGS
    ) as relay:
        # Given a stranger who comes again and again, and a user whose token has expired,
        for _ in range(visits):
            await ending_of(relay.url, "/ws", bearer("none"))
        await ending_of(relay.url, "/ws", bearer(token("alice", ttl_s=-60)))
        # then the lines about the stranger end, that about the user is there, and those of admitted users, too.
        await logged(relay, "connection refused", user="alice")
        async with upgraded(relay.url) as peer:
            id = (await welcome(peer))["connectionId"]
        await logged(relay, "connection closed", id=id)
        assert await relay.end() == 0
    lines = lines_of(relay.said())
    assert len(matching(lines, "connection refused", detail=...)) == LINES_PER_NAME + 1
    (missing,) = matching(lines, "refusals were not logged, because there were too many")
    assert missing["lines"] == visits - LINES_PER_NAME


async def test_polls_are_logged_at_debug(good: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **good | SETTINGS) as relay:
        answer = await post(relay.url, {"dashboard": {}}, sub="bob")
        assert answer.status == 200
        line = await logged(relay, "poll answered", user="bob")
        assert (line["level"], line["status"], line["address"]) == ("debug", 200, "127.0.0.1")


@pytest.mark.parametrize("format", ["json", "console"])
async def test_no_token_no_query_and_no_document_is_in_any_line(
    good: dict[str, str], tmp_path: Path, tasks: Any, format: str
) -> None:
    """A token where it belongs, where it does not belong, and a part of one; a query; a document, live and read."""
    text = token("alice")
    secret = "confidential-title-of-a-task"
    tasks.insert_one({"_id": "t1", "title": secret, "createdBy": "alice", "events": [{"type": secret}]})
    given = good | SETTINGS | {"RELAY_LOG_FORMAT": format, "RELAY_MAX_CONNECTIONS_PER_USER": "50"}
    async with workers(tmp_path, **given) as relay:
        header, payload, signature = text.split(".")
        parts = (text, text[1:], f"{header}.{payload}", f"{payload}.{signature}", text[:100], text[7:])
        for part in parts:
            for path in (
                f"/ws/{part}",
                f"/ws/tasks/{part}",
                f"/ws?q={part}",
                f"/ws/tasks/{part}?token={part}",
            ):
                for headers in ([bearer(text)], [bearer(part)], [f"Sec-WebSocket-Protocol: bearer.{part}"]):
                    async with tcp_connection(relay.url) as peer:
                        peer.send(handshake(path, *headers, f"Origin: {relay.url}"))
                        if (await peer.answer())[0] == 101:
                            peer.send(text_frame("auth", {"token": part}), text_frame(part))
                            peer.send(text_frame("task:join", {"taskId": part}))
                            peer.send(frame(CLOSE, b"\x0f\xa0" + part[:120].encode()))
                            await peer.ending()
            await status_of(relay.url, "/ws", f"Origin: https://{part}.test")
            await get(f"{relay.url}/config?{part}", Authorization=f"Bearer {part}")
            await post(relay.url, {"tasks": [{"taskId": part}]}, path=f"/poll?token={part}")
            await post(relay.url, part.encode(), sub=None)
        # A member of the task, who reads it, and is sent what happens.
        async with upgraded(relay.url, "/ws/tasks/t1?since=0&head=hidden-query") as peer:
            tasks.update_one({"_id": "t1"}, {"$push": {"events": {"type": secret, "message": secret}}})
            while secret.encode() not in (await peer.frame())[1]:
                pass
        assert await relay.end() == 0
    said = relay.said()
    assert said.count("connection opened") >= len(parts)
    assert said.count("connection refused") >= 10
    for hidden in (header, payload, signature, payload[8:], text[:100], SECRET, secret, "hidden-query"):
        assert hidden not in said
