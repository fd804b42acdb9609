"""The security checklist S1 to S38, row by row, against a real relay on a real mongod.

Each test begins with the rows it shows, as the relay answers them: the codes are those of PROTOCOL.md.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import gc
import json
import logging
import os
import re
import signal
import statistics
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import ObjectId
from integration.test_commands import Process, started
from integration.test_sockets import becomes, metric, reading_slowly
from packaging.version import Version
from pymongo import MongoClient, UpdateOne
from pymongo.errors import OperationFailure
from support.raw_client import BINARY, CLOSE, CONT, PING, TEXT, calling, frame, handshake, upgraded
from support.relay_fixture import SECRET, SOON_S, Ear, listening, running, settings_for, token
from support.token_forgery import hmac_signed, jwk, jwks, segment, signed

from relay.app import Relay
from relay.auth.tokens import MAX_TOKEN_BYTES
from relay.cli.demo import mongod as embedded
from relay.errors import StartupError
from relay.gateway import session
from relay.gateway.http import CONTENT_SECURITY_POLICY
from relay.gateway.websocket.connection import MAX_FRAGMENTS, Wire

ROWS = range(1, 39)
NOT_OURS = {
    5: "There are no one-time tickets: a connection brings its JWT.",
    18: "There is no list of users to disable one in: rights are those of a token, which ends with its "
    "connection, and of the documents (S14, S17). Keep tokens short.",
    34: "There is no broker: instances share nothing but the database.",
}


def test_every_row_of_the_checklist_is_shown_or_does_not_apply() -> None:
    tested: set[int] = set()
    for node in ast.parse(Path(__file__).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            rows = re.match(r"(S\d+(?:, S\d+)*):", ast.get_docstring(node) or "")
            tested |= {int(row) for row in re.findall(r"S(\d+)", rows[1])} if rows else set()
    assert not tested & NOT_OURS.keys()
    assert tested | NOT_OURS.keys() == {*ROWS}


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


@pytest.fixture
def with_(mongo_url: str, database_name: str) -> Callable[..., Any]:
    """The settings of a relay for this test."""
    return lambda **given: settings_for(mongo_url, database_name, **given)


@pytest.fixture
def environment(mongo_url: str, database_name: str) -> dict[str, str]:
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_LOG_LEVEL": "DEBUG",
    }


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


async def get(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    def ask() -> tuple[int, Any, bytes]:
        request = urllib.request.Request(
            url, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=SOON_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    return await asyncio.to_thread(ask)


async def status_of(url: str, path: str, *headers: str, host: str = "x") -> int:
    async with calling(url) as peer:
        peer.send(handshake(path, *headers, host=host))
        return (await peer.answer())[0]


async def ending_of(url: str, path: str = "/ws", *headers: str) -> tuple[int, str]:
    """How the relay closes a connection that was begun like this."""
    async with upgraded(url, path, *headers, sub=None) as peer:
        while True:
            opcode, payload = await peer.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()
            assert json.loads(payload)["type"] != "welcome"


def text_frame(kind: str, data: Any = None, **more: Any) -> bytes:
    return frame(TEXT, orjson.dumps({"type": kind, "data": data or {}, **more}))


# Who may come in.


async def test_only_pages_of_listed_origins_connect(with_: Any) -> None:
    """S1: Origin exact; null, a longer host, another scheme or port, missing with a cookie: 403, no upgrade."""
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
            # A host that fits the origin is what the attacker's page would send.
            host = origin.partition("://")[2] or "x"
            assert await status_of(relay.url, "/ws", f"Origin: {origin}", good, host=host) == 403, origin
        for path in ("/ws/dashboard", "/ws/tasks/t"):
            assert await status_of(relay.url, path, "Origin: https://evil.test", good) == 403
        twice = (f"Origin: {allowed}", "Origin: https://evil.test")
        assert await status_of(relay.url, "/ws", *twice, good) != 101
        assert await status_of(relay.url, "/ws", f"Origin: {allowed}", good) == 101
        # Without an origin nobody is let in by a cookie either: the token decides.
        cookie = f"Cookie: token={token('alice')}; Authorization=Bearer {token('alice')}"
        async with upgraded(relay.url, "/ws", cookie, sub=None) as peer:
            peer.send(text_frame("ping"))
            assert await peer.ending() == 4401


def test_a_token_in_the_address_is_refused_and_no_token_is_logged(environment: dict[str, str]) -> None:
    """S2: a token in the query string: 4500 token_in_query; grep all logs for the JWT: 0 hits."""

    async def offer(url: str, text: str) -> None:
        for name in ("token", "access_token", "jwt", "tok%65n"):
            for path in ("/ws", "/ws/dashboard", "/ws/tasks/t"):
                assert await ending_of(url, f"{path}?{name}={text}") == (4500, "token_in_query")
            # Also beside a token that would do, and where no one looks.
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


async def test_a_token_among_the_subprotocols_never_comes_back(with_: Any) -> None:
    """S3: relay.v1, bearer.J: the response never contains J; one that is too long gets a clean 431 or 4401."""
    async with running(with_()) as relay:
        text = token("alice")
        for offer, chosen in (
            (f"relay.v1, bearer.{text}", b"relay.v1"),
            (f"bearer.{text}, relay.v1", b"relay.v1"),
            (f"bearer.{text}", None),
            (f"relay.v2, bearer.{text}", None),
        ):
            async with calling(relay.url) as peer:
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
        # One of 9 KB is as good as any, in a first frame too; there one past the bound is refused.
        async with upgraded(relay.url, "/ws", bearer(token("alice", padding="x" * 9_000)), sub=None) as peer:
            assert b'"welcome"' in (await peer.frame())[1]
        async with upgraded(relay.url, sub=None) as peer:
            peer.send(text_frame("auth", {"token": token("alice", padding="x" * 9_000)}))
            assert b'"welcome"' in (await peer.frame())[1]
        async with upgraded(relay.url, sub=None) as peer:
            peer.send(text_frame("auth", {"token": token("alice", padding="x" * MAX_TOKEN_BYTES)}))
            assert await peer.ending() == 4401


async def test_a_connection_says_in_time_who_it_is(with_: Any) -> None:
    """S4: silence; 1 byte at a time; a first message of 100 KB: closed in time, no room is there."""
    async with running(with_(relay_auth_timeout_ms=400)) as relay:
        began = time.monotonic()
        async with (
            upgraded(relay.url, "/ws/tasks/t", sub=None) as silent,
            upgraded(relay.url, "/ws/dashboard", sub=None) as dripping,
            upgraded(relay.url, sub=None) as pinging,
        ):
            drip = asyncio.create_task(dripping.drip(frame(TEXT, b"x" * 60_000), 0.02))
            pinging.send(frame(PING, b"still here"))
            assert await metric(relay, "relay_rooms ") == 0
            assert [await one.ending() for one in (silent, dripping, pinging)] == [4408] * 3
            drip.cancel()
        assert time.monotonic() - began < 5
        async with upgraded(relay.url, sub=None) as peer:
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
        pytest.param(signed(claims, "RSA", "RS256"), id="S7 RS256 where HS256 is set"),
        pytest.param(hmac_signed({**header, "jwk": jwk("RSA")}, claims, ""), id="S9 a key of its own"),
        pytest.param(hmac_signed({**header, "kid": "../../dev/null"}, claims, ""), id="S9 kid is a path"),
        pytest.param(hmac_signed({**header, "kid": None}, claims, SECRET), id="S9 kid is null"),
        pytest.param(hmac_signed(header, {"sub": "alice"}, SECRET), id="S11 no exp"),
        pytest.param(hmac_signed(header, {**claims, "exp": "9999999999"}, SECRET), id="S11 exp as text"),
        pytest.param(hmac_signed(header, {**claims, "sub": ""}, SECRET), id="S11 empty sub"),
        pytest.param(hmac_signed(header, {**claims, "nbf": 9e9}, SECRET), id="S11 not yet"),
        pytest.param(hmac_signed({**header, "crit": ["x"], "x": 1}, claims, SECRET), id="S12 crit"),
        pytest.param(hmac_signed(header, twice, SECRET), id="S13 sub twice"),
        pytest.param(hmac_signed(header, deep, SECRET), id="S13 deep"),
    ]


@pytest.mark.parametrize("text", forged())
async def test_a_forged_token_opens_no_way_in(with_: Any, text: str) -> None:
    """S6, S7, S9, S11, S12, S13: by header, subprotocol, first frame, refresh and for /config: 4401 or 401."""
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
def test_a_relay_with_keys_that_do_not_do_does_not_start(with_: Any, given: Any, says: str) -> None:
    """S8, S10: HS256 with RS256, a secret of 5 bytes, keys from file:// or in the clear: no start."""
    with pytest.raises(StartupError) as failure:
        with_(**given)
    assert str(failure.value).startswith(says)
    assert "12345" not in str(failure.value)


@pytest.mark.parametrize(
    "answer", ["302 Found\r\nLocation: http://127.0.0.1:{port}/keys", "500 Sorry", "200 OK"]
)
async def test_keys_come_from_where_they_were_set_and_in_a_bearable_size(
    monkeypatch: pytest.MonkeyPatch, with_: Any, answer: str
) -> None:
    """S10: a redirect, 500, a body without end: no keys; clients shall come back (1011), /readyz says 503."""
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


async def test_a_connection_ends_with_its_token(tasks: Any, with_: Any) -> None:
    """S14: no data after exp; an in-band refresh goes on; another sub: error forbidden."""
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    ends = int(time.time()) + 2
    short = hmac_signed({"alg": "HS256"}, {"sub": "alice", "exp": ends}, SECRET)
    async with (
        running(with_()) as relay,
        upgraded(relay.url, "/ws/tasks/t", bearer(short), sub=None) as one,
        upgraded(relay.url, "/ws/tasks/t", bearer(short), sub=None) as other,
    ):
        other.send(text_frame("auth", {"token": token("mallory")}))
        other.send(text_frame("auth", {"token": token("alice")}))
        # When somebody writes all the time until both tokens have ended,
        ended = asyncio.create_task(one.ending())
        written = 0
        while not ended.done():
            await asyncio.to_thread(tasks.update_one, {"_id": "t"}, {"$push": {"events": written}})
            written += 1
        # then the one was closed in time,
        assert (ended.result(), 0 <= time.time() - ends < 2) == (4401, True)
        assert await ending_of(relay.url, "/ws", bearer(short)) == (4401, "token_expired")
        # and the other hears the next event, and was told that it stays who it is.
        tasks.update_one({"_id": "t"}, {"$push": {"events": "the last"}})
        heard = []
        while not heard or heard[-1]["data"].get("event", {}).get("data") != "the last":
            heard.append(json.loads((await other.frame())[1]))
        assert {"auth:ok", "error"} <= {one["type"] for one in heard}
        assert [one["data"]["code"] for one in heard if one["type"] == "error"] == ["forbidden"]


# What one may see.

NO_IDS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    ["t"],
    None,
    5,
    True,
]
STRANGE_IDS = [
    '{"$ne":null}',
    '{"$gt":""}',
    '{"$regularExpression":{"pattern":".*","options":""}}',
    '{"$oid":"65f0c0ffee65f0c0ffee65f0"}',
    '{"$or":[{}]}',
    '{"$where":"1"}',
    '{"a":{"$gt":1}}',
    "65f0c0ffee65f0c0ffee65f0",
    "65F0C0FFEE65F0C0FFEE65F0",
    "true",
    "null",
    "t\0",
    "../t",
    "' || 1==1",
    "*",
    "\u202et",
    "",
    "x" * 10_240,
]


async def test_a_foreign_task_and_none_are_not_told_apart(tasks: Any, with_: Any) -> None:
    """S15: another user's id and one that does not exist: same answer, about the same time; ids that
    want to be queries: bad_request or forbidden."""
    tasks.insert_many([{"_id": "foreign", "createdBy": "bob"}, {"_id": ObjectId("65f0c0ffee" * 2 + "65f0")}])
    async with running(with_()) as relay, listening(relay) as ear:
        answers: dict[str, Any] = {}
        took: dict[str, list[float]] = {"foreign": [], "nowhere": []}
        for _ in range(15):
            for name, times in took.items():
                began = time.perf_counter()
                await ear.send("task:join", {"taskId": name}, id="i")
                answers[name] = orjson.dumps(await ear.next()).replace(name.encode(), b"NAME")
                times.append(time.perf_counter() - began)
        assert answers["foreign"] == answers["nowhere"]
        # One tick of the stream for both. The shortest, because a busy machine makes any single one longer.
        foreign, nowhere = (min(times) for times in took.values())
        assert abs(foreign - nowhere) < 0.05
        await ear.send("resync_requested", {"taskIds": ["foreign", "nowhere"]})
        done = (await ear.until("resync:done"))["data"]
        assert sorted(done["forbidden"]) == ["foreign", "nowhere"]

        for name in NO_IDS:
            for kind, data in (
                ("task:join", {"taskId": name}),
                ("task:join", {"tasks": [{"taskId": name}]}),
                ("task:leave", {"taskId": name}),
                ("resync_requested", {"taskIds": [name]}),
            ):
                await ear.send(kind, data)
                assert (await ear.next())["data"]["code"] == "bad_request", (kind, name)
        for name in STRANGE_IDS:
            await ear.send("task:join", {"taskId": name})
        refused = [await ear.next() for _ in STRANGE_IDS]
        assert {frame["data"]["code"] for frame in refused} == {"forbidden"}
        assert sorted(frame["data"]["taskId"] for frame in refused) == sorted(STRANGE_IDS)


async def test_who_resumes_is_asked_again(tasks: Any, with_: Any) -> None:
    """S16: a valid position, access removed meanwhile: forbidden, and nothing of the timeline."""
    tasks.insert_one({"_id": "t", "createdBy": "alice", "events": [{"n": 0}]})
    async with running(with_()) as relay, listening(relay, "/ws/dashboard", sub="bob") as bob:
        async with listening(relay, "/ws/tasks/t") as ear:
            state = (await ear.until("task:state"))["data"]
        await bob.until("dashboard:state")
        tasks.update_one({"_id": "t"}, {"$push": {"events": "hidden"}, "$set": {"createdBy": "bob"}})
        await bob.until("dashboard:task_list_updated")
        position = {"since": state["next"], "head": state["head"]}
        path = f"/ws/tasks/t?since={state['next']}&head={state['head']}"
        async with listening(relay, path) as ear:
            await ear.until("error", code="forbidden", taskId="t")
            await ear.send("task:join", {"taskId": "t", **position})
            await ear.until("error", code="forbidden", taskId="t")
            await ear.send("resync_requested", {"taskIds": [{"taskId": "t", **position}]})
            assert (await ear.until("resync:done"))["data"] == {"taskIds": [], "forbidden": ["t"]}
            assert "hidden" not in str(ear.frames)


REVOKED = 200
FILLER = "x" * 60_000


async def test_whoever_loses_a_task_gets_nothing_of_that_change(tasks: Any, with_: Any) -> None:
    """S17: remove the user from hot tasks, in the change that adds an event, seen in a room, on a dashboard,
    while resuming and behind as a slow reader: 0 events of it or after it (F26)."""
    ids = [f"t{number}" for number in range(REVOKED)]
    position = {"since": 1, "head": ""}
    own = {"createdBy": "alice", "events": [{"n": 0}]}
    tasks.insert_many([{"_id": name, **own} for name in ids] + [{"_id": "bulk", **own}])
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            running(
                with_(
                    relay_outbox_max_bytes=65_536,
                    relay_max_tasks_per_connection=500,
                    relay_messages_per_second=100_000,
                )
            )
        )
        in_room, on_list, resuming = [
            await stack.enter_async_context(listening(relay, path))
            for path in ("/ws", "/ws/dashboard", "/ws")
        ]
        slow = await stack.enter_async_context(reading_slowly(relay))
        owner = await stack.enter_async_context(listening(relay, "/ws/dashboard", sub="bob"))
        for ear in (in_room, slow):
            for start in range(0, REVOKED, 100):
                await ear.send(
                    "task:join", {"tasks": [{"taskId": name} for name in ids[start : start + 100]]}
                )
            for _ in ids:
                state = await ear.until("task:state")
        position["head"] = state["data"]["head"]
        await on_list.until("dashboard:state")
        await owner.until("dashboard:state")
        # Given one reader who is far behind,
        fill = [UpdateOne({"_id": "bulk"}, {"$push": {"events": FILLER}}) for _ in range(10)]
        await slow.send("task:join", {"taskId": "bulk"})
        while await metric(relay, "relay_lagging_total") < 1:
            await asyncio.to_thread(tasks.bulk_write, fill)

        async def resume(stop: asyncio.Event) -> None:
            """Join again and again from a position that was good, everything at once."""
            while not stop.is_set():
                for start in range(0, REVOKED, 100):
                    wanted = [{"taskId": name, **position} for name in ids[start : start + 100]]
                    await resuming.send("task:join", {"tasks": wanted}, id=str(start))
                    answered = 0
                    while answered < len(wanted):
                        answered += (await resuming.next()).get("replyTo") == str(start)
                for name in ids:
                    await resuming.send("task:leave", {"taskId": name})
                await resuming.quiet()

        over = asyncio.Event()
        resumed = asyncio.create_task(resume(over))

        # when each task goes to somebody else in the very change that adds an event,
        def give_away() -> None:
            for name in ids:
                tasks.update_one({"_id": name}, {"$push": {"events": "leaked"}, "$set": {"createdBy": "bob"}})
                tasks.update_one({"_id": name}, {"$push": {"events": "leaked"}})

        await asyncio.to_thread(give_away)
        fence = {"_id": "fence", "createdBy": "alice", "members": ["bob"]}
        await asyncio.to_thread(tasks.insert_one, fence)
        for ear in (on_list, owner, slow):
            while not any(
                one["type"].startswith("dashboard:") and "fence" in str(one["data"]) for one in ear.frames
            ):
                await ear.next()
        await in_room.quiet()
        over.set()
        await resumed
        await resuming.send("task:join", {"tasks": [{"taskId": name, **position} for name in ids[:100]]})
        await resuming.quiet()
        # then nobody who lost it was shown the event,
        for ear in (in_room, on_list, resuming, slow):
            assert "leaked" not in str(ear.frames)
        # those who were told of the task were told that it is gone,
        assert sum(one["type"] == "task:revoked" for one in in_room.frames) == REVOKED
        assert sum(one["data"].get("change") == "revoked" for one in on_list.frames) == REVOKED
        # and the new owner sees it.
        await owner.send("task:join", {"taskId": ids[0]})
        assert "leaked" in str(await owner.until("task:state"))
        for ear in (in_room, on_list, resuming, slow, owner):
            ear.socket.transport.abort()  # a good close would wait until all is read


# What one may send.


def fragments(count: int, payload: bytes) -> bytes:
    return frame(TEXT, payload, fin=False) + frame(CONT, payload, fin=False) * count


@pytest.mark.parametrize("sub", [None, "alice"])
async def test_a_message_has_a_size_and_comes_in_few_pieces(with_: Any, sub: str | None) -> None:
    """S19, S20: 64 KiB + 1 in one frame or in several: 1009; 20,001 empty or one-byte fragments: 1008."""
    too_long = b"x" * 65_537
    cases = [
        (1009, frame(TEXT, too_long)),
        (1009, frame(TEXT, too_long, masked=True)[:14]),  # the head alone says it
        (1009, frame(TEXT, b"x" * 65_536, fin=False) + frame(CONT, b"x")),
        (1009, frame(TEXT, b"x" * 30_000, fin=False) + frame(CONT, b"x" * 30_000, fin=False) * 2),
        (1009, bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big")),
        (1008, fragments(20_001, b"")),
        (1008, fragments(20_001, b"x")),
        (1008, fragments(MAX_FRAGMENTS + 1, b"")),
    ]
    async with running(with_()) as relay:
        for code, sent in cases:
            async with upgraded(relay.url, sub=sub) as peer:
                peer.send(sent)
                assert await peer.ending() == code
        async with upgraded(relay.url) as peer:  # as many as may be are one message
            text = orjson.dumps({"type": "ping", "id": "i" * 20})
            peer.send(frame(TEXT, text, fin=False), frame(CONT, fin=False) * (MAX_FRAGMENTS - 2))
            peer.send(frame(PING), frame(CONT))
            while b'"pong"' not in (await peer.frame())[1]:
                pass


@pytest.mark.parametrize("sub", [None, "alice"])
async def test_pings_of_a_peer_that_does_not_read_fill_nothing(
    with_: Any, monkeypatch: pytest.MonkeyPatch, sub: str | None
) -> None:
    """S21: a flood of pings of 125 B, the client not reading: 1008, and no buffer grows."""
    monkeypatch.setattr("relay.gateway.websocket.connection.CLOSE_S", 0.5)
    async with running(with_()) as relay, upgraded(relay.url, sub=sub, receive_buffer=4096) as peer:
        flood = frame(PING, b"p" * 125) * 500
        largest = sent = 0
        try:
            async with asyncio.timeout(SOON_S):
                while await metric(relay, 'relay_closed_total{code="1008"}') < 1:
                    if peer.writer.transport.get_write_buffer_size() < len(flood):
                        peer.send(flood)
                        sent += len(flood)
                    wires = [one for one in gc.get_objects() if issubclass(type(one), Wire)]
                    largest = max(largest, *(one._transport.get_write_buffer_size() for one in wires))
        except ConnectionError:
            pass
        assert sent >= len(flood)
        assert largest < 512 * 1024  # what one read can hold, twice


async def test_nothing_is_compressed(with_: Any) -> None:
    """S22: permessage-deflate is not agreed to, and a compressed frame: 1002."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate"
    async with running(with_()) as relay, calling(relay.url) as peer:
        peer.send(handshake("/ws", offer, bearer(token("alice"))))
        status, head_ = await peer.answer()
        assert status == 101
        assert b"extensions" not in head_.lower()
        bomb = b"\xec\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7\x4f\x6d\x0e\x37\xa0"
        peer.send(frame(TEXT, bomb, rsv=0b100))
        assert await peer.ending() == 1002
        _, headers, _ = await get(f"{relay.url}/client/index.js", Accept_Encoding="gzip, br")
        assert headers["content-encoding"] is None


async def test_a_handshake_takes_no_longer_than_it_may(with_: Any) -> None:
    """S23: connect and silence, a header that drips: cut off; a head too large: 431 (all in test_http_protocol.py)."""
    async with (
        running(with_(relay_handshake_timeout_ms=300)) as relay,
        calling(relay.url) as silent,
        calling(relay.url) as dripping,
        calling(relay.url) as large,
    ):
        large.send(handshake("/ws", *["X-Padding: " + "x" * 1_000] * 40))
        assert (await large.answer())[0] == 431
        async with asyncio.timeout(10):
            await dripping.drip(handshake("/ws", "X-Padding: " + "x" * 8_000), 0.05)
        assert await silent.answer() == (0, b"")


@pytest.mark.parametrize(
    ("cap", "other"),
    [
        ("relay_max_connections", None),
        ("relay_max_connections_per_address", None),
        ("relay_max_connections_per_user", "bob"),
    ],
)
async def test_one_more_than_may_come_is_turned_away_until_one_leaves(
    with_: Any, cap: str, other: str | None
) -> None:
    """S24: more than the cap in all, of one address, of one user: 4430, and free again when one leaves."""
    async with running(with_(**{cap: 3}, relay_auth_timeout_ms=300)) as relay:
        for _ in range(3):
            async with listening(relay), listening(relay), listening(relay) as last:
                for path in ("/ws", "/ws/dashboard"):
                    assert await ending_of(relay.url, path, bearer(token("alice"))) == (4430, "at_capacity")
                if other is not None:
                    async with listening(relay, sub=other):
                        pass
                await last.socket.close()
                await becomes(relay, "relay_connections ", lambda count: count == 2)
                async with listening(relay) as ear:
                    assert await ear.quiet() == []
            await becomes(relay, "relay_connections ", lambda count: count == 0)
        # Who never says who they are, says nonsense or is cut off frees the place as well.
        for ends in (frame(TEXT, b"x"), frame(3), b""):
            async with AsyncExitStack() as stack:
                for _ in range(3):
                    peer = await stack.enter_async_context(upgraded(relay.url, sub=None))
                    peer.send(ends)
                assert await peer.ending() is not None
        await becomes(relay, "relay_connections ", lambda count: count == 0)
        async with listening(relay), listening(relay), listening(relay):
            pass


async def test_requests_have_a_rate_and_tasks_a_number(with_: Any) -> None:
    """S25: 1,000 requests at once: rate_limited, then 4429; 10k tasks: too_many_tasks; a refresh counts too."""
    settings = with_(relay_messages_per_second=10, relay_max_tasks_per_connection=50)
    async with running(settings) as relay:
        for kind, data in (
            ("task:join", {"taskId": "t"}),
            ("resync_requested", {"taskIds": ["t"]}),
            ("auth", {"token": token("alice")}),
            ("nonsense", {}),
        ):
            async with upgraded(relay.url) as peer:
                peer.send(text_frame(kind, data) * 1_000)
                assert await peer.ending() == 4429
        async with upgraded(relay.url) as peer:
            peer.send(frame(TEXT, b"nonsense") * 1_000)
            assert await peer.ending() == 4429
        async with listening(relay) as ear:
            names = [{"taskId": str(number)} for number in range(101)]
            for many, code in ((names, "bad_request"), (names[:51], "too_many_tasks")):
                await ear.send("task:join", {"tasks": many})
                assert (await ear.next())["data"]["code"] == code


FRAMES = [
    pytest.param(1002, frame(TEXT, b"{}", masked=False), id="unmasked"),
    pytest.param(1002, frame(TEXT, b"{}", rsv=0b010), id="a reserved bit"),
    *[pytest.param(1002, frame(opcode), id=f"opcode {opcode}") for opcode in (3, 7, 0xB, 0xF)],
    pytest.param(1002, frame(CONT, b"x"), id="nothing to continue"),
    pytest.param(1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), id="a message within another"),
    pytest.param(1002, frame(PING, b"x", fin=False), id="a ping in pieces"),
    pytest.param(1002, frame(PING, b"x" * 126), id="a ping too long"),
    pytest.param(1009, bytes([0x81, 0xFF]) + b"\xff" * 8, id="a length of 2^64"),
    pytest.param(1002, frame(CLOSE, b"x"), id="half a close code"),
    *[
        pytest.param(1002, frame(CLOSE, code.to_bytes(2, "big")), id=f"close {code}")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ],
    pytest.param(1002, frame(CLOSE, b"\x03\xe8" + b"r" * 124), id="a reason too long"),
    pytest.param(1007, frame(CLOSE, b"\x03\xe8\xff"), id="a reason that is no text"),
    pytest.param(1007, frame(TEXT, b'{"type":"\xff"}'), id="no UTF-8"),
    pytest.param(1007, frame(TEXT, b"\xed\xa0\x80"), id="half a character"),
    pytest.param(1007, frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONT), id="a character cut short"),
    pytest.param(1003, frame(BINARY, b"{}"), id="binary"),
    pytest.param(1003, frame(BINARY, b"{}", fin=False), id="binary, in pieces"),
    pytest.param(1000, frame(CLOSE, b"\x03\xe8bye"), id="a good close"),
    pytest.param(1005, frame(CLOSE), id="a close without a code"),
    pytest.param(4999, frame(CLOSE, b"\x13\x87"), id="a code of its own"),
]


@pytest.mark.parametrize(("code", "sent"), FRAMES)
async def test_a_frame_that_breaks_the_protocol_ends_with_its_code(
    with_: Any, caplog: pytest.LogCaptureFixture, code: int, sent: bytes
) -> None:
    """S26: unmasked, RSV, opcode 3, bad UTF-8, close 1005/999, a long reason, binary: its code, no traceback."""
    async with running(with_()) as relay:
        for sub in (None, "alice"):
            async with upgraded(relay.url, sub=sub) as peer:
                peer.send(sent)
                assert await peer.ending() == code
        await becomes(relay, "relay_connections ", lambda count: count == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


BAD_JSON = [
    *("NaN", '{"type":NaN}', "[" * 10_000, "{" * 10_000, '{"a":' * 5_000, '"' + "\\u0000" * 5_000 + '"'),
    *('{"type":"ping","data":{"x":1e400}}', '{"type":"\\ud800"}', "{'type':'ping'}", '{"type":"ping",}', ""),
    *("null", "true", "5", "-", "\ufeff{}", '{"type":"ping"}{"type":"ping"}', '{"type":null}', " " * 60_000),
]
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**18, 2**64, -(2**63), 1e308, "", "x", "\0", "$ne", "x" * 2_000),
    *([], [None], [[]], [{}], {}, {"$gt": ""}, {"taskId": {}}, ["x"] * 101),
]
FIELDS = {
    "task:join": ("taskId", "since", "head", "tasks"),
    "task:leave": ("taskId",),
    "resync_requested": ("taskIds",),
    "dashboard:join": ("limit",),
    "dashboard:leave": ("x",),
    "ping": ("x",),
    "auth": ("x",),
    "__class__": ("x",),
}


async def test_json_of_every_kind_is_answered_and_nothing_breaks(
    with_: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S27: NaN, 10k deep, 10^400, half a character, names twice, each field of each wrong type: an error, soon."""
    async with running(with_(relay_messages_per_second=100_000)) as relay, listening(relay) as ear:
        for text in BAD_JSON:
            began = time.process_time()
            await ear.socket.send(text)
            answer = await ear.next()
            assert time.process_time() - began < 0.25  # it takes far less than 5 ms; this is both ends
            assert (answer["type"], answer["data"]["code"]) in (
                ("error", "bad_message"),
                ("error", "unknown_type"),
            ), text[:40]
        # The last of two equal names counts, as orjson reads it; there is one reader only.
        await ear.socket.send('{"type":"task:leave","type":"ping","id":"a","id":"b"}')
        assert ((await ear.next())["type"], ear.frames[-1]["replyTo"]) == ("pong", "b")
        for kind, names in FIELDS.items():
            for name in names:
                for value in STRANGE:
                    data = {"taskId": "t"} if name in ("since", "head") else {}
                    await ear.socket.send(json.dumps({"type": kind, "data": {**data, name: value}}))
        for value in STRANGE:
            await ear.socket.send(json.dumps({"type": "ping", "id": value}))
            await ear.socket.send(json.dumps({"type": value}))
            await ear.socket.send(json.dumps({"type": "ping", "data": value}))
        await ear.send("task:join", {"taskId": "the last"})
        await ear.until("error", taskId="the last")
        codes = {frame["data"]["code"] for frame in ear.frames if frame["type"] == "error"}
        assert codes <= {"bad_message", "bad_request", "unknown_type", "forbidden"}
        ear.socket.transport.abort()  # a good close would wait until all is read
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_connects_is_not_what_a_header_says(with_: Any) -> None:
    """S28: X-Forwarded-For from anyone: the peer's address counts; of a declared proxy: the client's;
    trusting everyone is refused at the start."""

    async def come_in(relay: Relay, *said: str) -> str:
        """Two connections that say these addresses stay; what becomes of a third."""
        async with AsyncExitStack() as stack:
            for one in said:
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


async def test_what_the_host_header_says_decides_nothing(with_: Any) -> None:
    """S29: Host: x/admin?, @evil.test and the like: the same decision as for the plain request."""
    async with running(with_()) as relay:
        good, foreign = bearer(token("alice")), "Origin: http://evil.test"
        hosts = (
            "x",
            "x/admin?",
            "evil.test",
            "x@evil.test",
            "127.0.0.1:1/ws/tasks/t?",
            "",
            "a" * 5_000,
            "[::1",
            "\xff",
        )
        for host in hosts:
            assert await status_of(relay.url, "/ws", good, host=host) == 101, host
            assert await status_of(relay.url, "/ws", foreign, good, host=host) == 403, host
            assert await status_of(relay.url, "/admin", good, host=host) == 404, host
        forwarded = ["X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /admin"]
        assert await status_of(relay.url, "/ws", foreign, good, *forwarded, host="evil.test") == 403
        for path in (
            "/config/",
            "/client",
            "/dashboard",
            "//evil.test/",
            "//evil.test/%2e%2e",
            "/ws",
            "/admin",
        ):
            async with calling(relay.url) as peer:
                peer.send(f"GET {path} HTTP/1.1\r\nHost: evil.test\r\n\r\n".encode())
                status, head_ = await peer.answer()
                assert (status, b"evil.test" in head_) == (426 if path == "/ws" else 404, False), path
        for target in ("@evil.test", "evil.test:80"):
            async with calling(relay.url) as peer:
                peer.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert (await peer.answer())[0] == 400
        # The address that clients are sent to is the relay's own.
        _, _, body = await get(f"{relay.url}/config", Authorization=good.partition(": ")[2], Host="evil.test")
        assert b"evil" not in body


ESCAPES = "\x1b[31mred\x07"


@pytest.mark.parametrize("format", ["console", "json"])
def test_what_peers_send_does_not_write_the_log(environment: dict[str, str], format: str) -> None:
    """S30: %0d%0a and ANSI escapes in path, user agent and close reason: whole lines, no control characters."""

    async def write(url: str) -> None:
        forged = "%0d%0a2026-01-01T00:00:00.000Z%20INFO%20all%20is%20well%1b%5b31m"
        headers = [f"User-Agent: {ESCAPES}\xff", f"X-Forwarded-For: {ESCAPES}", f"Cookie: {ESCAPES}"]
        for path in (
            f"/ws/tasks/{forged}",
            f"/nowhere/{forged}",
            f"/ws?{forged}",
            f"/ws/dashboard?limit={forged}",
        ):
            async with calling(url) as peer:
                peer.send(handshake(path, bearer(token("alice")), *headers))
                await peer.answer()
                peer.send(
                    text_frame(ESCAPES), text_frame("task:join", {"taskId": ESCAPES}), frame(TEXT, b"\x1b")
                )
                peer.send(frame(CLOSE, b"\x0f\xa0" + ESCAPES.encode()))
                await peer.ending()
        for sent in (ESCAPES.encode() + b"\r\n\r\n", b"GET /\x1b[31m HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 50):
            async with calling(url) as peer:
                peer.send(sent)
                await peer.answer()
        for path in ("/client/" + forged, "/config"):
            await get(url + path, User_Agent="x", Authorization=f"Bearer {ESCAPES}".replace("\x07", ""))

    with started("serve", until="listening on", **environment | {"RELAY_LOG_FORMAT": format}) as (
        process,
        before,
    ):
        url = re.search(r"http://\S+", before)
        assert url is not None
        asyncio.run(write(url[0]))
        process.send_signal(signal.SIGTERM)
        logged = before + process.printed()
        assert process.wait(SOON_S) == 0
    assert "all is well" not in logged
    assert "Traceback" not in logged
    lines = [line for line in logged.splitlines() if not line.startswith("relay: ")]
    assert lines
    for line in lines:
        assert line.isprintable()
        assert "at" in json.loads(line) if format == "json" else re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line)


class Broken(Exception):
    """Says more than a peer may know."""

    def __init__(self, *_: Any) -> None:
        super().__init__("mongodb://user:hunter2@db /srv/relay")


async def test_what_went_wrong_is_the_logs_and_not_the_peers(
    with_: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S31: an exception in a handler: the client sees 1011 internal error or 500, and nothing of the cause."""

    def fail(*_: Any, **__: Any) -> None:
        raise Broken

    async with running(with_()) as relay:
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "_execute", fail)
            async with upgraded(relay.url) as peer:
                peer.send(text_frame("ping"))
                await peer.frame()
                assert await peer.frame() == (CLOSE, b"\x03\xf3internal error")
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "authenticate", fail)
            assert await ending_of(relay.url, "/ws", bearer(token("alice"))) == (1011, "internal error")
        with monkeypatch.context() as patch:
            patch.setattr("relay.gateway.websocket.endpoints._opening", fail)
            assert await ending_of(relay.url) == (1011, "internal error")
        with monkeypatch.context() as patch:
            patch.setattr("relay.auth.admission.Admission.identify", fail)
            status, headers, body = await get(f"{relay.url}/config")
            assert (status, body) == (500, b"Internal Server Error")
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        # The log has the cause, and the relay goes on.
        assert caplog.text.count("hunter2") >= 3
        async with listening(relay) as ear:
            assert await ear.quiet() == []
        await becomes(relay, "relay_connections ", lambda count: count == 0)


async def test_operators_have_a_port_of_their_own(tasks: Any, with_: Any) -> None:
    """S32: metrics and readiness through the public listener: 404; no label names a user or a task."""
    tasks.insert_one({"_id": "the-task", "createdBy": "the-user"})
    async with running(with_(relay_admin_port=0)) as relay:
        async with listening(relay, "/ws/tasks/the-task", sub="the-user") as ear:
            await ear.until("task:state")
            for path in ("/metrics", "/readyz", "/metrics/", "/%6detrics", "//metrics", "/client/../metrics"):
                assert (await get(relay.url + path))[0] == 404, path
            status, _, body = await get(f"{relay.admin_url}/metrics")
            assert (status, b"relay_connections 1.0" in body) == (200, True)
            assert b"the-" not in body
        async with upgraded(relay.url) as peer:
            peer.send(frame(CLOSE, b"\x13\x87"))  # 4999: a code of the peer's own
            await peer.ending()
        body = (await get(f"{relay.admin_url}/metrics"))[2].decode()
        assert set(re.findall(r"(\w+)=\"", body)) <= {"code"}
        assert 'code="4999"' not in body
        assert (await get(f"{relay.admin_url}/readyz"))[0] == 200
        # And there is nothing for clients on that port.
        for path in ("/", "/config", "/client/index.js", "/healthz"):
            assert (await get(relay.admin_url + path))[0] == 404, path
        assert await status_of(relay.admin_url, "/ws", bearer(token("alice"))) == 404


async def test_reading_one_collection_is_all_it_needs(with_: Any, tmp_path: Path) -> None:
    """S33: with find and changeStream on the one collection it serves; writes and other collections: denied."""
    key = tmp_path / "key"
    key.write_bytes(base64.b64encode(os.urandom(96)))
    key.chmod(0o600)
    with embedded.start(extra_args=["--auth", "--keyFile", str(key)]) as server:
        with MongoClient[dict[str, Any]](port=server.port, directConnection=True) as first:
            first.admin.command("createUser", "root", pwd="hunter2", roles=["root"])
        with MongoClient[dict[str, Any]](server.url, username="root", password="hunter2") as admin:
            where = {"db": "app", "collection": "tasks"}
            rights = [{"resource": where, "actions": ["find", "changeStream"]}]
            admin.app.command("createRole", "relay", privileges=rights, roles=[])
            admin.app.command("createUser", "relay", pwd="hunter2", roles=["relay"])
            admin.app.tasks.insert_one({"_id": "t", "createdBy": "alice"})
            url = server.url.replace("://", "://relay:hunter2@") + "&authSource=app"
            async with (
                running(with_(relay_mongo_url=url, relay_mongo_database="app")) as relay,
                listening(relay, "/ws/dashboard") as ear,
            ):
                await ear.send("task:join", {"taskId": "t"})
                await ear.until("task:state")
                admin.app.tasks.update_one({"_id": "t"}, {"$push": {"events": 1}})
                await ear.until("task:event_added")
        with MongoClient[dict[str, Any]](url) as user:
            for what in (
                lambda: user.app.tasks.insert_one({}),
                lambda: user.app.other.find_one(),
                lambda: list(user.app.tasks.aggregate([{"$out": "copy"}])),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    what()


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://user:hunter2@127.0.0.1:{port}/?authSource=admin&serverSelectionTimeoutMS=300",
        "mongodb://user:hunter2@127.0.0.1:99999/",
        "mongodb://user:hun/hunter2@127.0.0.1/",
        "mongodb://user:hunter2@[::1/",
        "mongodb://user:p@hunter2:5@127.0.0.1:{port}/",
        "mongodb://127.0.0.1:{port}/?password=hunter2",
        "mongodb://user:hunter2@127.0.0.1:{port}/?authMechanism=hunter2",
        "mongodb+srv://user:hunter2@",
    ],
)
def test_a_password_is_shown_in_no_failure(environment: dict[str, str], mongo_url: str, url: str) -> None:
    """S33: the URI's password is never printed, in exceptions neither."""
    port = re.search(r":(\d+)", mongo_url)
    assert port is not None
    with Process("serve", **environment | {"RELAY_MONGO_URL": url.format(port=port[1])}) as process:
        assert process.stdout is not None
        printed = b""
        until = re.compile(b"trying again|listening on")
        while not until.search(printed) and (more := os.read(process.stdout.fileno(), 65_536)):
            printed += more
        process.terminate()
        printed += process.stdout.read()
    assert printed
    assert b"hunter2" not in printed


async def test_only_what_is_meant_to_leaves_and_in_a_bearable_size(tasks: Any, with_: Any) -> None:
    """S35: _internal, __proto__, 5 MB, <script>: only the typed fields leave, bounded, as data, without secrets."""
    strange = {"_internal": 1, "__proto__": {"admin": True}, "text": "<script>alert(1)</script>"}
    tasks.insert_one(
        {
            "_id": "t",
            "createdBy": "alice",
            "title": "<script>" + "x" * 5_000,
            "internal": "kept here",
            "_private": {"notes": "kept here"},
            "password": "kept here",
            "events": [
                {"type": "a", **strange},
                {"type": "b", "text": "x" * 5_000_000},
                {"type": "c", "password": "kept here", "text": "ghp_" + "a" * 36},
            ],
        }
    )
    async with running(with_()) as relay, listening(relay, "/ws/tasks/t") as ear:
        text = (await ear.until("task:state")) and orjson.dumps(ear.frames[-1]).decode()
        state = ear.frames[-1]["data"]
        assert "kept here" not in text
        assert "ghp_" not in text
        assert len(text) < 10_000
        assert set(state["task"]) == {"taskId", "title", "creator", "eventCount"}
        assert len(state["task"]["title"]) <= 1_001
        assert state["events"][0]["data"] == {"type": "a", **strange}
        assert state["events"][1]["data"]["truncated"] is True
        assert state["events"][2]["data"]["password"] == "[redacted]"


FLOORS = {
    "pyjwt": ("2.15.1", "CVE-2026-102275, CVE-2026-102268"),
    "pymongo": ("4.18.2", "CVE-2026-96749"),
    "starlette": ("1.3.1", "PYSEC-2026-249"),
    "uvicorn": ("0.52.1", "no back-pressure before"),
}


def test_no_dependency_is_older_than_its_last_hole() -> None:
    """S36: pyjwt, pymongo, starlette below the fixed versions: the build fails."""
    root = Path(__file__).parents[2]
    asked = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for name, (floor, why) in FLOORS.items():
        assert Version(version(name)) >= Version(floor), why
        wanted = next(re.search(r">=([\d.]+)", one) for one in asked if re.match(rf"{name}\b", one))
        assert wanted is not None
        assert Version(wanted[1]) >= Version(floor), why
        for lock in (root / "requirements").glob("*.txt"):
            locked = re.search(rf"(?m)^{name}==([\d.]+)", lock.read_text("utf-8"))
            assert locked is None or Version(locked[1]) >= Version(floor), (lock.name, why)


async def test_a_position_that_was_tampered_with_gives_the_whole_or_an_error(tasks: Any, with_: Any) -> None:
    """S37: the position of another task, 2^64, negative, a flipped bit: reset or bad_request, and never
    another task's data."""
    tasks.insert_many(
        [
            {"_id": "t", "createdBy": "alice", "events": ["t0", "t1"]},
            {"_id": "u", "createdBy": "alice", "events": ["u0", "u1"]},
            {"_id": "foreign", "createdBy": "bob", "events": ["f0", "f1"]},
        ]
    )
    async with running(with_()) as relay, listening(relay) as ear:
        heads: dict[str, str] = {}
        for name in ("t", "u"):
            await ear.send("resync_requested", {"taskIds": [name]})
            heads[name] = (await ear.until("task:state"))["data"]["head"]
            await ear.until("resync:done")
        good = heads["t"]

        async def resumed(since: Any, at: Any, name: str = "t") -> Any:
            data = {"taskIds": [{"taskId": name, "since": since, "head": at}]}
            await ear.socket.send(json.dumps({"type": "resync_requested", "data": data}))
            answer = await ear.next()
            if answer["type"] == "task:state":
                await ear.until("resync:done")
                data = answer["data"]
                return data["taskId"], data["reset"], data["from"], [one["data"] for one in data["events"]]
            return answer["data"].get("code") or answer["data"]["forbidden"]

        assert await resumed(2, good) == ("t", False, 2, [])
        whole = ("t", True, 0, ["t0", "t1"])
        flipped = [good[:at] + chr(ord(good[at]) ^ 1) + good[at + 1 :] for at in range(len(good))]
        for since, at in (
            *((2, heads["u"]), (1, good), (3, good), (10**15, good), (2**63 - 1, good), (0, good)),
            *((2, good[:-1]), (2, good + "0"), (2, good.upper() + " "), (2, ""), (2, "\0"), (2, "x" * 128)),
            *((None, good), (2, None), *((2, one) for one in flipped)),
        ):
            assert await resumed(since, at) == whole, (since, at)
        for since, at in (
            *((2**64, good), (-1, good), (2.0, good), ("2", good), (True, good), ([2], good)),
            *((2, "x" * 129), (2, "x" * 60_000), (2, 5), (2, [good]), (2, {"$ne": 1})),
        ):
            assert await resumed(since, at) == "bad_request", (since, at)
        assert await resumed(2, good, "foreign") == ["foreign"]
        for query in (
            f"since={2**64}&head={good}",
            f"since=-1&head={good}",
            "since=2&head=" + "x" * 129,
            "since=%00",
        ):
            assert (await ending_of(relay.url, f"/ws/tasks/t?{query}", bearer(token("alice"))))[0] == 4500


async def test_one_users_many_sockets_leave_the_others_their_turn(tasks: Any, with_: Any) -> None:
    """S38: one user with as many sockets as may be on a hot task, asking all the time: another's conversation
    goes on."""
    tasks.insert_many([{"_id": "hot", "createdBy": "mallory"}, {"_id": "mine", "createdBy": "alice"}])
    over = asyncio.Event()
    busy: list[int] = []

    async def pester(peer: Any) -> None:
        ids = [f"none-{number}" for number in range(100)]
        while not over.is_set():
            peer.send(text_frame("resync_requested", {"taskIds": ids}))
            await peer.writer.drain()
            await asyncio.sleep(0.05)  # the rate that a connection may have

    async def follow(peer: Any) -> None:
        try:
            while True:
                busy.append(len((await peer.frame())[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def write_hot() -> None:
        batch = [UpdateOne({"_id": "hot"}, {"$push": {"events": {"$each": ["x"], "$slice": -50}}})] * 20
        while not over.is_set():
            await asyncio.to_thread(tasks.bulk_write, batch)

    async def turn(ear: Ear, number: int) -> float:
        """From a write to its message, and from a request to its answer."""
        began = time.perf_counter()
        await asyncio.to_thread(tasks.update_one, {"_id": "mine"}, {"$push": {"events": number}})
        await ear.until("task:event_added", index=number)
        await ear.quiet()
        return time.perf_counter() - began

    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            running(with_(relay_messages_per_second=20, relay_max_connections_per_user=50))
        )
        alice = await stack.enter_async_context(listening(relay, "/ws/tasks/mine"))
        await alice.until("task:state")
        alone = [await turn(alice, number) for number in range(10)]
        peers = [
            await stack.enter_async_context(upgraded(relay.url, "/ws/tasks/hot", sub="mallory"))
            for _ in range(50)
        ]
        assert await ending_of(relay.url, "/ws", bearer(token("mallory"))) == (4430, "at_capacity")
        noise = [asyncio.create_task(follow(peer)) for peer in peers[5:]]  # five do not read at all
        noise += [asyncio.create_task(pester(peer)) for peer in peers[:10]]
        noise.append(asyncio.create_task(write_hot()))
        together = [await turn(alice, number) for number in range(10, 70)]
        async with listening(relay, "/ws/tasks/mine") as late:
            await late.until("task:state")
        over.set()
        for one in noise[:45]:
            one.cancel()
        await asyncio.gather(*noise, return_exceptions=True)
    assert len(busy) > 100
    print(f"\n  a turn: {1000 * statistics.median(alone):.0f} ms alone, ", end="")
    print(f"{1000 * statistics.median(together):.0f} ms beside a user with 50 busy sockets")
    assert statistics.median(together) < 5 * statistics.median(alone) + 0.1
    assert max(together) < 5


# Around the conversation.


async def test_who_is_out_of_the_rollout_is_told_so(with_: Any) -> None:
    settings = with_(feature_websocket_percent=0, feature_websocket_users="alice")
    async with running(settings) as relay:
        for sub, is_in in (("alice", True), ("bob", False), ("Alice", False), (" alice", False)):
            text = token(sub)
            status, headers, body = await get(f"{relay.url}/config", Authorization=f"Bearer {text}")
            assert (status, json.loads(body)["enabled"]) == (200, is_in)
            assert headers["cache-control"] == "no-cache"
            if is_in:
                async with listening(relay, sub=sub):
                    pass
                continue
            for path in ("/ws", "/ws/dashboard", "/ws/tasks/t"):
                assert await ending_of(relay.url, path, bearer(text)) == (4502, "feature_disabled")
            async with upgraded(relay.url, sub=None) as peer:
                peer.send(text_frame("auth", {"token": text}))
                assert await peer.ending() == 4502
    async with running(with_(feature_websocket_enabled=False, feature_websocket_users="alice")) as relay:
        assert await ending_of(relay.url, "/ws", bearer(token("alice"))) == (4502, "feature_disabled")


async def test_only_pages_of_listed_origins_may_read_the_answers(with_: Any) -> None:
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
            # Whoever asks from elsewhere may read that this is what is wrong, and gets nothing else to read.
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


async def test_every_answer_has_the_headers_that_keep_a_page_in_its_place(with_: Any) -> None:
    async with running(with_(relay_admin_port=0)) as relay:
        for url in (
            *(relay.url + path for path in ("/", "/config", "/healthz", "/client/index.js", "/nowhere")),
            *(relay.url + path for path in ("/dashboard/../../app.py", "/client/%2e%2e/%2e%2e/app.py")),
            *(relay.admin_url + path for path in ("/readyz", "/metrics", "/nowhere")),
        ):
            _, headers, body = await get(url)
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["server"] is None
            assert b"composition root" not in body
        _, _, page = await get(f"{relay.url}/")
        # What the policy forbids is not there to begin with.
        assert not re.search(
            rb"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|https?://(?!www\.w3\.org)", page
        )
    for part in ("unsafe", "*", "http:"):
        assert part not in CONTENT_SECURITY_POLICY
